/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Cuts bytes out of the front of a packet's payload.
 */
#ifndef PP_CUT_H
#define PP_CUT_H

#include "kernel.h"
#include <pp/decoder.h>
#include "bound.h"
#include "packet.h"

#define CUT_MAX	 4095  /* bytes that bpf_skb_adjust_room() cuts at once */
#define GROW_MAX 15000 /* bytes of one segment that bpf_skb_adjust_room() makes longer */

struct cut_scan {
	struct __sk_buff *skb;
	__u32 left;
	int failed;
};

static long cut_step(__u32 round, void *context)
{
	struct cut_scan *cut = context;
	__u32 len = cut->left;

	(void)round;
	if (!len)
		return 1;
	if (len > CUT_MAX)
		len = CUT_MAX;
	cut->failed =
		bpf_skb_adjust_room(cut->skb, -(__s32)len, BPF_ADJ_ROOM_NET,
				    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) != 0;
	cut->left -= len;
	return cut->failed;
}

/* Moves the IP and TCP headers @len bytes on, over the payload's first ones. Return: 0, or -1. */
static int move_headers(struct __sk_buff *skb, __u32 len)
{
	struct cut_scan cut = {skb, len, 0};

	bpf_loop(PP_HEADER_MAX / CUT_MAX + 2, cut_step, &cut, 0);
	return cut.failed || cut.left ? -1 : 0;
}

/*
 * The same for a cut that is no longer than what precedes the TCP header. The kernel would go on
 * taking the checksum for a partial one, which starts elsewhere now. It gives that up only when the
 * headers move by more than their own length. So they go @more bytes farther, and back; what they
 * overwrite is restored.
 */
static __noinline int move_headers_far(struct __sk_buff *skb, struct packet *packet, __u32 len)
{
	__u32 payload_at = packet->ip_at + packet->ip_len + packet->tcp_len;
	__u32 more = packet->ip_at + packet->ip_len + 1 - len, rest = packet->payload_len - len,
	      keep = length_within(rest < more ? rest : more, SUM_STEP / 2);

	if (bpf_skb_load_bytes(skb, payload_at + len, packet->bytes, keep))
		return -1;
	if (rest < more && bpf_skb_change_tail(skb, payload_at + len + more, 0))
		return -1;
	if (move_headers(skb, len + more) ||
	    bpf_skb_adjust_room(skb, more, BPF_ADJ_ROOM_NET,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) ||
	    bpf_skb_store_bytes(skb, payload_at, packet->bytes, keep, 0))
		return -1;
	return rest < more && bpf_skb_change_tail(skb, payload_at + rest, 0) ? -1 : 0;
}

/* bpf_skb_adjust_room() makes no packet longer that is one segment of more than 16 KiB. These are
 * on lo, or where an MTU is as large: a whole checksum is written then, since they do not leave
 * this machine. */
static int can_grow(struct __sk_buff *skb)
{
	return skb->gso_size || skb->len <= GROW_MAX;
}

/*
 * Cuts @len bytes out of the payload's front, and gives what is left the sequence number @seq.
 *
 * The checksum of a packet that has a whole one is corrected by what goes: a wrong one stays wrong.
 * A partial one (lo, veth) covers the pseudo header only: nobody has computed it yet, and nobody
 * needs to where the packet goes, which is a socket of this machine. So it becomes one that needs
 * no check.
 *
 * Return: 0; or -1: drop the packet.
 */
static __noinline int packet_cut(struct __sk_buff *skb, struct packet *packet, __u32 len, __u32 seq)
{
	__u32 payload_at = packet->ip_at + packet->ip_len + packet->tcp_len, total, rest = 0;
	int partial = packet->summed == CHECKSUM_PARTIAL;
	struct tcphdr *tcp = packet_tcp(packet);
	__u32 pseudo;

	if (!tcp || len > packet->payload_len)
		return -1;
	total = packet->tcp_len + packet->payload_len;
	if (!partial) {
		if (sum_of(skb, packet, payload_at, len, &rest))
			return -1;
		/* what is in none of these three sums is what stays, if the whole is right */
		rest = 0xffff &
		       ~fold((__u64)pseudo_sum(packet, total) + tcp_header_sum(packet) + rest);
		if (len & 1)
			rest = (rest & 0xff) << 8 | rest >> 8;
	}
	tcp->seq = bpf_htonl(seq);
	tcp->check = 0;
	/* its pointer counts from the first byte, and what was urgent may go */
	if (bpf_ntohs(tcp->urg_ptr) > len) {
		tcp->urg_ptr = bpf_htons(bpf_ntohs(tcp->urg_ptr) - len);
	} else {
		tcp->urg = 0;
		tcp->urg_ptr = 0;
	}
	set_ip_length(packet, total - len);
	pseudo = pseudo_sum(packet, total - len);
	if (len == packet->payload_len) {
		if (bpf_skb_change_tail(skb, payload_at, 0))
			return -1;
	} else if (partial && len <= packet->ip_at + packet->ip_len && !can_grow(skb)) {
		if (move_headers(skb, len) ||
		    sum_of(skb, packet, payload_at, packet->payload_len - len, &rest))
			return -1;
		partial = 0;
	} else if (partial) {
		if (len <= packet->ip_at + packet->ip_len ? move_headers_far(skb, packet, len)
							  : move_headers(skb, len))
			return -1;
		bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
	} else if (move_headers(skb, len)) {
		return -1;
	}
	if (partial)
		tcp->check = pseudo;
	else
		tcp->check = ~fold((__u64)pseudo + rest + tcp_header_sum(packet));
	packet->payload_len -= len;
	return store_headers(skb, packet);
}

#endif
