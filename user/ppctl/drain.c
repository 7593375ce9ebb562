// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections whose header pp_in has taken out need the programs until they are gone: their
 * sequence numbers are others than the proxy's. So a port that is removed, and a whole set, drains
 * first. The state of that is in pp_ports and pp_config, and whichever command comes next goes on
 * with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "../common/clock.h"
#include "interface.h"
#include "ppctl.h"
#include "drain.h"

#define MAP_ORIGINS "pp_origins"

#define SETTLE_US 20000	 /* longer than a segment is on its way from pp_in to pp_sockops */
#define POLL_US	  200000 /* between two looks of --wait */
#define NOW_TRIES 50	 /* of SETTLE_US each */

static int read_iterator(int iterator, struct translated_list *list)
{
	struct pp_translated entries[256], *all;
	char *at = (char *)entries;
	size_t have = 0;
	ssize_t len;

	for (;;) {
		len = read(iterator, at + have, sizeof(entries) - have);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len <= 0)
			return len;
		have += len;
		len = have / sizeof(entries[0]);
		all = array_grow(list->sockets, list->count, len, sizeof(entries[0]));
		if (!all)
			return -1;
		list->sockets = all;
		memcpy(all + list->count, entries, len * sizeof(entries[0]));
		list->count += len;
		have -= len * sizeof(entries[0]);
		memmove(at, at + len * sizeof(entries[0]), have);
	}
}

int translated_read(struct translated_list *list)
{
	union bpf_iter_link_info info = {};
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info,
			    .iter_info_len = sizeof(info));
	int program = pin_open("progs", COUNT_PROGRAM);
	int map = pin_open("maps", MAP_ORIGINS), link = -1, iterator = -1, result = -1;

	memset(list, 0, sizeof(*list));
	if (program < 0 || map < 0) { /* no set, or none that splits */
		result = 0;
		goto out;
	}
	info.map.map_fd = map;
	link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);
	if (link >= 0)
		iterator = bpf_iter_create(link);
	if (iterator >= 0)
		result = read_iterator(iterator, list);
	if (result)
		error("counting connections (%s over %s): %s", COUNT_PROGRAM, MAP_ORIGINS,
		      strerror(errno));
out:
	if (iterator >= 0)
		close(iterator);
	if (link >= 0)
		close(link);
	if (map >= 0)
		close(map);
	if (program >= 0)
		close(program);
	return result;
}

void translated_free(struct translated_list *list)
{
	free(list->sockets);
	memset(list, 0, sizeof(*list));
}

/* A port that is not in the list may be a server's behind DNAT: whichever of the served ports its
 * proxy connected to, that is not drained. */
size_t translated_on(const struct translated_list *list, int ports_map, uint16_t port)
{
	struct pp_port policy;
	size_t i, count = 0;

	for (i = 0; i < list->count; i++) {
		if (list->sockets[i].port == port ||
		    bpf_map_lookup_elem(ports_map, &list->sockets[i].port, &policy))
			count++;
	}
	return count;
}

static int port_write(int map, uint16_t port, const struct pp_port *policy)
{
	if (bpf_map_update_elem(map, &port, policy, BPF_EXIST))
		return error("%s: %u: %s", MAP_PORTS, port, strerror(errno));
	return 0;
}

/* Calls @each for every port, until one fails. Its entry may be changed or deleted. */
static int for_each_port(int map,
			 int (*each)(int map, uint16_t port, struct pp_port *policy,
				     const struct translated_list *list),
			 const struct translated_list *list)
{
	uint16_t ports[1024], *previous = NULL;
	struct pp_port policy;
	size_t count = 0, i;

	while (count < ARRAY_SIZE(ports) && !bpf_map_get_next_key(map, previous, &ports[count]))
		previous = &ports[count++];
	for (i = 0; i < count; i++) {
		if (!bpf_map_lookup_elem(map, &ports[i], &policy) &&
		    each(map, ports[i], &policy, list))
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

	if (map < 0) /* of a set that is half removed */
		return 0;
	result = config_change(map, flag, on);
	close(map);
	return result;
}

int drain_is_down(void)
{
	return !!(config_flags() & PP_CONFIG_DOWN);
}

static int begin_port(int map, uint16_t port, struct pp_port *policy,
		      const struct translated_list *unused)
{
	(void)unused;
	if (policy->flags & PP_PORT_DRAINING)
		return 0;
	policy->flags |= PP_PORT_DRAINING | PP_PORT_DOWN;
	return port_write(map, port, policy);
}

static int take_back_port(int map, uint16_t port, struct pp_port *policy,
			  const struct translated_list *unused)
{
	(void)unused;
	if (!(policy->flags & PP_PORT_DOWN))
		return 0;
	policy->flags &= ~(PP_PORT_DRAINING | PP_PORT_DOWN);
	return port_write(map, port, policy);
}

static int finish_port(int map, uint16_t port, struct pp_port *policy,
		       const struct translated_list *list)
{
	if (policy->flags & PP_PORT_DOWN ||
	    !(policy->flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT)) ||
	    translated_on(list, map, port))
		return 0;
	if (policy->flags & PP_PORT_DRAINING) {
		if (bpf_map_delete_elem(map, &port))
			return error("%s: %u: %s", MAP_PORTS, port, strerror(errno));
		return 0;
	}
	policy->flags &= ~PP_PORT_WAS_SPLIT;
	return port_write(map, port, policy);
}

