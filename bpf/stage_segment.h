/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in: a segment of a connection in the stage before its header is complete. It waits, is
 * acknowledged in the server's place, loses its header, or is refused.
 */
#ifndef PP_STAGE_SEGMENT_H
#define PP_STAGE_SEGMENT_H

#include "kernel.h"
#include "events.h"
#include "cut.h"
#include "forward.h"
#include "greeting.h"
#include "policy.h"
#include "reply.h"
#include "served.h"
#include "split_note.h"
#include "stage.h"
#include "verdict.h"

static int stage_answer(struct __sk_buff *skb, struct packet *packet, const struct stage *stage,
			__u32 ack, __u8 flags)
{
	struct reply reply = {
		.seq = stage->segment.ack, .ack = ack, .window = stage->window, .flags = flags};

	return packet_answer(skb, packet, &reply);
}

/* The connection ends: a RST to the proxy, and this packet becomes one for the kernel's request. */
static int stage_reset(struct __sk_buff *skb, struct packet *packet, const struct stage *stage)
{
	const struct segment *segment = &stage->segment;
	struct reply reply = {
		.seq = stage->flow.first_seq, .ack = segment->ack, .flags = TCP_RST | TCP_ACK};
	__u32 end = segment->seq + segment->payload_len + (segment->flags & TCP_FIN ? 1 : 0);

	bpf_map_delete_elem(&pp_flows, &stage->key);
	if (stage_answer(skb, packet, stage, end, TCP_RST | TCP_ACK))
		return TC_DROP;
	return packet_become(skb, packet, &reply) ? TC_DROP : TC_PASS;
}

/* Tells pp_gate and pp_sockops of this segment, which is to end the handshake. Return: 0; -1, there
 * is no room; or STAGE_LATE. */
static int stage_note(struct stage *stage, __u32 cut)
{
	struct pp_flow *flow = NULL;

	if (stage->known)
		flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established && flow->first_seq == stage->flow.first_seq)
		return STAGE_LATE;
	stage->flow.cut = cut;
	if (stage->flow.forwarded && forward_keep(&stage->key, &stage->flow))
		return -1;
	stage->note.forwarded = stage->flow.forwarded;
	stage->note.socket.cut = cut;
	stage->note.flow = stage->key;
	split_note_key(&stage->at, (const __u64 *)stage->segment.source, stage->segment.source_port,
		       stage->flow.first_seq, stage->segment.ack);
	/* What was not there when this segment came, and is now, another CPU has put there for a
	 * copy. Where the map only has no room just now, the proxy sends the segment again. */
	if (bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow,
				stage->known ? BPF_ANY : BPF_NOEXIST))
		return STAGE_LATE;
	return bpf_map_update_elem(&pp_handovers, &stage->at, &stage->note, BPF_ANY) ? -1 : 0;
}

/* A header that is none, one that does not come, or one whose connection ends before it. */
static int stage_refuse(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
			const struct pp_port *policy)
{
	__u32 got = stage->flow.got;
	int result;

	if (policy->on_bad == PP_ON_BAD_DROP) {
		record_count(&stage->note.socket.record);
		count(PP_STAT_DROPPED_BAD);
		event_of_decoded(skb, &stage->segment, &stage->note.socket.record);
		return stage_reset(skb, packet, stage);
	}
	/* The MTA is told. It gets what is not acknowledged yet. */
	result = stage_note(stage, got);
	if (result)
		return result == STAGE_LATE ? TC_DROP : stage_reset(skb, packet, stage);
	if (got && add_to_number(skb, packet->ip_at + packet->ip_len,
				 packet->ip_at + packet->ip_len + TCP_AT_SEQ, -got))
		return TC_DROP;
	return TC_PASS;
}

static int stage_bad(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
		     const struct pp_port *policy, __u8 reason)
{
	stage->note.socket.record.state = PP_STATE_BAD;
	stage->note.socket.record.reason = reason;
	return stage_refuse(skb, stage, packet, policy);
}

/* No payload: an end, or the handshake's own ACK, which has waited long enough. */
static int stage_bare(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
		      const struct pp_port *policy)
{
	if (stage->segment.flags & TCP_FIN) {
		if (stage->segment.seq != stage_next(stage))
			return TC_DROP;
		return stage_bad(skb, stage, packet, policy, PP_BAD_CLOSED);
	}
	stage->note.socket.record.state = PP_STATE_EXPIRED;
	return stage_refuse(skb, stage, packet, policy);
}

/* Is it the handshake's own ACK, which waits? */
static int is_held(const struct stage *stage, const struct pp_port *policy)
{
	if (stage->segment.payload_len || stage->segment.flags & (TCP_FIN | TCP_RST) ||
	    stage->segment.seq != stage_next(stage))
		return 0;
	return !policy->gate_ms || !gate_time_is_up(&stage->handshake, policy);
}

