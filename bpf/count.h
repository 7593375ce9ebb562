/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_count: which sockets need pp_in and pp_out still. ppctl runs it over pp_origins; nothing calls
 * it otherwise.
 */
#ifndef PP_COUNT_H
#define PP_COUNT_H

#define SOCK_DEAD 0 /* include/net/sock.h, enum sock_flags */

/* A closed socket may be open in its process still, but sends and receives nothing any more. */
static int count_translated(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct pp_translated translated = {};
	struct pp_socket *socket = ctx->value;
	struct sock *sk = ctx->sk;

	if (!sk || !socket || !socket->cut || sk->__sk_common.skc_state == BPF_TCP_CLOSE)
		return 0;
	translated.cookie = bpf_get_socket_cookie(sk);
	translated.netns_cookie = socket->record.netns_cookie;
	translated.port = sk->__sk_common.skc_num;
	translated.orphan = sk->__sk_common.skc_flags >> SOCK_DEAD & 1;
	bpf_seq_write(ctx->meta->seq, &translated, sizeof(translated));
	return 0;
}

#endif
