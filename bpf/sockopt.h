/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_getsockopt, cgroup/getsockopt: answers PP_ORIGIN and PP_TAKE from what the socket has.
 */
#ifndef PP_SOCKOPT_H
#define PP_SOCKOPT_H

#include "kernel.h"
#include "connection.h"
#include "context.h"
#include "peers.h"
#include "policy.h"
#include "record.h"
#include "sockopt_answer.h"
#include "stream.h"
#include "unrecorded.h"

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

/* A server is told that the connection is to be refused. No event: 6.1 has no stack for it here. */
static void count_told(const struct pp_record *record, struct bpf_sock *sk)
{
	__u32 peer[4] = {};

	record_count(record);
	peer_of_socket(sk, (__u8 *)peer);
	peer_note(&pp_refused, (__u8 *)peer, CONTEXT_FIELD(sk->src_port), PP_EVENT_REFUSED,
		  record->reason);
}

/* It was told so: for good, and counted once. */
static void settle_bad(const struct pp_record *record, struct bpf_sock *sk,
		       struct pp_socket *socket)
{
	socket->settled = 1;
	record_write(&socket->record, record);
	count_told(record, sk);
}

static void remember_absent(const struct pp_record *record, struct bpf_sock *sk)
{
	struct pp_port *policy = policy_of_socket(sk);
	struct pp_socket socket = {.record = *record, .settled = 1};

	if (policy)
		socket_set_policy(&socket, policy);
	bpf_sk_storage_get(&pp_origins, sk, &socket, BPF_SK_STORAGE_GET_F_CREATE);
	count_told(record, sk);
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
static __noinline int record_of(struct bpf_sockopt *ctx, struct bpf_sock *sk,
				struct pp_socket *socket, struct pp_record *now)
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
			settle_bad(now, sk, socket);
		error = record_take(now, socket, &stream);
		if (error)
			return error;
	}
	if ((now->state == PP_STATE_VALID || now->state == PP_STATE_LOCAL) &&
	    stream.copied >= header_arrived(now, &stream))
		now->flags |= PP_RECORD_TAKEN;
	return 0;
}

static __noinline int answer_record(struct bpf_sockopt *ctx, struct bpf_sock *sk,
				    struct pp_socket *socket)
{
	struct pp_record *room = ctx->optval;
	struct pp_answer answer = {};
	struct pp_record *now = &answer.record;
	int error;

	if ((void *)(room + 1) > ctx->optval_end)
		return answer_error(ctx, -ENOBUFS);
	if (socket) {
		error = record_of(ctx, sk, socket, now);
		if (error)
			return answer_error(ctx, error);
	} else {
		record_absent(now, sk);
		if (ctx->optname == PP_TAKE && now->state == PP_STATE_BAD)
			remember_absent(now, sk);
	}
	if (now->state != PP_STATE_NONE)
		answer_proxy(&answer, sk);
	return answer_length(ctx, answer_copy(ctx, &answer));
}

#endif
