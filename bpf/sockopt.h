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

#define TAKE_AGAIN_NS 2000000000ULL /* a taker that has not taken in this time is dead */

/* The socket has no record. Return: the state and reason that say what that means. On a served port
 * the peer may be a proxy all the same: the connection is older than the programs, the port or the
 * mark, or there was no memory. Where there is a proxy cgroup, each stranger has a record that says
 * so; else its address tells. */
static void record_absent(struct pp_record *record, struct bpf_sock *sk)
{
	__u16 port = CONTEXT_FIELD(sk->src_port);
	__u32 peer[4] = {};

	if ((sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_MPTCP) || !served(port))
		return;
	peer_of_socket(sk, (__u8 *)peer);
	if (!has_proxy_cgroup() && !is_marked((__u8 *)peer))
		return;
	record->state = PP_STATE_BAD;
	record->reason = sk->protocol == IPPROTO_TCP ? PP_BAD_UNRECORDED : PP_BAD_MPTCP;
}

/* A decoded header counts once TCP has it: TCP may still refuse its segment. And what has not come
 * before the stream's end does not come. */
static void record_refresh(struct pp_record *record, const struct pp_socket *socket,
			   struct bpf_sock *sk, const struct stream *stream)
{
	int decoded = record->state == PP_STATE_VALID || record->state == PP_STATE_LOCAL ||
		      record->state == PP_STATE_BAD;

	if (socket->settled || is_settled(socket, stream->accepted))
		return;
	if (decoded) {
		__builtin_memset(record, 0, sizeof(*record));
		record->state = stream->accepted ? PP_STATE_FRAGMENTED : PP_STATE_PENDING;
		record->need = stream->accepted + 1;
	}
	if (stream->accepted > socket->have) {
		record->state = PP_STATE_BAD;
		record->reason = PP_BAD_MISSED;
	} else if (!stream_is_open(sk, stream)) {
		record->state = PP_STATE_BAD;
		record->reason = PP_BAD_CLOSED;
	}
}

/* A server was told so: for good, and counted once. */
static void settle_bad(const struct pp_record *record, struct pp_socket *socket)
{
	socket->settled = 1;
	record_write(&socket->record, record);
	record_count(record);
}

static void remember_absent(const struct pp_record *record, struct bpf_sock *sk)
{
	__u16 port = CONTEXT_FIELD(sk->src_port);
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct pp_socket *socket =
		bpf_sk_storage_get(&pp_origins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!socket) {
		record_count(record);
		return;
	}
	if (policy) {
		socket->port_flags = policy->flags;
		socket->split = policy->split;
	}
	settle_bad(record, socket);
}

/* How many bytes at the stream's beginning are header, as far as they have arrived. */
static __u64 header_arrived(const struct pp_record *record, const struct stream *stream)
{
	if (record->flags & PP_RECORD_SPLIT) /* it is not in the stream */
		return 0;
	if (record->state == PP_STATE_VALID || record->state == PP_STATE_LOCAL)
		return record->header_len;
	return record->state == PP_STATE_FRAGMENTED ? stream->accepted : 0;
}

/*
 * What the caller has to discard now. How much has been discarded is asked of the socket, so
 * nothing is lost or discarded twice where a caller dies after the answer. Bytes that one caller
 * was told about are not another's for a while.
 *
 * Return: 0; -EBUSY: the application has read bytes of the header that nobody was told to discard.
 */
static int record_take(struct pp_record *record, struct pp_socket *socket,
		       const struct stream *stream)
{
	__u64 arrived = header_arrived(record, stream), from = socket->told, now, caller;

	if (from < arrived && stream->copied > from)
		return -EBUSY;
	if (stream->copied >= arrived)
		return 0;
	now = bpf_ktime_get_ns();
	caller = bpf_get_current_pid_tgid();
	if (from > stream->copied) {
		if (socket->taker != caller && now - socket->told_ns < TAKE_AGAIN_NS)
			return 0;
		from = stream->copied;
	}
	record->take = arrived - from;
	if (stream_is_urgent(stream))
		record->flags |= PP_RECORD_URGENT;
	socket->told = arrived;
	socket->told_ns = now;
	socket->taker = caller;
	return 0;
}

/* What the programs have written, and what TCP says of it. Return: 0, or a negative errno. */
static int record_of(struct bpf_sockopt *ctx, struct bpf_sock *sk, struct pp_socket *socket,
		     struct pp_record *now)
{
	/* the gate, on another CPU, writes the state last: see record_write() */
	__u8 state = *(volatile __u8 *)&socket->record.state;
	struct stream stream;
	int error;

	barrier();
	*now = socket->record;
	now->state = state;
	if (socket->settled && state != PP_STATE_VALID && state != PP_STATE_LOCAL)
		return 0;
	if (stream_of(sk, &stream))
		return -EIO;
	record_refresh(now, socket, sk, &stream);
	if (ctx->optname == PP_TAKE) {
		if (now->state == PP_STATE_BAD &&
		    (state != PP_STATE_BAD || now->reason != socket->record.reason))
			settle_bad(now, socket);
		error = record_take(now, socket, &stream);
		if (error)
			return error;
	}
	if ((now->state == PP_STATE_VALID || now->state == PP_STATE_LOCAL) &&
	    stream.copied >= header_arrived(now, &stream))
		now->flags |= PP_RECORD_TAKEN;
	return 0;
}

