/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in: which connection a packet is of. pp_flows says, or where that says nothing, the kernel's
 * sockets and requests, its SYN cookies, or what is known of forwarded connections.
 */
#ifndef PP_FLOW_H
#define PP_FLOW_H

#include "kernel.h"
#include "forward.h"
#include "packet.h"
#include "policy.h"
#include "served.h"
#include "stage.h"
#include "standing.h"
#include "translate.h"
#include "verdict.h"

#define WINDOW_MAX 65535

/* Verdicts of functions here, after which pp_in goes on: 6.1 allows eight calls inside one another.
 */
#define TC_STAGE   0x100 /* a proxy's packet, in the stage before the header is complete */
#define TC_UNKNOWN 0x101 /* flow_known(): the entry is of no use */

/* Does what it is sent to serve connections whose header pp_in cuts out? */
static int segment_splits(const struct segment *segment)
{
	struct pp_port *policy = policy_at(segment->destination_port, segment->destination);

	return policy && splits(policy);
}

/* Of any kind: bpf_skc_to_tcp_sock() says no where it is not plain TCP. */
static struct sock *kernel_socket(struct bpf_sock *sk)
{
	struct sock *at = NULL;

	bpf_probe_read_kernel(&at, sizeof(at), &sk);
	return at;
}

/* A SYN says nothing of its listener. */
static enum listener_of listener_of_syn(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = find_receiver(skb, segment);
	enum listener_of whose;

	if (!sk)
		return OF_NO_SET;
	whose = whose_listener(kernel_socket(sk));
	bpf_sk_release(sk);
	return whose;
}

/* Whoever is no proxy of this set may be one of another set. */
static int not_a_proxy(struct __sk_buff *skb, struct stage *stage, __u32 counter)
{
	if (stage->segment.flags & TCP_SYN)
		stage->listener = listener_of_syn(skb, &stage->segment);
	if (stage->listener == OF_ANOTHER_SET)
		return TC_NEXT;
	count(counter);
	return TC_DROP;
}

/* What becomes of a packet by its sender's standing: TC_STAGE, or a verdict. */
static int stage_standing(struct __sk_buff *skb, struct stage *stage)
{
	struct pp_outgoing *outgoing;

	switch (standing_of(skb, &stage->segment, &stage->handshake, &outgoing)) {
	case STRANGER:
		return TC_NEXT;
	case AHEAD:
		return not_a_proxy(skb, stage, PP_STAT_DROPPED_HOLE);
	case UNANNOUNCED:
		return not_a_proxy(skb, stage, PP_STAT_UNANNOUNCED);
	case OUTSIDER:
		return not_a_proxy(skb, stage, PP_STAT_OUTSIDERS);
	case PROXY:
		break;
	}
	return stage->listener == OF_ANOTHER_SET ? TC_NEXT : TC_STAGE;
}

static void stage_window(struct stage *stage, __u32 window, __u8 scale)
{
	window >>= scale;
	stage->window = window > WINDOW_MAX ? WINDOW_MAX : window;
}

/* See handshake_read_mptcp(). */
static __noinline int stage_of_mptcp_request(struct bpf_sock *sk, struct stage *stage)
{
	struct tcp_request_sock *at;
	struct sock *listener = NULL;
	__u32 window = 0;

	if (!sk || !stage || handshake_read_mptcp(sk, &stage->handshake) ||
	    bpf_probe_read_kernel(&at, sizeof(at), &sk) ||
	    bpf_core_read(&listener, sizeof(listener), &at->req.req.__req_common.skc_listener) ||
	    bpf_core_read(&window, sizeof(window), &at->req.req.__req_common.skc_rcv_wnd))
		return -1;
	stage->listener = whose_listener(listener);
	stage->flow.first_seq = stage->handshake.next_seq;
	stage_window(stage, window, BPF_CORE_READ_BITFIELD_PROBED(&at->req, rcv_wscale));
	return 0;
}

