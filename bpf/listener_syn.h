/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_gate while the socket is the listener: a SYN.
 */
#ifndef PP_LISTENER_SYN_H
#define PP_LISTENER_SYN_H

#include "kernel.h"
#include "forward.h"
#include "gate_note.h"
#include "standing.h"
#include "tcp.h"
#include "verdict.h"

struct option_scan {
	struct option_walk walk;
	int mptcp_capable; /* answers: 1 when the option is there */
	int fastopen;
};

static long option_step(__u32 round, void *context)
{
	struct option_scan *scan = context;
	__u8 option[4] = {};
	int found;

	(void)round;
	found = option_here(&scan->walk, option);
	if (found <= 0)
		return found < 0;
	if (option[0] == TCP_OPTION_FASTOPEN)
		scan->fastopen = 1;
	if (option[1] >= 4 && !bpf_skb_load_bytes(scan->walk.skb, scan->walk.at, option, 4)) {
		if (option[0] == TCP_OPTION_MPTCP && option[2] >> 4 == MPTCP_CAPABLE)
			scan->mptcp_capable = 1;
		if (option[0] == TCP_OPTION_EXP && (option[2] << 8 | option[3]) == TCP_EXP_FASTOPEN)
			scan->fastopen = 1;
	}
	scan->walk.at += option[1];
	return 0;
}

/* Which options of a SYN concern us. */
static void segment_options(struct __sk_buff *skb, const struct segment *segment,
			    struct option_scan *scan)
{
	scan->walk.skb = skb;
	scan->walk.at = segment->options_at;
	scan->walk.end = segment->payload_at;
	scan->mptcp_capable = 0;
	scan->fastopen = 0;
	bpf_loop(TCP_OPTIONS_MAX, option_step, scan, 0);
}

/* The kinds of connection besides plain TCP that a listener may make of a SYN. */
struct listener_ways {
	int mptcp;
	int fastopen; /* a socket before the handshake is complete */
};

static void listener_ways_of(struct bpf_sock *listener, struct listener_ways *ways)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(listener);

	ways->mptcp = 0;
	ways->fastopen = 0;
	if (!tcp)
		return;
	if (bpf_core_field_exists(tcp->is_mptcp))
		ways->mptcp = tcp->is_mptcp;
	ways->fastopen = tcp->inet_conn.icsk_accept_queue.fastopenq.max_qlen > 0;
}

/*
 * Multipath TCP: the bytes of a second subflow would pass no hook, and the socket that accept()
 * returns is not one of TCP. Dropped; the client falls back to plain TCP when its SYN is not
 * answered. TCP Fast Open: nothing proves that the sender of a SYN has the address that it names,
 * and the MTA would get a socket before the header. Dropped; a second SYN comes without it. Both
 * only where the listener would use it: a plain listener ignores the option.
 *
 * Return: the counter of what is refused, or 0.
 */
static __u32 syn_refused(struct __sk_buff *skb, const struct segment *segment,
			 const struct listener_ways *ways, int proxy)
{
	struct option_scan found;

	segment_options(skb, segment, &found);
	if (ways->mptcp && found.mptcp_capable)
		return PP_STAT_DROPPED_MPTCP;
	if (proxy && ways->fastopen && (found.fastopen || segment->payload_len))
		return PP_STAT_DROPPED_FASTOPEN;
	return 0;
}

/* This listener is served: pp_in asks for that. */
static void note_listener(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 yes = 1;

	if (!bpf_map_lookup_elem(&pp_listeners, &cookie))
		bpf_map_update_elem(&pp_listeners, &cookie, &yes, BPF_ANY);
}

/* A SYN. The gate sees it before its sender sees the answer, so what it writes into the
 * announcement is there when pp_sender asks: this connection is to a port that is served. */
static int gate_syn(struct __sk_buff *skb, struct bpf_sock *listener, struct pp_work *work,
		    const struct pp_port *policy)
{
	struct segment *segment = &work->segment;
	struct pp_outgoing *outgoing;
	struct listener_ways ways;
	enum standing standing;
	__u32 refused;

	if (policy->split != PP_SPLIT_NO) {
		note_listener(skb);
		forward_syn(listener, segment, 1);
	}
	listener_ways_of(listener, &ways);
	if (!ways.mptcp && !ways.fastopen && !has_proxy_cgroup())
		return PASS;
	standing = standing_of(skb, segment, &work->handshake, &outgoing);
	if (standing == UNANNOUNCED) {
		count(PP_STAT_UNANNOUNCED);
		return DROP;
	}
	/* Over lo the header's segment will find the socket still. In a VRF it may be closed by
	 * then, and its address would be believed. */
	if (standing == OUTSIDER && skb->ifindex != LOOPBACK_IFINDEX) {
		count(PP_STAT_OUTSIDERS);
		return DROP;
	}
	if (outgoing)
		outgoing->confirmed = 1;
	if (ways.mptcp || ways.fastopen) {
		/* with a proxy cgroup, an MPTCP socket that has no record would say nothing */
		if (standing != STRANGER || has_proxy_cgroup()) {
			refused = syn_refused(skb, segment, &ways, standing != STRANGER);
			if (refused) {
				count(refused);
				return DROP;
			}
		}
	}
	if (standing == STRANGER)
		gate_note_peer(listener, segment, policy, PP_GATE_NOTE_STRANGER);
	return PASS;
}

#endif
