/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What ppctl has set: served ports, marked proxies, proxy cgroups, hooks.
 */
#ifndef PP_POLICY_H
#define PP_POLICY_H

#include "address.h"
#include "kernel.h"
#include "maps.h"

/* PP_SERVED_*: nearly all traffic is of ports of which there is nothing to know. */
static __always_inline __u32 port_marks(__u16 port)
{
	__u32 key = port, *marks = bpf_map_lookup_elem(&pp_served, &key);

	return marks ? *marks : 0;
}

static __always_inline int port_is_listed(__u16 port)
{
	return port_marks(port) & PP_SERVED_LISTED;
}

/* Sockets of this port are going to have records. */
static void port_mark_records(__u16 port)
{
	__u32 key = port, *marks = bpf_map_lookup_elem(&pp_served, &key);

	if (marks && !(*marks & PP_SERVED_RECORDS))
		__sync_fetch_and_or(marks, PP_SERVED_RECORDS);
}

/* A port's entry, which says whether it has policies on single addresses; or NULL. */
static __always_inline struct pp_port *port_entry(__u16 port)
{
	return port_is_listed(port) ? bpf_map_lookup_elem(&pp_ports, &port) : NULL;
}

/* The policy on the local address @address (v4-mapped where it is IPv4) of @port, whose entry is
 * @entry; or NULL. */
static __always_inline struct pp_port *policy_on(struct pp_port *entry, __u16 port,
						 const __u8 *address)
{
	struct pp_port_key key = {.port = port};
	struct pp_port *own;

	if (!entry || !(entry->flags & PP_PORT_ADDRESSES))
		return entry;
	__builtin_memcpy(key.address, address, sizeof(key.address));
	own = bpf_map_lookup_elem(&pp_addresses, &key);
	if (own)
		return own;
	return entry->flags & PP_PORT_NO_OTHERS ? NULL : entry;
}

static __always_inline struct pp_port *policy_at(__u16 port, const __u8 *address)
{
	return policy_on(port_entry(port), port, address);
}

/* Does it serve new connections? */
static int serves(const struct pp_port *policy)
{
	return policy && !(policy->flags & PP_PORT_DRAINING);
}

/* Does the port with this entry serve new connections, on some address? */
static int serves_somewhere(const struct pp_port *entry)
{
	return entry && (entry->flags & PP_PORT_ADDRESSES || serves(entry));
}

/* Does the port of @policy have connections, new ones or old, whose header pp_in cuts out? */
static int has_translated(const struct pp_port *policy)
{
	return policy->split != PP_SPLIT_NO || policy->flags & PP_PORT_WAS_SPLIT;
}

/* And does it serve more of them? */
static int splits(const struct pp_port *policy)
{
	return policy->split != PP_SPLIT_NO && !(policy->flags & PP_PORT_DRAINING);
}

/* What a socket keeps of its port's policy, which may change. */
static void socket_set_policy(struct pp_socket *socket, const struct pp_port *policy)
{
	socket->on_bad = policy->on_bad;
	socket->split = policy->split;
	socket->port_flags = policy->flags;
}

/* Is there a proxy cgroup? */
static int has_proxy_cgroup(void)
{
	__u32 zero = 0;
	struct pp_config *config = bpf_map_lookup_elem(&pp_config, &zero);

	return config && config->flags & PP_CONFIG_PROXY_CGROUP;
}

/* Is @address (v4-mapped where it is IPv4) that of a marked proxy? The trie answers with the
 * longest prefix: where that is ::/0, no IPv4 prefix has the address. */
static int is_marked(const __u8 *address)
{
	struct pp_prefix key = {.length = 128};
	struct pp_proxy *proxy;

	__builtin_memcpy(key.address, address, sizeof(key.address));
	proxy = bpf_map_lookup_elem(&pp_proxies, &key);
	return proxy && !(proxy->flags & PP_PROXY_NOT_IPV4 && is_v4_mapped(address));
}

/* The same of a port, on any address. One that drains ends the stages that have begun, where pieces
 * were acknowledged, and begins no other. */
static __always_inline int port_has_translated(__u16 port)
{
	return port_marks(port) & PP_SERVED_SPLIT;
}

static int hooks_are_somewhere(void)
{
	__u32 zero = 0;
	struct pp_config *config = bpf_map_lookup_elem(&pp_config, &zero);

	return config && config->flags & PP_CONFIG_HOOKED;
}

#endif
