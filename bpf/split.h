/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The split: pp_in and pp_out, tc programs on the interfaces of the server. The kernel makes the
 * ordinary handshake. pp_in holds its bare ACK back, takes the header out of the segment that ends
 * it, and from then on subtracts the header's length from sequence numbers coming in; pp_out adds
 * it to the acknowledgements going out. The server's socket is a plain socket from birth.
 *
 *   pp_in     miss -> stage -> cut or refuse; later: translate_in
 *   pp_out    translate_out
 *   the guard (guard_drop(), in pp_gate) lets nothing past that pp_in has not seen
 */
#ifndef PP_SPLIT_H
#define PP_SPLIT_H

#define TC_NEXT -1 /* TCX_NEXT, TC_ACT_UNSPEC: as if this program was not there */
#define TC_PASS 0  /* keeps the carrier */
#define TC_DROP 2

#define WINDOW_MAX 65535

/* miss() and hit(): the packet is in the stage before the header is complete. The caller goes
 * on: 6.1 allows eight calls inside one another. */
#define TC_STAGE 0x100
#define TC_MISS	 0x101 /* hit(): the entry is of no use */

/* A connection in the stage before its header is complete. */
struct stage {
	struct segment segment;
	struct pp_connection_key key;
	struct pp_flow flow;
	struct pp_handover_key at;
	struct pp_handover handover;
	__u64 waited_us; /* for the header; 0: not known */
	__u32 next_ack;	 /* the acknowledgement that ends the handshake; 0: the kernel's cookie will
			    tell */
	__u32 start;	 /* bytes of the header before this segment's first new one */
	__u32 window;
	__u32 known;	/* 1: pp_flows had an entry when the segment came */
	__u32 unserved; /* 1: its listener is of no served cgroup */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stage);
} pp_stage SEC(".maps");

static void flow_key(struct pp_connection_key *key, struct __sk_buff *skb,
		     const struct segment *segment)
{
	key->netns_cookie = skb_netns_cookie(skb);
	__builtin_memcpy(key->remote, segment->source, 16);
	__builtin_memcpy(key->local, segment->destination, 16);
	key->remote_port = segment->source_port;
	key->local_port = segment->destination_port;
	key->first_seq = 0;
}

/* The new segment's socket, and what it is to be told. */
static void stage_socket(struct stage *stage, const struct pp_port *policy)
{
	struct pp_socket *socket = &stage->handover.socket;

	__builtin_memset(&stage->handover, 0, sizeof(stage->handover));
	socket->first_seq = stage->flow.first_seq;
	socket->on_bad = policy->on_bad;
	socket->split = policy->split;
	socket->port_flags = policy->flags;
	socket->settled = 1;
	socket->record.path = PP_PATH_SPLIT;
}

#define STAGE_LATE -2 /* another CPU has taken more of the header */

/* Segments and copies of them come by several CPUs. One that is late must not undo what another has
 * kept and acknowledged since: the proxy does not send that again. */
static int stage_is_late(const struct stage *stage)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	return flow && flow->first_seq == stage->flow.first_seq &&
	       (flow->established || flow->got != stage->start);
}

/* The pieces before this one are gone. Return: STAGE_LATE, with the header that they were part of;
 * or -1. */
static int stage_lost(const struct stage *stage)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	return flow && flow->first_seq == stage->flow.first_seq && (flow->established || flow->cut)
		       ? STAGE_LATE
		       : -1;
}

/* Return: 0; or -1, late. */
static int stage_keep(struct stage *stage, __u32 len)
{
	struct pp_flow *flow = bpf_map_lookup_elem(&pp_flows, &stage->key);

	stage->flow.got = len;
	if (flow && flow->first_seq == stage->flow.first_seq)
		return __sync_val_compare_and_swap(&flow->got, stage->start, len) == stage->start
			       ? 0
			       : -1;
	return bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow, BPF_ANY) ? -1 : 0;
}

/* Joins the segment's bytes to the pieces before it, and decodes: a header larger than PP_WINDOW,
 * of which work->joined has the beginning (@joined), or pp_large_pieces. Return: bytes of the
 * header that are there; -1, what came before is lost; or STAGE_LATE. */
