/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A connection that is being made to a served port: what the kernel knows of its handshake, and who
 * is at its other end.
 */
#ifndef PP_HANDSHAKE_H
#define PP_HANDSHAKE_H

#define LOOPBACK_IFINDEX 1 /* of lo, in each network namespace */

/* How long after a lost announcement nobody who might be its connection is a stranger: that one
 * gives up after two SYNs (see sender.h), 3 s after the first. */
#define LOSS_NS (4 * 1000000000ULL)

/* Which network namespace the tc programs are loaded for: ppctl does so once for each, and sets
 * this before. 0: not known (in the other programs, or where bpftool has loaded them). */
const volatile __u64 netns_cookie = 0;

/* bpf_get_netns_cookie() takes no skb before 6.16, so walk to it. */
static __u64 socket_netns_cookie(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net->net_cookie : 0;
}

/* The same of the network namespace of @skb's device, which a tc program knows no socket of yet. */
static __u64 skb_netns_cookie(struct __sk_buff *skb)
{
	if (netns_cookie)
		return netns_cookie;
	return BPF_CORE_READ((struct sk_buff *)skb, dev, nd_net.net, net_cookie);
}

struct endpoints {
	const __u8 *from, *to; /* addresses, v4-mapped where they are IPv4 */
	__u16 from_port, to_port;
};

/* The socket that a segment with these @ends is for, with a reference; or NULL. */
static struct bpf_sock *find_socket(struct __sk_buff *skb, const struct endpoints *ends)
{
	struct bpf_sock_tuple tuple = {};

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__builtin_memcpy(&tuple.ipv4.saddr, ends->from + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, ends->to + 12, 4);
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

/* The request that answers to @segment, or the listener. */
static struct bpf_sock *find_request(struct __sk_buff *skb, const struct segment *segment)
{
	const struct endpoints ends = {segment->source, segment->destination, segment->source_port,
				       segment->destination_port};

	return find_socket(skb, &ends);
}

/* The socket of this host, in this network namespace, that has sent @segment. */
static struct bpf_sock *find_peer(struct __sk_buff *skb, const struct segment *segment)
{
	const struct endpoints ends = {segment->destination, segment->source,
				       segment->destination_port, segment->source_port};

	return find_socket(skb, &ends);
}

/* What the kernel's own request knows of @segment's handshake: when it answered the SYN, so the
 * gate keeps no state that a flood could push out, and which sequence number comes next. Under SYN
 * cookies there is no request. */
struct handshake {
	__u64 waited_us;
	__u32 next_seq;
	__u32 next_ack;
	int known; /* 1: there is a request, and this is what it knows */
};

/* bpf_skc_to_tcp_request_sock() does not know the requests of an MPTCP listener: read them from the
 * kernel's memory. */
static int handshake_of_mptcp(struct bpf_sock *sk, struct handshake *handshake)
{
	struct tcp_request_sock *at;
	__u64 sent_us = 0;
	__u32 rcv_isn = 0, snt_isn = 0;

	if (sk->state != BPF_TCP_NEW_SYN_RECV || bpf_probe_read_kernel(&at, sizeof(at), &sk) ||
	    bpf_core_read(&sent_us, sizeof(sent_us), &at->snt_synack) ||
	    bpf_core_read(&rcv_isn, sizeof(rcv_isn), &at->rcv_isn) ||
	    bpf_core_read(&snt_isn, sizeof(snt_isn), &at->snt_isn))
		return 0;
	handshake->waited_us = bpf_ktime_get_ns() / 1000 - sent_us;
	handshake->next_seq = rcv_isn + 1;
	handshake->next_ack = snt_isn + 1;
	return 1;
}

/* Return: 1, or 0 when there is no request. */
static int handshake_of(struct __sk_buff *skb, const struct segment *segment,
			struct handshake *handshake)
{
	struct bpf_sock *sk = find_request(skb, segment);
	struct tcp_request_sock *request;
	int found = 1;

	if (!sk)
		return 0;
	request = bpf_skc_to_tcp_request_sock(sk);
	if (request) {
		handshake->waited_us = bpf_ktime_get_ns() / 1000 - request->snt_synack;
		handshake->next_seq = request->rcv_isn + 1;
		handshake->next_ack = request->snt_isn + 1;
	} else {
		found = handshake_of_mptcp(sk, handshake);
	}
	bpf_sk_release(sk);
	handshake->known = found;
	return found;
}

enum place {
	IN_PLACE,   /* begins where the stream begins, or was made to */
	OVERTAKING, /* begins after that: something is missing before it */
};

/* Where does @segment stand in its stream? One that begins before the stream does, as TCP takes it,
 * is cut to begin there, and may have no payload left. Where there is no request TCP itself takes
 * no other segment than the first: a SYN cookie holds for one sequence number only. Two sequence
 * numbers of one handshake are at most a window apart, so their difference does not wrap.
 * @handshake: receives what is known. */
static enum place place_of(struct __sk_buff *skb, struct segment *segment,
			   struct handshake *handshake)
{
	__s32 early;

