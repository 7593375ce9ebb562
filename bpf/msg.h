/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_msg, sk_msg on pp_senders: sees the first message of a proxy on this host inside its send(),
 * decodes the header that it begins with, and notes who sends it. The header stays in the stream.
 *
 * Nothing is redirected: docs/sk_msg.md says why.
 */
#ifndef PP_MSG_H
#define PP_MSG_H

#include "kernel.h"
#include "maps.h"
#include "record.h"

#define WORD 8

struct msg_copy {
	struct sk_msg_md *msg;
	__u8 *to;
	__u32 len;
};

/* sk_msg programs have no helper that copies from the message. */
static long msg_copy_word(__u32 i, void *context)
{
	struct msg_copy *copy = context;
	__u32 at = (i * WORD) & (PP_WINDOW - WORD), k;
	__u8 *from = copy->msg->data + at;
	__u8 *end = copy->msg->data_end;

	if (at + WORD <= copy->len && from + WORD <= end) {
		*(__u64 *)(copy->to + at) = *(__u64 *)from;
		return 0;
	}
	for (k = 0; k < WORD; k++) {
		if (at + k >= copy->len || from + k + 1 > end)
			break;
		copy->to[at + k] = from[k];
	}
	return 1;
}

/* A header's length can be told from its first bytes: no more is copied than it has. */
static __u32 msg_wanted(struct sk_msg_md *msg, __u32 len)
{
	__u8 *bytes = msg->data;
	__u32 wanted;

	if (bytes + PP_V2_FIXED > (__u8 *)msg->data_end)
		return len;
	if (bytes[0] != pp_v2_signature[0])
		return len < PP_V1_MAX ? len : PP_V1_MAX;
	wanted = PP_V2_FIXED + (bytes[14] << 8 | bytes[15]);
	return wanted < len ? wanted : len;
}

/* Return: how many of the message's first bytes are in sending->extra, or 0. */
static __u32 msg_load(struct sk_msg_md *msg, struct pp_sending *sending)
{
	struct msg_copy copy = {msg, sending->extra.bytes, 0};
	__u32 len = msg->size;

	if (len > PP_WINDOW)
		len = PP_WINDOW;
	/* what send() was given is in pages; what sendfile() was given must not be read, and a
	 * header may lie across two of them */
	if (msg->data + len > msg->data_end && bpf_msg_pull_data(msg, 0, len, 0))
		return 0;
	copy.len = msg_wanted(msg, len);
	bpf_loop(PP_WINDOW / WORD, msg_copy_word, &copy, 0);
	return copy.len;
}

static void msg_first(struct sk_msg_md *msg, struct bpf_sock *sk, struct pp_sending *sending)
{
	struct pp_record *record = &sending->socket.record;
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct pp_outgoing *outgoing;
	__u32 len = 0;

	/* a send() that waited for the connection did not pass this program */
	if (tcp && tcp->write_seq == sending->socket.first_seq)
		len = msg_load(msg, sending);
	if (len)
		record_decode(&sending->decoder, &sending->socket, &sending->extra, len);
	outgoing = bpf_map_lookup_elem(&pp_outgoing, &sending->key);
	if (!len || !outgoing ||
	    (record->state != PP_STATE_VALID && record->state != PP_STATE_LOCAL)) {
		count(PP_STAT_UNSEEN);
		return;
	}
	record->path = PP_PATH_SENDER;
	record->sender_cgroup = bpf_get_current_cgroup_id();
	record->sender_pid = bpf_get_current_pid_tgid() >> 32;
	record->sender_uid = bpf_get_current_uid_gid();
	record_write(&outgoing->record, record);
	count(PP_STAT_SENT);
}

#endif
