/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Transparent mode: accept(), getpeername() and getsockname() answer with what the header says.
 */
#ifndef PP_PEERNAME_H
#define PP_PEERNAME_H

#include "kernel.h"
#include <pp/decoder.h>
#include "address.h"
#include "context.h"
#include "maps.h"
#include "unrecorded.h"

/* The address that is told where the origin's does not fit the socket: an IPv6 origin on an IPv4
 * socket, or a UNIX one. Nobody has it (RFC 7600, section 4.8). */
#define DUMMY_IP4 0xc0000008 /* 192.0.0.8, host order */

struct endpoint {
	__u32 ip[4]; /* network order; v4-mapped where it is IPv4 */
	__u32 port;  /* network order, in the low half */
	int is_ip4;
};

/* Where the address does not fit the socket: one that is nobody's, never the proxy's own, which may
 * be trusted. */
static void endpoint_dummy(struct endpoint *endpoint)
{
	map_v4((__u8 *)endpoint->ip, bpf_htonl(DUMMY_IP4));
	endpoint->port = 0;
	endpoint->is_ip4 = 1;
}

static void endpoint_fill(struct endpoint *endpoint, const struct pp_record *record,
			  const __u8 *address, __u16 port)
{
	const __u32 *word = (const __u32 *)address;

	endpoint->port = port;
	if (record->family == PP_AF_INET) {
		map_v4((__u8 *)endpoint->ip, word[0]);
		endpoint->is_ip4 = 1;
		return;
	}
	endpoint->ip[0] = word[0];
	endpoint->ip[1] = word[1];
	endpoint->ip[2] = word[2];
	endpoint->ip[3] = word[3];
	endpoint->is_ip4 = word[0] == 0 && word[1] == 0 && word[2] == bpf_htonl(0xffff);
}

/* Return: 1 when @endpoint is to be told in place of the socket's own. */
static int endpoint_of(struct bpf_sock_addr *ctx, int local, struct endpoint *endpoint)
{
	struct bpf_sock *sk = ctx->sk;
	struct pp_socket *socket;
	struct pp_record *record;

	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	if (!socket) {
		if (local || !is_unrecorded(sk))
			return 0;
		count(PP_STAT_FOREIGN);
		endpoint_dummy(endpoint);
		return 1;
	}
	if (!(socket->port_flags & (local ? PP_PORT_LOCAL : PP_PORT_TRANSPARENT)))
		return 0;
	record = &socket->record;
	if (record->state == PP_STATE_LOCAL || record->state == PP_STATE_NONE)
		return 0;
	if (record->state != PP_STATE_VALID ||
	    (record->family != PP_AF_INET && record->family != PP_AF_INET6)) {
		count(PP_STAT_FOREIGN);
		endpoint_dummy(endpoint);
	} else if (local) {
		endpoint_fill(endpoint, record, record->dst, record->dst_port);
	} else {
		endpoint_fill(endpoint, record, record->src, record->src_port);
	}
	return 1;
}

static int name4(struct bpf_sock_addr *ctx, int local)
{
	struct endpoint endpoint;

	if (!endpoint_of(ctx, local, &endpoint))
		return 1;
	if (!endpoint.is_ip4) {
		count(PP_STAT_FOREIGN);
		endpoint_dummy(&endpoint);
	}
	CONTEXT_FIELD(ctx->user_ip4) = endpoint.ip[3];
	CONTEXT_FIELD(ctx->user_port) = endpoint.port;
	return 1;
}

static int name6(struct bpf_sock_addr *ctx, int local)
{
	struct endpoint endpoint;

	if (!endpoint_of(ctx, local, &endpoint))
		return 1;
	CONTEXT_FIELD(ctx->user_ip6[0]) = endpoint.ip[0];
	CONTEXT_FIELD(ctx->user_ip6[1]) = endpoint.ip[1];
	CONTEXT_FIELD(ctx->user_ip6[2]) = endpoint.ip[2];
	CONTEXT_FIELD(ctx->user_ip6[3]) = endpoint.ip[3];
	CONTEXT_FIELD(ctx->user_port) = endpoint.port;
	return 1;
}

#endif
