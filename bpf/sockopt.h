/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_getsockopt, cgroup/getsockopt: answers getsockopt(fd, SOL_PP, ...) from what the socket has.
 * Runs in the caller's process, on every getsockopt() of the cgroup's sockets: everything but
 * SOL_PP leaves at once.
 */
#ifndef PP_SOCKOPT_H
#define PP_SOCKOPT_H

static int answer_error(struct bpf_sockopt *ctx, int error)
{
	ctx->optlen = 0;
	bpf_set_retval(error);
	return 1;
}

static int answer_length(struct bpf_sockopt *ctx, __u32 len)
{
	CONTEXT_FIELD(ctx->optlen) = len;
	CONTEXT_FIELD(ctx->retval) = 0;
	return 1;
}

/* PENDING and FRAGMENTED are what the programs know; the socket knows more. */
static void record_refresh(struct pp_record *record, const struct pp_socket *socket,
			   struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);
	__u32 accepted = tcp ? tcp->rcv_nxt - socket->first_seq : 0;
	int open = sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_SYN_RECV ||
		   sk->state == BPF_TCP_FIN_WAIT1 || sk->state == BPF_TCP_FIN_WAIT2;

	if (!open && accepted) /* the peer's FIN has a sequence number of its own */
		accepted--;
	if (record->flags & PP_RECORD_POPPED || record->reason == PP_BAD_SENDER)
		return;
	if (record->state == PP_STATE_VALID || record->state == PP_STATE_LOCAL ||
	    record->state == PP_STATE_BAD) {
		/* Decoded, but not in the receive queue yet: TCP may still refuse the segment. */
		if (!accepted || accepted < record->header_len) {
			__builtin_memset(record, 0, sizeof(*record));
			record->state = PP_STATE_PENDING;
			record->need = 1;
		}
	} else if (record->state == PP_STATE_PENDING || record->state == PP_STATE_FRAGMENTED) {
		if (!(record->flags & PP_RECORD_LARGE) && accepted > socket->have) {
			record->state = PP_STATE_BAD;
			record->reason = PP_BAD_MISSED;
		} else if (!open &&
			   !(record->flags & PP_RECORD_LARGE && accepted >= record->header_len)) {
			record->state = PP_STATE_BAD;
			record->reason = PP_BAD_CLOSED;
		}
	}
}

/* How many bytes the caller has to discard: the header's, but to the first who asks only. */
static __u32 record_take(struct pp_record *record, struct pp_socket *socket, int checked)
{
	int complete = record->state == PP_STATE_VALID || record->state == PP_STATE_LOCAL;

	if (checked)
		complete = record->flags & PP_RECORD_LARGE;
	if (record->flags & (PP_RECORD_SPLIT | PP_RECORD_POPPED)) /* it is not in the stream */
		return 0;
	if (!complete || __sync_lock_test_and_set(&socket->taken, 1))
		return 0;
	return record->header_len;
}

static int answer_record(struct bpf_sockopt *ctx, struct bpf_sock *sk, struct pp_socket *socket)
{
	struct pp_record *record = ctx->optval;
	struct pp_record now = {};
	int silent;

	if ((void *)(record + 1) > ctx->optval_end)
		return answer_error(ctx, -ENOBUFS);
	if (socket) {
		silent = socket->announced && socket->port_flags & PP_PORT_POP;
		if (silent && socket->record.state == PP_STATE_PENDING)
			outgoing_poll(sk, socket);
		now = socket->record;
		if (silent && now.state == PP_STATE_PENDING)
			now.flags |= PP_RECORD_SILENT;
		__u64 cookie = socket->cookie;

		if (cookie && bpf_map_lookup_elem(&pp_cut, &cookie))
			now.flags |= PP_RECORD_IN_MAP;
		if (socket->taken)
			now.flags |= PP_RECORD_TAKEN;
		else
			record_refresh(&now, socket, sk);
		if (ctx->optname != PP_ORIGIN)
			now.take = record_take(&now, socket, ctx->optname == PP_TAKE_CHECKED);
	}
	*record = now;
	return answer_length(ctx, sizeof(*record));
}

struct byte_copy {
	struct bpf_sockopt *ctx;
	const struct pp_extra *extra;
	__u32 from;
	__u32 len;
	__u32 copied;
};

static long copy_byte(__u32 i, void *context)
{
	struct byte_copy *copy = context;
	__u8 *to = copy->ctx->optval + (i & (PP_WINDOW - 1));

	if (i >= copy->len || to + 1 > (__u8 *)copy->ctx->optval_end)
		return 1;
	*to = copy->extra->bytes[(copy->from + i) & (PP_WINDOW - 1)];
	copy->copied = i + 1;
	return 0;
}

/* The header from byte @from on. */
static int answer_bytes(struct bpf_sockopt *ctx, const struct pp_extra *extra, __u32 from,
			__u32 len)
{
	struct byte_copy copy = {ctx, extra, from, len, 0};

	bpf_loop(PP_WINDOW, copy_byte, &copy, 0);
	if (copy.copied != len)
		return answer_error(ctx, -ENOBUFS);
	return answer_length(ctx, len);
}

static int answer_header(struct bpf_sockopt *ctx, struct bpf_sock *sk,
			 const struct pp_socket *socket)
{
	const struct pp_record *record;
	struct pp_extra *extra;

	if (!socket)
		return answer_error(ctx, -ENODATA);
	record = &socket->record;
	if (ctx->optname == PP_TLVS &&
	    !record->tlv_len) /* an optlen of 0 would not be copied out */
		return answer_error(ctx, -ENODATA);
	extra = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	if (!extra || !(record->flags & PP_RECORD_KEPT))
		return answer_error(ctx, -ENODATA);
	if (ctx->optname == PP_HEADER && record->flags & PP_RECORD_LARGE)
		return answer_bytes(ctx, extra, 0, PP_WINDOW);
	if (record->state != PP_STATE_VALID)
		return answer_error(ctx, -ENODATA);
	if (ctx->optname == PP_HEADER)
		return answer_bytes(ctx, extra, 0, record->header_len);
	return answer_bytes(ctx, extra, record->header_len - record->tlv_len, record->tlv_len);
}

static int answer(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct pp_socket *socket;

	if (!sk || sk->protocol != IPPROTO_TCP)
		return 1;
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	switch (ctx->optname) {
	case PP_ORIGIN:
	case PP_TAKE:
	case PP_TAKE_CHECKED:
		return answer_record(ctx, sk, socket);
	case PP_TLVS:
	case PP_HEADER:
		return answer_header(ctx, sk, socket);
	}
	return 1;
}

#endif