	if (!handshake_of(skb, segment, handshake) || segment->seq == handshake->next_seq)
		return IN_PLACE;
	early = handshake->next_seq - segment->seq;
	if (early < 0)
		return OVERTAKING;
	if ((__u32)early > segment->payload_len)
		early = segment->payload_len;
	segment_skip(segment, early);
	return IN_PLACE;
}

/* Who is at the other end of a connection that is being made to a served port. */
enum standing {
	STRANGER,    /* not a proxy */
	PROXY,	     /* marked: announced by a proxy cgroup of this host, or by its address */
	OUTSIDER,    /* has a marked address, but is a process of this host outside of the proxies'
		      * cgroups */
	AHEAD,	     /* announced, and the segment overtook the first one */
	UNANNOUNCED, /* is, or may be, of a proxy cgroup, and its announcement is lost */
};

enum locality {
	ELSEWHERE,  /* as far as this network namespace can tell */
	LOCAL_PEER, /* a process of this host */
	LOCAL_PROXY /* the same, and of a proxy cgroup: it connected to a served port number */
};

/* Asked of the socket at the other end, and not only of the device that the segment came by: in a
 * VRF, traffic of this host does not come by lo. */
static enum locality locality_of(struct __sk_buff *skb, const struct segment *segment)
{
	enum locality locality = skb->ifindex == LOOPBACK_IFINDEX ? LOCAL_PEER : ELSEWHERE;
	struct bpf_sock *found = find_peer(skb, segment), *peer;

	if (!found)
		return locality;
	if (found->state != BPF_TCP_LISTEN) {
		locality = LOCAL_PEER;
		peer = bpf_sk_fullsock(found);
		if (peer && bpf_sk_storage_get(&pp_announced, peer, 0, 0))
			locality = LOCAL_PROXY;
	}
	bpf_sk_release(found);
	return locality;
}

/* Has an announcement been lost whose connection may be coming now? */
static int announcements_are_missing(void)
{
	struct pp_loss *loss_of = loss();

	return loss_of && loss_of->lost_ns && bpf_ktime_get_ns() - loss_of->lost_ns < LOSS_NS;
}

/* The announcement of @segment's connection, or NULL. */
static struct pp_outgoing *announcement_of(struct __sk_buff *skb, const struct segment *segment,
					   __u32 first_seq)
{
	struct pp_connection_key key = {};

	connection_of_segment(segment, &key);
	outgoing_key(&key, is_loopback(key.remote) ? skb_netns_cookie(skb) : 0, first_seq);
	return bpf_map_lookup_elem(&pp_outgoing, &key);
}

/* An announcement is found by the sequence number of the stream's first byte. A segment that begins
 * elsewhere leads to it by way of the request. */
static struct pp_outgoing *announcement_of_later(struct __sk_buff *skb, struct segment *segment,
						 enum place *place)
{
	struct handshake handshake;
	struct pp_outgoing *outgoing;

	*place = IN_PLACE;
	if (segment->flags & TCP_SYN || !handshake_of(skb, segment, &handshake) ||
	    segment->seq == handshake.next_seq)
		return NULL;
	outgoing = announcement_of(skb, segment, handshake.next_seq);
	if (outgoing)
		*place = place_of(skb, segment, &handshake);
	return outgoing;
}

/* @outgoing: receives the entry that announced the connection, or NULL. An address says little of
 * who connects from this host itself: where there is a proxy cgroup, that decides. */
static enum standing standing_of(struct __sk_buff *skb, struct segment *segment,
				 struct pp_outgoing **outgoing)
{
	enum locality locality;
	enum place place;
	int marked;

	*outgoing = NULL;
	marked = is_marked(segment->source);
	if (!has_proxy_cgroup())
		return marked ? PROXY : STRANGER;
	*outgoing = announcement_of(skb, segment, segment->seq);
	if (*outgoing)
		return PROXY;
	*outgoing = announcement_of_later(skb, segment, &place);
	if (*outgoing)
		return place == OVERTAKING ? AHEAD : PROXY;
	locality = locality_of(skb, segment);
	if (locality == LOCAL_PROXY)
		return UNANNOUNCED;
	if (marked)
		return locality == LOCAL_PEER ? OUTSIDER : PROXY;
	return announcements_are_missing() ? UNANNOUNCED : STRANGER;
}

#endif
