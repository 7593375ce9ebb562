// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs: the header is decoded where it arrives, and kept with the socket.
 *
 *   pp_gate        cgroup_skb/ingress    holds bare ACKs, decodes headers; the split's guard
 *   pp_in          tc, ingress           split: cuts the header out, translates sequence numbers
 *   pp_out         tc, egress            split: translates acknowledgements
 *   pp_in_bare, pp_out_bare              the same where packets have no link-layer header
 *   pp_sockops     sock_ops              gives a new connection's socket its record
 *   pp_getsockopt  cgroup/getsockopt     answers the MTA that asks
 *   pp_getpeer4/6  cgroup/getpeername    transparent: the origin in accept() and getpeername()
 *   pp_getsock4/6  cgroup/getsockname    transparent, --local: the header's destination
 *   pp_count       iter on pp_origins    lists the connections, for ppctl (count() is another)
 *
 * and for proxies on this host, on their cgroup:
 *
 *   pp_sender      sock_ops              announces connections to served ports; in and out of
 *                                        pp_senders
 *   pp_msg         sk_msg on pp_senders  decodes the header inside the proxy's send()
 *   pp_pass        sk_skb on pp_senders  passes what they receive
 *
 * Needs Linux 6.1. ppctl loads them, or bpftool (docs/bpftool.md).
 *
 * Where to read on. Each file needs only files that come before it here:
 *
 *   the ground        kernel.h, context.h, bound.h (for the verifier), verdict.h (of a packet),
 *                     address.h, tcp.h, netns.h, segment.h (a TCP segment), handshake.h (the
 *                     kernel's request), maps.h, policy.h (what ppctl has set),
 *                     connection.h (keys), peers.h and events.h (for ppctl status and monitor)
 *   decoding          line.h, record.h, payload.h, large.h; the decoder is include/pp/decoder.h
 *   proxies here      outgoing.h is their end at the mail server; announce.h, sender.h, msg.h
 *   the handshake     standing.h (is it a proxy?), guard.h, forward.h (containers), gate_note.h and
 *                     split_note.h (to the new socket), listener.h, listener_syn.h
 *   later segments    established.h
 *   the socket        sockops.h, unrecorded.h, stream.h, sockopt_answer.h, sockopt.h,
 *                     sockopt_bytes.h, peername.h, list_socket.h (for ppctl)
 *   a split's packets checksum.h, packet.h, cut.h, reply.h
 *   the split         greeting.h, translate.h (after the header), stage.h (before it is complete),
 *                     served.h (whose listener?), flow.h (which connection?), stage_syn.h,
 *                     stage_segment.h
 *
 * Words: a sender is a process of a proxy cgroup on this host, and its socket. It is announced when
 * its connection has an entry in pp_outgoing.
 */
#include "kernel.h"

#include <pp/decoder.h>
#include <pp/maps.h>

#include "connection.h"
#include "context.h"
#include "established.h"
#include "events.h"
#include "flow.h"
#include "forward.h"
#include "gate_note.h"
#include "guard.h"
#include "listener.h"
#include "listener_syn.h"
#include "list_socket.h"
#include "maps.h"
#include "msg.h"
#include "outgoing.h"
#include "peername.h"
#include "policy.h"
#include "segment.h"
#include "sender.h"
#include "served.h"
#include "sockops.h"
#include "sockopt.h"
#include "sockopt_bytes.h"
#include "split_note.h"
#include "stage.h"
#include "stage_segment.h"
#include "stage_syn.h"
#include "standing.h"
#include "translate.h"
#include "verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static int gate_listener(struct __sk_buff *skb, struct bpf_sock *listener)
{
	struct pp_port *entry = port_entry(listener->src_port), *policy;
	struct pp_work *work = working_memory();
	struct pp_outgoing *outgoing;
	struct segment *segment;

	if (!work)
		return PASS;
	segment = &work->segment;
	work->handshake.request = REQUEST_UNASKED;
	work->handshake.waited_us = 0;

	/* First the segment: a RST passes; a SYN begins a connection. */
	if (segment_read(skb, segment, 0)) {
		if (!serves_somewhere(entry) ||
		    (!has_proxy_cgroup() && !is_marked(segment->source)))
			return PASS;
		count(PP_STAT_DROPPED_UNREADABLE);
		return DROP;
	}
	policy = policy_on(entry, listener->src_port, segment->destination);
	if (!serves(policy))
		return gate_unserved(skb, listener, segment);
	if (segment->flags & TCP_RST)
		return PASS;
	if (segment->flags & TCP_SYN)
		return gate_syn(skb, listener, work, policy);

	/* Then its sender's standing, unless pp_in has looked. */
	if (has_translated(policy) && split_note_of(skb, segment))
		return PASS;
	switch (standing_of(skb, segment, &work->handshake, &outgoing)) {
	case STRANGER:
		gate_note_peer(listener, segment, policy, PP_GATE_NOTE_STRANGER);
		if (segment->payload_len)
			event_of_stranger(skb, segment);
		return PASS;
	case AHEAD:
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	case UNANNOUNCED:
		count(PP_STAT_UNANNOUNCED);
		return DROP;
	case OUTSIDER:
		return gate_refuse(skb, listener, segment, policy);
	case PROXY:
		break;
	}

	/* Then what a proxy sends: with a split, pp_in should have seen it. */
	if (policy->split != PP_SPLIT_NO) {
		/* Of a connection that has ended, or of none: the kernel resets it. Unless it is
		 * one of a handshake after all: a request may be new since pp_in has seen it. */
		if (went_in(skb) || skb->tc_index == SEEN_LATE) {
			handshake_ask(skb, segment, &work->handshake);
			if (work->handshake.request == REQUEST_LISTENER)
				return PASS;
		}
		return guard_drop(skb);
	}

	/* Without one, the header ends the handshake, and a bare ACK waits for it. */
	if (segment->payload_len)
		return gate_header(skb, listener, work, policy, outgoing);
	if (segment->flags & TCP_FIN) { /* a proxy that closes without a header */
		gate_note_peer(listener, segment, policy, PP_GATE_NOTE_PROXY);
		return PASS;
	}
	return gate_hold(skb, listener, work, policy);
}

static int gate_established(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct pp_socket *socket;
	struct pp_work *work;
	struct segment *segment;
	struct bpf_tcp_sock *tcp;
	struct tcp_sock *full;
	__u64 accepted;
	__s64 start;
	int waiting, verdict;

	/* First the record: mostly a socket without one has no proxy for a peer. */
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	if (!socket) {
		if (sk->state == BPF_TCP_SYN_RECV)
			return gate_early(skb, sk);
		socket = record_by_now(sk);
	}
	if (!socket)
		return gate_unrecorded(skb, sk);

	/* Then what needs no look at the segment: mostly, its header is there. */
	if ((socket->cut && !went_in(skb)) || is_untranslated(socket))
		return guard_drop(skb);
	if (socket->settled) {
		if (socket->record.state == PP_STATE_NONE)
			event_of_first(skb, sk);
		return PASS;
	}
	tcp = bpf_tcp_sock(sk);
	full = bpf_skc_to_tcp_sock(sk);
	if (!tcp || !full)
		return PASS;
	/* first: what does not wait any more has been accepted */
	waiting = full->inet_conn.icsk_inet.sk.sk_backlog.len;
	barrier();
	/* 64 bits wide, and with the peer's FIN, after which nothing is accepted any more */
	accepted = tcp->bytes_received;
	if (is_settled(socket, accepted)) {
		socket->settled = 1; /* for good: 2^32 bytes later sequence numbers begin again */
		return PASS;
	}

	/* Then the segment. */
	work = working_memory();
	if (!work)
		return DROP;
	segment = &work->segment;
	if (segment_read(skb, segment, 0)) {
		count(PP_STAT_DROPPED_UNREADABLE);
		return DROP;
	}
	if (!segment->payload_len || segment->flags & (TCP_RST | TCP_SYN))
		return PASS;
	/* TCP would accept data with an acknowledgement of up to a window ago; a forger could guess
	 * that. The range asked for is what has been written, so 32 bits are enough. Not snd_nxt:
	 * that is raised when a segment is out, and its acknowledgement may be here before. */
	if (segment->ack - tcp->snd_una > full->write_seq - tcp->snd_una) {
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}

	/* Last, where it stands in the header, and the header itself. */
	start = segment_in_header(socket, segment, accepted, waiting);
	if (start == NOT_IN_HEADER)
		return PASS;
	if (start == AFTER_HOLE) {
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}
	if (socket->announced && !start && gate_adopt(skb, sk, socket, segment)) {
		verdict = PASS;
	} else {
		verdict = gate_decode(skb, sk, socket, segment, start);
		if (socket->announced)
			gate_forget(socket, segment);
	}
	if (verdict == PASS && record_is_decided(&socket->record))
		event_of_decoded(skb, segment, &socket->record);
	return verdict;
}

/* Before the handshake is over, the socket is the listener. */
SEC("cgroup_skb/ingress")
int pp_gate(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	/* First what is not for us leaves: by its port, before anything else is asked. */
	if (!sk || (sk->state != BPF_TCP_LISTEN && !port_marks(sk->src_port)))
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	if (sk->state == BPF_TCP_LISTEN)
		return gate_listener(skb, sk);
	return gate_established(skb, sk);
}

/* What a program after this one passes is none of ours. */
static __always_inline int leave(struct __sk_buff *skb, int verdict)
{
	if (verdict == TC_NEXT)
		skb->tc_classid = 0;
	return verdict;
}

static __always_inline int split_in(struct __sk_buff *skb, __u32 l2)
{
	__u32 zero = 0, tcp_at;
	enum in_place in_place = tcp_in_place(skb, l2, &tcp_at);
	struct segment *segment;
	struct stage *stage;
	struct pp_flow *flow;
	int verdict;

	/* First what is not for us leaves: by its port, before anything else is read. */
	if (in_place == NOT_TCP ||
	    (in_place == IN_PLACE_YES &&
	     !port_has_translated(port_in_place(skb, tcp_at + TCP_AT_DESTINATION))))
		return TC_NEXT;
	stage = bpf_map_lookup_elem(&pp_stage, &zero);
	if (!stage)
		return TC_NEXT;
	segment = &stage->segment;
	if (in_place == IN_PLACE_YES ? segment_read_in_place(skb, segment, l2)
				     : segment_load_headers(skb, segment, l2))
		return TC_NEXT;
	if (in_place == IN_PLACE_NO && !port_has_translated(segment->destination_port))
		return TC_NEXT;

	/* Then the mark, by which pp_gate knows that the packet came by here. */
	skb->tc_classid = went_out(skb) ? SEEN_BOTH : SEEN_IN;
	if (went_in(skb)) /* a second hook on the way: a bridge's port, and the bridge */
		return TC_PASS;

	/* Then the connection: a SYN begins one; of one whose header is gone, mostly, the rest is
	 * translated. */
	flow_key(&stage->key, skb, segment_ends(segment));
	stage->listener = OF_THIS_SET;
	if (segment->flags & TCP_SYN) {
		verdict = segment->flags & TCP_ACK || !segment_splits(segment)
				  ? TC_NEXT
				  : split_syn(skb, stage);
		return leave(skb, verdict);
	}
	flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established) {
		/* also, to no harm, every 2^32 bytes */
		if (segment->seq - flow->first_seq < flow->cut)
			not_greeted(segment->destination_port);
		return translate_in(skb, segment, flow->cut);
	}

	/* Last, a segment before the header is complete, or of a connection that pp_flows does not
	 * know, or has forgotten. */
	__builtin_memset(&stage->handshake, 0, sizeof(stage->handshake));
	__builtin_memset(&stage->flow, 0, sizeof(stage->flow));
	stage->window = 512;
	stage->known = flow != NULL;
	verdict = flow ? flow_known(skb, stage, flow) : TC_UNKNOWN;
	if (verdict == TC_UNKNOWN)
		verdict = flow_unknown(skb, stage);
	if (verdict == TC_STAGE)
		verdict = stage_segment(skb, stage);
	return leave(skb, verdict);
}

