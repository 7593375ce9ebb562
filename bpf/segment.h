/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A TCP segment: where its payload begins, and what is needed of its headers, from an skb with or
 * without a link-layer header. What is not in the linear part is read with bpf_skb_load_bytes():
 * after GRO, headers and payload may lie in page fragments.
 */
#ifndef PP_SEGMENT_H
#define PP_SEGMENT_H

#include "kernel.h"
#include "address.h"
#include "tcp.h"

#define IP6_EXTENSIONS_MAX 8

struct segment {
	/* v4-mapped where they are IPv4; aligned, so that they are copied in words */
	__u8 source[16] __attribute__((aligned(8)));
	__u8 destination[16] __attribute__((aligned(8)));
	__u16 source_port; /* host order */
	__u16 destination_port;
	__u32 seq; /* of the first payload byte */
	__u32 ack;
	__u32 flags; /* TCP_* */
	/* offsets in the skb: of the TCP options, the payload, the IP header, and what comes after
	 * the IP packet, since a short frame is padded */
	__u32 options_at;
	__u32 payload_at;
	__u32 payload_len;
	__u32 ip_at;
	__u32 end;
};

struct endpoints {
	const __u64 *from, *to; /* addresses, v4-mapped where they are IPv4 */
	__u16 from_port, to_port;
};

static __always_inline struct endpoints segment_ends(const struct segment *segment)
{
	return (struct endpoints){
		.from = (const __u64 *)segment->source,
		.to = (const __u64 *)segment->destination,
		.from_port = segment->source_port,
		.to_port = segment->destination_port,
	};
}

/* The same of a segment of the other direction. */
static __always_inline struct endpoints segment_ends_turned(const struct segment *segment)
{
	return (struct endpoints){
		.from = (const __u64 *)segment->destination,
		.to = (const __u64 *)segment->source,
		.from_port = segment->destination_port,
		.to_port = segment->source_port,
	};
}

/* Offset of the TCP header, or 0. */
static __u32 segment_read_ip4(struct __sk_buff *skb, struct segment *segment, __u32 l2)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, l2, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP ||
	    ip.frag_off & bpf_htons(0x3fff) || ip.version != 4 || ip.ihl < 5)
		return 0;
	map_v4(segment->source, ip.saddr);
	map_v4(segment->destination, ip.daddr);
	if (ip.tot_len || !skb->gso_size) /* 0: larger than that (BIG TCP) */
		segment->end = l2 + bpf_ntohs(ip.tot_len);
	return l2 + ip.ihl * 4;
}

static __u32 segment_read_ip6(struct __sk_buff *skb, struct segment *segment, __u32 l2)
{
	__u32 i, offset = l2 + sizeof(struct ipv6hdr);
	struct ipv6hdr ip;
	__u16 fragment;
	__u8 next;

	if (bpf_skb_load_bytes(skb, l2, &ip, sizeof(ip)) || ip.version != 6)
		return 0;
	__builtin_memcpy(segment->source, &ip.saddr, 16);
	__builtin_memcpy(segment->destination, &ip.daddr, 16);
	if (ip.payload_len || !skb->gso_size)
		segment->end = l2 + sizeof(ip) + bpf_ntohs(ip.payload_len);

	next = ip.nexthdr;
	for (i = 0; i < IP6_EXTENSIONS_MAX; i++) {
		struct {
			__u8 next, len;
		} extension;

		if (next == IPPROTO_TCP)
			return offset;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			return 0;
		if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)))
			return 0;
		if (next == IPPROTO_FRAGMENT) {
			/* one that is whole; the others are no segments yet */
			if (bpf_skb_load_bytes(skb, offset + 2, &fragment, sizeof(fragment)) ||
			    fragment & bpf_htons(0xfff9))
				return 0;
			offset += 8;
		} else {
			offset += (extension.len + 1) * 8;
		}
		next = extension.next;
	}
	return 0;
}

/* What lies in the skb's linear part, without IP options or extension headers, is read in place. */
enum in_place {
	IN_PLACE_NO,  /* to be read by bpf_skb_load_bytes() */
	IN_PLACE_YES, /* TCP */
	NOT_TCP
};