static int stage_decode_large(struct __sk_buff *skb, struct stage *stage, struct pp_work *work,
			      int joined)
{
	struct pp_large *large = large_working_memory(), *kept;
	__u32 start = stage->start;
	int len;

	if (!large || !work)
		return -1;
	if (joined) {
		__builtin_memcpy(large->bytes, work->joined.bytes, PP_WINDOW);
	} else if (start) {
		kept = bpf_map_lookup_elem(&pp_large_pieces, &stage->key);
		if (!kept)
			return stage_lost(stage);
		if (bpf_probe_read_kernel(large->bytes, PP_HEADER_MAX, kept->bytes))
			return -1;
	}
	len = segment_load_large(skb, &stage->segment, large, start,
				 stage->handover.socket.record.header_len);
	if (len < 0)
		return -1;
	large->len = len;
	record_decode(&work->decoder, &stage->handover.socket, (const struct pp_extra *)large,
		      len < PP_WINDOW ? len : PP_WINDOW);
	record_finish_large(&work->decoder, &stage->handover.socket, large, len);
	if (stage_is_late(stage))
		return STAGE_LATE;
	if (bpf_map_update_elem(&pp_large_pieces, &stage->key, large, BPF_ANY))
		return -1;
	return len;
}

/* The same for any header; one that turns out to be large is for stage_decode_large() after that.
 * @joined: receives what that wants to know. */
static int stage_decode(struct __sk_buff *skb, struct stage *stage, int *joined)
{
	struct pp_record *record = &stage->handover.socket.record;
	struct pp_work *work = working_memory();
	struct pp_extra *kept = NULL;
	int len;

	if (!work)
		return -1;
	if (stage->start) {
		kept = bpf_map_lookup_elem(&pp_pieces, &stage->key);
		if (!kept)
			return stage_lost(stage);
		/* the length is in the first piece, or what is decoded next says it */
		record_decode(&work->decoder, &stage->handover.socket, kept, kept->len & 0x7ff);
		if (record_continues_large(record)) {
			*joined = 0;
			return 0;
		}
		if (kept->len != stage->start)
			return STAGE_LATE;
	}
	len = join_segments(skb, &stage->segment, work, kept, stage->start);
	if (len < 0)
		return -1;
	work->joined.len = len;
	record_decode(&work->decoder, &stage->handover.socket,
		      (const struct pp_extra *)&work->joined, len);
	if (record_wants_bytes(record) || record_continues_large(record)) {
		if (stage_is_late(stage))
			return STAGE_LATE;
		if (bpf_map_update_elem(&pp_pieces, &stage->key, &work->joined, BPF_ANY))
			return -1;
	}
	*joined = 1;
	return len;
}

/* The sequence number after what has been taken of the header, in the proxy's numbers. */
static __u32 stage_next(const struct stage *stage)
{
	return stage->flow.first_seq + stage->flow.got;
}

static int stage_answer(struct __sk_buff *skb, struct packet *packet, const struct stage *stage,
			__u32 ack, __u8 flags)
{
	struct reply reply = {
		.seq = stage->segment.ack, .ack = ack, .window = stage->window, .flags = flags};

	return packet_answer(skb, packet, &reply);
}

/* The connection ends: a RST to the proxy, and this packet becomes one for the kernel's request. */
static int stage_reset(struct __sk_buff *skb, struct packet *packet, const struct stage *stage)
{
	const struct segment *segment = &stage->segment;
	struct reply reply = {
		.seq = stage->flow.first_seq, .ack = segment->ack, .flags = TCP_RST | TCP_ACK};
	__u32 end = segment->seq + segment->payload_len + (segment->flags & TCP_FIN ? 1 : 0);

	bpf_map_delete_elem(&pp_flows, &stage->key);
	if (stage_answer(skb, packet, stage, end, TCP_RST | TCP_ACK))
		return TC_DROP;
	return packet_become(skb, packet, &reply) ? TC_DROP : TC_PASS;
}

/* Tells pp_gate and pp_sockops of this segment, which is to end the handshake. Return: 0; -1, there
 * is no room; or STAGE_LATE. */
static int stage_hand_over(struct stage *stage, __u32 cut)
{
	struct pp_flow *flow = NULL;

	if (stage->known)
		flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established && flow->first_seq == stage->flow.first_seq)
		return STAGE_LATE;
	stage->flow.cut = cut;
	if (stage->flow.forwarded && forward_keep(&stage->key, &stage->flow))
		return -1;
	stage->handover.forwarded = stage->flow.forwarded;
	stage->handover.socket.cut = cut;
	stage->handover.flow = stage->key;
	__builtin_memcpy(stage->at.remote, stage->segment.source, 16);
	stage->at.remote_port = stage->segment.source_port;
	stage->at.first_seq = stage->flow.first_seq;
	stage->at.ack = stage->segment.ack;
	/* what was not there when this segment came, and is now, another CPU has put there for a
	 * copy */
	if (bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow,
				stage->known ? BPF_ANY : BPF_NOEXIST))
		return STAGE_LATE;
	return bpf_map_update_elem(&pp_handovers, &stage->at, &stage->handover, BPF_ANY);
}

