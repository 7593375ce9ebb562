// SPDX-License-Identifier: BSD-2-Clause
/*
 * The served ports and their policies, in pp_ports and pp_addresses, and the marks in pp_served.
 *
 * The programs ask pp_ports first. Its entry says whether pp_addresses is to be asked, too, and
 * whether it is a policy itself. So an address's own policy is written before that, and removed
 * after it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "json.h"
#include "live.h"
#include "port_map.h"
#include "ppctl.h"

/* What an entry of pp_ports says of pp_addresses, and is no part of its policy. */
#define LINKED (PP_PORT_ADDRESSES | PP_PORT_NO_OTHERS)

int policy_translates(const struct pp_port *policy)
{
	return policy->split != PP_SPLIT_NO || policy->flags & PP_PORT_WAS_SPLIT;
}

void port_add_key(struct json_object *object, const struct pp_port_key *key)
{
	struct sockaddr_storage endpoint;
	char text[INET6_ADDRSTRLEN];

	add_number(object, "port", key->port);
	if (!port_has_address(key))
		return;
	mapped_endpoint(&endpoint, key->address, key->port);
	endpoint_address(&endpoint, text);
	add_string(object, "address", text);
}

const char *port_name(struct json_object *object, char text[ENDPOINT_TEXT_MAX])
{
	const char *address = string_of(object, "address");
	long long port = number_of(object, "port");

	if (!*address)
		snprintf(text, ENDPOINT_TEXT_MAX, "%lld", port);
	else if (strchr(address, ':'))
		snprintf(text, ENDPOINT_TEXT_MAX, "[%s]:%lld", address, port);
	else
		snprintf(text, ENDPOINT_TEXT_MAX, "%s:%lld", address, port);
	return text;
}

int port_update_error(int map, const struct pp_port_key *key, const char *what, int number)
{
	int addresses, result;

	if (!port_has_address(key))
		return map_update_error(MAP_PORTS, map, what, number);
	addresses = pin_open_map(MAP_ADDRESSES);
	if (addresses < 0)
		return -1;
	result = map_update_error(MAP_ADDRESSES, addresses, what, number);
	close(addresses);
	return result;
}

/* Of one port, in pp_served. The kernel's programs set bits there, too. */
static int change_marks(__u16 port, __u32 set, __u32 clear)
{
	size_t step = 8, size = 65536 * step; /* the kernel's, for values of up to 8 bytes */
	int map = pin_open("maps", MAP_SERVED);
	unsigned char *all;
	__u32 *marks;

	if (map < 0)
		return -1;
	all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	close(map);
	if (all == MAP_FAILED)
		return -1;
	marks = (__u32 *)(all + port * step);
	__atomic_fetch_or(marks, set, __ATOMIC_SEQ_CST);
	__atomic_fetch_and(marks, ~clear, __ATOMIC_SEQ_CST);
	munmap(all, size);
	return 0;
}

static int any_put(int map, __u16 port, const struct pp_port *policy)
{
	int translates = policy->flags & PP_PORT_ADDRESSES || policy_translates(policy);
	__u32 marks = PP_SERVED_LISTED | PP_SERVED_RECORDS | (translates ? PP_SERVED_SPLIT : 0);

	if (change_marks(port, marks, 0) || bpf_map_update_elem(map, &port, policy, BPF_ANY))
		return -1;
	return translates ? 0 : change_marks(port, 0, PP_SERVED_SPLIT);
}

static int any_delete(int map, __u16 port)
{
	if (bpf_map_delete_elem(map, &port))
		return -1;
	/* what stays set costs a look at pp_ports */
	change_marks(port, 0, PP_SERVED_LISTED | PP_SERVED_SPLIT);
	return 0;
}

void ports_remove(int map)
{
	__u16 port;

	while (!bpf_map_get_next_key(map, NULL, &port) && !any_delete(map, port))
		;
}

static int any_get(int map, __u16 port, struct pp_port *policy)
{
	if (!bpf_map_lookup_elem(map, &port, policy))
		return 0;
	memset(policy, 0, sizeof(*policy));
	return -1;
}

int port_get(int map, const struct pp_port_key *key, struct pp_port *policy)
{
	struct pp_port any;
	int addresses, result;

	if (any_get(map, key->port, &any))
		return -1;
	if (!port_has_address(key)) {
		*policy = any;
		policy->flags &= ~LINKED;
		errno = ENOENT;
		return any.flags & PP_PORT_NO_OTHERS ? -1 : 0;
	}
	errno = ENOENT;
	if (!(any.flags & PP_PORT_ADDRESSES))
		return -1;
	addresses = pin_open("maps", MAP_ADDRESSES);
	if (addresses < 0)
		return -1;
	result = bpf_map_lookup_elem(addresses, key, policy) ? -1 : 0;
	close(addresses);
	return result;
}

/* Calls @each for the keys of pp_addresses, until it says 1. */
static int each_address(int (*each)(const struct pp_port_key *key, void *context), void *context)
{
	struct pp_port_key keys[2], *previous = NULL;
	int addresses = pin_open("maps", MAP_ADDRESSES), found = 0, i = 0;

	while (addresses >= 0 && !found && !bpf_map_get_next_key(addresses, previous, &keys[i])) {
		found = each(&keys[i], context);
		previous = &keys[i];
		i ^= 1;
	}
	if (addresses >= 0)
		close(addresses);
	return found;
}

