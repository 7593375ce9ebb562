/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From header bytes to a socket's record: for the gate, the split, pp_sockops and pp_msg.
 */
#ifndef PP_RECORD_H
#define PP_RECORD_H

#include "kernel.h"
#include "line.h"
#include "maps.h"

static void record_set_sender(struct pp_record *record, const struct pp_record *from)
{
	record->sender_cgroup = from->sender_cgroup;
	record->sender_pid = from->sender_pid;
	record->sender_uid = from->sender_uid;
}

/* Copies @from to @to, but for its network namespace. The state comes last: another CPU may
 * be reading. */
static void record_write(struct pp_record *to, const struct pp_record *from)
{
	to->version = from->version;
	to->command = from->command;
	to->family = from->family;
	to->transport = from->transport;
	to->reason = from->reason;
	to->flags = from->flags;
	to->path = from->path;
	to->header_len = from->header_len;
	to->tlv_len = from->tlv_len;
	to->src_port = from->src_port;
	to->dst_port = from->dst_port;
	__builtin_memcpy(to->src, from->src, 16);
	__builtin_memcpy(to->dst, from->dst, 16);
	to->need = from->need;
	record_set_sender(to, from);
	barrier();
	*(volatile __u8 *)&to->state = from->state;
}

/* Decodes @len bytes of @stream into @socket: state, reason, flags. Keeps record.netns_cookie, path
 * and sender. The record is incomplete meanwhile: nobody else may be reading it.
 *
 * Not static, so that the verifier goes through it once, and not once for each way that leads here.
 */
__noinline int record_decode(struct pp_decoder *decoder, struct pp_socket *socket,
			     const struct pp_extra *stream, __u32 len)
{
	struct pp_record *record;
	__u64 netns_cookie, cgroup;
	__u32 pid, uid;
	__u8 path;
	int result;

	if (!decoder || !socket || !stream)
		return 0;
	record = &socket->record;
	netns_cookie = record->netns_cookie;
	cgroup = record->sender_cgroup;
	pid = record->sender_pid;
	uid = record->sender_uid;
	path = record->path;
	if (line_decode((const struct line *)stream->bytes, len, record)) {
		socket->have = len;
		return 0;
	}
	decoder->v1_mixed = (socket->port_flags & PP_PORT_V1_MIXED) != 0;
	result = pp_decode(decoder, record, stream->bytes, len);
	record->netns_cookie = netns_cookie;
	record->path = path;
	record->sender_cgroup = cgroup;
	record->sender_pid = pid;
	record->sender_uid = uid;
	socket->have = len;
	if (result < 0) {
		record->state = PP_STATE_BAD;
		record->reason = -result;
	} else if (result == PP_MORE) {
		record->state = PP_STATE_FRAGMENTED;
		if (record->header_len > PP_WINDOW)
			record->flags |= PP_RECORD_LARGE;
	} else {
		record->state = pp_decoded_state(record);
	}
	return 0;
}

/* Is @record the beginning of a header that is larger than PP_WINDOW? */
static int record_continues_large(const struct pp_record *record)
{
	return record->state == PP_STATE_FRAGMENTED && record->flags & PP_RECORD_LARGE;
}

/* After record_decode() for such a header, of which @len bytes are in @stream: checks it, if it is
 * complete. */
__noinline int record_finish_large(struct pp_decoder *decoder, struct pp_socket *socket,
				   const struct pp_large *stream, __u32 len)
{
	struct pp_record *record;
	int result;

	if (!decoder || !socket || !stream)
		return 0;
	record = &socket->record;
	socket->have = len;
	if (!record_continues_large(record) || len < record->header_len)
		return 0;
	result = pp_decode_large(decoder, record, stream->bytes);
	if (result < 0) {
		record->state = PP_STATE_BAD;
		record->reason = -result;
	} else {
		record->state = pp_decoded_state(record);
	}
	return 0;
}

/* Must the raw header be kept, beside the record, in pp_extra? */
static int record_wants_bytes(const struct pp_record *record)
{
	if (record->flags & PP_RECORD_LARGE)
		return 0;
	return record->state == PP_STATE_FRAGMENTED ||
	       (record->state == PP_STATE_VALID &&
		(record->tlv_len || record->family == PP_AF_UNIX));
}

/* Such a header, as pp_short has room for? What is incomplete goes on in pp_extra. */
static int record_is_short(const struct pp_record *record)
{
	return record->state == PP_STATE_VALID && record->header_len <= PP_SHORT;
}

/* Its bytes cannot be kept, and an origin without its TLVs is half of what the proxy said; of a
 * header in pieces, the rest can be joined to nothing. Nobody else may be reading the record. */
static void record_lose(struct pp_socket *socket)
{
	socket->record.state = PP_STATE_BAD;
	socket->record.reason = PP_BAD_UNRECORDED;
	socket->settled = 1;
}

/* Has a header been decoded, or found to be bad, or given up? TCP may refuse its segment still: see
 * is_settled(). */
static int record_is_decided(const struct pp_record *record)
{
	return record->state != PP_STATE_PENDING && record->state != PP_STATE_FRAGMENTED;
}

/* Counts a record that has become a socket's, or was dropped. Not static: see record_decode(). */
__noinline int record_count(const struct pp_record *record)
{
	if (!record)
		return 0;
	switch (record->state) {
	case PP_STATE_LOCAL:
		count(PP_STAT_LOCAL);
		__attribute__((fallthrough));
	case PP_STATE_VALID:
		count(record->version == 1 ? PP_STAT_V1 : PP_STAT_V2);
		if (record->flags & PP_RECORD_LARGE)
			count(PP_STAT_LARGE);
		break;
	case PP_STATE_BAD:
		count(PP_STAT_BAD + (record->reason & 31));
		break;
	case PP_STATE_FRAGMENTED:
		count(PP_STAT_FRAGMENTED);
		break;
	case PP_STATE_EXPIRED:
		count(PP_STAT_GATES_EXPIRED);
		break;
	}
	return 0;
}

/* TCP drops a segment that it finds damaged after the gate has seen it, and the proxy sends it
 * again: what was decoded counts once TCP has accepted it. */
static int is_settled(const struct pp_socket *socket, __u64 accepted)
{
	const struct pp_record *record = &socket->record;

	switch (record->state) {
	case PP_STATE_VALID:
	case PP_STATE_LOCAL:
		return accepted >= record->header_len;
	case PP_STATE_BAD:
		return accepted > socket->bad_after;
	case PP_STATE_PENDING:
	case PP_STATE_FRAGMENTED:
		return 0;
	}
	return 1;
}

#endif
