/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_gate while the socket is the listener: the SYN, the handshake's bare ACK, and the segment with
 * the header, which ends the handshake in its place.
 */
#ifndef PP_LISTENER_H
#define PP_LISTENER_H

/* A held ACK is repeated when the SYN-ACK is retransmitted, 1, 3, 7 s after the first one and a
 * round trip later: one that comes this much before the gate time is the one that was meant. */
#define GATE_SLACK_MS 250

/* Has the handshake waited for its header as long as @policy allows? Under SYN cookies the kernel
 * sends no second SYN-ACK, so no second ACK comes either: the gate stays shut until a header comes.
 */
static int gate_time_is_up(struct __sk_buff *skb, const struct segment *segment,
			   const struct pp_port *policy)
{
	__u64 allowed = policy->gate_ms > GATE_SLACK_MS ? policy->gate_ms - GATE_SLACK_MS : 1;
	struct handshake handshake;

	return handshake_of(skb, segment, &handshake) && handshake.waited_us >= 1000 * allowed;
}

static void handoff_key(struct pp_handoff *handoff, const struct segment *segment)
{
	handoff->key.netns_cookie = handoff->socket.record.netns_cookie;
	connection_of_segment(segment, &handoff->key);
	handoff->key.first_seq = segment->seq;
	handoff->ack = segment->ack;
	handoff->kind = PP_HANDOFF_HEADER;
	handoff->full = 1;
}

static void handoff_socket(struct pp_handoff *handoff, struct bpf_sock *listener,
			   const struct segment *segment, const struct pp_port *policy)
{
	handoff->full = 0;
	handoff->socket.first_seq = segment->seq;
	handoff->socket.told = 0;
	handoff->socket.told_ns = 0;
	handoff->socket.taker = 0;
	handoff->socket.bad_after = 0;
	handoff->socket.settled = 0;
	handoff->socket.announced = 0;
	handoff->socket.on_bad = policy->on_bad;
	handoff->socket.split = policy->split;
	handoff->socket.port_flags = policy->flags;
	handoff->socket.record.netns_cookie = socket_netns_cookie(listener);
	handoff->socket.record.path = PP_PATH_HANDSHAKE;
	handoff->socket.record.sender_cgroup = 0;
	handoff->socket.record.sender_pid = 0;
	handoff->socket.record.sender_uid = 0;
}

/* Tells pp_sockops who makes a connection, where the segment has no header to tell: whichever
 * segment of it ends the handshake. */
static void hand_over_standing(struct bpf_sock *listener, const struct segment *segment,
			       const struct pp_port *policy, __u8 kind)
{
	struct pp_handoff *handoff = handoff_of_this_cpu();

	if (!handoff)
		return;
	__builtin_memset(&handoff->socket, 0, sizeof(handoff->socket));
	handoff_socket(handoff, listener, segment, policy);
	handoff->socket.settled = 1;
	if (kind == PP_HANDOFF_OUTSIDER) {
		handoff->socket.record.state = PP_STATE_BAD;
		handoff->socket.record.reason = PP_BAD_SENDER;
	}
	handoff_key(handoff, segment);
	handoff->kind = kind;
}

/* Where there is a proxy cgroup, pp_sockops makes no record of what nobody has told it, and a
 * connection without a record is refused (see sockopt.h). */
static void hand_over_by(struct bpf_sock *listener, const struct segment *segment,
			 const struct pp_port *policy, __u8 kind)
{
	if (has_proxy_cgroup())
		hand_over_standing(listener, segment, policy, kind);
}

