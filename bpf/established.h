/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_gate on an established socket: decodes a header that comes after the handshake, or the rest of
 * one.
 */
#ifndef PP_ESTABLISHED_H
#define PP_ESTABLISHED_H

#include "kernel.h"
#include "connection.h"
#include "events.h"
#include "guard.h"
#include "large.h"
#include "outgoing.h"
#include "payload.h"
#include "policy.h"
#include "record.h"

/* Keeps work->joined with the socket. Return: 0, or -1. */
static int keep_bytes(struct bpf_sock *sk, struct pp_work *work, struct pp_record *record,
		      __u32 len)
{
	struct pp_extra *kept = bpf_sk_storage_get(&pp_extra, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!kept) {
		count(PP_STAT_NO_MEMORY);
		return -1;
	}
	__builtin_memcpy(kept->bytes, work->joined.bytes, PP_WINDOW);
	kept->len = len;
	record->flags |= PP_RECORD_KEPT;
	return 0;
}

/* Decodes a header larger than PP_WINDOW, of which @large has the beginning, and keeps it: byte
 * @start of it is where @segment begins. Return: how many of its bytes are there, or -1. */
static int decode_large(struct __sk_buff *skb, struct bpf_sock *sk, struct pp_large *large,
			const struct segment *segment, __u32 start)
{
	struct pp_work *work = working_memory();
	/* not the record's: a damaged segment may have been decoded since */
	__u32 header_len = PP_V2_FIXED + (large->bytes[14] << 8 | large->bytes[15]);
	int len = segment_load_large(skb, segment, large, start, header_len);

	if (!work || len < 0 || large_keep(sk, large, header_len))
		return -1;
	/* both kinds of buffer begin alike */
	record_decode(&work->decoder, &work->socket, (const struct pp_extra *)large,
		      len < PP_WINDOW ? len : PP_WINDOW);
	record_finish_large(&work->decoder, &work->socket, large, len);
	work->socket.record.flags |= PP_RECORD_KEPT;
	return len;
}

/* The header is lost for the programs: what there is of it cannot be read, or kept. */
static void record_give_up(struct pp_socket *socket)
{
	socket->record.reason = PP_BAD_UNRECORDED;
	socket->settled = 1;
	barrier();
	*(volatile __u8 *)&socket->record.state = PP_STATE_BAD;
	record_count(&socket->record);
}

/* @segment is in sequence, and begins with byte @start of the header, of which the first part has
 * been seen and kept: in pp_extra, or where that has less, in large pages. What a record says that
 * TCP has not accepted does not count: it may be a damaged segment's. */
static int gate_decode(struct __sk_buff *skb, struct bpf_sock *sk, struct pp_socket *socket,
		       const struct segment *segment, __u32 start)
{
	struct pp_extra *kept = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	struct pp_work *work = working_memory();
	struct pp_large *large = large_working_memory();
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);
	int len;

	if (!work || !large || !tcp)
		return DROP;
	work->socket = *socket;
	work->socket.record.path = PP_PATH_SEGMENT;
	if (start && !(kept && kept->len >= start)) {
		if (!large_load(sk, large)) {
			len = decode_large(skb, sk, large, segment, start);
		} else if (record_is_decided(&socket->record)) {
			/* Decoded already, but TCP has refused that segment: it is sent again. */
			count(PP_STAT_DROPPED_HOLE);
			return DROP;
		} else {
			goto lost;
		}
	} else {
		len = join_segments(skb, segment, work, kept, start);
		if (len < 0)
			goto lost;
		record_decode(&work->decoder, &work->socket, (const struct pp_extra *)&work->joined,
			      len);
		if (record_continues_large(&work->socket.record)) {
			__builtin_memcpy(large->bytes, work->joined.bytes, PP_WINDOW);
			if (kept)
				kept->len = start; /* what comes after that is in @large */
			len = decode_large(skb, sk, large, segment, start);
		} else if (record_wants_bytes(&work->socket.record) &&
			   keep_bytes(sk, work, &work->socket.record, len)) {
			goto lost;
		}
	}
	if (len < 0)
		goto lost;
	if (work->socket.record.state == PP_STATE_BAD && socket->on_bad == PP_ON_BAD_DROP) {
		count(PP_STAT_DROPPED_BAD);
		record_count(&work->socket.record);
		event_of_decoded(skb, segment, &work->socket.record);
		return DROP;
	}
	socket->have = len;
	socket->bad_after = tcp->bytes_received; /* less than a header's length */
	record_write(&socket->record, &work->socket.record);
	if (!start || record_is_decided(&socket->record))
		record_count(&socket->record);
	return PASS;
lost:
	record_give_up(socket);
	return PASS;
}

/* The sending side may have decoded what this segment, of a socket without a header, begins with.
 * Return: 1 when that settles the socket's record. */
static int gate_adopt(struct __sk_buff *skb, struct bpf_sock *sk, struct pp_socket *socket,
		      const struct segment *segment)
{
	struct pp_connection_key key = {};
	struct pp_outgoing *outgoing;
	struct pp_work *work;
	int len;

	connection_of_segment(segment, &key);
	outgoing = outgoing_find(&key, socket->record.netns_cookie, socket->first_seq);
	if (!outgoing)
		return 0;
	if (!outgoing_covers(outgoing, segment->payload_len)) {
		record_set_sender(&socket->record, &outgoing->record);
		return 0;
	}
	if (record_wants_bytes(&outgoing->record)) { /* before anybody can see the record */
		work = working_memory();
		len = work ? join_segments(skb, segment, work, NULL, 0) : -1;
		if (len <= 0 || keep_bytes(sk, work, &outgoing->record, len)) {
			record_give_up(socket);
			outgoing_forget(&key, socket);
			return 1;
		}
	}
	outgoing_adopt(socket, outgoing);
	record_count(&socket->record);
	outgoing_forget(&key, socket);
	return 1;
}

