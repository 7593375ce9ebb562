/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A packet that the split rewrites, in tc: its headers in working memory, and their sums.
 */
#ifndef PP_PACKET_H
#define PP_PACKET_H

#include "kernel.h"
#include <pp/opaque.h>
#include "bound.h"
#include "checksum.h"
#include "segment.h"
#include "tcp.h"

#define CHECKSUM_NONE	     0 /* include/linux/skbuff.h: ip_summed */
#define CHECKSUM_UNNECESSARY 1
#define CHECKSUM_COMPLETE    2
#define CHECKSUM_PARTIAL     3

#define HEADERS_MAX 128 /* more than the bytes of IP and TCP headers that can be rewritten */
#define SUM_STEP    512

/* Working memory, one for each CPU: tc programs run with bottom halves disabled. */
struct packet {
	__u8 headers[HEADERS_MAX]; /* IP and TCP */
	__u8 bytes[SUM_STEP + 4];
	__u32 ip_at;   /* offset of the IP header in the skb */
	__u32 ip_len;  /* its length, with options and extensions */
	__u32 tcp_len; /* of the TCP header */
	__u32 payload_len;
	__u32 summed; /* CHECKSUM_* */
	__u32 is_ip6;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} pp_packet SEC(".maps");

static __u32 ip_summed(struct __sk_buff *skb)
{
	struct sk_buff *kernel = (struct sk_buff *)skb;

	return BPF_CORE_READ_BITFIELD_PROBED(kernel, ip_summed);
}

/* Sum of the IPv4 header. */
static __u32 ip_header_sum(struct packet *packet)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 60; i += 2) {
		if (i >= packet->ip_len)
			break;
		sum += *(__u16 *)(packet->headers + i);
	}
	return fold(sum);
}

/* Reads the headers of @segment. Return: its working memory, or NULL: they are too long, or IPv4's
 * checksum is wrong, which nobody has looked at yet. */
static struct packet *packet_read(struct __sk_buff *skb, const struct segment *segment)
{
	__u32 zero = 0, len = segment->payload_at - segment->ip_at;
	struct packet *packet = bpf_map_lookup_elem(&pp_packet, &zero);

	if (!packet || len > HEADERS_MAX - 1 || len < TCP_HEADER)
		return NULL;
	packet->ip_at = segment->ip_at;
	packet->tcp_len = segment->payload_at - segment->options_at + TCP_HEADER;
	packet->ip_len = len - packet->tcp_len;
	packet->payload_len = segment->payload_len;
	packet->is_ip6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	packet->summed = ip_summed(skb);
	len = length_within(len, HEADERS_MAX);
	if (len > HEADERS_MAX - 1)
		return NULL;
	if (bpf_skb_load_bytes(skb, packet->ip_at, packet->headers, len))
		return NULL;
	if (!packet->is_ip6 && ip_header_sum(packet) != 0xffff)
		return NULL;
	return packet;
}

static struct tcphdr *packet_tcp(struct packet *packet)
{
	__u32 at = packet->ip_len;

	pp_opaque(at);
	at &= HEADERS_MAX - 1;
	if (at > HEADERS_MAX - TCP_HEADER)
		return NULL;
	return (struct tcphdr *)(packet->headers + at);
}

/* Sum of the pseudo header for @len bytes of TCP header and payload. */
static __u32 pseudo_sum(struct packet *packet, __u32 len)
{
	__u64 sum;

	if (packet->is_ip6)
		sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)(packet->headers + 8), 32, 0);
	else
		sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)(packet->headers + 12), 8, 0);
	return fold(sum + bpf_htons(IPPROTO_TCP) + (__u64)bpf_htons(len & 0xffff) + (len >> 16));
}

static __u32 tcp_header_sum(struct packet *packet)
{
	__u64 sum = 0;
	__u32 i, at = packet->ip_len;

	for (i = 0; i < 60; i += 2) {
		__u32 k = at + i;

		if (i >= packet->tcp_len)
			break;
		pp_opaque(k);
		k &= HEADERS_MAX - 2;
		sum += *(__u16 *)(packet->headers + k);
	}
	return fold(sum);
}

struct sum_scan {
	struct __sk_buff *skb;
	struct packet *packet;
	__u64 sum;
	__u32 at;
	__u32 left;
	int failed;
};

static long sum_step(__u32 round, void *context)
{
	struct sum_scan *scan = context;
	__u32 len = scan->left, padded, at;

	(void)round;
	if (!len)
		return 1;
	if (len > SUM_STEP)
		len = SUM_STEP;
	scan->left -= len;
	len = length_within(len, SUM_STEP);
	if (bpf_skb_load_bytes(scan->skb, scan->at, scan->packet->bytes, len)) {
		scan->failed = 1;
		return 1;
	}
	at = len;
	pp_opaque(at);
	at &= 2 * SUM_STEP - 1;
	if (at > SUM_STEP)
		return 1;
	scan->packet->bytes[at] = 0; /* bpf_csum_diff() takes multiples of four bytes */
	scan->packet->bytes[at + 1] = 0;
	scan->packet->bytes[at + 2] = 0;
	padded = (len + 3) & (2 * SUM_STEP - 4);
	if (padded > SUM_STEP)
		return 1;
	scan->sum += (__u32)bpf_csum_diff(0, 0, (__be32 *)scan->packet->bytes, padded, 0);
	scan->at += len;
	return 0;
}

/* Sum of @len bytes at @at, as of an even offset. Return: 0; or -1. */
static int sum_of(struct __sk_buff *skb, struct packet *packet, __u32 at, __u32 len, __u32 *sum)
{
	struct sum_scan scan = {skb, packet, 0, at, len, 0};

	bpf_loop(65536 / SUM_STEP + 2, sum_step, &scan, 0);
	*sum = fold(scan.sum);
	return scan.failed || scan.left ? -1 : 0;
}

/* Has somebody checked the checksum of this packet, or does it hold? What is not checked yet must
 * not be acknowledged or believed. */
static int packet_is_whole(struct __sk_buff *skb, struct packet *packet,
			   const struct segment *segment)
{
	__u32 sum;

	if (packet->summed == CHECKSUM_PARTIAL || packet->summed == CHECKSUM_UNNECESSARY)
		return 1;
	if (sum_of(skb, packet, segment->payload_at, segment->payload_len, &sum))
		return 0;
	return fold((__u64)pseudo_sum(packet, packet->tcp_len + segment->payload_len) +
		    tcp_header_sum(packet) + sum) == 0xffff;
}

static void set_ip_length(struct packet *packet, __u32 tcp_total)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)packet->headers;
	struct iphdr *ip = (struct iphdr *)packet->headers;

	if (packet->is_ip6) {
		ip6->payload_len = bpf_htons(packet->ip_len - sizeof(*ip6) + tcp_total);
		return;
	}
	ip->tot_len = bpf_htons(packet->ip_len + tcp_total);
	ip->check = 0;
	ip->check = ~ip_header_sum(packet);
}

static int store_headers(struct __sk_buff *skb, struct packet *packet)
{
	__u32 len = length_within(packet->ip_len + packet->tcp_len, HEADERS_MAX);

	if (len > HEADERS_MAX - 1)
		return -1;
	return bpf_skb_store_bytes(skb, packet->ip_at, packet->headers, len,
				   packet->summed == CHECKSUM_COMPLETE ? BPF_F_RECOMPUTE_CSUM : 0)
		       ? -1
		       : 0;
}

#endif