/* The record is what the sending side has decoded. Return: 1, or 0 when that is for the decoder. */
static int hand_over_announced(struct __sk_buff *skb, struct pp_handoff *handoff,
			       const struct segment *segment, struct pp_outgoing *outgoing)
{
	int len;

	handoff->socket.announced = 1;
	if (!outgoing_covers(outgoing, segment->payload_len)) {
		record_set_sender(&handoff->socket.record, &outgoing->record);
		return 0;
	}
	outgoing_take(&handoff->socket.record, outgoing);
	handoff->socket.have = segment->payload_len;
	if (record_wants_bytes(&outgoing->record)) {
		len = segment_load(skb, segment, handoff->extra.bytes);
		handoff->extra.len = len < 0 ? 0 : len;
	}
	return 1;
}

/* Return: 0; or -1 when the segment cannot be read. */
static int hand_over_decoded(struct __sk_buff *skb, struct pp_handoff *handoff,
			     const struct segment *segment)
{
	struct pp_work *work = working_memory();
	struct pp_large *large = large_working_memory();
	int len;

	if (!work || !large)
		return -1;
	len = segment_load(skb, segment, handoff->extra.bytes);
	if (len < 0)
		return -1;
	handoff->extra.len = len;
	record_decode(&work->decoder, &handoff->socket, &handoff->extra, len);
	if (!record_continues_large(&handoff->socket.record))
		return 0;
	len = segment_load_large(skb, segment, large, 0, handoff->socket.record.header_len);
	if (len < 0)
		return -1;
	large->len = len;
	record_finish_large(&work->decoder, &handoff->socket, large, len);
	return 0;
}

/* A bare ACK would wake the MTA before it can know who called: hold it back. The header segment,
 * which carries the same ACK, ends the handshake instead. */
static int gate_hold(struct __sk_buff *skb, struct bpf_sock *listener,
		     const struct segment *segment, const struct pp_port *policy)
{
	if (!policy->gate_ms || gate_time_is_up(skb, segment, policy)) {
		hand_over_by(listener, segment, policy, PP_HANDOFF_PROXY);
		return PASS;
	}
	count(PP_STAT_ACKS_HELD);
	return DROP;
}

/* The segment that ends the handshake has no socket yet: pp_sockops finds what it says by tuple and
 * sequence number, in this same softirq. */
static int gate_hand_over(struct __sk_buff *skb, struct bpf_sock *listener, struct segment *segment,
			  const struct pp_port *policy, struct pp_outgoing *outgoing)
{
	struct pp_handoff *handoff = handoff_of_this_cpu();
	struct handshake handshake = {};

	if (!handoff)
		return DROP;
	/* An announcement was found by its place. Else ask, also where it looks like a header: so
	 * may what stands in a TLV, or behind the header. */
	if (!outgoing && place_of(skb, segment, &handshake) == OVERTAKING) {
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}
	if (!segment->payload_len)
		return gate_hold(skb, listener, segment, policy);
	handoff_socket(handoff, listener, segment, policy);
	if ((!outgoing || !hand_over_announced(skb, handoff, segment, outgoing)) &&
	    hand_over_decoded(skb, handoff, segment)) {
		count(PP_STAT_DROPPED_UNREADABLE);
		return DROP;
	}
	if (handoff->socket.record.state == PP_STATE_BAD && policy->on_bad == PP_ON_BAD_DROP) {
		count(PP_STAT_DROPPED_BAD);
		record_count(&handoff->socket.record);
		return DROP;
	}
	handoff_key(handoff, segment);
	return PASS;
}

/* Whatever an outsider sends, the MTA is told that it is not to be believed, or never sees it. */
static int gate_refuse(struct bpf_sock *listener, const struct segment *segment,
		       const struct pp_port *policy)
{
	count(PP_STAT_OUTSIDERS);
	if (policy->split != PP_SPLIT_NO || policy->on_bad == PP_ON_BAD_DROP)
		return DROP;
	hand_over_standing(listener, segment, policy, PP_HANDOFF_OUTSIDER);
	return PASS;
}

/* What a listener may make of a SYN besides plain TCP. */
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
static int gate_syn(struct __sk_buff *skb, struct bpf_sock *listener, struct segment *segment,
		    const struct pp_port *policy)
{
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
	standing = standing_of(skb, segment, &outgoing);
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
		hand_over_by(listener, segment, policy, PP_HANDOFF_STRANGER);
	return PASS;
}

