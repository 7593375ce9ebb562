/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who is at the other end of a connection that is being made to a served port.
 */
#ifndef PP_STANDING_H
#define PP_STANDING_H

#include "kernel.h"
#include "handshake.h"
#include "outgoing.h"
#include "policy.h"

/* For so long after an announcement was lost, a peer that might be its sender does not count as a
 * stranger. The sender gives up after two SYNs, 3 s after the first: see sender_lost(). */
#define LOSS_NS (4 * 1000000000ULL)

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
static struct pp_outgoing *outgoing_of_segment(struct __sk_buff *skb, const struct segment *segment,
					       __u32 first_seq)
{
	struct pp_connection_key key = {};

	connection_of_segment(segment, &key);
	outgoing_key(&key, is_loopback(key.remote) ? skb_netns_cookie(skb) : 0, first_seq);
	return bpf_map_lookup_elem(&pp_outgoing, &key);
}

/* An announcement is found by the sequence number of the stream's first byte. A segment that begins
 * elsewhere leads to it by way of the request. */
static struct pp_outgoing *outgoing_of_later(struct __sk_buff *skb, struct segment *segment,
					     struct handshake *handshake, enum place *place)
{
	struct pp_outgoing *outgoing;

	*place = IN_ORDER;
	if (segment->flags & TCP_SYN)
		return NULL;
	handshake_ask(skb, segment, handshake);
	if (handshake->request != REQUEST_KNOWN || segment->seq == handshake->next_seq)
		return NULL;
	outgoing = outgoing_of_segment(skb, segment, handshake->next_seq);
	if (outgoing)
		*place = place_of(skb, segment, handshake);
	return outgoing;
}

/* @outgoing: receives the entry that announced the connection, or NULL. An address says little of a
 * process of this host: where there is a proxy cgroup, that decides. */
static enum standing standing_of(struct __sk_buff *skb, struct segment *segment,
				 struct handshake *handshake, struct pp_outgoing **outgoing)
{
	enum locality locality;
	enum place place;
	int marked;

	*outgoing = NULL;
	marked = is_marked(segment->source);
	if (!has_proxy_cgroup())
		return marked ? PROXY : STRANGER;
	*outgoing = outgoing_of_segment(skb, segment, segment->seq);
	if (*outgoing)
		return PROXY;
	*outgoing = outgoing_of_later(skb, segment, handshake, &place);
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