SEC("tc")
int pp_in(struct __sk_buff *skb)
{
	return split_in(skb, ETH_HLEN);
}

/* For devices without a link-layer header, here and below: tun, WireGuard. */
SEC("tc")
int pp_in_bare(struct __sk_buff *skb)
{
	return split_in(skb, 0);
}

/* A packet of a port that has a split, or one that could not be read in place. */
static __always_inline int out_of_split(struct __sk_buff *skb, __u32 l2, enum in_place in_place)
{
	struct segment segment = {};

	if (in_place == IN_PLACE_YES ? segment_read_in_place(skb, &segment, l2)
				     : segment_load_headers(skb, &segment, l2))
		return TC_NEXT;
	if ((in_place == IN_PLACE_NO && !port_has_translated(segment.source_port)) ||
	    !(segment.flags & TCP_ACK))
		return TC_NEXT;

	/* Then the mark, and what the socket, or else pp_flows, says of the connection. */
	skb->tc_classid = went_in(skb) ? SEEN_BOTH : SEEN_OUT;
	if (went_out(skb))
		return TC_PASS;
	return leave(skb, translate_out(skb, &segment, cut_of_outgoing(skb, &segment)));
}

static __always_inline int split_out(struct __sk_buff *skb, __u32 l2)
{
	__u32 tcp_at;
	enum in_place in_place = tcp_in_place(skb, l2, &tcp_at);

	/* First what is not for us leaves, as in pp_in. */
	if (in_place == NOT_TCP ||
	    (in_place == IN_PLACE_YES &&
	     !port_has_translated(port_in_place(skb, tcp_at + TCP_AT_SOURCE))))
		return TC_NEXT;
	return out_of_split(skb, l2, in_place);
}

