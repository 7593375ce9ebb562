/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in: a SYN of a proxy, which is to make an ordinary connection. Which set serves its listener
 * is not known yet: another set's pp_in gets it, too.
 */
#ifndef PP_STAGE_SYN_H
#define PP_STAGE_SYN_H

#include "kernel.h"
#include "cut.h"
#include "flow.h"
#include "tcp.h"

/* Fast Open and Multipath TCP go from a proxy's SYN, by NOPs: so it makes an ordinary connection,
 * and at once. */
struct nop_scan {
	struct __sk_buff *skb;
	__u32 tcp_at;
	__u32 at;
	__u32 end;
};

static long nop_step(__u32 round, void *context)
{
	static const __u8 nop = TCP_OPTION_NOP;
	struct nop_scan *scan = context;
	__u32 odd = (scan->at - scan->tcp_at) & 1;
	__u8 byte;

	(void)round;
	if (scan->at >= scan->end || bpf_skb_load_bytes(scan->skb, scan->at, &byte, 1))
		return 1;
	bpf_l4_csum_replace(scan->skb, scan->tcp_at + TCP_AT_CHECKSUM,
			    odd ? bpf_htons(byte) : bpf_htons(byte << 8),
			    odd ? bpf_htons(nop) : bpf_htons(nop << 8), 2);
	bpf_skb_store_bytes(scan->skb, scan->at, &nop, 1, 0);
	scan->at++;
	return 0;
}

struct syn_scan {
	struct option_walk walk;
	__u32 tcp_at; /* offset of the TCP header */
};

static long syn_option_step(__u32 round, void *context)
{
	struct syn_scan *scan = context;
	__u8 option[4] = {};
	struct nop_scan nops;
	int found, ours;

	(void)round;
	found = option_here(&scan->walk, option);
	if (found <= 0)
		return found < 0;
	ours = option[0] == TCP_OPTION_FASTOPEN || option[0] == TCP_OPTION_MPTCP;
	if (option[0] == TCP_OPTION_EXP && option[1] >= 4 &&
	    !bpf_skb_load_bytes(scan->walk.skb, scan->walk.at, option, 4))
		ours = (option[2] << 8 | option[3]) == TCP_EXP_FASTOPEN;
	if (ours) {
		nops.skb = scan->walk.skb;
		nops.tcp_at = scan->tcp_at;
		nops.at = scan->walk.at;
		nops.end = scan->walk.at + option[1];
		bpf_loop(TCP_OPTIONS_MAX, nop_step, &nops, 0);
	}
	scan->walk.at += option[1];
	return 0;
}

/* The options of a SYN as all systems send it: MSS, SACK, timestamps, NOP, window scale. */
static int options_are_usual(struct __sk_buff *skb, const struct segment *segment)
{
	__u8 option[20] = {};

	/* kinds and lengths */
	return segment->payload_at - segment->options_at == sizeof(option) &&
	       !bpf_skb_load_bytes(skb, segment->options_at, option, sizeof(option)) &&
	       option[0] == 2 && option[1] == 4 && option[4] == 4 && option[5] == 2 &&
	       option[6] == 8 && option[7] == 10 && option[16] == TCP_OPTION_NOP &&
	       option[17] == 3 && option[18] == 3;
}

static __noinline int split_syn(struct __sk_buff *skb, struct stage *stage)
{
	struct syn_scan scan;
	struct packet *packet;
	struct pp_flow *flow;
	int verdict, passed;

	if (!stage)
		return TC_NEXT;
	/* A late copy of the SYN that the connection began with. Linux 6.1 answers it by a D-SACK,
	 * which pp_out translates. */
	flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established && flow->first_seq == stage->segment.seq)
		return translate_in(skb, &stage->segment, flow->cut);
	verdict = stage_standing(skb, stage);
	if (verdict != TC_STAGE)
		return verdict;
	/* One to a socket that lives needs the mark, and no listener any mark. */
	passed = flow && flow->established ? TC_PASS : TC_NEXT;
	if (stage->segment.payload_len) {
		packet = packet_read(skb, &stage->segment);
		if (!packet || packet_cut(skb, packet, packet->payload_len, stage->segment.seq - 1))
			return TC_DROP;
	}
	if (options_are_usual(skb, &stage->segment))
		return passed;
	scan.walk.skb = skb;
	scan.walk.at = stage->segment.options_at;
	scan.walk.end = stage->segment.payload_at;
	scan.tcp_at = stage->segment.options_at - TCP_HEADER;
	bpf_loop(TCP_OPTIONS_MAX, syn_option_step, &scan, 0);
	return passed;
}

#endif
