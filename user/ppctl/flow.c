// SPDX-License-Identifier: BSD-2-Clause
/*
 * What pp_flows and pp_forwarded remember of connections, and when that is to be forgotten.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "port_map.h"
#include "ppctl.h"
#include "translated.h"

/* Deletes the entries of a map of flows for which @stale says 1. */
static void forget(const char *name,
		   int (*stale)(const struct pp_connection_key *key, const void *value,
				const struct pp_port_key *port),
		   const struct pp_port_key *port)
{
	struct pp_connection_key keys[2], *previous = NULL;
	int map = pin_open("maps", name), count = 0, more = 1;
	union {
		struct pp_flow flow;
		struct pp_forward forward;
	} value;

	if (map < 0)
		return;
	/* each after the next has been asked for */
	while (more) {
		more = !bpf_map_get_next_key(map, previous, &keys[count & 1]);
		if (previous && !bpf_map_lookup_elem(map, previous, &value) &&
		    stale(previous, &value, port))
			bpf_map_delete_elem(map, previous);
		previous = &keys[count++ & 1];
	}
	close(map);
}

/* A local address that has a policy of its own is none of a port without an address. */
static int is_of_port(const struct pp_connection_key *key, const void *value,
		      const struct pp_port_key *port)
{
	struct pp_port_key own = {.port = port->port};
	struct pp_port policy;
	int map, is_own;

	(void)value;
	if (key->local_port != port->port)
		return 0;
	memcpy(own.address, key->local, sizeof(own.address));
	if (port_has_address(port))
		return port_is_same(&own, port);
	map = pin_open("maps", MAP_PORTS);
	is_own = map >= 0 && !port_get(map, &own, &policy);
	if (map >= 0)
		close(map);
	return !is_own;
}

/* The entries of these maps for the port are from before it was served this time. Later connections
 * may have the same tuples, and were not translated. */
void flows_forget_port(const struct pp_port_key *port)
{
	forget("pp_flows", is_of_port, port);
	forget("pp_forwarded", is_of_port, port);
}

static int is_established(const struct pp_connection_key *key, const void *value,
			  const struct pp_port_key *unused)
{
	const struct pp_flow *flow = value;

	(void)key;
	(void)unused;
	return flow->established != 0;
}

static int has_ended(const struct pp_connection_key *key, const void *value,
		     const struct pp_port_key *unused)
{
	const struct pp_forward *forward = value;

	(void)key;
	(void)unused;
	return forward->ended_ns != 0;
}

/* A connection made while there were no hooks may have the tuple of an older one, which was
 * translated. pp_origins and pp_forwarded still have the live ones. */
void flows_forget_old(void)
{
	static char done[PATH_MAX]; /* by this command, for this set */

	if (!strcmp(done, options.pin))
		return;
	snprintf(done, sizeof(done), "%s", options.pin);
	forget("pp_flows", is_established, NULL);
	forget("pp_forwarded", has_ended, NULL);
}
