/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The receiving end of the sending side: pp_sender announces a connection of a proxy on this host
 * in pp_outgoing, pp_msg writes there what the header says, and here the mail server's socket gets
 * it.
 */
#ifndef PP_OUTGOING_H
#define PP_OUTGOING_H

/* The entry of @key, whose netns_cookie and first_seq are set here; or NULL. */
static struct pp_outgoing *outgoing_find(struct pp_handoff_key *key, __u64 netns_cookie,
					 __u32 first_seq)
{
	struct pp_outgoing *outgoing;

	outgoing_key(key, netns_cookie);
	outgoing = bpf_map_lookup_elem(&pp_outgoing, key);
	return outgoing && outgoing->first_seq == first_seq ? outgoing : NULL;
}

static void outgoing_forget(const struct pp_handoff_key *key, const struct pp_record *record)
{
	bpf_map_delete_elem(&pp_outgoing, key);
	if (record->flags & PP_RECORD_POPPED && record_wants_bytes(record))
		bpf_map_delete_elem(&pp_popped, key);
}

static int outgoing_is_decoded(const struct pp_outgoing *outgoing)
{
	return outgoing->record.state == PP_STATE_VALID || outgoing->record.state == PP_STATE_LOCAL;
}

/* Can what @outgoing says be taken, for a segment with the stream's first @len bytes? A header that
 * goes on behind them is for the decoder here. */
static int outgoing_covers(const struct pp_outgoing *outgoing, __u32 len)
{
	if (!outgoing_is_decoded(outgoing))
		return 0;
	return outgoing->record.flags & PP_RECORD_POPPED || outgoing->record.header_len <= len;
}

/* @record becomes what @outgoing says. */
static void outgoing_take(struct pp_record *record, const struct pp_outgoing *outgoing)
{
	record_write(record, &outgoing->record);
	count(PP_STAT_FROM_SENDER);
}

/* Keeps the raw header of @key with @sk, where there is one to keep. */
static void outgoing_keep_popped(struct bpf_sock *sk, const struct pp_handoff_key *key,
				 struct pp_record *record)
{
	struct pp_extra *popped;

	if (!record_wants_bytes(record))
		return;
	popped = bpf_map_lookup_elem(&pp_popped, key);
	if (popped && bpf_sk_storage_get(&pp_extra, sk, popped, BPF_SK_STORAGE_GET_F_CREATE))
		record->flags |= PP_RECORD_KEPT;
	else
		count(PP_STAT_NO_MEMORY);
}

/* A popped header comes to the socket by itself, with no segment: look for it when asked. */
static void outgoing_poll(struct bpf_sock *sk, struct pp_socket *socket)
{
	struct pp_handoff_key key = {};
	struct pp_outgoing *outgoing;

	connection_of_socket(sk, &key);
	outgoing = outgoing_find(&key, socket->record.netns_cookie, socket->first_seq);
	if (!outgoing || !outgoing_is_decoded(outgoing) ||
	    !(outgoing->record.flags & PP_RECORD_POPPED))
		return;
	outgoing_keep_popped(sk, &key, &outgoing->record);
	outgoing_take(&socket->record, outgoing);
	record_count(&socket->record);
	outgoing_forget(&key, &outgoing->record);
	socket->announced = 0;
}

#endif
