// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections whose header pp_in has taken out need the programs until they are gone: their
 * sequence numbers differ from the proxy's. So a port that is removed, or a whole set, drains
 * first. The state of that is in pp_ports and pp_config, and the next command continues with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "interface.h"
#include "port_map.h"
#include "ppctl.h"
#include "drain.h"

#define SETTLE_US 20000 /* longer than a segment is on its way from pp_in to pp_sockops */

static int port_error(const struct pp_port_key *port)
{
	int number = errno;
	char text[ENDPOINT_TEXT_MAX];

	port_text(port, text);
	return error("%s: %s: %s", port_has_address(port) ? MAP_ADDRESSES : MAP_PORTS, text,
		     strerror(number));
}

static int port_write(int map, const struct pp_port_key *port, const struct pp_port *policy)
{
	return port_put(map, port, policy) ? port_error(port) : 0;
}

/* Calls @each for every port, until one fails. Its entry may be changed or deleted. */
static int for_each_port(int map,
			 int (*each)(int map, const struct pp_port_key *port,
				     struct pp_port *policy, const struct translated_list *list),
			 const struct translated_list *list)
{
	struct pp_port_key ports[PORTS_MAX];
	struct pp_port policy;
	size_t count = ports_list(map, ports), i;

	for (i = 0; i < count; i++) {
		if (!port_get(map, &ports[i], &policy) && each(map, &ports[i], &policy, list))
			return -1;
	}
	return 0;
}

static int config_flags(void)
{
	struct pp_config config = {};
	int map = pin_open("maps", MAP_CONFIG);
	__u32 zero = 0;

	if (map < 0)
		return 0;
	if (bpf_map_lookup_elem(map, &zero, &config))
		config.flags = 0;
	close(map);
	return config.flags;
}

static int config_set(__u32 flag, int on)
{
	int map = pin_open("maps", MAP_CONFIG), result;

	if (map < 0) /* a set that is half removed has none */
		return 0;
	result = config_change(map, flag, on);
	close(map);
	return result;
}

int drain_is_down(void)
{
	return !!(config_flags() & PP_CONFIG_DOWN);
}

static int begin_port(int map, const struct pp_port_key *port, struct pp_port *policy,
		      const struct translated_list *unused)
{
	(void)unused;
	if (policy->flags & PP_PORT_DRAINING)
		return 0;
	policy->flags |= PP_PORT_DRAINING | PP_PORT_DOWN;
	return port_write(map, port, policy);
}

static int take_back_port(int map, const struct pp_port_key *port, struct pp_port *policy,
			  const struct translated_list *unused)
{
	(void)unused;
	if (!(policy->flags & PP_PORT_DOWN))
		return 0;
	policy->flags &= ~(PP_PORT_DRAINING | PP_PORT_DOWN);
	return port_write(map, port, policy);
}

static int finish_port(int map, const struct pp_port_key *port, struct pp_port *policy,
		       const struct translated_list *list)
{
	if (policy->flags & PP_PORT_DOWN ||
	    !(policy->flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT)) ||
	    translated_on(list, map, port))
		return 0;
	if (policy->flags & PP_PORT_DRAINING)
		return port_delete(map, port) ? port_error(port) : 0;
	policy->flags &= ~PP_PORT_WAS_SPLIT;
	return port_write(map, port, policy);
}

static int is_draining(int map, const struct pp_port_key *port, struct pp_port *policy,
		       const struct translated_list *unused)
{
	(void)map;
	(void)port;
	(void)unused;
	return policy->flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT) ? -1 : 0;
}

int drain_begin(int ports, struct translated_list *list)
{
	if (config_set(PP_CONFIG_DOWN, 1) || for_each_port(ports, begin_port, NULL))
		return -1;
	usleep(SETTLE_US);
	return translated_read(list);
}

/* Without a port with a split there is nothing for pp_in and pp_out to do, and without one that is
 * asked by pp_lookup() nothing for pp_getsockopt. */
static int detach_unneeded(int map)
{
	if (!ports_have_split(map) && interfaces_detach())
		return -1;
	return cgroup_lookup_detach_unneeded(map);
}

static int finish_ports(int map)
{
	struct translated_list list;
	int result;

	ports_sweep(map);
	if (!for_each_port(map, is_draining, NULL))
		return 0;
	if (translated_read(&list))
		return -1;
	result = for_each_port(map, finish_port, &list);
	translated_free(&list);
	return result ? result : detach_unneeded(map);
}