static int stage_of_request(struct bpf_sock *sk, struct stage *stage)
{
	struct tcp_request_sock *request = bpf_skc_to_tcp_request_sock(sk);

	if (!request)
		return stage_of_mptcp_request(sk, stage);
	handshake_read(request, &stage->handshake);
	stage->listener = whose_listener(request->req.req.__req_common.skc_listener);
	stage->flow.first_seq = stage->handshake.next_seq;
	stage_window(stage, request->req.req.__req_common.skc_rcv_wnd,
		     BPF_CORE_READ_BITFIELD(&request->req, rcv_wscale));
	return 0;
}

/* Does this segment acknowledge one of the kernel's SYN cookies, in a stream that begins with
 * @first_seq? Only the kernel knows. A packet that cannot be read counts as one: the
 * kernel does not reset it, either. */
static int is_cookie(struct __sk_buff *skb, struct bpf_sock *listener,
		     const struct segment *segment, __u32 first_seq)
{
	struct packet *packet = packet_read(skb, segment);
	struct tcphdr *tcp;

	if (!packet)
		return 1;
	tcp = packet_tcp(packet);
	if (!tcp)
		return 1;
	tcp->seq = bpf_htonl(first_seq); /* of this copy */
	if (packet->is_ip6)
		return !bpf_tcp_check_syncookie(listener, packet->headers, sizeof(struct ipv6hdr),
						tcp, sizeof(*tcp));
	return !bpf_tcp_check_syncookie(listener, packet->headers, sizeof(struct iphdr), tcp,
					sizeof(*tcp));
}

/* No socket of this namespace: is it one that is forwarded? Return: 1: @stage has what a
 * request would say, or stage->flow.established is set; or 0. */
static int stage_of_forwarded(struct stage *stage)
{
	struct pp_forward *forward = bpf_map_lookup_elem(&pp_forwarded, &stage->key);
	struct pp_synack *synack;

	if (forward && forward->confirmed) {
		stage->flow.first_seq = forward->first_seq;
		stage->flow.cut = forward->cut;
		stage->flow.forwarded = 1;
		stage->flow.established = 1;
		return 1;
	}
	synack = bpf_map_lookup_elem(&pp_synacks, &stage->key);
	if (!synack)
		return 0;
	stage->listener = OF_THIS_SET;
	stage->flow.first_seq = synack->first_seq;
	stage->flow.forwarded = 1;
	stage->handshake.next_ack = synack->next_ack;
	stage->handshake.waited_us = (bpf_ktime_get_ns() - synack->sent_ns) / 1000;
	return 1;
}

static void stage_of_socket(struct bpf_sock *sk, struct stage *stage)
{
	struct pp_socket *socket = NULL;

	sk = bpf_sk_fullsock(sk);
	if (sk)
		socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	if (!socket || !socket->cut)
		return;
	stage->flow.first_seq = socket->first_seq;
	stage->flow.cut = socket->cut;
	stage->flow.established = 1;
}

/* A listener has the place of a segment's connection, ours, or another one: then another set may
 * know the connection, whose pp_in comes after this one. */
#define LATE	       1
#define LATE_ELSEWHERE 2

static int flow_late(struct __sk_buff *skb, int late)
{
	if (late == LATE_ELSEWHERE) {
		skb->tc_index = SEEN_LATE;
		return TC_NEXT;
	}
	skb->tc_classid = SEEN_LATE;
	return TC_PASS;
}

