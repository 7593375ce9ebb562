/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Events for 'ppctl monitor': what becomes of a connection. They are written only while somebody
 * listens, and nobody waits for them: what finds no room is counted as lost. The last one of a peer
 * that was refused is remembered in any case, see peers.h.
 */
#ifndef PP_EVENTS_H
#define PP_EVENTS_H

#include "kernel.h"
#include <pp/decoder.h>
#include "connection.h"
#include "maps.h"
#include "peers.h"
#include "policy.h"
#include "segment.h"

/* Does anybody listen? A monitor that was killed stops raising the deadline. */
static struct pp_listening *listened_to(void)
{
	__u32 zero = 0;
	struct pp_listening *listening = bpf_map_lookup_elem(&pp_listening, &zero);

	if (!listening || !listening->until_ns)
		return NULL;
	if (listening->until_ns > bpf_ktime_get_ns())
		return listening;
	listening->until_ns = 0;
	return NULL;
}

/* @key: the connection; @record: or NULL. */
static __noinline int event_write(struct pp_listening *listening,
				  const struct pp_connection_key *key,
				  const struct pp_record *record, __u32 kind, __u32 reason)
{
	struct pp_event *event;

	if (!listening || !key)
		return 0;
	event = bpf_ringbuf_reserve(&pp_events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&listening->lost, 1);
		return 0;
	}
	event->made_ns = bpf_ktime_get_ns();
	event->netns_cookie = key->netns_cookie;
	__builtin_memcpy(event->remote, key->remote, 16);
	__builtin_memcpy(event->local, key->local, 16);
	event->remote_port = key->remote_port;
	event->local_port = key->local_port;
	event->kind = kind;
	event->reason = reason;
	event->unused[0] = event->unused[1] = 0;
	if (record)
		event->record = *record;
	else
		__builtin_memset(&event->record, 0, sizeof(event->record));
	/* the monitor looks at times of its own: waking it would cost more than the event */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Of a segment from the proxy, or from whoever is none. */
static __noinline int event_of_segment(struct __sk_buff *skb, const struct segment *segment,
				       const struct pp_record *record, __u32 kind, __u32 reason)
{
	struct pp_listening *listening = listened_to();
	struct pp_connection_key key = {};

	if (!segment)
		return 0;
	if (kind == PP_EVENT_REFUSED)
		peer_note(&pp_refused, segment->source, segment->destination_port, kind, reason);
	if (!listening)
		return 0;
	key.netns_cookie = skb_netns_cookie(skb);
	connection_of_segment(segment, &key);
	return event_write(listening, &key, record, kind, reason);
}

/* What a record that has just become a socket's says: enum pp_event_kind; or 0, nothing yet. */
static __u32 kind_of_record(const struct pp_record *record)
{
	switch (record->state) {
	case PP_STATE_VALID:
	case PP_STATE_LOCAL:
		return PP_EVENT_ACCEPTED;
	case PP_STATE_BAD:
		return PP_EVENT_REFUSED;
	case PP_STATE_EXPIRED:
		return PP_EVENT_EXPIRED;
	}
	return 0;
}

static __noinline int event_of_record(const struct pp_connection_key *key,
				      const struct pp_record *record)
{
	__u32 kind;

	if (!key || !record)
		return 0;
	kind = kind_of_record(record);
	if (!kind)
		return 0;
	if (kind != PP_EVENT_ACCEPTED)
		peer_note(&pp_refused, key->remote, key->local_port, kind, record->reason);
	return event_write(listened_to(), key, record, kind, record->reason);
}

/* The same, where @segment has told it. */
static __noinline int event_of_decoded(struct __sk_buff *skb, const struct segment *segment,
				       const struct pp_record *record)
{
	struct pp_connection_key key = {};

	if (!segment || !record)
		return 0;
	if (kind_of_record(record) == PP_EVENT_ACCEPTED && !listened_to())
		return 0;
	key.netns_cookie = skb_netns_cookie(skb);
	connection_of_segment(segment, &key);
	return event_of_record(&key, record);
}

/* Does the payload begin as a header does? */
static int begins_like_header(struct __sk_buff *skb, const struct segment *segment)
{
	static const __u8 v1[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
	__u8 first[sizeof(v1)], i, is_v1 = 1, is_v2 = 1;

	if (segment->payload_len < sizeof(first) ||
	    bpf_skb_load_bytes(skb, segment->payload_at, first, sizeof(first)))
		return 0;
	for (i = 0; i < sizeof(first); i++) {
		is_v1 &= first[i] == v1[i];
		is_v2 &= first[i] == pp_v2_signature[i];
	}
	return is_v1 || is_v2;
}

/* The first bytes of a connection that is no proxy's. A marked peer has such ones, too: they are
 * older than its mark, or than the programs. */
static __noinline int event_of_stranger(struct __sk_buff *skb, const struct segment *segment)
{
	if (!segment || !begins_like_header(skb, segment) || is_marked(segment->source))
		return 0;
	peer_note(&pp_unmarked, segment->source, segment->destination_port, PP_EVENT_UNMARKED, 0);
	return event_of_segment(skb, segment, NULL, PP_EVENT_UNMARKED, 0);
}

/* The guard drops it unread. */
static __noinline int event_of_guarded(struct __sk_buff *skb)
{
	struct pp_work *work = working_memory();

	if (!work || !listened_to() || segment_read(skb, &work->segment, 0))
		return 0;
	return event_of_segment(skb, &work->segment, NULL, PP_EVENT_GUARDED, 0);
}

#endif