int drain_finish(void)
{
	int ports = pin_open("maps", MAP_PORTS), result = 0;
	struct translated_list list;

	if (ports < 0)
		return 0;
	if (!drain_is_down()) {
		/* of an 'up' that was killed while it took the set back */
		result = for_each_port(ports, take_back_port, NULL);
	} else if (!drain_begin(ports, &list)) {
		if (!list.count) {
			result = pin_remove_all();
			if (!result)
				say("the last connection is gone: down");
		}
		translated_free(&list);
	} else {
		result = -1;
	}
	if (!result)
		result = finish_ports(ports);
	if (!result) /* of a change that was killed half-way */
		result = cgroup_lookup_detach_unneeded(ports);
	close(ports);
	return result;
}

int drain_take_back(int *taken)
{
	int ports = pin_open_map(MAP_PORTS), result;

	if (ports < 0)
		return -1;
	*taken = drain_is_down();
	result = *taken ? config_set(PP_CONFIG_DOWN, 0) : 0;
	if (!result)
		result = for_each_port(ports, take_back_port, NULL);
	if (!result)
		result = finish_ports(ports);
	close(ports);
	return result;
}

/* Has what served @port until now, itself or the port without an address, such connections? */
static int translated_before(int map, const struct pp_port_key *port)
{
	struct pp_port_key keys[PORTS_MAX];
	size_t count = ports_list(map, keys);
	const struct pp_port_key *served = port_match(keys, count, port->address, port->port);
	struct pp_port policy;

	return served && !port_get(map, served, &policy) && policy_translates(&policy);
}

int drain_port_add(int map, const struct pp_port_key *port, const struct pp_port *wanted)
{
	int was_split = translated_before(map, port);
	struct pp_port policy = *wanted;

	if (drain_is_down())
		return error("%s is going down: 'ppctl up' takes it back", options.pin);
	if (was_split && policy.split == PP_SPLIT_NO)
		policy.flags |= PP_PORT_WAS_SPLIT;
	if (!was_split && policy.split != PP_SPLIT_NO)
		flows_forget_port(map, port);
	if (!(policy.flags & PP_PORT_NO_LOOKUP) && cgroup_lookup_attach())
		return -1;
	if (port_put(map, port, &policy))
		return -2;
	if (policy.flags & PP_PORT_WAS_SPLIT) {
		usleep(SETTLE_US);
		return finish_ports(map);
	}
	return detach_unneeded(map);
}

/* New connections to an address without a policy of its own are served as the port says without
 * one. So it cannot drain: the old ones go over to that entry. Return: 0, 1: so it is; or -1. */
static int hand_over(int map, const struct pp_port_key *port, const struct pp_port *policy)
{
	struct pp_port_key any = {.port = port->port};
	struct pp_port others;

	if (!port_has_address(port) || port_get(map, &any, &others) ||
	    others.flags & PP_PORT_DRAINING)
		return 0;
	if (policy_translates(policy) && !policy_translates(&others)) {
		others.flags |= PP_PORT_WAS_SPLIT;
		if (port_write(map, &any, &others))
			return -1;
	}
	if (port_delete(map, port))
		return port_error(port);
	usleep(SETTLE_US);
	return finish_ports(map) ? -1 : 1;
}

int drain_port_del(int map, const struct pp_port_key *port, size_t *waits_for)
{
	struct translated_list list;
	char text[ENDPOINT_TEXT_MAX];
	struct pp_port policy;
	int handed_over;
	size_t left;

	if (waits_for)
		*waits_for = 0;
	port_text(port, text);
	if (port_get(map, port, &policy))
		return error("port %s is not served (ppctl port list)", text);
	if (!policy_translates(&policy))
		return port_delete(map, port) ? port_error(port) : detach_unneeded(map);
	handed_over = hand_over(map, port, &policy);
	if (handed_over)
		return handed_over < 0 ? -1 : 0;
	policy.flags |= PP_PORT_DRAINING;
	policy.flags &= ~PP_PORT_DOWN; /* 'up' does not take it back */
	if (port_write(map, port, &policy))
		return -1;
	usleep(SETTLE_US);
	if (translated_read(&list))
		return -1;
	left = translated_on(&list, map, port);
	if (!left)
		finish_port(map, port, &policy, &list);
	if (waits_for)
		*waits_for = left;
	translated_free(&list);
	return detach_unneeded(map);
}