SEC("tc")
int pp_out(struct __sk_buff *skb)
{
	return split_out(skb, ETH_HLEN);
}

SEC("tc")
int pp_out_bare(struct __sk_buff *skb)
{
	return split_out(skb, 0);
}

/* A connection has become a socket of the mail server. */
static void passive_established(struct bpf_sock_ops *ops)
{
	__u16 port = ops->local_port;
	struct pp_port *entry = port_entry(port), *policy;
	struct pp_connection_key key = {}, outgoing_at;
	struct pp_outgoing *outgoing = NULL;
	struct bpf_sock *sk = ops->sk;
	struct pp_gate_note *note;
	int told;

	if (!sk || (!entry && !hooks_are_somewhere()))
		return;
	connection_of_server(ops, &key);
	policy = policy_on(entry, port, key.local);
	key.netns_cookie = bpf_get_netns_cookie(ops);
	key.first_seq = ops->rcv_nxt;

	/* First, is its header gone? A port that is not served may have forwarded connections. */
	if (!policy || has_translated(policy)) {
		outgoing_at = key;
		if (!socket_from_split_note(ops, sk, &outgoing_at)) {
			count(PP_STAT_CONNECTIONS);
			return;
		}
	}
	if (!serves(policy))
		return;

	/* Then, what has the gate said of the segment that ends the handshake? */
	note = gate_note_of_this_cpu();
	told = note && gate_note_is_of(note, &key, ops);
	if (told)
		note->full = 0;
	if (told && gate_note_has_record(note, &key)) {
		if (note->kind != PP_GATE_NOTE_STRANGER)
			count(PP_STAT_CONNECTIONS);
		socket_from_gate_note(sk, note);
		return;
	}

	/* Else it is a proxy's whose header is still to come, or a stranger's. */
	if (has_proxy_cgroup()) {
		if (!told) /* by no gate: it stays without a record */
			return;
		outgoing_at = key;
		outgoing = outgoing_find(&outgoing_at, key.netns_cookie, key.first_seq);
	} else if (!is_marked(key.remote)) {
		return;
	}
	count(PP_STAT_CONNECTIONS);
	socket_without_header(ops, sk, policy, outgoing);
}

