/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From pp_in to pp_gate and pp_sockops: what the segment that ends a handshake said before its
 * header was cut out. pp_in writes it in stage_segment.h.
 */
#ifndef PP_SPLIT_NOTE_H
#define PP_SPLIT_NOTE_H

#include "kernel.h"
#include "forward.h"
#include "large.h"
#include "outgoing.h"
#include "policy.h"
#include "record.h"
#include "verdict.h"

static __always_inline void split_note_key(struct pp_split_note_key *key, const __u64 *remote,
					   __u16 remote_port, __u32 first_seq, __u32 ack)
{
	__builtin_memcpy(key->remote, remote, 16);
	key->remote_port = remote_port;
	key->first_seq = first_seq;
	key->ack = ack;
}

/* What pp_in says of the segment that ends a handshake. Without it the segment did not pass pp_in,
 * or too long ago. Its own mark, too: the same segment may come again where no hooks are. */
static struct pp_split_note *split_note_of(struct __sk_buff *skb, const struct segment *segment)
{
	struct pp_split_note_key key;

	if (!went_in(skb))
		return NULL;
	split_note_key(&key, (const __u64 *)segment->source, segment->source_port, segment->seq,
		       segment->ack);
	return bpf_map_lookup_elem(&pp_handovers, &key);
}

/* Return: 0, or -1. */
static int split_note_keep_large(struct bpf_sock *sk, const struct pp_split_note *note)
{
	struct pp_large *pieces = bpf_map_lookup_elem(&pp_large_pieces, &note->flow);
	int failed = -1;

	if (pieces)
		failed = large_keep(sk, pieces, note->socket.record.header_len);
	else
		count(PP_STAT_NO_MEMORY);
	bpf_map_delete_elem(&pp_large_pieces, &note->flow);
	return failed;
}

/* The raw bytes of a header that pp_in has cut out, where they are to be kept. */
static void split_note_keep(struct bpf_sock *sk, struct pp_split_note *note)
{
	struct pp_record *record = &note->socket.record;
	void *pieces, *kept = NULL;

	if (record->flags & PP_RECORD_LARGE) {
		if (!split_note_keep_large(sk, note))
			record->flags |= PP_RECORD_KEPT;
		else
			record_lose(&note->socket);
		return;
	}
	if (note->header.len) {
		kept = bpf_sk_storage_get(&pp_short, sk, &note->header,
					  BPF_SK_STORAGE_GET_F_CREATE);
	} else if (record_wants_bytes(record)) {
		pieces = bpf_map_lookup_elem(&pp_pieces, &note->flow);
		if (pieces)
			kept = bpf_sk_storage_get(&pp_extra, sk, pieces,
						  BPF_SK_STORAGE_GET_F_CREATE);
		bpf_map_delete_elem(&pp_pieces, &note->flow);
	} else {
		return;
	}
	if (kept) {
		record->flags |= PP_RECORD_KEPT;
		return;
	}
	count(PP_STAT_NO_MEMORY);
	record_lose(&note->socket);
}

/* A proxy of this host: who it is, and that pp_msg has decoded the same header. */
static void split_note_from_sender(struct pp_split_note *note, struct pp_connection_key *key)
{
	struct pp_record *record = &note->socket.record;
	struct pp_outgoing *outgoing = outgoing_find(key, key->netns_cookie, key->first_seq);

	if (!outgoing)
		return;
	if (record->flags & PP_RECORD_SPLIT && outgoing_covers(outgoing, record->header_len)) {
		outgoing_adopt(&note->socket, outgoing);
		record->flags |= PP_RECORD_SPLIT;
	} else {
		record_set_sender(record, &outgoing->record);
	}
	sender_dismiss(outgoing->cookie);
	outgoing_forget(key, NULL);
}

/* pp_sockops: the new socket gets the record. Return: 0; or -1: pp_in has left no note. */
static int socket_from_split_note(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				  struct pp_connection_key *key)
{
	struct pp_split_note_key at;
	struct pp_split_note *note;
	struct pp_socket *socket;
	struct pp_flow *flow;

	split_note_key(&at, (const __u64 *)key->remote, key->remote_port, key->first_seq,
		       ops->snd_nxt);
	note = bpf_map_lookup_elem(&pp_handovers, &at);
	if (!note)
		return -1;
	note->socket.record.netns_cookie = key->netns_cookie;
	if (has_proxy_cgroup())
		split_note_from_sender(note, key);
	split_note_keep(sk, note);
	socket = bpf_sk_storage_get(&pp_origins, sk, &note->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket) {
		record_count(&socket->record);
		flow = bpf_map_lookup_elem(&pp_flows, &note->flow);
		if (flow)
			flow->established = 1;
		if (note->forwarded)
			forward_confirm(ops, sk, &note->flow);
	} else { /* the guard stops it */
		count(PP_STAT_NO_MEMORY);
	}
	bpf_map_delete_elem(&pp_handovers, &at);
	return 0;
}

#endif
