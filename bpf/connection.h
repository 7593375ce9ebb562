/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Keys of connections, from the contexts of the different programs. The remote end is the proxy,
 * the local one the mail server, whichever of them the program runs for.
 */
#ifndef PP_CONNECTION_H
#define PP_CONNECTION_H

#include "kernel.h"
#include <pp/decoder.h>
#include <pp/maps.h>
#include "address.h"
#include "context.h"
#include "netns.h"
#include "policy.h"
#include "segment.h"

/* Functions of their own, here and below: in branches of one, the compiler joins the loads at a
 * computed address in the context, which the verifier refuses. */
static __noinline int addresses_of_ip4(struct bpf_sock_ops *ops, __u8 *remote, __u8 *local)
{
	map_v4(remote, CONTEXT_FIELD(ops->remote_ip4));
	map_v4(local, CONTEXT_FIELD(ops->local_ip4));
	return 0;
}

static __noinline int addresses_of_ip6(struct bpf_sock_ops *ops, __u8 *remote, __u8 *local)
{
	__u32 *peer = (__u32 *)remote, *own = (__u32 *)local;

	peer[0] = CONTEXT_FIELD(ops->remote_ip6[0]);
	peer[1] = CONTEXT_FIELD(ops->remote_ip6[1]);
	peer[2] = CONTEXT_FIELD(ops->remote_ip6[2]);
	peer[3] = CONTEXT_FIELD(ops->remote_ip6[3]);
	own[0] = CONTEXT_FIELD(ops->local_ip6[0]);
	own[1] = CONTEXT_FIELD(ops->local_ip6[1]);
	own[2] = CONTEXT_FIELD(ops->local_ip6[2]);
	own[3] = CONTEXT_FIELD(ops->local_ip6[3]);
	return 0;
}

/* The connection of the mail server's socket. */
static void connection_of_server(struct bpf_sock_ops *ops, struct pp_connection_key *key)
{
	if (ops->family == PP_AF_INET)
		addresses_of_ip4(ops, key->remote, key->local);
	else
		addresses_of_ip6(ops, key->remote, key->local);
	key->remote_port = bpf_ntohl(CONTEXT_FIELD(ops->remote_port));
	key->local_port = CONTEXT_FIELD(ops->local_port);
}

/* The connection of the proxy's socket. */
static void connection_of_sender(struct bpf_sock_ops *ops, struct pp_connection_key *key)
{
	if (ops->family == PP_AF_INET)
		addresses_of_ip4(ops, key->local, key->remote);
	else
		addresses_of_ip6(ops, key->local, key->remote);
	key->local_port = bpf_ntohl(CONTEXT_FIELD(ops->remote_port));
	key->remote_port = CONTEXT_FIELD(ops->local_port);
}

static __always_inline void connection_of_ends(const struct endpoints *ends,
					       struct pp_connection_key *key)
{
	__builtin_memcpy(key->remote, ends->from, 16);
	__builtin_memcpy(key->local, ends->to, 16);
	key->remote_port = ends->from_port;
	key->local_port = ends->to_port;
}

/* The connection of a segment that comes from the proxy. */
static void connection_of_segment(const struct segment *segment, struct pp_connection_key *key)
{
	const struct endpoints ends = segment_ends(segment);

	connection_of_ends(&ends, key);
}

static __noinline int peer_of_ip4(struct bpf_sock *sk, __u8 *address)
{
	map_v4(address, CONTEXT_FIELD(sk->dst_ip4));
	return 0;
}

static __noinline int peer_of_ip6(struct bpf_sock *sk, __u32 *address)
{
	address[0] = CONTEXT_FIELD(sk->dst_ip6[0]);
	address[1] = CONTEXT_FIELD(sk->dst_ip6[1]);
	address[2] = CONTEXT_FIELD(sk->dst_ip6[2]);
	address[3] = CONTEXT_FIELD(sk->dst_ip6[3]);
	return 0;
}

static __noinline int own_of_ip4(struct bpf_sock *sk, __u8 *address)
{
	map_v4(address, CONTEXT_FIELD(sk->src_ip4));
	return 0;
}

static __noinline int own_of_ip6(struct bpf_sock *sk, __u32 *address)
{
	address[0] = CONTEXT_FIELD(sk->src_ip6[0]);
	address[1] = CONTEXT_FIELD(sk->src_ip6[1]);
	address[2] = CONTEXT_FIELD(sk->src_ip6[2]);
	address[3] = CONTEXT_FIELD(sk->src_ip6[3]);
	return 0;
}

static void peer_of_socket(struct bpf_sock *sk, __u8 *address)
{
	if (sk->family == PP_AF_INET)
		peer_of_ip4(sk, address);
	else
		peer_of_ip6(sk, (__u32 *)address);
}

static void own_of_socket(struct bpf_sock *sk, __u8 *address)
{
	if (sk->family == PP_AF_INET)
		own_of_ip4(sk, address);
	else
		own_of_ip6(sk, (__u32 *)address);
}

/* The policy of the mail server's socket, or NULL. */
static struct pp_port *policy_of_socket(struct bpf_sock *sk)
{
	__u16 port = CONTEXT_FIELD(sk->src_port);
	struct pp_port *entry = port_entry(port);
	__u32 own[4] = {};

	if (!entry || !(entry->flags & PP_PORT_ADDRESSES)) /* mostly: no look at the address */
		return entry;
	own_of_socket(sk, (__u8 *)own);
	return policy_on(entry, port, (__u8 *)own);
}

/* The connection of the mail server's socket, where there is a plain socket in the context. */
static void connection_of_socket(struct bpf_sock *sk, struct pp_connection_key *key)
{
	peer_of_socket(sk, key->remote);
	own_of_socket(sk, key->local);
	key->remote_port = bpf_ntohs(CONTEXT_FIELD(sk->dst_port));
	key->local_port = CONTEXT_FIELD(sk->src_port);
}

/* The key of a segment with these @ends in pp_flows, and other maps of the split. */
static __always_inline void flow_key(struct pp_connection_key *key, struct __sk_buff *skb,
				     const struct endpoints ends)
{
	key->netns_cookie = skb_netns_cookie(skb);
	connection_of_ends(&ends, key);
	key->first_seq = 0;
}

#endif
