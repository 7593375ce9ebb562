/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in and pp_out, after the header: sequence numbers, acknowledgements and SACK blocks of a
 * connection whose header was cut out.
 */
#ifndef PP_TRANSLATE_H
#define PP_TRANSLATE_H

#include "kernel.h"
#include <pp/opaque.h>
#include "checksum.h"
#include "connection.h"
#include "forward.h"
#include "greeting.h"
#include "maps.h"
#include "segment.h"
#include "verdict.h"

static int translate_in(struct __sk_buff *skb, const struct segment *segment, __u32 cut)
{
	__u32 tcp_at = segment->options_at - TCP_HEADER, seq = segment->seq;

	if (segment->flags & TCP_SYN)
		seq--;
	return cut && change_number(skb, tcp_at, tcp_at + TCP_AT_SEQ, seq, -cut) ? TC_DROP
										 : TC_PASS;
}

struct sack_scan {
	struct option_walk walk;
	__u32 tcp_at;
	__u32 cut;
};

static long sack_step(__u32 round, void *context)
{
	struct sack_scan *scan = context;
	__u8 option[2];
	int found;
	__u32 i;

	(void)round;
	found = option_here(&scan->walk, option);
	if (found <= 0)
		return found < 0;
	if (option[0] == TCP_OPTION_SACK) {
		for (i = 0; i < 8; i++) { /* four blocks, of two numbers each */
			if (2 + i * 4 + 4 > option[1] ||
			    add_to_number(scan->walk.skb, scan->tcp_at, scan->walk.at + 2 + i * 4,
					  scan->cut))
				break;
		}
	}
	scan->walk.at += option[1];
	return 0;
}

#define OPTIONS_AT_MAX 255 /* that are looked at in place */

/* Timestamps alone are what most segments have. One SACK block alone is as long. */
static __always_inline int has_timestamps_alone(struct __sk_buff *skb,
						const struct segment *segment)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 at = segment->options_at;

	if (segment->payload_at - at != 12 || at > OPTIONS_AT_MAX)
		return 0;
	pp_opaque(at);
	at &= OPTIONS_AT_MAX;
	return data + at + sizeof(__be32) <= end &&
	       *(const __be32 *)(data + at) == bpf_htonl(0x0101080a);
}

static int translate_out(struct __sk_buff *skb, const struct segment *segment, __u32 cut)
{
	struct sack_scan scan = {{skb, segment->options_at, segment->payload_at},
				 segment->options_at - TCP_HEADER,
				 cut};
	int plain;

	if (!cut) /* of another set, maybe, whose pp_out comes after this one */
		return TC_NEXT;
	plain = segment->payload_at == segment->options_at || has_timestamps_alone(skb, segment);
	if (change_number(skb, scan.tcp_at, scan.tcp_at + TCP_AT_ACK, segment->ack, cut))
		return TC_DROP;
	if (!plain)
		bpf_loop(TCP_OPTIONS_MAX, sack_step, &scan, 0);
	return TC_PASS;
}

/* How much to add to this packet's acknowledgement. */
static __u32 cut_of_outgoing(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = skb->sk;
	struct pp_connection_key key;
	struct pp_forward *forward;
	struct pp_socket *socket;
	struct bpf_sock *full;
	struct pp_flow *flow;

	if (sk) {
		full = bpf_sk_fullsock(sk);
		socket = full ? bpf_sk_storage_get(&pp_origins, full, 0, 0) : NULL;
		if (socket) {
			if (socket->cut && segment->payload_len &&
			    segment->ack == socket->first_seq)
				greeted(segment->source_port);
			return socket->cut;
		}
	}
	/* a request, TIME_WAIT, or the kernel's own answer */
	flow_key(&key, skb, segment_ends_turned(segment));
	flow = bpf_map_lookup_elem(&pp_flows, &key);
	if (segment->flags & TCP_SYN) { /* SYN-ACK: another connection than the entry's? */
		if (flow && flow->first_seq != segment->ack)
			bpf_map_delete_elem(&pp_flows, &key);
		if (!sk || sk->src_port != segment->source_port)
			forward_synack(segment, &key);
		return 0;
	}
	if (flow && (flow->established || !flow->forwarded))
		return flow->established ? flow->cut : 0;
	if (sk)
		return 0;
	forward = bpf_map_lookup_elem(&pp_forwarded, &key);
	return forward && forward->confirmed ? forward->cut : 0;
}

#endif