/* A header that is none, one that does not come, or one whose connection ends before it. */
static int stage_refuse(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
			const struct pp_port *policy)
{
	__u32 got = stage->flow.got;
	int result;

	if (policy->on_bad == PP_ON_BAD_DROP) {
		record_count(&stage->handover.socket.record);
		count(PP_STAT_DROPPED_BAD);
		return stage_reset(skb, packet, stage);
	}
	/* The MTA is told. It gets what is not acknowledged yet. */
	result = stage_hand_over(stage, got);
	if (result)
		return result == STAGE_LATE ? TC_DROP : stage_reset(skb, packet, stage);
	if (got && add_to_number(skb, packet->ip + packet->ip_len,
				 packet->ip + packet->ip_len + TCP_AT_SEQ, -got))
		return TC_DROP;
	return TC_PASS;
}

static int stage_bad(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
		     const struct pp_port *policy, __u8 reason)
{
	stage->handover.socket.record.state = PP_STATE_BAD;
	stage->handover.socket.record.reason = reason;
	return stage_refuse(skb, stage, packet, policy);
}

/* No payload: an end, or the handshake's own ACK, which has waited long enough. */
static int stage_bare(struct __sk_buff *skb, struct stage *stage, struct packet *packet,
		      const struct pp_port *policy)
{
	if (stage->segment.flags & TCP_FIN) {
		if (stage->segment.seq != stage_next(stage))
			return TC_DROP;
		return stage_bad(skb, stage, packet, policy, PP_BAD_CLOSED);
	}
	stage->handover.socket.record.state = PP_STATE_EXPIRED;
	return stage_refuse(skb, stage, packet, policy);
}

/* Is it the handshake's own ACK, which waits? */
static int is_held(const struct stage *stage, const struct pp_port *policy)
{
	__u64 allowed = policy->gate_ms > GATE_SLACK_MS ? policy->gate_ms - GATE_SLACK_MS : 1;

	if (stage->segment.payload_len || stage->segment.flags & (TCP_FIN | TCP_RST) ||
	    stage->segment.seq != stage_next(stage))
		return 0;
	return !policy->gate_ms || stage->waited_us < 1000 * allowed;
}

/*
 * A header alone is acknowledged at once, or the proxy would send it again after 200 ms, unless the
 * server does that by what it says first: on a port where it did so lately, some connections in a
 * row, it is expected to. An acknowledgement of our own costs as much as all else that is done
 * here.
 */
#define GREETINGS 8

static int is_greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port);

	return greetings && *greetings >= GREETINGS;
}

/* The server spoke, before anything but the header had come. Several CPUs may lose a count. */
static void greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port), one = 1;

	if (!greetings)
		bpf_map_update_elem(&pp_greetings, &port, &one, BPF_ANY);
	else if (*greetings < GREETINGS)
		++*greetings;
}

/* A header was sent again. */
static void not_greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port);

	if (greetings)
		*greetings = 0;
}

/* The header is complete, @len bytes of it: takes out what this segment has of it. */
static int stage_cut(struct __sk_buff *skb, struct stage *stage, struct packet *packet, __u32 len,
		     __u32 skipped)
{
	__u32 here = len - stage->start + skipped, seq = stage->segment.seq - skipped;
	int alone = here == packet->payload_len && !(stage->segment.flags & TCP_FIN);
	struct reply reply = {.seq = stage->flow.first_seq, .ack = stage->segment.ack};
	struct tcphdr *tcp = packet_tcp(packet);
	int result;

	stage->handover.socket.record.flags |= PP_RECORD_SPLIT;
	if (!tcp)
		return TC_DROP;
	result = stage_hand_over(stage, len);
	if (result)
		return result == STAGE_LATE ? TC_DROP : stage_reset(skb, packet, stage);
	count(PP_STAT_SPLIT);
	if (!alone)
		return packet_cut(skb, packet, here, stage->flow.first_seq) ? TC_DROP : TC_PASS;
	/* Nothing is left that the kernel would acknowledge. */
	reply.window = bpf_ntohs(tcp->window);
	reply.flags = stage->segment.flags;
	/* Not under cookies: where the kernel has no room for the connection, only the proxy can
	 * send it again. */
	if (stage->next_ack && !is_greeted(stage->segment.destination_port) &&
	    stage_answer(skb, packet, stage, seq + here, TCP_ACK))
		return TC_DROP;
	return packet_become(skb, packet, &reply) ? TC_DROP : TC_PASS;
}

/* Whoever listens there would get the proxy for its client, and pp_gate is not there to say
 * otherwise: another service with a served port's number, or a unit that was restarted and has a
 * cgroup without the programs. */
