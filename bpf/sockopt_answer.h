/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_getsockopt: the record with what is appended to it when somebody asks, and as much of it as
 * the caller has room for.
 */
#ifndef PP_SOCKOPT_ANSWER_H
#define PP_SOCKOPT_ANSWER_H

#include "kernel.h"
#include <pp/decoder.h>
#include "connection.h"
#include "context.h"

/* The port that getsockname() would tell: src_port is 0 once a RST has ended the connection. */
static __u16 own_port(struct bpf_sock *sk)
{
	struct inet_sock *at;
	__u16 port = 0;

	/* the verifier allows no arithmetic on sk: read its value */
	if (!bpf_probe_read_kernel(&at, sizeof(at), &sk))
		bpf_core_read(&port, sizeof(port), &at->inet_sport);
	return port;
}

static int is_link_local(const __u8 *address)
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/* The ends of the TCP connection. The socket knows them, so nothing of it is kept. */
static __noinline int answer_proxy(struct pp_answer *answer, struct bpf_sock *sk)
{
	struct pp_connection_key key = {};

	connection_of_socket(sk, &key);
	answer->proxy_port = bpf_htons(key.remote_port);
	answer->proxy_dst_port = own_port(sk);
	if (is_v4_mapped(key.remote)) {
		answer->proxy_family = PP_AF_INET;
		__builtin_memcpy(answer->proxy, key.remote + 12, 4);
		__builtin_memcpy(answer->proxy_dst, key.local + 12, 4);
		return 0;
	}
	answer->proxy_family = PP_AF_INET6;
	__builtin_memcpy(answer->proxy, key.remote, 16);
	__builtin_memcpy(answer->proxy_dst, key.local, 16);
	if (is_link_local(key.remote))
		answer->proxy_scope = CONTEXT_FIELD(sk->bound_dev_if);
	return 0;
}

/* For a caller with room for the record, at least. Return: how many bytes were answered. */
static __u32 answer_copy(struct bpf_sockopt *ctx, const struct pp_answer *answer)
{
	const __u8 *from = (const __u8 *)answer;
	struct pp_answer *whole = ctx->optval;
	struct pp_record *record = ctx->optval;
	__u8 *to = ctx->optval, *end = ctx->optval_end;
	__u32 len;

	if ((void *)(whole + 1) <= (void *)end) {
		*whole = *answer;
		return sizeof(*whole);
	}
	if ((void *)(record + 1) > (void *)end)
		return 0;
	*record = answer->record;
	for (len = sizeof(*record); len < sizeof(*answer); len++) {
		pp_opaque(len); /* or clang 19 leaves one comparison out: @end says enough */
		if (len >= sizeof(*answer) || to + len + 1 > end)
			break;
		to[len] = from[len];
	}
	return len;
}

#endif
