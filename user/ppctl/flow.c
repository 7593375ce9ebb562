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
				const void *context),
		   const void *context)
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
		    stale(previous, &value, context))
			bpf_map_delete_elem(map, previous);
		previous = &keys[count++ & 1];
	}
	close(map);
}

/* What flows_forget_port() is about. */
struct forgotten {
	const struct pp_port_key *port;
	struct pp_port_key served[PORTS_MAX]; /* until now */
	size_t count;
};

/* A local address that has a policy of its own is none of a port without an address. */
static int is_of_port(const struct pp_connection_key *key, const void *value, const void *context)
{
	const struct forgotten *forgotten = context;
	const struct pp_port_key *port = forgotten->port, *own;

	(void)value;
	if (key->local_port != port->port)
		return 0;
	if (port_has_address(port))
		return !memcmp(key->local, port->address, sizeof(key->local));
	own = port_match(forgotten->served, forgotten->count, key->local, key->local_port);
	return !own || !port_has_address(own);
}

/* The entries of these maps for the port are from before it was served this time. Later connections
 * may have the same tuples, and were not translated. @map: of pp_ports. */
void flows_forget_port(int map, const struct pp_port_key *port)
{
	struct forgotten forgotten = {.port = port};

	forgotten.count = ports_list(map, forgotten.served);
	forget("pp_flows", is_of_port, &forgotten);
	forget("pp_forwarded", is_of_port, &forgotten);
}

static int is_established(const struct pp_connection_key *key, const void *value,
			  const void *unused)
{
	const struct pp_flow *flow = value;

	(void)key;
	(void)unused;
	return flow->established != 0;
}

static int has_ended(const struct pp_connection_key *key, const void *value, const void *unused)
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