SEC("sockops")
int pp_sockops(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		own_connection(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		passive_established(ops);
		event_of_new(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		forward_closed(ops);
		break;
	}
	return 1;
}

SEC("cgroup/getsockopt")
int pp_getsockopt(struct bpf_sockopt *ctx)
{
	struct pp_socket *socket;
	struct bpf_sock *sk;
	__u32 option;

	/* First what is not for us leaves: nearly every getsockopt() of the cgroup. */
	if (ctx->level != SOL_PP)
		return 1;
	sk = ctx->sk;
	option = ctx->optname;
	if (!sk || (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_MPTCP))
		return 1;

	/* Then the record, or the bytes of the header, a page of them. */
	if (sk->state == BPF_TCP_LISTEN)
		return answer_error(ctx, -ENOTCONN);
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	switch (option) {
	case PP_ORIGIN:
	case PP_TAKE:
		if (socket && !socket->asked) {
			socket->asked = 1;
			count(PP_STAT_ASKED);
		}
		return answer_record(ctx, sk, socket);
	case PP_TLVS:
		return answer_header(ctx, sk, socket, 1, 0);
	case PP_HEADER:
		return answer_header(ctx, sk, socket, 0, 0);
	case PP_TLVS_PAGE(0)... PP_TLVS_PAGE(PP_PAGES - 1):
		return answer_header(ctx, sk, socket, 1, option - PP_TLVS_PAGE(0));
	case PP_HEADER_PAGE(0)... PP_HEADER_PAGE(PP_PAGES - 1):
		return answer_header(ctx, sk, socket, 0, option - PP_HEADER_PAGE(0));
	}
	return 1;
}

/* Transparent mode: the peer's name is the origin, the socket's own the header's destination. */
SEC("cgroup/getpeername4")
int pp_getpeer4(struct bpf_sock_addr *ctx)
{
	return name4(ctx, 0);
}

SEC("cgroup/getpeername6")
int pp_getpeer6(struct bpf_sock_addr *ctx)
{
	return name6(ctx, 0);
}

SEC("cgroup/getsockname4")
int pp_getsock4(struct bpf_sock_addr *ctx)
{
	return name4(ctx, 1);
}

SEC("cgroup/getsockname6")
int pp_getsock6(struct bpf_sock_addr *ctx)
{
	return name6(ctx, 1);
}

SEC("sockops")
int pp_sender(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		sender_connect(ops);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		sender_established(ops);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		sender_leave(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		sender_closed(ops);
		break;
	}
	return 1;
}

/* The first message of a socket in pp_senders; what follows it passes. */
SEC("sk_msg")
int pp_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct pp_sending *sending;

	if (!sk)
		return SK_PASS;
	sending = bpf_sk_storage_get(&pp_sending, sk, 0, 0);
	if (!sending)
		return SK_PASS;
	msg_first(msg, sk, sending);
	bpf_sk_storage_delete(&pp_sending, sk);
	return SK_PASS;
}

SEC("sk_skb")
int pp_pass(struct __sk_buff *skb)
{
	(void)skb;
	return SK_PASS;
}

SEC("iter/bpf_sk_storage_map")
int pp_count(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct pp_socket *socket = ctx->value;
	struct sock *sk = ctx->sk;

	if (sk && socket)
		list_socket(ctx->meta->seq, sk, socket);
	return 0;
}