/* @tcp_at: receives the offset of the TCP header. @l2: bytes before the IP header, a constant. */
static __always_inline enum in_place tcp_in_place(struct __sk_buff *skb, __u32 l2, __u32 *tcp_at)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct ipv6hdr *ip6 = (const struct ipv6hdr *)(data + l2);
	const struct iphdr *ip = (const struct iphdr *)(data + l2);

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		*tcp_at = l2 + sizeof(*ip);
		if (data + l2 + sizeof(*ip) + TCP_HEADER > end || data[l2] != 0x45 ||
		    ip->frag_off & bpf_htons(0x3fff) || !ip->tot_len)
			return IN_PLACE_NO;
		return ip->protocol == IPPROTO_TCP ? IN_PLACE_YES : NOT_TCP;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		*tcp_at = l2 + sizeof(*ip6);
		if (data + l2 + sizeof(*ip6) + TCP_HEADER > end || data[l2] >> 4 != 6 ||
		    !ip6->payload_len)
			return IN_PLACE_NO;
		if (ip6->nexthdr == IPPROTO_TCP)
			return IN_PLACE_YES;
		return ip6->nexthdr == IPPROTO_UDP || ip6->nexthdr == IPPROTO_ICMPV6 ? NOT_TCP
										     : IN_PLACE_NO;
	}
	return NOT_TCP;
}

/* Host order. */
static __always_inline __u16 port_in_place(struct __sk_buff *skb, __u32 at)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + at + sizeof(__be16) > end)
		return 0;
	return bpf_ntohs(*(const __be16 *)(data + at));
}

/* What a TCP header at offset @at of the skb says. */
static __always_inline void segment_read_tcp(struct segment *segment, const struct tcphdr *tcp,
					     __u32 at)
{
	__u8 flags = ((const __u8 *)tcp)[13];

	segment->source_port = bpf_ntohs(tcp->source);
	segment->destination_port = bpf_ntohs(tcp->dest);
	segment->seq = bpf_ntohl(tcp->seq) + (flags >> 1 & 1); /* a SYN has a number itself */
	segment->ack = bpf_ntohl(tcp->ack_seq);
	segment->flags = flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	segment->options_at = at + TCP_HEADER;
	segment->payload_at = at + (((const __u8 *)tcp)[12] >> 4) * 4;
}

/* The kernel drops what is shorter than it says, or has no room for its own headers: such a packet
 * must not get lengths that are right. */
static __always_inline int segment_check(struct __sk_buff *skb, struct segment *segment)
{
	if (segment->end > skb->len || segment->payload_at < segment->options_at ||
	    segment->payload_at > segment->end)
		return -1;
	segment->payload_len = segment->end - segment->payload_at;
	return 0;
}

/* After tcp_in_place() has said yes. */
static __always_inline int segment_read_in_place(struct __sk_buff *skb, struct segment *segment,
						 __u32 l2)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct ipv6hdr *ip6 = (const struct ipv6hdr *)(data + l2);
	const struct iphdr *ip = (const struct iphdr *)(data + l2);
	const struct tcphdr *tcp;
	__u32 at;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		at = l2 + sizeof(*ip);
		tcp = (const struct tcphdr *)(ip + 1);
		if ((const __u8 *)(tcp + 1) > end)
			return -1;
		map_v4(segment->source, ip->saddr);
		map_v4(segment->destination, ip->daddr);
		segment->end = l2 + bpf_ntohs(ip->tot_len);
	} else {
		at = l2 + sizeof(*ip6);
		tcp = (const struct tcphdr *)(ip6 + 1);
		if ((const __u8 *)(tcp + 1) > end)
			return -1;
		__builtin_memcpy(segment->source, &ip6->saddr, 16);
		__builtin_memcpy(segment->destination, &ip6->daddr, 16);
		segment->end = l2 + sizeof(*ip6) + bpf_ntohs(ip6->payload_len);
	}
	segment->ip_at = l2;
	segment_read_tcp(segment, tcp, at);
	return segment_check(skb, segment);
}

/* Headers with options, extensions or in page fragments. */
static __noinline int segment_load_headers(struct __sk_buff *skb, struct segment *segment, __u32 l2)
{
	struct tcphdr tcp;
	__u32 offset;

	if (!segment)
		return -1;
	segment->ip_at = l2;
	segment->end = skb->len;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		offset = segment_read_ip4(skb, segment, l2);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		offset = segment_read_ip6(skb, segment, l2);
	else
		return -1;
	if (!offset || bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)))
		return -1;
	segment_read_tcp(segment, &tcp, offset);
	return segment_check(skb, segment);
}

/* @l2: bytes before the IP header, none for cgroup programs. Return: 0; or -1 when its TCP header
 * cannot be found. The addresses are there all the same, where the skb is long enough for them. */
static __always_inline int segment_read(struct __sk_buff *skb, struct segment *segment, __u32 l2)
{
	__u32 tcp_at;

	if (tcp_in_place(skb, l2, &tcp_at) == IN_PLACE_YES)
		return segment_read_in_place(skb, segment, l2);
	return segment_load_headers(skb, segment, l2);
}

/* Moves the beginning of @segment forward by @len bytes of payload, which it has. */
static void segment_skip(struct segment *segment, __u32 len)
{
	segment->seq += len;
	segment->payload_at += len;
	segment->payload_len -= len;
}

#endif
