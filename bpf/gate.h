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

/* Who is at the other end of a connection that is being made to a served port. */
enum standing {
	STRANGER,   /* nobody who sends headers */
	PROXY,	    /* marked: announced by a proxy cgroup of this host, or by its address */
	OUTSIDER,   /* has a marked address, but is a process of this host outside of the proxies'
		       cgroups */
	OVERTAKING, /* announced, and ahead of the segment that the handshake waits for */
};

/* Did @segment overtake the one that the handshake waits for? Where there is no request, TCP itself
 * takes no other: a SYN cookie holds for one sequence number only. */
static int overtakes(struct __sk_buff *skb, const struct segment *segment)
{
	struct handshake handshake;

	return handshake_of(skb, segment, &handshake) && segment->seq != handshake.next_seq;
}

/* @outgoing: receives the entry that announced the connection, or NULL. An address says little of
 * who connects from this host itself, over loopback: where there is a proxy cgroup, that decides.
 */
static enum standing standing_of(struct __sk_buff *skb, struct bpf_sock *listener,
				 const struct segment *segment, struct pp_outgoing **outgoing)
{
	struct pp_handoff_key key = {};
	struct pp_outgoing *entry;
	struct handshake handshake;

	*outgoing = NULL;
	if (!has_senders())
		return is_marked(segment->source) ? PROXY : STRANGER;
	connection_of_segment(segment, &key);
	outgoing_key(&key, is_loopback(key.remote) ? netns_cookie(listener) : 0);
	entry = bpf_map_lookup_elem(&pp_outgoing, &key);
	if (entry && entry->first_seq == segment->seq) {
		*outgoing = entry;
		return PROXY;
	}
	/* else an older connection left it behind */
	if (entry && handshake_of(skb, segment, &handshake) &&
	    handshake.next_seq == entry->first_seq)
		return OVERTAKING;
	if (!is_marked(segment->source))
		return STRANGER;
	return skb->ifindex == LOOPBACK_IFINDEX ? OUTSIDER : PROXY;
}

/* A bare ACK would wake the MTA before it can know who called: hold it back. The header segment,
 * which carries the same ACK, ends the handshake instead. */