static int stage_unserved(struct __sk_buff *skb, struct stage *stage)
{
	struct packet *packet;

	if (stage->segment.flags & TCP_RST)
		return TC_PASS;
	packet = packet_read(skb, &stage->segment);
	if (!packet || !packet_is_whole(skb, packet, &stage->segment))
		return TC_DROP;
	count(PP_STAT_UNSERVED);
	return stage_reset(skb, packet, stage);
}

/* A packet of a marked proxy whose connection has no socket yet. */
static __noinline int stage_segment(struct __sk_buff *skb, struct stage *stage)
{
	__u16 port;
	struct pp_port *policy;
	struct segment *segment;
	struct packet *packet;
	struct pp_record *record;
	__u32 skipped;
	__s32 offset;
	int len, joined = 0;

	if (!stage)
		return TC_DROP;
	segment = &stage->segment;
	port = segment->destination_port;
	policy = bpf_map_lookup_elem(&pp_ports, &port);
	if (!policy)
		return TC_DROP;
	record = &stage->handover.socket.record;
	/* Who does not know this has not received our SYN-ACK. A RST without it is a kernel's that
	 * has lost its end: it has the SYN-ACK's number, which is asked for below. */
	if (stage->next_ack && segment->ack != stage->next_ack &&
	    (segment->flags & (TCP_RST | TCP_ACK)) != TCP_RST)
		return TC_DROP;
	if (stage->unserved)
		return stage_unserved(skb, stage);
	if (is_held(stage, policy)) {
		count(PP_STAT_ACKS_HELD);
		return TC_DROP;
	}
	packet = packet_read(skb, segment);
	if (!packet) {
		count(PP_STAT_DROPPED_UNREADABLE);
		return TC_DROP;
	}
	if (segment->flags & TCP_RST)
		return segment->seq == stage_next(stage) &&
				       !add_to_number(skb, packet->ip + packet->ip_len,
						      packet->ip + packet->ip_len + TCP_AT_SEQ,
						      -stage->flow.got)
			       ? TC_PASS
			       : TC_DROP;
	/* At most a window apart: the difference does not wrap. */
	offset = segment->seq - stage_next(stage);
	if (offset > 0) {
		count(PP_STAT_DROPPED_HOLE);
		return TC_DROP;
	}
	if (!packet_is_whole(skb, packet, segment))
		return TC_DROP;
	stage_socket(stage, policy);
	if (!segment->payload_len && !offset)
		return stage_bare(skb, stage, packet, policy);
	skipped = -offset;
	if (skipped >= segment->payload_len) { /* all of it has been acknowledged: that was lost */
		if (!(segment->flags & TCP_FIN))
			stage_answer(skb, packet, stage, stage_next(stage), TCP_ACK);
		return TC_DROP;
	}
	segment_skip(segment, skipped);
	stage->start = stage->flow.got;
	len = stage_decode(skb, stage, &joined);
	if (len >= 0 && record_continues_large(record))
		len = stage_decode_large(skb, stage, working_memory(), joined);
	if (len == STAGE_LATE)
		return TC_DROP;
	if (len < 0)
		return stage_bad(skb, stage, packet, policy, PP_BAD_UNRECORDED);
	if (record->state == PP_STATE_BAD)
		return stage_refuse(skb, stage, packet, policy);
	if (record->state != PP_STATE_FRAGMENTED)
		return stage_cut(skb, stage, packet, record->header_len, skipped);
	if (segment->flags & TCP_FIN)
		return stage_bad(skb, stage, packet, policy, PP_BAD_CLOSED);
	if (stage_keep(stage, len))
		return TC_DROP;
	count(PP_STAT_PIECES);
	stage_answer(skb, packet, stage, stage_next(stage), TCP_ACK);
	return TC_DROP;
}

/* From the sender's record, where a proxy of this host announced the connection: who it is. */
static int stage_standing(struct __sk_buff *skb, struct stage *stage)
{
	struct pp_outgoing *outgoing;

	switch (standing_of(skb, &stage->segment, &outgoing)) {
	case STRANGER:
		return TC_NEXT;
	case AHEAD:
		count(PP_STAT_DROPPED_HOLE);
		return TC_DROP;
	case UNANNOUNCED:
		count(PP_STAT_UNANNOUNCED);
		return TC_DROP;
	case OUTSIDER:
		count(PP_STAT_OUTSIDERS);
		return TC_DROP;
	case PROXY:
		break;
	}
	return TC_PASS;
}

static int translate_in(struct __sk_buff *skb, const struct segment *segment, __u32 cut)
{
	__u32 tcp = segment->options - TCP_HEADER, seq = segment->seq;

	if (segment->flags & TCP_SYN)
		seq--;
	return cut && change_number(skb, tcp, tcp + TCP_AT_SEQ, seq, -cut) ? TC_DROP : TC_PASS;
}

