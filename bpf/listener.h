/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_gate while the socket is the listener: the handshake's bare ACK, and the segment with the
 * header, which ends the handshake in its place.
 */
#ifndef PP_LISTENER_H
#define PP_LISTENER_H

#include "kernel.h"
#include "events.h"
#include "forward.h"
#include "gate_note.h"
#include "guard.h"
#include "handshake.h"
#include "split_note.h"
#include "verdict.h"

/* A bare ACK would wake the MTA before it can know who called: hold it back. The header segment,
 * which carries the same ACK, ends the handshake instead. */
static int gate_hold(struct __sk_buff *skb, struct bpf_sock *listener, struct pp_work *work,
		     const struct pp_port *policy)
{
	if (policy->gate_ms)
		handshake_ask(skb, &work->segment, &work->handshake);
	if (!policy->gate_ms || gate_time_is_up(&work->handshake, policy)) {
		gate_note_peer(listener, &work->segment, policy, PP_GATE_NOTE_PROXY);
		return PASS;
	}
	count(PP_STAT_ACKS_HELD);
	event_of_segment(skb, &work->segment, NULL, PP_EVENT_HELD, 0);
	return DROP;
}

/* The segment that ends the handshake has no socket yet: pp_sockops finds what it says by tuple and
 * sequence number, in this same softirq. */
static int gate_header(struct __sk_buff *skb, struct bpf_sock *listener, struct pp_work *work,
		       const struct pp_port *policy, struct pp_outgoing *outgoing)
{
	struct pp_gate_note *note = gate_note_of_this_cpu();
	struct segment *segment = &work->segment;

	if (!note)
		return DROP;
	/* An announcement was found by its place. Else ask, also where the segment looks like a
	 * header: the inside of a TLV may look like one, too, and so may the payload. */
	if (!outgoing && place_of(skb, segment, &work->handshake) == OVERTAKING) {
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}
	if (!segment->payload_len)
		return gate_hold(skb, listener, work, policy);
	gate_note_socket(note, listener, segment, policy);
	if ((!outgoing || !gate_note_announced(skb, note, segment, outgoing)) &&
	    gate_note_decoded(skb, note, segment)) {
		count(PP_STAT_DROPPED_UNREADABLE);
		return DROP;
	}
	if (note->socket.record.state == PP_STATE_BAD && policy->on_bad == PP_ON_BAD_DROP) {
		count(PP_STAT_DROPPED_BAD);
		record_count(&note->socket.record);
		event_of_decoded(skb, segment, &note->socket.record);
		return DROP;
	}
	gate_note_key(note, segment);
	return PASS;
}

/* Whatever an outsider sends, the MTA is told that it is not to be believed, or never sees it. */
static int gate_refuse(struct __sk_buff *skb, struct bpf_sock *listener,
		       const struct segment *segment, const struct pp_port *policy)
{
	count(PP_STAT_OUTSIDERS);
	if (policy->split != PP_SPLIT_NO || policy->on_bad == PP_ON_BAD_DROP) {
		event_of_segment(skb, segment, NULL, PP_EVENT_REFUSED, PP_BAD_SENDER);
		return DROP;
	}
	gate_note_standing(listener, segment, policy, PP_GATE_NOTE_OUTSIDER);
	return PASS;
}

/* The port is not served. Its server may be, behind another port or another network namespace: see
 * forward.h. */
static int gate_unserved(struct __sk_buff *skb, struct bpf_sock *listener, struct segment *segment)
{
	if (segment->flags & TCP_RST)
		return PASS;
	if (segment->flags & TCP_SYN) {
		forward_syn(listener, segment, 0);
		return PASS;
	}
	if (is_inner(listener) && is_marked(segment->source) && !split_note_of(skb, segment))
		return guard_drop(skb);
	return PASS;
}

#endif