static int gate_hold(struct __sk_buff *skb, const struct segment *segment,
		     const struct pp_port *policy, const struct pp_outgoing *outgoing)
{
	/* popped, the header wakes nobody: the MTA has to be there first */
	if (outgoing && policy->flags & PP_PORT_POP)
		return PASS;
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

static void gate_key(struct pp_handoff *handoff, const struct segment *segment)
{
	handoff->key.netns_cookie = handoff->socket.record.netns_cookie;
	connection_of_segment(segment, &handoff->key);
	handoff->key.first_seq = segment->seq;
	handoff->ack = segment->ack;
	handoff->syn = segment->flags & TCP_SYN ? 1 : 0;
	handoff->more = segment->payload_len > handoff->socket.record.header_len;
	handoff->full = 1;
}

static void gate_socket(struct pp_handoff *handoff, struct bpf_sock *listener,
			const struct segment *segment, const struct pp_port *policy)
{
	handoff->full = 0;
	handoff->socket.first_seq = segment->seq;
	handoff->socket.taken = 0;
	handoff->socket.announced = 0;
	handoff->socket.on_bad = policy->on_bad;
	handoff->socket.split = policy->split;
	handoff->socket.port_flags = policy->flags;
	handoff->socket.record.netns_cookie = netns_cookie(listener);
	handoff->socket.record.path = PP_PATH_HANDSHAKE;
	handoff->socket.record.sender_cgroup = 0;
	handoff->socket.record.sender_pid = 0;
	handoff->socket.record.sender_uid = 0;
}

/* The record is what the sending side has decoded. Return: 1, or 0 when that is for the decoder. */
static int gate_adopt(struct __sk_buff *skb, struct pp_handoff *handoff,
		      const struct segment *segment, struct pp_outgoing *outgoing)
{
	struct pp_handoff_key key = {};
	struct pp_extra *popped;
	int len;

	handoff->socket.announced = 1;
	if (!outgoing_covers(outgoing, segment->payload_len)) {
		record_set_sender(&handoff->socket.record, &outgoing->record);
		return 0;
	}
	outgoing_take(&handoff->socket.record, outgoing);
	handoff->socket.have = segment->payload_len;
	if (!record_wants_bytes(&outgoing->record))
		return 1;
	if (!(outgoing->record.flags & PP_RECORD_POPPED)) {
		len = segment_load(skb, segment, handoff->extra.bytes);
		handoff->extra.len = len < 0 ? 0 : len;
		return 1;
	}
	connection_of_segment(segment, &key);
	outgoing_key(&key, handoff->socket.record.netns_cookie);
	popped = bpf_map_lookup_elem(&pp_popped, &key);
	if (popped) {
		__builtin_memcpy(handoff->extra.bytes, popped->bytes, PP_WINDOW);
		handoff->extra.len = popped->len;
	}
	return 1;
}

/* Return: 1, or 0 when the segment cannot be read. */
static int gate_decode_first(struct __sk_buff *skb, struct pp_handoff *handoff,
			     const struct segment *segment)
{
	struct pp_work *work = working_memory();
	int len;

	if (!work)
		return 0;
	len = segment_load(skb, segment, handoff->extra.bytes);
	if (len < 0)
		return 0;
	handoff->extra.len = len;
	record_decode(&work->decoder, &handoff->socket, handoff->extra.bytes, len);
	return 1;
}

/* The segment that ends the handshake has no socket yet: pp_sockops finds what it says by tuple and
 * sequence number, in this same softirq. */
static int gate_hand_over(struct __sk_buff *skb, struct bpf_sock *listener,
			  const struct segment *segment, const struct pp_port *policy,
			  struct pp_outgoing *outgoing)
{
	struct pp_handoff *handoff = handoff_of_this_cpu();

	if (!handoff)
		return PASS;
	gate_socket(handoff, listener, segment, policy);
	if (!outgoing || !gate_adopt(skb, handoff, segment, outgoing)) {
		if (!gate_decode_first(skb, handoff, segment))
			return PASS;
	}
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
	gate_key(handoff, segment);
	return PASS;
}

/* Whatever an outsider sends, the MTA is told that it is not to be believed, or never sees it. */
static int gate_refuse(struct bpf_sock *listener, const struct segment *segment,
		       const struct pp_port *policy)
{
	struct pp_handoff *handoff = handoff_of_this_cpu();

	count(PP_STAT_OUTSIDERS);
	if (!handoff || policy->split != PP_SPLIT_NONE || policy->on_bad == PP_ON_BAD_DROP)
		return DROP;
	__builtin_memset(&handoff->socket, 0, sizeof(handoff->socket));
	gate_socket(handoff, listener, segment, policy);
	handoff->socket.record.state = PP_STATE_BAD;
	handoff->socket.record.reason = PP_BAD_SENDER;
	gate_key(handoff, segment);
	return PASS;
}

static int gate_listener(struct __sk_buff *skb, struct bpf_sock *listener)
{
	__u16 port = listener->src_port;
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct pp_outgoing *outgoing;
	struct segment segment;

	if (!policy || segment_read(skb, &segment) || segment.flags & TCP_RST)
		return PASS;
	if (!segment.payload_len && segment.flags & TCP_SYN)
		return PASS;
	/* a proxy that closes without a header: with a split, nobody is to know */
	if (!segment.payload_len && segment.flags & TCP_FIN && policy->split == PP_SPLIT_NONE)
		return PASS;
	switch (standing_of(skb, listener, &segment, &outgoing)) {
	case STRANGER:
		return PASS;
	case OVERTAKING:
		count(PP_STAT_DROPPED_HOLE);
		return DROP;
	case OUTSIDER:
		return gate_refuse(listener, &segment, policy);
	case PROXY:
		break;
	}
	if (!segment.payload_len)
		return gate_hold(skb, &segment, policy, outgoing);
	return gate_hand_over(skb, listener, &segment, policy, outgoing);
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

	work->socket = *socket;
	work->socket.record.path = PP_PATH_SEGMENT;
	record_decode(&work->decoder, &work->socket, work->joined, len);
	if (work->socket.record.state == PP_STATE_BAD && socket->on_bad == PP_ON_BAD_DROP) {
		count(PP_STAT_DROPPED_BAD);
		return DROP;
	}
	if (record_wants_bytes(&work->socket.record))
		keep_bytes(sk, work, &work->socket.record, len);
	socket->have = len;
	record_write(&socket->record, &work->socket.record);
	if (!have || record_is_settled(&socket->record))
		record_count(&socket->record);
	return PASS;
}

/* The sending side may have decoded what this segment, of a socket without a header, begins with;
 * or have taken it out in front of it. Return: 1 when that settles the socket's record. */
static int gate_settle(struct __sk_buff *skb, struct bpf_sock *sk, struct pp_socket *socket,
		       const struct segment *segment, struct pp_handoff_key *key)
{
	struct pp_outgoing *outgoing;
	struct pp_work *work;
	int len;

	outgoing = outgoing_find(key, socket->record.netns_cookie, socket->first_seq);
	if (!outgoing)
		return 0;
	record_set_sender(&socket->record, &outgoing->record);
	if (!outgoing_covers(outgoing, segment->payload_len))
		return 0;
	if (outgoing->record.flags & PP_RECORD_POPPED) {
		outgoing_keep_popped(sk, key, &outgoing->record);
	} else if (record_wants_bytes(&outgoing->record)) {
		work = working_memory();
		len = work ? join_segments(skb, segment, work, NULL, 0) : -1;
		if (len > 0)
			keep_bytes(sk, work, &outgoing->record, len);
	}
	outgoing_take(&socket->record, outgoing);
	record_count(&socket->record);
	outgoing_forget(key, &outgoing->record);
	socket->announced = 0;
	return 1;
}

/* TCP drops a segment that it finds damaged after the gate has seen it, and the proxy sends it
 * again: what was decoded counts once TCP has taken it. */
static int is_settled(const struct pp_record *record, __u32 accepted)
{
	if (record->flags & PP_RECORD_POPPED || record->reason == PP_BAD_SENDER)
		return 1;
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
	struct pp_handoff_key key = {};
	struct bpf_tcp_sock *tcp;
	struct segment segment;
	__u32 offset, accepted, have;
	int verdict;

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
	if (!socket->announced)
		return gate_decode(skb, sk, socket, &segment, offset);
	connection_of_segment(&segment, &key);
	if (!offset && gate_settle(skb, sk, socket, &segment, &key))
		return PASS;
	verdict = gate_decode(skb, sk, socket, &segment, offset);
	if (record_is_settled(&socket->record)) {
		outgoing_key(&key, socket->record.netns_cookie);
		outgoing_forget(&key, &socket->record);
		socket->announced = 0;
	}
	return verdict;
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
