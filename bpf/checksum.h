/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Sums, and numbers in a TCP header that change, with its checksum. That stays as true as it was:
 * nothing here computes a new one over bytes that nobody has checked.
 */
#ifndef PP_CHECKSUM_H
#define PP_CHECKSUM_H

#include "kernel.h"
#include "tcp.h"

static __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What the checksum sees of a 32-bit number at @offset of the TCP header: SACK edges of some
 * systems are at odd ones, where each byte is in the other half of its word. */
static __be32 as_summed(__be32 number, __u32 offset)
{
	return offset & 1 ? (number & 0x00ff00ff) << 8 | (number >> 8 & 0x00ff00ff) : number;
}

/* Adds @by to the 32-bit number at @at, which is @old, and corrects the checksum. Return: 0, or -1.
 */
static int change_number(struct __sk_buff *skb, __u32 tcp_at, __u32 at, __u32 old, __u32 by)
{
	__be32 new = bpf_htonl(old + by);

	if (bpf_l4_csum_replace(skb, tcp_at + TCP_AT_CHECKSUM, bpf_htonl(old), new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0) ? -1 : 0;
}

/* The same for a number that is not known yet. */
static int add_to_number(struct __sk_buff *skb, __u32 tcp_at, __u32 at, __u32 by)
{
	__be32 old, new;

	if (bpf_skb_load_bytes(skb, at, &old, sizeof(old)))
		return -1;
	new = bpf_htonl(bpf_ntohl(old) + by);
	if (bpf_l4_csum_replace(skb, tcp_at + TCP_AT_CHECKSUM, as_summed(old, at - tcp_at),
				as_summed(new, at - tcp_at), sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0) ? -1 : 0;
}

#endif