static int answer_record(struct bpf_sockopt *ctx, struct bpf_sock *sk, struct pp_socket *socket)
{
	struct pp_record *record = ctx->optval;
	struct pp_record now = {};
	int error;

	if ((void *)(record + 1) > ctx->optval_end)
		return answer_error(ctx, -ENOBUFS);
	if (socket) {
		error = record_of(ctx, sk, socket, &now);
		if (error)
			return answer_error(ctx, error);
	} else {
		record_absent(&now, sk);
		if (ctx->optname == PP_TAKE && now.state == PP_STATE_BAD)
			remember_absent(&now, sk);
	}
	*record = now;
	return answer_length(ctx, sizeof(*record));
}

struct byte_copy {
	struct bpf_sockopt *ctx;
	const __u8
		*from; /* a buffer of PP_WINDOW bytes, or with more than that, of PP_HEADER_MAX */
	__u32 at;
	__u32 len;
	__u32 copied;
};

static inline __attribute__((always_inline)) long copy_byte_of(__u32 i, struct byte_copy *copy,
							       __u32 size)
{
	__u8 *to = copy->ctx->optval + (i & (PP_PAGE - 1));

	if (i >= copy->len || to + 1 > (__u8 *)copy->ctx->optval_end)
		return 1;
	*to = copy->from[(copy->at + i) & (size - 1)];
	copy->copied = i + 1;
	return 0;
}

static long copy_byte(__u32 i, void *copy)
{
	return copy_byte_of(i, copy, PP_WINDOW);
}

static long copy_byte_large(__u32 i, void *copy)
{
	return copy_byte_of(i, copy, PP_HEADER_MAX);
}

/* The header's bytes from @from to @end, of which a page is answered: the one that begins @page
 * pages after @from. */
static int answer_bytes(struct bpf_sockopt *ctx, struct bpf_sock *sk,
			const struct pp_record *record, __u32 from, __u32 page)
{
	struct byte_copy copy = {ctx, NULL, from + page * PP_PAGE, PP_PAGE, 0};
	struct pp_extra *small;
	struct pp_large *large;

	if (copy.at >= record->header_len)
		return answer_error(ctx, -ENODATA);
	if (copy.at + copy.len > record->header_len)
		copy.len = record->header_len - copy.at;
	if (record->flags & PP_RECORD_LARGE) {
		large = bpf_sk_storage_get(&pp_large, sk, 0, 0);
		if (!large)
			return answer_error(ctx, -ENODATA);
		copy.from = large->bytes;
		bpf_loop(PP_PAGE, copy_byte_large, &copy, 0);
	} else {
		small = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
		if (!small)
			return answer_error(ctx, -ENODATA);
		copy.from = small->bytes;
		bpf_loop(PP_WINDOW, copy_byte, &copy, 0);
	}
	if (copy.copied != copy.len)
		return answer_error(ctx, -ENOBUFS);
	return answer_length(ctx, copy.len);
}

static int answer_header(struct bpf_sockopt *ctx, struct bpf_sock *sk,
			 const struct pp_socket *socket, int tlvs, __u32 page)
{
	const struct pp_record *record;

	if (!socket)
		return answer_error(ctx, -ENODATA);
	record = &socket->record;
	if (record->state != PP_STATE_VALID || !(record->flags & PP_RECORD_KEPT))
		return answer_error(ctx, -ENODATA);
	if (!tlvs)
		return answer_bytes(ctx, sk, record, 0, page);
	if (!record->tlv_len) /* an optlen of 0 would not be copied out */
		return answer_error(ctx, -ENODATA);
	return answer_bytes(ctx, sk, record, record->header_len - record->tlv_len, page);
}

static int answer(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 option = ctx->optname;
	struct pp_socket *socket;

	if (!sk || (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_MPTCP))
		return 1;
	if (sk->state == BPF_TCP_LISTEN)
		return answer_error(ctx, -ENOTCONN);
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	switch (option) {
	case PP_ORIGIN:
	case PP_TAKE:
		return answer_record(ctx, sk, socket);
	case PP_TLVS:
		return answer_header(ctx, sk, socket, 1, 0);
	case PP_HEADER:
		return answer_header(ctx, sk, socket, 0, 0);
	case PP_TLVS_PAGE(0)... PP_TLVS_PAGE(PP_PAGES - 1):
		return answer_header(ctx, sk, socket, 1, option - PP_TLVS_PAGE(0));
	case PP_HEADER_PAGE(0)... PP_HEADER_PAGE(PP_PAGES - 1):
		return answer_header(ctx, sk, socket, 0, option - PP_HEADER_PAGE(0));
	}
	return 1;
}

#endif