/* Of any kind: bpf_skc_to_tcp_sock() says no where it is not plain TCP. */
static struct sock *kernel_socket(struct bpf_sock *sk)
{
	struct sock *at = NULL;

	bpf_probe_read_kernel(&at, sizeof(at), &sk);
	return at;
}

static int is_listener_served(struct sock *listener)
{
	__u64 cookie = 0;

	return listener &&
	       !bpf_core_read(&cookie, sizeof(cookie), &listener->__sk_common.skc_cookie) &&
	       bpf_map_lookup_elem(&pp_listeners, &cookie);
}

static void stage_window(struct stage *stage, __u32 window, __u8 scale)
{
	window >>= scale;
	stage->window = window > WINDOW_MAX ? WINDOW_MAX : window;
}

/* bpf_skc_to_tcp_request_sock() says no where the listener's is not plain TCP: see handshake.h. */
static __noinline int stage_of_mptcp_request(struct bpf_sock *sk, struct stage *stage)
{
	struct tcp_request_sock *at;
	__u32 rcv_isn = 0, snt_isn = 0, window = 0;
	struct sock *listener = NULL;
	__u64 sent_us = 0;

	if (!sk || !stage || bpf_probe_read_kernel(&at, sizeof(at), &sk) ||
	    bpf_core_read(&rcv_isn, sizeof(rcv_isn), &at->rcv_isn) ||
	    bpf_core_read(&snt_isn, sizeof(snt_isn), &at->snt_isn) ||
	    bpf_core_read(&sent_us, sizeof(sent_us), &at->snt_synack) ||
	    bpf_core_read(&listener, sizeof(listener), &at->req.req.__req_common.skc_listener) ||
	    bpf_core_read(&window, sizeof(window), &at->req.req.__req_common.skc_rcv_wnd))
		return -1;
	stage->unserved = !is_listener_served(listener);
	stage->flow.first_seq = rcv_isn + 1;
	stage->next_ack = snt_isn + 1;
	stage->waited_us = bpf_ktime_get_ns() / 1000 - sent_us;
	stage_window(stage, window, BPF_CORE_READ_BITFIELD_PROBED(&at->req, rcv_wscale));
	return 0;
}

static int stage_of_request(struct bpf_sock *sk, struct stage *stage)
{
	struct tcp_request_sock *request = bpf_skc_to_tcp_request_sock(sk);

	if (!request)
		return stage_of_mptcp_request(sk, stage);
	stage->unserved = !is_listener_served(request->req.req.__req_common.skc_listener);
	stage->flow.first_seq = request->rcv_isn + 1;
	stage->next_ack = request->snt_isn + 1;
	stage->waited_us = bpf_ktime_get_ns() / 1000 - request->snt_synack;
	stage_window(stage, request->req.req.__req_common.skc_rcv_wnd,
		     BPF_CORE_READ_BITFIELD(&request->req, rcv_wscale));
	return 0;
}

/* Does this segment acknowledge one of the kernel's SYN cookies, in a stream that begins with
 * @first_seq? Only the kernel knows. One that cannot be read is none that the kernel resets,
 * either. */
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

/* No socket of this namespace: is it one that is forwarded? Return: TC_PASS: @stage has what a
 * request would say, or stage->flow.established is set; TC_NEXT: no. */
static int stage_of_forwarded(struct stage *stage)
{
	struct pp_forward *forward = bpf_map_lookup_elem(&pp_forwarded, &stage->key);
	struct pp_synack *synack;

	if (forward && forward->confirmed) {
		stage->flow.first_seq = forward->first_seq;
		stage->flow.cut = forward->cut;
		stage->flow.forwarded = 1;
		stage->flow.established = 1;
		return TC_PASS;
	}
	synack = bpf_map_lookup_elem(&pp_synacks, &stage->key);
	if (!synack)
		return TC_NEXT;
	stage->flow.first_seq = synack->first_seq;
	stage->flow.forwarded = 1;
	stage->next_ack = synack->next_ack;
	stage->waited_us = (bpf_ktime_get_ns() - synack->sent_ns) / 1000;
	return TC_PASS;
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

/* A port that drains ends the stages that have begun, where pieces were acknowledged, and begins no
 * other. */
static int begins_stages(__u16 port)
{
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);

	return policy && splits(policy);
}