/* TCP shows a new socket to other CPUs before pp_sockops has run for it. A header must not pass
 * then: it is sent again. */
static int gate_early(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct pp_work *work = working_memory();
	__u16 port = sk->src_port;

	if (!port_is_listed(port) || !work || segment_read(skb, &work->segment, 0) ||
	    !work->segment.payload_len)
		return PASS;
	count(PP_STAT_DROPPED_HOLE);
	return DROP;
}

/* What is read after this was not read before it by the CPU, either: arm64 reorders loads. An
 * atomic operation that returns its value is the only full barrier that BPF has. */
static void full_barrier(void)
{
	volatile __u64 word = 0;

	__sync_val_compare_and_swap(&word, 0, 1);
}

/* pp_sockops may have run for a new socket since its record was asked for. It runs before the state
 * is ESTABLISHED, so the caller has read that first. */
static struct pp_socket *record_by_now(struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

	if (!tcp || tcp->bytes_received)
		return NULL;
	full_barrier();
	return bpf_sk_storage_get(&pp_origins, sk, 0, 0);
}

/* A stranger's first bytes: may a header have been meant? */
static void event_of_first(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp;
	struct pp_work *work;

	tcp = bpf_tcp_sock(sk);
	if (!tcp || tcp->bytes_received)
		return;
	work = working_memory();
	if (work && !segment_read(skb, &work->segment, 0))
		event_of_stranger(skb, &work->segment);
}

/* The socket has no record: mostly since its peer is no proxy. But on a split port a proxy's socket
 * may be one whose header pp_in cut out: what pp_out cannot translate is stopped, and does not get
 * into the stream in the wrong place. */
static int gate_unrecorded(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct pp_port *policy = policy_of_socket(sk);
	__u32 peer[4] = {};

	if (!policy)
		return PASS;
	if (!(policy->flags & PP_PORT_DRAINING)) /* where nobody is believed */
		event_of_first(skb, sk);
	/* On a port that drains it is a new connection, which is not served; but what pp_in has
	 * translated is of one that got no record for want of memory. */
	if (!has_translated(policy) || (!splits(policy) && !went_in(skb)))
		return PASS;
	peer_of_socket(sk, (__u8 *)peer);
	if (!has_proxy_cgroup() && !is_marked((__u8 *)peer))
		return PASS;
	return guard_drop(skb);
}

/* On a split port, a socket whose record is only that there was none: see gate_unrecorded(). */
static int is_untranslated(const struct pp_socket *socket)
{
	return socket->split != PP_SPLIT_NO && socket->record.state == PP_STATE_BAD &&
	       socket->record.path == PP_PATH_NONE;
}

/* Where the header ends that has been decoded; nowhere, when none has been. */
static __s64 header_end(const struct pp_socket *socket)
{
	switch (socket->record.state) {
	case PP_STATE_VALID:
	case PP_STATE_LOCAL:
		return socket->record.header_len;
	case PP_STATE_BAD:
		return socket->have;
	}
	return PP_HEADER_MAX;
}

#define NOT_IN_HEADER -1
#define AFTER_HOLE    -2

/*
 * With which byte of the header does @segment go on, of a stream of which TCP has @accepted bytes?
 * These are cut off its front.
 *
 * Sequence numbers decide. A segment counts when it goes on where the socket goes on reading, or
 * where what was decoded last ends, while the socket's owner keeps it locked and segments wait in
 * the backlog (@waiting). Where none waits, TCP has refused what was decoded last, as damaged. One
 * that leaves a hole is sent again, and in order.
 */
static __s64 segment_in_header(const struct pp_socket *socket, struct segment *segment,
			       __u64 accepted, int waiting)
{
	__u64 have = socket->have, start;
	__s64 offset;

	if (accepted > have) /* TCP accepted bytes that were not seen here */
		return NOT_IN_HEADER;
	/* So the stream is at its beginning, and 32 bits are enough. Not by rcv_nxt: another CPU
	 * may be raising it, and then it does not belong to @accepted. */
	offset = (__s32)(segment->seq - socket->first_seq);
	if (offset + segment->payload_len <= (__s64)accepted)
		return NOT_IN_HEADER;
	if (!waiting && offset > (__s64)accepted)
		return AFTER_HOLE;
	if (offset >= header_end(socket)) /* the header waits in the backlog, and this follows it */
		return NOT_IN_HEADER;
	if (offset > (__s64)have)
		return AFTER_HOLE;
	start = offset < (__s64)accepted ? accepted : (__u64)offset;
	segment_skip(segment, start - offset);
	return start;
}

/* After gate_decode(): what the sending side has announced is of no use any more. */
static __noinline int gate_forget(struct pp_socket *socket, const struct segment *segment)
{
	struct pp_connection_key key = {};

	if (!record_is_decided(&socket->record))
		return 0;
	connection_of_segment(segment, &key);
	outgoing_key(&key, socket->record.netns_cookie, socket->first_seq);
	outgoing_forget(&key, socket);
	return 0;
}

#endif