static int is_draining(int map, uint16_t port, struct pp_port *policy,
		       const struct translated_list *unused)
{
	(void)map;
	(void)port;
	(void)unused;
	return policy->flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT) ? -1 : 0;
}

/* Sets all ports draining, and counts what is left. A header that was on its way meanwhile has its
 * socket after that. */
static int drain_all(int ports, struct translated_list *list)
{
	if (config_set(PP_CONFIG_DOWN, 1) || for_each_port(ports, begin_port, NULL))
		return -1;
	usleep(SETTLE_US);
	return translated_read(list);
}

/* Without a port with a split there is nothing for pp_in and pp_out to do. */
static void detach_unneeded(int map)
{
	if (!ports_have_split(map))
		interfaces_detach();
}

static int finish_ports(int map)
{
	struct translated_list list;
	int result;

	if (!for_each_port(map, is_draining, NULL))
		return 0;
	if (translated_read(&list))
		return -1;
	result = for_each_port(map, finish_port, &list);
	translated_free(&list);
	if (!result)
		detach_unneeded(map);
	return result;
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
	} else if (!drain_all(ports, &list)) {
		if (!list.count) {
			pin_remove_all();
			say("the last connection is gone: down");
		}
		translated_free(&list);
	} else {
		result = -1;
	}
	if (!result)
		result = finish_ports(ports);
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

/* Deletes the entries of a map of flows for which @stale says 1. */
static void forget(const char *name,
		   int (*stale)(const struct pp_connection_key *key, const void *value,
				uint16_t port),
		   uint16_t port)
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

static int is_of_port(const struct pp_connection_key *key, const void *value, uint16_t port)
{
	(void)value;
	return key->local_port == port;
}

/* What these have of the port is from before it was served this time. Connections since then may
 * have the same tuples, and were not translated. */
static void forget_flows(uint16_t port)
{
	forget("pp_flows", is_of_port, port);
	forget("pp_forwarded", is_of_port, port);
}

static int is_established(const struct pp_connection_key *key, const void *value, uint16_t unused)
{
	const struct pp_flow *flow = value;

	(void)key;
	(void)unused;
	return flow->established != 0;
}

static int has_ended(const struct pp_connection_key *key, const void *value, uint16_t unused)
{
	const struct pp_forward *forward = value;

	(void)key;
	(void)unused;
	return forward->ended_ns != 0;
}

/* A connection made while there were no hooks may have the tuple of an older one, which was
 * translated. Of those that live pp_origins and pp_forwarded tell again. */
void flows_forget_old(void)
{
	static int done; /* by this command */

	if (done++)
		return;
	forget("pp_flows", is_established, 0);
	forget("pp_forwarded", has_ended, 0);
}

int drain_port_add(int map, uint16_t port, const struct pp_port *wanted)
{
	struct pp_port policy = *wanted, before;
	int was_split = !bpf_map_lookup_elem(map, &port, &before) && policy_translates(&before);

	if (drain_is_down())
		return error("%s is going down: 'ppctl up' takes it back", options.pin);
	if (was_split && policy.split == PP_SPLIT_NO)
		policy.flags |= PP_PORT_WAS_SPLIT;
	if (!was_split && policy.split != PP_SPLIT_NO)
		forget_flows(port);
	if (bpf_map_update_elem(map, &port, &policy, BPF_ANY))
		return -2;
	if (policy.flags & PP_PORT_WAS_SPLIT) {
		usleep(SETTLE_US);
		return finish_ports(map);
	}
	detach_unneeded(map);
	return 0;
}