/* No entry in the cache: what does the kernel know of this connection? */
static __noinline int miss(struct __sk_buff *skb, struct stage *stage)
{
	int verdict = TC_NEXT, is_here = 0, late = 0, begins;
	struct bpf_sock *sk;

	if (!stage)
		return TC_NEXT;
	begins = begins_stages(stage->segment.destination_port);
	sk = find_request(skb, &stage->segment);
	if (sk) {
		if (sk->state == BPF_TCP_NEW_SYN_RECV) {
			is_here = 1;
			if (begins && !stage_of_request(sk, stage))
				verdict = TC_PASS;
		} else if (sk->state == BPF_TCP_LISTEN) {
			if (begins && !(stage->segment.flags & TCP_RST) &&
			    is_cookie(skb, sk, &stage->segment, stage->segment.seq)) {
				stage->flow.first_seq = stage->segment.seq;
				stage->unserved = !is_listener_served(kernel_socket(sk));
				verdict = TC_PASS;
			} else {
				late = 1;
			}
		} else {
			is_here = 1;
			stage_of_socket(sk, stage);
		}
		bpf_sk_release(sk);
	}
	/* A listener here does not mean that the connection is for it: docker-proxy has one. */
	if (!is_here && verdict == TC_NEXT)
		verdict = stage_of_forwarded(stage);
	if (!begins && !stage->flow.established)
		return TC_NEXT;
	if (stage->flow.established) {
		bpf_map_update_elem(&pp_flows, &stage->key, &stage->flow, BPF_ANY);
		return translate_in(skb, &stage->segment, stage->flow.cut);
	}
	if (late && verdict == TC_NEXT &&
	    (has_proxy_cgroup() || is_marked(stage->segment.source))) {
		skb->tc_classid = CARRIER_LATE;
		return TC_PASS;
	}
	if (verdict == TC_PASS)
		verdict = stage_standing(skb, stage);
	return verdict == TC_PASS ? TC_STAGE : verdict;
}

/* A header in pieces, or one that was handed over and has no socket yet. */
static __noinline int hit(struct __sk_buff *skb, struct stage *stage, struct pp_flow *flow)
{
	struct bpf_sock *sk;
	int cookie, failed;

	if (!stage || !flow)
		return TC_NEXT;
	stage->flow = *flow;
	/* At most a window apart: the difference does not wrap. */
	if (flow->cut && ((__s32)(stage->segment.seq - flow->first_seq - flow->cut) >= 0 ||
			  stage->segment.flags & TCP_RST))
		return translate_in(skb, &stage->segment, flow->cut);
	stage->flow.cut = 0;
	if (flow->forwarded) {
		__u32 first_seq = flow->first_seq;

		if (stage_of_forwarded(stage) == TC_NEXT) /* too long ago */
			return TC_DROP;
		if (stage->flow.established)
			return translate_in(skb, &stage->segment, stage->flow.cut);
		if (stage->flow.first_seq != first_seq) {
			stage->flow.got = 0;
			if (!begins_stages(stage->segment.destination_port))
				return TC_NEXT;
		}
		return stage_standing(skb, stage) == TC_PASS ? TC_STAGE : TC_DROP;
	}
	sk = find_request(skb, &stage->segment);
	if (!sk) { /* the listener is gone: the kernel resets it */
		skb->tc_classid = CARRIER_LATE;
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
			if (!begins_stages(stage->segment.destination_port))
				return TC_NEXT;
			if (stage_standing(skb, stage) != TC_PASS)
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
		skb->tc_classid = CARRIER_LATE;
		return TC_PASS;
	}
	bpf_sk_release(sk);
	bpf_map_delete_elem(&pp_flows, &stage->key);
	stage->flow.got = 0;
	return TC_MISS;
}

/* Fast Open and Multipath TCP go from a proxy's SYN, by NOPs: so it makes an ordinary connection,
 * and at once. */
struct nop_scan {
	struct __sk_buff *skb;
	__u32 tcp;
	__u32 at;
	__u32 end;
};

static long nop_step(__u32 round, void *context)
{
	static const __u8 nop = TCP_OPTION_NOP;
	struct nop_scan *scan = context;
	__u32 odd = (scan->at - scan->tcp) & 1;
	__u8 byte;

	(void)round;
	if (scan->at >= scan->end || bpf_skb_load_bytes(scan->skb, scan->at, &byte, 1))
		return 1;
	bpf_l4_csum_replace(scan->skb, scan->tcp + TCP_AT_CHECKSUM,
			    odd ? bpf_htons(byte) : bpf_htons(byte << 8),
			    odd ? bpf_htons(nop) : bpf_htons(nop << 8), 2);
	bpf_skb_store_bytes(scan->skb, scan->at, &nop, 1, 0);
	scan->at++;
	return 0;
}

struct syn_scan {
	struct option_walk walk;
	__u32 tcp; /* offset of the TCP header */
};

