/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A connection that is being made to a served port: what the kernel's request knows of it.
 */
#ifndef PP_HANDSHAKE_H
#define PP_HANDSHAKE_H

#include "kernel.h"
#include <pp/maps.h>
#include "netns.h"
#include "segment.h"

/* The socket that a segment with these @ends is for, with a reference; or NULL. */
static struct bpf_sock *find_socket(struct __sk_buff *skb, const struct endpoints *ends)
{
	struct bpf_sock_tuple tuple = {};

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__builtin_memcpy(&tuple.ipv4.saddr, (const __u32 *)ends->from + 3, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, (const __u32 *)ends->to + 3, 4);
		tuple.ipv4.sport = bpf_htons(ends->from_port);
		tuple.ipv4.dport = bpf_htons(ends->to_port);
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(&tuple.ipv6.saddr, ends->from, 16);
	__builtin_memcpy(&tuple.ipv6.daddr, ends->to, 16);
	tuple.ipv6.sport = bpf_htons(ends->from_port);
	tuple.ipv6.dport = bpf_htons(ends->to_port);
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* What answers to @segment here: a request, the listener, or the socket of an older connection. */
static struct bpf_sock *find_receiver(struct __sk_buff *skb, const struct segment *segment)
{
	const struct endpoints ends = segment_ends(segment);

	return find_socket(skb, &ends);
}

/* The socket of this host, in this network namespace, that has sent @segment. */
static struct bpf_sock *find_peer(struct __sk_buff *skb, const struct segment *segment)
{
	const struct endpoints ends = segment_ends_turned(segment);

	return find_socket(skb, &ends);
}

/* What answers to a segment of a handshake. */
enum request {
	REQUEST_UNASKED,
	REQUEST_KNOWN,	  /* a request, and what it knows has been read */
	REQUEST_LISTENER, /* the listener: there is no request */
	REQUEST_NONE,	  /* another socket, or none */
};

/* What the kernel's own request knows of a handshake: when it answered the SYN, so the gate keeps
 * no state that a flood could push out, and which numbers come next. Under SYN cookies there is no
 * request. Asked for once a segment, at most. */
struct handshake {
	__u64 waited_us; /* for the header; 0: not known */
	__u32 next_seq;
	__u32 next_ack; /* the acknowledgement that ends the handshake; 0: not known */
	enum request request;
};

/* bpf_skc_to_tcp_request_sock() does not know the requests of an MPTCP listener: read them from the
 * kernel's memory. Return: 0, or -1. */
static __noinline int handshake_read_mptcp(struct bpf_sock *sk, struct handshake *handshake)
{
	struct tcp_request_sock *at;
	__u64 sent_us = 0;
	__u32 rcv_isn = 0, snt_isn = 0;

	if (!sk || !handshake || sk->state != BPF_TCP_NEW_SYN_RECV ||
	    bpf_probe_read_kernel(&at, sizeof(at), &sk) ||
	    bpf_core_read(&sent_us, sizeof(sent_us), &at->snt_synack) ||
	    bpf_core_read(&rcv_isn, sizeof(rcv_isn), &at->rcv_isn) ||
	    bpf_core_read(&snt_isn, sizeof(snt_isn), &at->snt_isn))
		return -1;
	handshake->waited_us = bpf_ktime_get_ns() / 1000 - sent_us;
	handshake->next_seq = rcv_isn + 1;
	handshake->next_ack = snt_isn + 1;
	handshake->request = REQUEST_KNOWN;
	return 0;
}

static void handshake_read(const struct tcp_request_sock *request, struct handshake *handshake)
{
	handshake->waited_us = bpf_ktime_get_ns() / 1000 - request->snt_synack;
	handshake->next_seq = request->rcv_isn + 1;
	handshake->next_ack = request->snt_isn + 1;
	handshake->request = REQUEST_KNOWN;
}

/* Asks for the request that answers to @segment, unless that has been done. */
static void handshake_ask(struct __sk_buff *skb, const struct segment *segment,
			  struct handshake *handshake)
{
	struct tcp_request_sock *request;
	struct bpf_sock *sk;

	if (handshake->request != REQUEST_UNASKED)
		return;
	handshake->request = REQUEST_NONE;
	sk = find_receiver(skb, segment);
	if (!sk)
		return;
	request = bpf_skc_to_tcp_request_sock(sk);
	if (request)
		handshake_read(request, handshake);
	else if (sk->state == BPF_TCP_LISTEN)
		handshake->request = REQUEST_LISTENER;
	else
		handshake_read_mptcp(sk, handshake);
	bpf_sk_release(sk);
}

enum place {
	IN_ORDER,   /* begins where the stream begins, or was made to */
	OVERTAKING, /* begins after that: something is missing before it */
};

/* Where does @segment stand in its stream? One that begins before the stream does, as TCP accepts
 * it, is cut to begin there, and may have no payload left. Where there is no request TCP itself
 * accepts no other segment than the first: a SYN cookie holds for one sequence number only. Two
 * sequence numbers of one handshake are at most a window apart, so their difference does not wrap.
 */
static enum place place_of(struct __sk_buff *skb, struct segment *segment,
			   struct handshake *handshake)
{
	__s32 early;

	handshake_ask(skb, segment, handshake);
	if (handshake->request != REQUEST_KNOWN || segment->seq == handshake->next_seq)
		return IN_ORDER;
	early = handshake->next_seq - segment->seq;
	if (early < 0)
		return OVERTAKING;
	if ((__u32)early > segment->payload_len)
		early = segment->payload_len;
	segment_skip(segment, early);
	return IN_ORDER;
}

/* A held ACK is repeated when the SYN-ACK is retransmitted, 1, 3, 7 s after the first one and a
 * round trip later: one that comes this much before the gate time is the one that was meant. */
#define GATE_SLACK_MS 250

/* Has the handshake waited for its header as long as @policy allows? Under SYN cookies the kernel
 * sends no second SYN-ACK, so no second ACK comes either: the gate stays shut until a header comes.
 */
static int gate_time_is_up(const struct handshake *handshake, const struct pp_port *policy)
{
	__u64 allowed = policy->gate_ms > GATE_SLACK_MS ? policy->gate_ms - GATE_SLACK_MS : 1;

	return handshake->waited_us >= 1000 * allowed;
}

#endif
