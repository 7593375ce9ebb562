/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From pp_in to pp_gate and pp_sockops: what the segment that ends a handshake said before its
 * header was cut out. pp_in writes it in stage_segment.h.
 */
#ifndef PP_HANDOVER_H
#define PP_HANDOVER_H

#include "kernel.h"
#include "forward.h"
#include "outgoing.h"
#include "policy.h"
#include "record.h"
#include "verdict.h"

static __always_inline void handover_key(struct pp_handover_key *key, const __u64 *remote,
					 __u16 remote_port, __u32 first_seq, __u32 ack)
{
	__builtin_memcpy(key->remote, remote, 16);
	key->remote_port = remote_port;
	key->first_seq = first_seq;
	key->ack = ack;
}

/* What pp_in says of the segment that ends a handshake. Without it the segment did not pass pp_in,
 * or too long ago. Its own mark, too: the same segment may come again where no hooks are. */
static struct pp_handover *handover_of(struct __sk_buff *skb, const struct segment *segment)
{
	struct pp_handover_key key;

	if (!went_in(skb))
		return NULL;
	handover_key(&key, (const __u64 *)segment->source, segment->source_port, segment->seq,
		     segment->ack);
	return bpf_map_lookup_elem(&pp_handovers, &key);
}

/* The raw bytes of a header that pp_in has cut out, where they are to be kept. */
static void keep_pieces(struct bpf_sock *sk, struct pp_handover *handover)
{
	struct pp_record *record = &handover->socket.record;
	void *pieces, *kept = NULL;

	if (record->flags & PP_RECORD_LARGE) {
		pieces = bpf_map_lookup_elem(&pp_large_pieces, &handover->flow);
		if (pieces)
			kept = bpf_sk_storage_get(&pp_large, sk, pieces,
						  BPF_SK_STORAGE_GET_F_CREATE);
		bpf_map_delete_elem(&pp_large_pieces, &handover->flow);
	} else if (record_wants_bytes(record)) {
		pieces = bpf_map_lookup_elem(&pp_pieces, &handover->flow);
		if (pieces)
			kept = bpf_sk_storage_get(&pp_extra, sk, pieces,
						  BPF_SK_STORAGE_GET_F_CREATE);
		bpf_map_delete_elem(&pp_pieces, &handover->flow);
	} else {
		return;
	}
	if (kept)
		record->flags |= PP_RECORD_KEPT;
	else
		count(PP_STAT_NO_MEMORY);
}

/* A proxy of this host: who it is, and that pp_msg has decoded the same header. */
static void handover_from_sender(struct pp_handover *handover, struct pp_connection_key *key)
{
	struct pp_record *record = &handover->socket.record;
	struct pp_outgoing *outgoing = outgoing_find(key, key->netns_cookie, key->first_seq);

	if (!outgoing)
		return;
	if (record->flags & PP_RECORD_SPLIT && outgoing_covers(outgoing, record->header_len)) {
		outgoing_adopt(&handover->socket, outgoing);
		record->flags |= PP_RECORD_SPLIT;
	} else {
		record_set_sender(record, &outgoing->record);
	}
	sender_dismiss(outgoing->cookie);
	outgoing_forget(key, NULL);
}

/* pp_sockops: the new socket gets the record. Return: 0; or -1: pp_in has handed none over. */
static int socket_from_handover(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				struct pp_connection_key *key)
{
	struct pp_handover_key at;
	struct pp_handover *handover;
	struct pp_socket *socket;
	struct pp_flow *flow;

	handover_key(&at, (const __u64 *)key->remote, key->remote_port, key->first_seq,
		     ops->snd_nxt);
	handover = bpf_map_lookup_elem(&pp_handovers, &at);
	if (!handover)
		return -1;
	handover->socket.record.netns_cookie = key->netns_cookie;
	if (has_proxy_cgroup())
		handover_from_sender(handover, key);
	keep_pieces(sk, handover);
	socket =
		bpf_sk_storage_get(&pp_origins, sk, &handover->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket) {
		record_count(&socket->record);
		flow = bpf_map_lookup_elem(&pp_flows, &handover->flow);
		if (flow)
			flow->established = 1;
		if (handover->forwarded)
			forward_confirm(ops, sk, &handover->flow);
	} else { /* the guard stops it */
		count(PP_STAT_NO_MEMORY);
	}
	bpf_map_delete_elem(&pp_handovers, &at);
	return 0;
}

#endif
