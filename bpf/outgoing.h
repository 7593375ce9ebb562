/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The receiving end of the sending side: pp_sender announces a connection of a proxy on this host
 * in pp_outgoing, pp_msg writes there what the header says, and here the mail server's socket gets
 * it.
 */
#ifndef PP_OUTGOING_H
#define PP_OUTGOING_H

#include "kernel.h"
#include "address.h"
#include "connection.h"
#include "maps.h"
#include "record.h"

/* Sets what else is in the key that pp_outgoing has for the connection @key. */
static void outgoing_key(struct pp_connection_key *key, __u64 netns_cookie, __u32 first_seq)
{
	key->netns_cookie = is_loopback(key->remote) ? netns_cookie : 0;
	key->first_seq = first_seq;
}

/* The entry of @key, whose netns_cookie and first_seq are set here; or NULL. */
static struct pp_outgoing *outgoing_find(struct pp_connection_key *key, __u64 netns_cookie,
					 __u32 first_seq)
{
	outgoing_key(key, netns_cookie, first_seq);
	return bpf_map_lookup_elem(&pp_outgoing, key);
}

static void outgoing_forget(const struct pp_connection_key *key)
{
	bpf_map_delete_elem(&pp_outgoing, key);
}

/* Can what @outgoing says be taken, for a segment with the stream's first @len bytes? A header that
 * goes on after them is for the decoder here. */
static int outgoing_covers(const struct pp_outgoing *outgoing, __u32 len)
{
	__u8 state = *(volatile __u8 *)&outgoing->record.state;

	barrier(); /* pp_msg writes the state last: see record_write() */
	return (state == PP_STATE_VALID || state == PP_STATE_LOCAL) &&
	       outgoing->record.header_len <= len;
}

/* @record becomes what @outgoing says. */
static void outgoing_take(struct pp_record *record, const struct pp_outgoing *outgoing)
{
	record_write(record, &outgoing->record);
	count(PP_STAT_FROM_SENDER);
}

/* The socket @cookie has nothing more to say in pp_senders. From any program of sock_ops, whichever
 * socket it runs for. */
static void sender_dismiss(__u64 cookie)
{
	if (!bpf_map_delete_elem(&pp_senders, &cookie))
		count(PP_STAT_SENDERS_NATIVE);
}

#endif
