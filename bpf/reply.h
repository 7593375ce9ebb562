/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Turns a packet into one without payload: for the server or, turned round, for the proxy.
 */
#ifndef PP_REPLY_H
#define PP_REPLY_H

#include "kernel.h"
#include "packet.h"

/* The numbers and flags of a packet without payload. */
struct reply {
	__u32 seq;
	__u32 ack;
	__u16 window; /* host order */
	__u8 flags;   /* TCP_* */
	__u8 unused;
};

/* Functions of their own: inlined, the compiler shares what it keeps on the stack between the two,
 * and 6.1 refuses to read there what one way has not written. */
static __noinline int swap_ends_ip4(struct packet *packet)
{
	struct iphdr *ip = (struct iphdr *)packet->headers;
	__be32 address = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->ttl = 64;
	ip->id = 0;
	return 0;
}

static __noinline int swap_ends_ip6(struct packet *packet)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)packet->headers;
	__u64 *from = (__u64 *)&ip6->saddr, *to = (__u64 *)&ip6->daddr, half;

	half = from[0];
	from[0] = to[0];
	to[0] = half;
	half = from[1];
	from[1] = to[1];
	to[1] = half;
	ip6->hop_limit = 64;
	return 0;
}

static void swap_ends(struct packet *packet, struct tcphdr *tcp)
{
	__be16 port = tcp->source;

	tcp->source = tcp->dest;
	tcp->dest = port;
	if (packet->is_ip6)
		swap_ends_ip6(packet);
	else
		swap_ends_ip4(packet);
}

/* Timestamps, where they stand alone as all systems send them: two NOPs before them. */
static __u8 *packet_timestamps(struct packet *packet, struct tcphdr *tcp)
{
	__u8 *option = (__u8 *)(tcp + 1);

	if (packet->tcp_len < 32 || packet->ip_len > HEADERS_MAX - TCP_HEADER - 12)
		return NULL;
	if (option[0] != TCP_OPTION_NOP || option[1] != TCP_OPTION_NOP || option[2] != 8 ||
	    option[3] != 10)
		return NULL;
	return option;
}

static void set_reply(struct tcphdr *tcp, const struct reply *reply, __u32 tcp_len)
{
	tcp->seq = bpf_htonl(reply->seq);
	tcp->ack_seq = bpf_htonl(reply->ack);
	((__u8 *)tcp)[12] = tcp_len << 2;
	((__u8 *)tcp)[13] = reply->flags;
	tcp->window = bpf_htons(reply->window);
	tcp->urg_ptr = 0;
	tcp->check = 0;
}

/* Turns this packet into one without payload. Return: 0, or -1. */
static int packet_become(struct __sk_buff *skb, struct packet *packet, const struct reply *reply)
{
	struct tcphdr *tcp = packet_tcp(packet);
	__u32 pseudo;

	if (!tcp)
		return -1;
	packet->tcp_len = packet_timestamps(packet, tcp) ? 32 : TCP_HEADER;
	packet->payload_len = 0;
	set_reply(tcp, reply, packet->tcp_len);
	set_ip_length(packet, packet->tcp_len);
	pseudo = pseudo_sum(packet, packet->tcp_len);
	tcp->check = packet->summed == CHECKSUM_PARTIAL
			     ? pseudo
			     : ~fold((__u64)pseudo + tcp_header_sum(packet));
	if (bpf_skb_change_tail(skb, packet->ip_at + packet->ip_len + packet->tcp_len, 0))
		return -1;
	return store_headers(skb, packet);
}

/* Turns this packet round, and sends a copy to the proxy in the server's place; then turns it back,
 * with its payload gone. Return: 0, or -1. */
static __noinline int packet_answer(struct __sk_buff *skb, struct packet *packet,
				    const struct reply *reply)
{
	struct tcphdr *tcp = packet_tcp(packet);
	__u8 ether[12], turned[12], *option;
	__u32 stamps[2] = {0, 0}, swapped[2];
	int result;

	if (!tcp)
		return -1;
	option = packet_timestamps(packet, tcp);
	swap_ends(packet, tcp);
	if (option) {
		__builtin_memcpy(stamps, option + 4, 8);
		swapped[0] = stamps[1];
		swapped[1] = stamps[0];
		__builtin_memcpy(option + 4, swapped, 8);
	}
	if (packet_become(skb, packet, reply))
		return -1;
	if (packet->ip_at >= 14) {
		if (bpf_skb_load_bytes(skb, 0, ether, sizeof(ether)))
			return -1;
		__builtin_memcpy(turned, ether + 6, 6);
		__builtin_memcpy(turned + 6, ether, 6);
		if (bpf_skb_store_bytes(skb, 0, turned, sizeof(turned), 0))
			return -1;
	}
	result = bpf_clone_redirect(skb, skb->ifindex, 0);
	if (packet->ip_at >= 14)
		bpf_skb_store_bytes(skb, 0, ether, sizeof(ether), 0);
	swap_ends(packet, tcp);
	if (option)
		__builtin_memcpy(option + 4, stamps, 8);
	return result ? -1 : 0;
}

#endif