static long syn_option_step(__u32 round, void *context)
{
	struct syn_scan *scan = context;
	__u8 option[4] = {};
	struct nop_scan nops;
	int found, ours;

	(void)round;
	found = option_here(&scan->walk, option);
	if (found <= 0)
		return found < 0;
	ours = option[0] == TCP_OPTION_FASTOPEN || option[0] == TCP_OPTION_MPTCP;
	if (option[0] == TCP_OPTION_EXP && option[1] >= 4 &&
	    !bpf_skb_load_bytes(scan->walk.skb, scan->walk.at, option, 4))
		ours = (option[2] << 8 | option[3]) == TCP_EXP_FASTOPEN;
	if (ours) {
		nops.skb = scan->walk.skb;
		nops.tcp = scan->tcp;
		nops.at = scan->walk.at;
		nops.end = scan->walk.at + option[1];
		bpf_loop(TCP_OPTIONS_MAX, nop_step, &nops, 0);
	}
	scan->walk.at += option[1];
	return 0;
}

/* The options of a SYN as all systems send it: MSS, SACK, timestamps, NOP, window scale. */
static int options_are_usual(struct __sk_buff *skb, const struct segment *segment)
{
	__u8 option[20] = {};

	/* kinds and lengths */
	return segment->payload - segment->options == sizeof(option) &&
	       !bpf_skb_load_bytes(skb, segment->options, option, sizeof(option)) &&
	       option[0] == 2 && option[1] == 4 && option[4] == 4 && option[5] == 2 &&
	       option[6] == 8 && option[7] == 10 && option[16] == TCP_OPTION_NOP &&
	       option[17] == 3 && option[18] == 3;
}

static __noinline int split_syn(struct __sk_buff *skb, struct stage *stage)
{
	struct syn_scan scan;
	struct packet *packet;
	struct pp_flow *flow;
	int verdict;

	if (!stage)
		return TC_NEXT;
	/* A late copy of the SYN that the connection began with. Linux 6.1 answers it by a D-SACK,
	 * which pp_out translates. */
	flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established && flow->first_seq == stage->segment.seq)
		return translate_in(skb, &stage->segment, flow->cut);
	verdict = stage_standing(skb, stage);
	if (verdict != TC_PASS)
		return verdict;
	if (stage->segment.payload_len) {
		packet = packet_read(skb, &stage->segment);
		if (!packet || packet_cut(skb, packet, packet->payload_len, stage->segment.seq - 1))
			return TC_DROP;
	}
	if (options_are_usual(skb, &stage->segment))
		return TC_PASS;
	scan.walk.skb = skb;
	scan.walk.at = stage->segment.options;
	scan.walk.end = stage->segment.payload;
	scan.tcp = stage->segment.options - TCP_HEADER;
	bpf_loop(TCP_OPTIONS_MAX, syn_option_step, &scan, 0);
	return TC_PASS;
}

static __always_inline int is_split(__u16 port)
{
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);

	return policy && has_translated(policy);
}

/* Host order. */
static __always_inline __u16 port_in_place(struct __sk_buff *skb, __u32 at)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + at + sizeof(__be16) > end)
		return 0;
	return bpf_ntohs(*(const __be16 *)(data + at));
}

static __always_inline int split_in(struct __sk_buff *skb, __u32 l2)
{
	__u32 zero = 0, tcp;
	enum in_place in_place = tcp_in_place(skb, l2, &tcp);
	struct segment *segment;
	struct stage *stage;
	struct pp_flow *flow;
	int verdict;

	/* what is not for us leaves here */
	if (in_place == NOT_TCP ||
	    (in_place == IN_PLACE_YES && !is_split(port_in_place(skb, tcp + TCP_AT_DESTINATION))))
		return TC_NEXT;
	stage = bpf_map_lookup_elem(&pp_stage, &zero);
	if (!stage)
		return TC_NEXT;
	segment = &stage->segment;
	if (in_place == IN_PLACE_YES ? segment_read_in_place(skb, segment, l2)
				     : segment_load_headers(skb, segment, l2))
		return TC_NEXT;
	if (in_place == IN_PLACE_NO && !is_split(segment->destination_port))
		return TC_NEXT;
	skb->tc_classid = went_out(skb) ? CARRIER_BOTH : CARRIER;
	if (went_in(skb)) /* a second hook on the way: a bridge's port, and the bridge */
		return TC_PASS;
	stage->next_ack = 0;
	stage->waited_us = 0;
	stage->window = 512;
	flow_key(&stage->key, skb, segment);
	__builtin_memset(&stage->flow, 0, sizeof(stage->flow));
	if (segment->flags & TCP_SYN)
		return segment->flags & TCP_ACK || !begins_stages(segment->destination_port)
			       ? TC_NEXT
			       : split_syn(skb, stage);
	flow = bpf_map_lookup_elem(&pp_flows, &stage->key);
	if (flow && flow->established) {
		/* also, to no harm, every 2^32 bytes */
		if (segment->seq - flow->first_seq < flow->cut)
			not_greeted(segment->destination_port);
		return translate_in(skb, segment, flow->cut);
	}
	stage->known = flow != NULL;
	stage->unserved = 0;
	verdict = flow ? hit(skb, stage, flow) : TC_MISS;
	if (verdict == TC_MISS)
		verdict = miss(skb, stage);
	if (verdict == TC_STAGE)
		verdict = stage_segment(skb, stage);
	if (verdict == TC_NEXT)
		skb->tc_classid = 0; /* what a program after this one passes is none of ours */
	return verdict;
}