int drain_port_del(int map, uint16_t port)
{
	struct translated_list list;
	struct pp_port policy;
	size_t left;

	if (bpf_map_lookup_elem(map, &port, &policy))
		return error("port %u is not served (ppctl port list)", port);
	if (!policy_translates(&policy)) {
		if (bpf_map_delete_elem(map, &port))
			return error("%s: %u: %s", MAP_PORTS, port, strerror(errno));
		return 0;
	}
	policy.flags |= PP_PORT_DRAINING;
	policy.flags &= ~PP_PORT_DOWN; /* 'up' does not take it back */
	if (port_write(map, port, &policy))
		return -1;
	usleep(SETTLE_US);
	if (translated_read(&list))
		return -1;
	left = translated_on(&list, map, port);
	if (left)
		say("port %u drains: connections left whose header was taken out: %zu (ppctl "
		    "status)",
		    port, left);
	else
		finish_port(map, port, &policy, &list);
	translated_free(&list);
	detach_unneeded(map);
	return 0;
}

static int report_down(size_t left)
{
	struct json_object *object;

	if (!options.json)
		return 0;
	object = json_object_new_object();
	json_object_object_add(object, "left", json_object_new_int64(left));
	print_json(object);
	return 0;
}

static int down_is_done(void)
{
	pin_remove_all();
	say("down");
	return report_down(0);
}

static int down_is_draining(size_t left)
{
	say("going down, connections left whose header was taken out: %zu. When they are gone, "
	    "'ppctl "
	    "down' again ends it; --wait waits for that, --now resets them, 'ppctl up' takes it "
	    "back",
	    left);
	report_down(left);
	return EXIT_DRAINING;
}

static size_t count_orphans(const struct translated_list *list)
{
	size_t i, count = 0;

	for (i = 0; i < list->count; i++)
		count += list->sockets[i].orphan;
	return count;
}

/* Resets what is left. A socket that no process has any more cannot be reset by Linux before 6.11:
 * nobody reads from it, so it needs no guard, and ends by itself. */
static int down_now(int ports, struct translated_list *list)
{
	size_t first = list->count;
	int tries;

	for (tries = 0; list->count && tries < NOW_TRIES; tries++) {
		if (sockets_destroy(list))
			return -1;
		translated_free(list);
		if (drain_all(ports, list))
			return -1;
	}
	if (count_orphans(list) < list->count)
		return error(
			"%zu of %zu connections could not be reset; they are served until they are "
			"gone: neither a process nor a name in /run/netns leads to "
			"their network namespace",
			list->count - count_orphans(list), first);
	say("connections reset: %zu", first - list->count);
	return down_is_done();
}

/* Others may call ppctl meanwhile: to end it with --now, or to take it back. */
static int down_wait(struct translated_list *list)
{
	int64_t start = clock_ms();
	size_t left = list->count;
	int ports, failed;

	say("going down, connections to wait for: %zu", left);
	fflush(stdout);
	for (;;) {
		if (options.wait_s && clock_elapsed_ms(start) >= options.wait_s * 1000LL)
			return down_is_draining(left);
		pin_unlock();
		usleep(POLL_US);
		if (pin_lock())
			return -1;
		ports = pin_open("maps", MAP_PORTS);
		if (ports < 0) {
			say("down");
			return report_down(0);
		}
		if (!drain_is_down()) {
			close(ports);
			return error("taken back by 'ppctl up'");
		}
		translated_free(list);
		failed = drain_all(ports, list);
		close(ports);
		if (failed)
			return -1;
		left = list->count;
		if (!left)
			return down_is_done();
	}
}

static int drain_down(int ports)
{
	struct translated_list list = {};
	int result;

	if (drain_all(ports, &list))
		return -1;
	if (!list.count)
		result = down_is_done();
	else if (options.now)
		result = down_now(ports, &list);
	else if (options.wait)
		result = down_wait(&list);
	else
		result = down_is_draining(list.count);
	translated_free(&list);
	return result;
}

/* Is there a connection that something of the set serves? Also where its port is gone from the
 * list. */
static int is_needed(int ports)
{
	struct translated_list list;
	int needed;

	if (ports < 0)
		return 0;
	if (ports_have_split(ports))
		return 1;
	if (translated_read(&list))
		return -1;
	needed = list.count != 0;
	translated_free(&list);
	return needed;
}

int command_down(int argc, char **argv)
{
	int ports, needed, result;

	(void)argv;
	if (argc || (options.now && options.wait))
		return error("usage: ppctl down [--wait[=SECONDS] | --now] [--pin DIR]");
	if (access(options.pin, F_OK)) {
		if (errno == EACCES)
			return error("%s: needs root", options.pin);
		return error("nothing is up at %s", options.pin);
	}
	if (geteuid() != 0)
		return error("needs root");
	if (pin_lock() || pin_check())
		return -1;
	ports = pin_open("maps", MAP_PORTS);
	needed = is_needed(ports);
	if (needed < 0)
		result = -1;
	else
		result = needed ? drain_down(ports) : down_is_done();
	if (ports >= 0)
		close(ports);
	return result;
}