/* pp_flows has no entry: what does the kernel know of this connection? */
static __noinline int flow_unknown(struct __sk_buff *skb, struct stage *stage)
{
	int is_stage = 0, is_here = 0, late = 0, begins;
	struct bpf_sock *sk;

	if (!stage)
		return TC_NEXT;
	begins = segment_splits(&stage->segment);
	stage->handshake.request = REQUEST_NONE; /* unless it is found now */
	sk = find_receiver(skb, &stage->segment);
	if (sk) {
		if (sk->state == BPF_TCP_NEW_SYN_RECV) {
			is_here = 1;
			if (begins && !stage_of_request(sk, stage))
				is_stage = 1;
		} else if (sk->state == BPF_TCP_LISTEN) {
			if (begins && !(stage->segment.flags & TCP_RST) &&
			    is_cookie(skb, sk, &stage->segment, stage->segment.seq)) {
				stage->flow.first_seq = stage->segment.seq;
				stage->listener = whose_listener(kernel_socket(sk));
				is_stage = 1;
			} else {
				late = is_of_this_set(kernel_socket(sk)) ? LATE : LATE_ELSEWHERE;
			}
		} else {
			is_here = 1;
			stage_of_socket(sk, stage);
		}
		bpf_sk_release(sk);
	}
	/* A listener here does not mean that the connection is for it: docker-proxy has one. */
	if (!is_here && !is_stage)
		is_stage = stage_of_forwarded(stage);
	if (!begins && !stage->flow.established)
		return TC_NEXT;
	if (stage->flow.established) {
		bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow, BPF_ANY);
		return translate_in(skb, &stage->segment, stage->flow.cut);
	}
	if (late && !is_stage && (has_proxy_cgroup() || is_marked(stage->segment.source)))
		return flow_late(skb, late);
	return is_stage ? stage_standing(skb, stage) : TC_NEXT;
}

/* pp_flows has an entry: a header in pieces, or one that is complete and has no socket yet. */
static __noinline int flow_known(struct __sk_buff *skb, struct stage *stage, struct pp_flow *flow)
{
	struct bpf_sock *sk;
	int cookie, failed;

	if (!stage || !flow)
		return TC_NEXT;
	stage->flow = *flow;
	stage->handshake.request = REQUEST_NONE;
	/* At most a window apart: the difference does not wrap. */
	if (flow->cut && ((__s32)(stage->segment.seq - flow->first_seq - flow->cut) >= 0 ||
			  stage->segment.flags & TCP_RST))
		return translate_in(skb, &stage->segment, flow->cut);
	stage->flow.cut = 0;
	if (flow->forwarded) {
		__u32 first_seq = flow->first_seq;

		if (!stage_of_forwarded(stage)) /* too long ago */
			return TC_DROP;
		if (stage->flow.established)
			return translate_in(skb, &stage->segment, stage->flow.cut);
		if (stage->flow.first_seq != first_seq) {
			stage->flow.got = 0;
			if (!segment_splits(&stage->segment))
				return TC_NEXT;
		}
		return stage_standing(skb, stage) == TC_STAGE ? TC_STAGE : TC_DROP;
	}
	sk = find_receiver(skb, &stage->segment);
	if (!sk) { /* the listener is gone: the kernel resets it */
		skb->tc_classid = SEEN_LATE;
		return TC_PASS;
	}
	if (sk->state == BPF_TCP_NEW_SYN_RECV) {
		__u32 first_seq = flow->first_seq;

		failed = stage_of_request(sk, stage);
		bpf_sk_release(sk);
		if (failed) /* the acknowledgement could not be asked for */
			return TC_DROP;
		if (stage->flow.first_seq != first_seq) { /* an older connection's */
			stage->flow.got = 0;
			if (!segment_splits(&stage->segment) || stage->listener == OF_ANOTHER_SET)
				return TC_NEXT;
			if (stage_standing(skb, stage) != TC_STAGE)
				return TC_DROP;
		}
		return TC_STAGE;
	}
	if (sk->state == BPF_TCP_LISTEN) { /* by a cookie, or a request that is gone */
		cookie = !(stage->segment.flags & TCP_RST) &&
			 is_cookie(skb, sk, &stage->segment, stage->flow.first_seq);
		bpf_sk_release(sk);
		if (cookie)
			return TC_STAGE;
		skb->tc_classid = SEEN_LATE;
		return TC_PASS;
	}
	bpf_sk_release(sk);
	bpf_map_delete_elem(&pp_flows, &stage->key);
	stage->flow.got = 0;
	return TC_UNKNOWN;
}

#endif
