/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From pp_gate to pp_sockops: what the segment that ends a handshake says. It has no socket yet,
 * and gets one in the same softirq, on the same CPU. With a split pp_in says it instead:
 * split_note.h.
 */
#ifndef PP_GATE_NOTE_H
#define PP_GATE_NOTE_H

#include "kernel.h"
#include "connection.h"
#include "large.h"
#include "netns.h"
#include "outgoing.h"
#include "payload.h"
#include "policy.h"
#include "record.h"

static void gate_note_key(struct pp_gate_note *note, const struct segment *segment)
{
	note->key.netns_cookie = note->socket.record.netns_cookie;
	connection_of_segment(segment, &note->key);
	note->key.first_seq = segment->seq;
	note->ack = segment->ack;
	note->kind = PP_GATE_NOTE_HEADER;
	note->full = 1;
}

static void gate_note_socket(struct pp_gate_note *note, struct bpf_sock *listener,
			     const struct segment *segment, const struct pp_port *policy)
{
	note->full = 0;
	note->socket.first_seq = segment->seq;
	note->socket.told = 0;
	note->socket.told_ns = 0;
	note->socket.taker = 0;
	note->socket.bad_after = 0;
	note->socket.settled = 0;
	note->socket.announced = 0;
	note->socket.made_s = now_s();
	socket_set_policy(&note->socket, policy);
	note->socket.record.netns_cookie = socket_netns_cookie(listener);
	note->socket.record.path = PP_PATH_HANDSHAKE;
	note->socket.record.sender_cgroup = 0;
	note->socket.record.sender_pid = 0;
	note->socket.record.sender_uid = 0;
}

/* Tells pp_sockops who makes the connection, by a segment that has no header to say so. Each such
 * segment is noted, since any of them may end the handshake. */
static void gate_note_standing(struct bpf_sock *listener, const struct segment *segment,
			       const struct pp_port *policy, __u8 kind)
{
	struct pp_gate_note *note = gate_note_of_this_cpu();

	if (!note)
		return;
	__builtin_memset(&note->socket, 0, sizeof(note->socket));
	gate_note_socket(note, listener, segment, policy);
	note->socket.settled = 1;
	if (kind == PP_GATE_NOTE_OUTSIDER) {
		note->socket.record.state = PP_STATE_BAD;
		note->socket.record.reason = PP_BAD_SENDER;
	}
	gate_note_key(note, segment);
	note->kind = kind;
}

/* Where there is a proxy cgroup, pp_sockops makes no record of what it was not told, and a
 * connection without a record is refused (see unrecorded.h). */
static void gate_note_peer(struct bpf_sock *listener, const struct segment *segment,
			   const struct pp_port *policy, __u8 kind)
{
	if (has_proxy_cgroup())
		gate_note_standing(listener, segment, policy, kind);
}

/* The record is what the sending side has decoded. Return: 1, or 0 when that is for the decoder. */
static int gate_note_announced(struct __sk_buff *skb, struct pp_gate_note *note,
			       const struct segment *segment, struct pp_outgoing *outgoing)
{
	int len;

	note->socket.announced = 1;
	if (!outgoing_covers(outgoing, segment->payload_len)) {
		record_set_sender(&note->socket.record, &outgoing->record);
		return 0;
	}
	outgoing_adopt(&note->socket, outgoing);
	if (record_wants_bytes(&outgoing->record)) {
		len = segment_load(skb, segment, note->extra.bytes);
		note->extra.len = len < 0 ? 0 : len;
	}
	return 1;
}

/* Return: 0; or -1 when the segment cannot be read. */
static int gate_note_decoded(struct __sk_buff *skb, struct pp_gate_note *note,
			     const struct segment *segment)
{
	struct pp_work *work = working_memory();
	struct pp_large *large = large_working_memory();
	int len;

	if (!work || !large)
		return -1;
	len = segment_load(skb, segment, note->extra.bytes);
	if (len < 0)
		return -1;
	note->extra.len = len;
	record_decode(&work->decoder, &note->socket, &note->extra, len);
	if (!record_continues_large(&note->socket.record))
		return 0;
	len = segment_load_large(skb, segment, large, 0, note->socket.record.header_len);
	if (len < 0)
		return -1;
	record_finish_large(&work->decoder, &note->socket, large, len);
	return 0;
}

static int same_connection(const struct pp_connection_key *one,
			   const struct pp_connection_key *other)
{
	const __u64 *left = (const __u64 *)one, *right = (const __u64 *)other;

	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3] && left[4] == right[4] &&
	       one->remote_port == other->remote_port && one->local_port == other->local_port;
}

/* The segment must have acknowledged our SYN-ACK, as only its receiver can. What came in a
 * SYN (TCP Fast Open) says no more than that the peer is a stranger. */
static int gate_note_is_of(const struct pp_gate_note *note, const struct pp_connection_key *key,
			   struct bpf_sock_ops *ops)
{
	if (!note->full || !same_connection(&note->key, key))
		return 0;
	if (ops->skb_tcp_flags & TCP_SYN)
		return note->kind == PP_GATE_NOTE_STRANGER;
	return note->ack == ops->snd_nxt;
}

/* Is its record the new socket's? A header is only where the stream begins. Any of
 * its segments tells who the peer is. */
static int gate_note_has_record(const struct pp_gate_note *note,
				const struct pp_connection_key *key)
{
	if (note->kind == PP_GATE_NOTE_HEADER)
		return note->key.first_seq == key->first_seq;
	return note->kind != PP_GATE_NOTE_PROXY;
}

/* Return: 0, or -1. */
static int gate_note_keep_bytes(struct bpf_sock *sk, struct pp_gate_note *note)
{
	const struct pp_record *record = &note->socket.record;
	struct pp_large *large = large_working_memory();
	void *kept;

	if (record->flags & PP_RECORD_LARGE)
		return large ? large_keep(sk, large, record->header_len) : -1;
	if (record_is_short(record))
		kept = bpf_sk_storage_get(&pp_short, sk, &note->extra, BPF_SK_STORAGE_GET_F_CREATE);
	else
		kept = bpf_sk_storage_get(&pp_extra, sk, &note->extra, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		count(PP_STAT_NO_MEMORY);
	return kept ? 0 : -1;
}

/* The header's raw bytes, where they are to be kept. */
static void gate_note_keep(struct bpf_sock *sk, struct pp_gate_note *note)
{
	struct pp_record *record = &note->socket.record;
	if (!(record->flags & PP_RECORD_LARGE) && !record_wants_bytes(record))
		return;
	if (!gate_note_keep_bytes(sk, note)) {
		record->flags |= PP_RECORD_KEPT;
		return;
	}
	record_lose(&note->socket);
}

static void socket_from_gate_note(struct bpf_sock *sk, struct pp_gate_note *note)
{
	struct pp_connection_key key = note->key;
	struct pp_outgoing *outgoing;
	struct pp_socket *socket;

	gate_note_keep(sk, note);
	socket = bpf_sk_storage_get(&pp_origins, sk, &note->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) { /* unrecorded.h: what has no record is refused */
		count(PP_STAT_NO_MEMORY);
		return;
	}
	if (note->kind == PP_GATE_NOTE_STRANGER)
		return;
	record_count(&socket->record);
	if (!socket->announced)
		return;
	outgoing = outgoing_find(&key, key.netns_cookie, key.first_seq);
	if (outgoing)
		sender_dismiss(outgoing->cookie);
	if (record_is_decided(&socket->record))
		outgoing_forget(&key, socket);
}

#endif
