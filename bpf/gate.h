/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_gate, cgroup_skb/ingress: sees each segment before TCP does. While the socket is the listener
 * it holds bare ACKs back and decodes the segment that ends the handshake; on an established socket
 * it decodes a header that comes later, or the rest of one.
 */
#ifndef PP_GATE_H
#define PP_GATE_H

#define PASS 1
#define DROP 0

/* A held ACK comes again when the SYN-ACK is retransmitted, 1, 3, 7 s after the first one and a
 * round trip later: one that comes this much before the gate time is the one that was meant. */
#define GATE_SLACK_MS 250

/* bpf_get_netns_cookie() takes no skb before 6.16, so walk to it. */
static __u64 netns_cookie(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net->net_cookie : 0;
}

/* The request that answers to @segment's bare ACK, with a reference, or the listener, or NULL. */
static struct bpf_sock *find_request(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock_tuple tuple = {};

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__builtin_memcpy(&tuple.ipv4.saddr, segment->source + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, segment->destination + 12, 4);
		tuple.ipv4.sport = bpf_htons(segment->source_port);
		tuple.ipv4.dport = bpf_htons(segment->destination_port);
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(&tuple.ipv6.saddr, segment->source, 16);
	__builtin_memcpy(&tuple.ipv6.daddr, segment->destination, 16);
	tuple.ipv6.sport = bpf_htons(segment->source_port);
	tuple.ipv6.dport = bpf_htons(segment->destination_port);
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* What the kernel's own request knows of @segment's handshake: when it answered the SYN, so the
 * gate keeps no state that a flood could push out, and which sequence number comes next. Under SYN
 * cookies there is no request. */
struct handshake {
	__u64 waited_us;
	__u32 next_seq;
	__u32 next_ack;
};

/* Return: 1, or 0 when there is no request. */
static int handshake_of(struct __sk_buff *skb, const struct segment *segment,
			struct handshake *handshake)
{
	struct bpf_sock *sk = find_request(skb, segment);
	struct tcp_request_sock *request;

	if (!sk)
		return 0;
	request = bpf_skc_to_tcp_request_sock(sk);
	if (request) {
		handshake->waited_us = bpf_ktime_get_ns() / 1000 - request->snt_synack;
		handshake->next_seq = request->rcv_isn + 1;
		handshake->next_ack = request->snt_isn + 1;
	}
	bpf_sk_release(sk);
	return request != NULL;
}

/* Has the handshake waited for its header as long as @policy allows? Under SYN cookies the kernel
 * sends no second SYN-ACK, so no second ACK comes either: the gate stays shut until a header does.
 */
static int gate_time_is_up(struct __sk_buff *skb, const struct segment *segment,
			   const struct pp_port *policy)
{
	__u64 allowed = policy->gate_ms > GATE_SLACK_MS ? policy->gate_ms - GATE_SLACK_MS : 1;
	struct handshake handshake;

	return handshake_of(skb, segment, &handshake) && handshake.waited_us >= 1000 * allowed;
}

/* Did @segment overtake the one that the handshake waits for? Where there is no request, TCP itself
 * takes no other: a SYN cookie holds for one sequence number only. */
static int overtakes(struct __sk_buff *skb, const struct segment *segment)
{
	struct handshake handshake;

	return handshake_of(skb, segment, &handshake) && segment->seq != handshake.next_seq;
}

/* A bare ACK would wake the MTA before it can know who called: hold it back. The header segment,
 * which carries the same ACK, ends the handshake instead. */
static int gate_hold(struct __sk_buff *skb, const struct segment *segment,
		     const struct pp_port *policy)
{
	if (policy->split == PP_SPLIT_NONE &&
	    (!policy->gate_ms || gate_time_is_up(skb, segment, policy)))
		return PASS;
	count(PP_STAT_ACKS_HELD);
	return DROP;
}

/* With a split, no connection reaches the MTA but behind a complete header: once there is a socket,
 * nothing can take it away again. So all that TCP will look at is looked at here first. */
static int split_admits(struct __sk_buff *skb, const struct segment *segment,
			const struct pp_record *record)
{
	struct handshake handshake;

	if (handshake_of(skb, segment, &handshake) && !(segment->flags & TCP_SYN) &&
	    (segment->seq != handshake.next_seq || segment->ack != handshake.next_ack)) {
		count(PP_STAT_DROPPED_HOLE);
		return 0;
	}
	if (record->state == PP_STATE_BAD) {
		count(PP_STAT_DROPPED_BAD);
		record_count(record);
		return 0;
	}
	if (record->state == PP_STATE_FRAGMENTED) {
		count(PP_STAT_DROPPED_INCOMPLETE);
		return 0;
	}
	return 1;
}

/* The segment that ends the handshake has no socket yet: pp_sockops finds what it says by tuple and
 * sequence number, in this same softirq. */
static int gate_hand_over(struct __sk_buff *skb, struct bpf_sock *listener,
			  const struct segment *segment, const struct pp_port *policy)
{
	struct pp_handoff *handoff = handoff_of_this_cpu();
	struct pp_work *work = working_memory();
	int len;

	if (!work || !handoff)
		return PASS;
	handoff->full = 0;
	len = segment_load(skb, segment, handoff->extra.bytes);
	if (len < 0)
		return PASS;
	handoff->extra.len = len;
	handoff->socket.first_seq = segment->seq;
	handoff->socket.taken = 0;
	handoff->socket.on_bad = policy->on_bad;
	handoff->socket.split = policy->split;
	handoff->socket.port_flags = policy->flags;
	handoff->socket.record.netns_cookie = netns_cookie(listener);
	handoff->socket.record.path = PP_PATH_HANDSHAKE;
	record_decode(work, &handoff->socket, handoff->extra.bytes, len);
	if (policy->split != PP_SPLIT_NONE && !split_admits(skb, segment, &handoff->socket.record))
		return DROP;
	if (handoff->socket.record.state == PP_STATE_BAD) {
		if (overtakes(skb, segment)) {
			count(PP_STAT_DROPPED_HOLE);
			return DROP;
		}
		if (policy->on_bad == PP_ON_BAD_DROP) {
			count(PP_STAT_DROPPED_BAD);
			record_count(&handoff->socket.record);
			return DROP;
		}
	}

	handoff->key.netns_cookie = handoff->socket.record.netns_cookie;
	__builtin_memcpy(handoff->key.remote, segment->source, 16);
	__builtin_memcpy(handoff->key.local, segment->destination, 16);
	handoff->key.remote_port = segment->source_port;
	handoff->key.local_port = segment->destination_port;
	handoff->key.first_seq = segment->seq;
	handoff->ack = segment->ack;
	handoff->syn = segment->flags & TCP_SYN ? 1 : 0;
	handoff->more = segment->payload_len > handoff->socket.record.header_len;
	handoff->full = 1;
	return PASS;
}

static int gate_listener(struct __sk_buff *skb, struct bpf_sock *listener)
{
	__u16 port = listener->src_port;
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct segment segment;

	if (!policy || segment_read(skb, &segment) || segment.flags & TCP_RST)
		return PASS;
	if (!segment.payload_len && segment.flags & TCP_SYN)
		return PASS;
	/* a proxy that closes without a header: with a split, nobody is to know */
	if (!segment.payload_len && segment.flags & TCP_FIN && policy->split == PP_SPLIT_NONE)
		return PASS;
	if (!is_marked(segment.source))
		return PASS;
	if (!segment.payload_len)
		return gate_hold(skb, &segment, policy);
	return gate_hand_over(skb, listener, &segment, policy);
}

/* work->joined becomes the first @have bytes, from @kept, and behind them the segment's payload.
 * Return: how many bytes of the stream that is, PP_WINDOW at most; or -1. */
static int join_segments(struct __sk_buff *skb, const struct segment *segment, struct pp_work *work,
			 const struct pp_extra *kept, __u32 have)
{
	int len;

	if (have >= PP_WINDOW)
		return -1;
	if (kept)
		__builtin_memcpy(work->joined, kept->bytes, PP_WINDOW);
	pp_opaque(have); /* or the compiler takes the mask, which the 6.1 verifier needs, away */
	have &= PP_WINDOW - 1;
	len = segment_load(skb, segment, work->joined + have);
	if (len < 0)
		return -1;
	return have + len > PP_WINDOW ? PP_WINDOW : have + len;
}

/* Keeps work->joined with the socket. */
static void keep_bytes(struct bpf_sock *sk, struct pp_work *work, struct pp_record *record,
		       __u32 len)
{
	struct pp_extra *kept = bpf_sk_storage_get(&pp_extra, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!kept) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	__builtin_memcpy(kept->bytes, work->joined, PP_WINDOW);
	kept->len = len;
	record->flags |= PP_RECORD_KEPT;
}

/* A segment that is in sequence, on a socket whose header is not complete. */
static int gate_decode(struct __sk_buff *skb, struct bpf_sock *sk, struct pp_socket *socket,
		       const struct segment *segment, __u32 have)
{
	struct pp_extra *kept = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	struct pp_work *work = working_memory();
	int len;

	if (!work || (have && !kept))
		return PASS;
	len = join_segments(skb, segment, work, kept, have);
	if (len < 0)
		return PASS;

	socket->record.path = PP_PATH_SEGMENT;
	record_decode(work, socket, work->joined, len);
	if (socket->record.state == PP_STATE_BAD && socket->on_bad == PP_ON_BAD_DROP) {
		socket->record.state = PP_STATE_PENDING;
		count(PP_STAT_DROPPED_BAD);
		return DROP;
	}
	if (record_wants_bytes(&socket->record))
		keep_bytes(sk, work, &socket->record, len);
	if (!have || record_is_settled(&socket->record))
		record_count(&socket->record);
	return PASS;
}

/* TCP drops a segment that it finds damaged after the gate has seen it, and the proxy sends it
 * again: what was decoded counts once TCP has taken it. */
static int is_settled(const struct pp_record *record, __u32 accepted)
{
	return record_is_settled(record) && (accepted || record->state == PP_STATE_EXPIRED);
}

/*
 * Sequence numbers decide. A segment counts when it begins where the socket goes on reading
 * (rcv_nxt) or, while the socket's owner keeps it locked and segments wait in the backlog, right
 * behind what was decoded last; and when it acknowledges what TCP would accept. One that leaves a
 * hole is dropped: it comes again, and in order.
 */
static int gate_child(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct pp_socket *socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	struct bpf_tcp_sock *tcp;
	struct segment segment;
	__u32 offset, accepted, have;

	if (!socket)
		return PASS;
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return PASS;
	accepted = tcp->rcv_nxt - socket->first_seq;
	if (is_settled(&socket->record, accepted))
		return PASS;
	if (segment_read(skb, &segment) || !segment.payload_len ||
	    segment.flags & (TCP_RST | TCP_SYN))
		return PASS;
	/* TCP would take data with an acknowledgement of up to a window ago; a forger could guess
	 * that. */
	if (segment.ack - tcp->snd_una > tcp->snd_nxt - tcp->snd_una) {
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}

	have = socket->have;
	offset = segment.seq - socket->first_seq;
	if (offset != accepted && offset != have) {
		if ((__s32)offset < (__s32)accepted)
			return PASS;
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	}
	if (accepted > have || offset > have) /* TCP took bytes that were not seen here */
		return PASS;
	return gate_decode(skb, sk, socket, &segment, offset);
}

static int gate(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	if (sk->state == BPF_TCP_LISTEN)
		return gate_listener(skb, sk);
	return gate_child(skb, sk);
}

#endif