/* The header is complete, @len bytes of it: cuts out what this segment has of it. */
static int stage_cut(struct __sk_buff *skb, struct stage *stage, struct packet *packet, __u32 len,
		     __u32 skipped)
{
	__u32 here = len - stage->start + skipped, seq = stage->segment.seq - skipped;
	int alone = here == packet->payload_len && !(stage->segment.flags & TCP_FIN);
	struct reply reply = {.seq = stage->flow.first_seq, .ack = stage->segment.ack};
	struct tcphdr *tcp = packet_tcp(packet);
	int result;

	stage->note.socket.record.flags |= PP_RECORD_SPLIT;
	if (!tcp)
		return TC_DROP;
	result = stage_note(stage, len);
	if (result)
		return result == STAGE_LATE ? TC_DROP : stage_reset(skb, packet, stage);
	count(PP_STAT_SPLIT);
	if (!alone)
		return packet_cut(skb, packet, here, stage->flow.first_seq) ? TC_DROP : TC_PASS;
	/* Nothing is left that the kernel would acknowledge. */
	reply.window = bpf_ntohs(tcp->window);
	reply.flags = stage->segment.flags;
	/* Not under cookies: where the kernel has no room for the connection, only the proxy can
	 * send it again. */
	if (stage->handshake.next_ack && !is_greeted(stage->segment.destination_port) &&
	    stage_answer(skb, packet, stage, seq + here, TCP_ACK))
		return TC_DROP;
	return packet_become(skb, packet, &reply) ? TC_DROP : TC_PASS;
}

/* The listener there would get the proxy for its client, and pp_gate is not there to say
 * otherwise: another service with a served port's number, or a unit that was restarted and has a
 * cgroup without the programs. */
static int stage_unserved(struct __sk_buff *skb, struct stage *stage)
{
	struct packet *packet;

	if (stage->segment.flags & TCP_RST)
		return TC_PASS;
	packet = packet_read(skb, &stage->segment);
	if (!packet || !packet_is_whole(skb, packet, &stage->segment))
		return TC_DROP;
	count(PP_STAT_UNSERVED);
	return stage_reset(skb, packet, stage);
}

/* A packet of a marked proxy whose connection has no socket yet. */
static __noinline int stage_segment(struct __sk_buff *skb, struct stage *stage)
{
	struct pp_port *policy;
	struct segment *segment;
	struct packet *packet;
	struct pp_record *record;
	__u32 skipped;
	__s32 offset;
	int len, joined = 0;

	if (!stage)
		return TC_DROP;
	segment = &stage->segment;
	policy = policy_at(segment->destination_port, segment->destination);
	if (!policy)
		return TC_DROP;
	record = &stage->note.socket.record;
	/* A peer that does not know this has not received our SYN-ACK. A RST without it is a
	 * kernel's that has lost its end: it has the SYN-ACK's number, which is asked for below. */
	if (stage->handshake.next_ack && segment->ack != stage->handshake.next_ack &&
	    (segment->flags & (TCP_RST | TCP_ACK)) != TCP_RST)
		return TC_DROP;
	if (stage->listener != OF_THIS_SET)
		return stage_unserved(skb, stage);
	if (is_held(stage, policy)) {
		count(PP_STAT_ACKS_HELD);
		event_of_segment(skb, segment, NULL, PP_EVENT_HELD, 0);
		return TC_DROP;
	}
	packet = packet_read(skb, segment);
	if (!packet) {
		count(PP_STAT_DROPPED_UNREADABLE);
		return TC_DROP;
	}
	if (segment->flags & TCP_RST)
		return segment->seq == stage_next(stage) &&
				       !add_to_number(skb, packet->ip_at + packet->ip_len,
						      packet->ip_at + packet->ip_len + TCP_AT_SEQ,
						      -stage->flow.got)
			       ? TC_PASS
			       : TC_DROP;
	/* At most a window apart: the difference does not wrap. */
	offset = segment->seq - stage_next(stage);
	if (offset > 0) {
		count(PP_STAT_DROPPED_HOLE);
		return TC_DROP;
	}
	if (!packet_is_whole(skb, packet, segment))
		return TC_DROP;
	stage_socket(stage, policy);
	if (!segment->payload_len && !offset)
		return stage_bare(skb, stage, packet, policy);
	skipped = -offset;
	if (skipped >= segment->payload_len) { /* all of it has been acknowledged: that was lost */
		if (!(segment->flags & TCP_FIN))
			stage_answer(skb, packet, stage, stage_next(stage), TCP_ACK);
		return TC_DROP;
	}
	segment_skip(segment, skipped);
	stage->start = stage->flow.got;
	len = stage_decode(skb, stage, &joined);
	if (len >= 0 && record_continues_large(record))
		len = stage_decode_large(skb, stage, working_memory(), joined);
	if (len == STAGE_LATE)
		return TC_DROP;
	if (len < 0)
		return stage_bad(skb, stage, packet, policy, PP_BAD_UNRECORDED);
	if (record->state == PP_STATE_BAD)
		return stage_refuse(skb, stage, packet, policy);
	if (record->state != PP_STATE_FRAGMENTED)
		return stage_cut(skb, stage, packet, record->header_len, skipped);
	if (segment->flags & TCP_FIN)
		return stage_bad(skb, stage, packet, policy, PP_BAD_CLOSED);
	if (stage_keep(stage, len))
		return TC_DROP;
	count(PP_STAT_PIECES);
	stage_answer(skb, packet, stage, stage_next(stage), TCP_ACK);
	return TC_DROP;
}

#endif