static int is_of_port(const struct pp_port_key *key, void *context)
{
	const __u16 *port = context;

	return key->port == *port;
}

/* Makes the entry of pp_ports say what there is in pp_addresses. */
static int any_follow(int map, __u16 port)
{
	struct pp_port any, before;
	int is_new = any_get(map, port, &any) != 0;

	before = any;
	if (is_new)
		any.flags = PP_PORT_NO_OTHERS;
	if (each_address(is_of_port, &port))
		any.flags |= PP_PORT_ADDRESSES;
	else
		any.flags &= ~PP_PORT_ADDRESSES;
	if (any.flags & PP_PORT_NO_OTHERS && !(any.flags & PP_PORT_ADDRESSES))
		return is_new || !any_delete(map, port) || errno == ENOENT ? 0 : -1;
	if (!is_new && any.flags == before.flags)
		return 0;
	return any_put(map, port, &any);
}

int port_put(int map, const struct pp_port_key *key, const struct pp_port *policy)
{
	struct pp_port value = *policy, any;
	int addresses, result;

	value.flags &= ~LINKED;
	if (!port_has_address(key)) {
		if (!any_get(map, key->port, &any))
			value.flags |= any.flags & PP_PORT_ADDRESSES;
		return any_put(map, key->port, &value);
	}
	addresses = pin_open("maps", MAP_ADDRESSES);
	if (addresses < 0)
		return -1;
	result = bpf_map_update_elem(addresses, key, &value, BPF_ANY) ? -1 : 0;
	close(addresses);
	return result ? -1 : any_follow(map, key->port);
}

int port_delete(int map, const struct pp_port_key *key)
{
	struct pp_port none = {.flags = PP_PORT_NO_OTHERS}, any;
	int addresses, result;

	if (!port_has_address(key)) {
		if (any_get(map, key->port, &any))
			return -1;
		if (any.flags & PP_PORT_ADDRESSES) {
			none.flags |= PP_PORT_ADDRESSES;
			result = any_put(map, key->port, &none);
		} else {
			result = any_delete(map, key->port);
		}
		return result ? -1 : 0;
	}
	addresses = pin_open("maps", MAP_ADDRESSES);
	if (addresses < 0)
		return -1;
	result = bpf_map_delete_elem(addresses, key) ? -1 : 0;
	close(addresses);
	return result ? -1 : any_follow(map, key->port);
}

static int by_port(const void *left, const void *right)
{
	const struct pp_port_key *a = left, *b = right;

	if (a->port != b->port)
		return a->port - b->port;
	return memcmp(a->address, b->address, sizeof(a->address));
}

struct port_keys {
	int map;
	struct pp_port_key *keys;
	size_t count;
};

static int add_address(const struct pp_port_key *key, void *context)
{
	struct port_keys *list = context;
	struct pp_port any;

	if (!any_get(list->map, key->port, &any) && any.flags & PP_PORT_ADDRESSES)
		list->keys[list->count++] = *key;
	return list->count == PORTS_MAX;
}

size_t ports_list(int map, struct pp_port_key keys[PORTS_MAX])
{
	struct port_keys list = {.map = map, .keys = keys};
	__u16 port, *previous = NULL;
	struct pp_port any;

	while (list.count < PORTS_MAX && !bpf_map_get_next_key(map, previous, &port)) {
		previous = &port;
		if (any_get(map, port, &any) || any.flags & PP_PORT_NO_OTHERS)
			continue;
		memset(&keys[list.count], 0, sizeof(*keys));
		keys[list.count++].port = port;
	}
	if (list.count < PORTS_MAX)
		each_address(add_address, &list);
	qsort(keys, list.count, sizeof(keys[0]), by_port);
	return list.count;
}

const struct pp_port_key *port_match(const struct pp_port_key *keys, size_t count,
				     const __u8 address[16], __u16 port)
{
	const struct pp_port_key *any = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (keys[i].port != port)
			continue;
		if (!port_has_address(&keys[i]))
			any = &keys[i];
		else if (!memcmp(keys[i].address, address, sizeof(keys[i].address)))
			return &keys[i];
	}
	return any;
}

int ports_have_split(int map)
{
	struct pp_port_key keys[PORTS_MAX];
	size_t count = ports_list(map, keys), i;
	struct pp_port policy;

	for (i = 0; i < count; i++) {
		if (!port_get(map, &keys[i], &policy) && policy_translates(&policy))
			return 1;
	}
	return 0;
}

int ports_have_lookup(int map)
{
	struct pp_port_key keys[PORTS_MAX];
	size_t count = ports_list(map, keys), i;
	struct pp_port policy;

	for (i = 0; i < count; i++) {
		if (port_get(map, &keys[i], &policy) || !(policy.flags & PP_PORT_NO_LOOKUP))
			return 1;
	}
	return !count;
}

static int follow_port_of(const struct pp_port_key *key, void *context)
{
	const int *map = context;

	any_follow(*map, key->port);
	return 0;
}

void ports_sweep(int map)
{
	__u16 ports[PORTS_MAX], *previous = NULL;
	size_t count = 0, i;

	while (count < PORTS_MAX && !bpf_map_get_next_key(map, previous, &ports[count]))
		previous = &ports[count++];
	for (i = 0; i < count; i++)
		any_follow(map, ports[i]);
	each_address(follow_port_of, &map);
}
