/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in: the stage of a connection before its header is complete. What is known of it, and the
 * pieces of the header, which are kept until there is a socket.
 */
#ifndef PP_STAGE_H
#define PP_STAGE_H

#include "kernel.h"
#include "handshake.h"
#include "maps.h"
#include "payload.h"
#include "policy.h"
#include "record.h"

/* A connection in the stage before its header is complete. */
struct stage {
	struct segment segment;
	struct pp_connection_key key;
	struct pp_flow flow;
	struct pp_split_note_key at;
	struct pp_split_note note;
	struct handshake handshake;
	__u32 start; /* bytes of the header before this segment's first new one */
	__u32 window;
	__u32 known;	/* 1: pp_flows had an entry when the segment came */
	__u32 listener; /* enum listener_of */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stage);
} pp_stage SEC(".maps");

/* The new socket's record, as far as it is known before the header is decoded. */
static void stage_socket(struct stage *stage, const struct pp_port *policy)
{
	struct pp_socket *socket = &stage->note.socket;

	__builtin_memset(&stage->note, 0, sizeof(stage->note));
	socket->first_seq = stage->flow.first_seq;
	socket_set_policy(socket, policy);
	socket->settled = 1;
	socket->made_s = now_s();
	socket->record.path = PP_PATH_SPLIT;
}

#define STAGE_LATE -2 /* another CPU has acknowledged more of the header */

/* Segments and copies of them come by several CPUs. One that is late must not undo what another has
 * kept and acknowledged since: the proxy does not send that again. */
static int stage_is_late(const struct stage *stage)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	return flow && flow->first_seq == stage->flow.first_seq &&
	       (flow->established || flow->got != stage->start);
}

/* The pieces before this one are gone. Return: STAGE_LATE, with the header that they were part of;
 * or -1. */
static int stage_lost(const struct stage *stage)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	return flow && flow->first_seq == stage->flow.first_seq && (flow->established || flow->cut)
		       ? STAGE_LATE
		       : -1;
}

/* Return: 0; or -1, late. */
static int stage_keep(struct stage *stage, __u32 len)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	stage->flow.got = len;
	if (flow && flow->first_seq == stage->flow.first_seq)
		return __sync_val_compare_and_swap(&flow->got, stage->start, len) == stage->start
			       ? 0
			       : -1;
	return bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow, BPF_ANY) ? -1 : 0;
}

/* The sequence number after what has been acknowledged of the header, in the proxy's numbers. */
static __u32 stage_next(const struct stage *stage)
{
	return stage->flow.first_seq + stage->flow.got;
}

/* Joins the segment's bytes to the pieces before it, and decodes: a header larger than PP_WINDOW,
 * of which work->joined has the beginning (@joined), or pp_large_pieces. Return: bytes of the
 * header that are there; -1, what came before is lost; or STAGE_LATE. */
static int stage_decode_large(struct __sk_buff *skb, struct stage *stage, struct pp_work *work,
			      int joined)
{
	struct pp_large *large = large_working_memory(), *kept;
	__u32 start = stage->start;
	int len;

	if (!large || !work)
		return -1;
	if (joined) {
		__builtin_memcpy(large->bytes, work->joined.bytes, PP_WINDOW);
	} else if (start) {
		kept = bpf_map_lookup_elem(&pp_large_pieces, &stage->key);
		if (!kept)
			return stage_lost(stage);
		if (bpf_probe_read_kernel(large->bytes, PP_HEADER_MAX, kept->bytes))
			return -1;
	}
	len = segment_load_large(skb, &stage->segment, large, start,
				 stage->note.socket.record.header_len);
	if (len < 0)
		return -1;
	record_decode(&work->decoder, &stage->note.socket, (const struct pp_extra *)large,
		      len < PP_WINDOW ? len : PP_WINDOW);
	record_finish_large(&work->decoder, &stage->note.socket, large, len);
	if (stage_is_late(stage))
		return STAGE_LATE;
	if (bpf_map_update_elem(&pp_large_pieces, &stage->key, large, BPF_ANY))
		return -1;
	return len;
}

/* The same for any header; one that turns out to be large is for stage_decode_large() after that.
 * @joined: receives what that wants to know. */
static int stage_decode(struct __sk_buff *skb, struct stage *stage, int *joined)
{
	struct pp_record *record = &stage->note.socket.record;
	struct pp_work *work = working_memory();
	struct pp_extra *kept = NULL;
	int len;

	if (!work)
		return -1;
	if (stage->start) {
		kept = bpf_map_lookup_elem(&pp_pieces, &stage->key);
		if (!kept)
			return stage_lost(stage);
		/* the length is in the first piece, or what is decoded next says it */
		record_decode(&work->decoder, &stage->note.socket, kept, kept->len & 0x7ff);
		if (record_continues_large(record)) {
			*joined = 0;
			return 0;
		}
		if (kept->len != stage->start)
			return STAGE_LATE;
	}
	len = join_segments(skb, &stage->segment, work, kept, stage->start);
	if (len < 0)
		return -1;
	work->joined.len = len;
	record_decode(&work->decoder, &stage->note.socket, (const struct pp_extra *)&work->joined,
		      len);
	if (!stage->start && record_wants_bytes(record) && record_is_short(record)) {
		stage->note.header.len = len;
		__builtin_memcpy(stage->note.header.bytes, work->joined.bytes, PP_SHORT);
	} else if (record_wants_bytes(record) || record_continues_large(record)) {
		if (stage_is_late(stage))
			return STAGE_LATE;
		if (bpf_map_update_elem(&pp_pieces, &stage->key, &work->joined, BPF_ANY))
			return -1;
	}
	*joined = 1;
	return len;
}

#endif