struct sack_scan {
	struct option_walk walk;
	__u32 tcp;
	__u32 cut;
};

static long sack_step(__u32 round, void *context)
{
	struct sack_scan *scan = context;
	__u8 option[2];
	int found;
	__u32 i;

	(void)round;
	found = option_here(&scan->walk, option);
	if (found <= 0)
		return found < 0;
	if (option[0] == TCP_OPTION_SACK) {
		for (i = 0; i < 8; i++) { /* four blocks, of two numbers each */
			if (2 + i * 4 + 4 > option[1] ||
			    add_to_number(scan->walk.skb, scan->tcp, scan->walk.at + 2 + i * 4,
					  scan->cut))
				break;
		}
	}
	scan->walk.at += option[1];
	return 0;
}

static int translate_out(struct __sk_buff *skb, const struct segment *segment, __u32 cut)
{
	struct sack_scan scan = {
		{skb, segment->options, segment->payload}, segment->options - TCP_HEADER, cut};
	__be32 first = 0;

	if (!cut)
		return TC_PASS;
	if (change_number(skb, scan.tcp, scan.tcp + TCP_AT_ACK, segment->ack, cut))
		return TC_DROP;
	if (segment->payload == segment->options)
		return TC_PASS;
	/* Timestamps alone are what most segments have. One SACK block alone is as long. */
	if (segment->payload - segment->options != 12 ||
	    bpf_skb_load_bytes(skb, segment->options, &first, sizeof(first)) ||
	    first != bpf_htonl(0x0101080a))
		bpf_loop(TCP_OPTIONS_MAX, sack_step, &scan, 0);
	return TC_PASS;
}

/* How much to add to this packet's acknowledgement. */
static __u32 cut_of_outgoing(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = skb->sk;
	struct pp_connection_key key = {};
	struct pp_forward *forward;
	struct pp_socket *socket;
	struct bpf_sock *full;
	struct pp_flow *flow;

	if (sk) {
		full = bpf_sk_fullsock(sk);
		socket = full ? bpf_sk_storage_get(&pp_origins, full, 0, 0) : NULL;
		if (socket) {
			if (socket->cut && segment->payload_len &&
			    segment->ack == socket->first_seq)
				greeted(segment->source_port);
			return socket->cut;
		}
	}
	/* a request, TIME_WAIT, or the kernel's own answer */
	key.netns_cookie = skb_netns_cookie(skb);
	__builtin_memcpy(key.remote, segment->destination, 16);
	__builtin_memcpy(key.local, segment->source, 16);
	key.remote_port = segment->destination_port;
	key.local_port = segment->source_port;
	flow = bpf_map_lookup_elem(&pp_flows, &key);
	if (segment->flags & TCP_SYN) { /* SYN-ACK: another connection than the entry's? */
		if (flow && flow->first_seq != segment->ack)
			bpf_map_delete_elem(&pp_flows, &key);
		if (!sk || sk->src_port != segment->source_port)
			forward_synack(segment, &key);
		return 0;
	}
	if (flow && (flow->established || !flow->forwarded))
		return flow->established ? flow->cut : 0;
	if (sk)
		return 0;
	forward = bpf_map_lookup_elem(&pp_forwarded, &key);
	return forward && forward->confirmed ? forward->cut : 0;
}

static __always_inline int split_out(struct __sk_buff *skb, __u32 l2)
{
	__u32 tcp;
	enum in_place in_place = tcp_in_place(skb, l2, &tcp);
	struct segment segment = {};

	if (in_place == NOT_TCP ||
	    (in_place == IN_PLACE_YES && !is_split(port_in_place(skb, tcp + TCP_AT_SOURCE))))
		return TC_NEXT;
	if (in_place == IN_PLACE_YES ? segment_read_in_place(skb, &segment, l2)
				     : segment_load_headers(skb, &segment, l2))
		return TC_NEXT;
	if ((in_place == IN_PLACE_NO && !is_split(segment.source_port)) ||
	    !(segment.flags & TCP_ACK))
		return TC_NEXT;
	skb->tc_classid = went_in(skb) ? CARRIER_BOTH : CARRIER_OUT;
	if (went_out(skb))
		return TC_PASS;
	return translate_out(skb, &segment, cut_of_outgoing(skb, &segment));
}

#endif