/* What pp_in says of the segment that ends a handshake. Without it the segment did not pass pp_in,
 * or too long ago. Its own mark, too: the same segment may come again where no hooks are. */
static struct pp_handover *handover_of(struct __sk_buff *skb, const struct segment *segment)
{
	struct pp_handover_key key = {
		.remote_port = segment->source_port,
		.first_seq = segment->seq,
		.ack = segment->ack,
	};

	if (!went_in(skb))
		return NULL;
	__builtin_memcpy(key.remote, segment->source, 16);
	return bpf_map_lookup_elem(&pp_handovers, &key);
}

/* A segment to a port with a split that has not been through pp_in: counted by its interface, so
 * that ppctl can say which one has no hooks. */
static __noinline int guard_drop(struct __sk_buff *skb)
{
	struct pp_interface key = {
		.netns_cookie = skb_netns_cookie(skb),
		.index = skb->ifindex,
	};
	__u64 *known, one = 1;

	count(PP_STAT_GUARDED);
	known = bpf_map_lookup_elem(&pp_guarded, &key);
	if (known)
		__sync_fetch_and_add(known, 1);
	else
		bpf_map_update_elem(&pp_guarded, &key, &one, BPF_NOEXIST);
	return DROP;
}

/* Is the segment one of a handshake, after all? A request may be new since pp_in has seen it. */
static int has_request(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = find_request(skb, segment);
	int found = !sk || sk->state != BPF_TCP_LISTEN;

	if (sk)
		bpf_sk_release(sk);
	return found;
}

static int gate_listener(struct __sk_buff *skb, struct bpf_sock *listener)
{
	struct pp_port *policy = served(listener->src_port);
	struct pp_work *work = working_memory();
	struct pp_outgoing *outgoing;
	struct segment *segment;

	if (!work)
		return PASS;
	segment = &work->segment;
	if (!policy) {
		if (segment_read(skb, segment, 0) || segment->flags & TCP_RST)
			return PASS;
		if (segment->flags & TCP_SYN) {
			forward_syn(listener, segment, 0);
			return PASS;
		}
		if (is_inner(listener) && is_marked(segment->source) && !handover_of(skb, segment))
			return guard_drop(skb);
		return PASS;
	}
	if (segment_read(skb, segment, 0)) {
		if (!has_proxy_cgroup() && !is_marked(segment->source))
			return PASS;
		count(PP_STAT_DROPPED_UNREADABLE);
		return DROP;
	}
	if (segment->flags & TCP_RST)
		return PASS;
	if (segment->flags & TCP_SYN)
		return gate_syn(skb, listener, segment, policy);
	if (has_translated(policy) && handover_of(skb, segment))
		return PASS;
	switch (standing_of(skb, segment, &outgoing)) {
	case STRANGER:
		hand_over_by(listener, segment, policy, PP_HANDOFF_STRANGER);
		return PASS;
	case AHEAD:
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	case UNANNOUNCED:
		count(PP_STAT_UNANNOUNCED);
		return DROP;
	case OUTSIDER:
		return gate_refuse(listener, segment, policy);
	case PROXY:
		break;
	}
	if (policy->split != PP_SPLIT_NO) {
		/* of a connection that has ended, or of none: the kernel resets it */
		if ((went_in(skb) || skb->tc_index == CARRIER_LATE) && !has_request(skb, segment))
			return PASS;
		return guard_drop(skb);
	}
	if (segment->payload_len)
		return gate_hand_over(skb, listener, segment, policy, outgoing);
	if (segment->flags & TCP_FIN) { /* a proxy that closes without a header */
		hand_over_by(listener, segment, policy, PP_HANDOFF_PROXY);
		return PASS;
	}
	return gate_hold(skb, listener, segment, policy);
}

#endif
