/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Announced connections: pp_sender announces a connection of a proxy on this host in pp_outgoing,
 * pp_msg writes there what the header says, and here the mail server's socket gets it.
 */
#ifndef PP_OUTGOING_H
#define PP_OUTGOING_H

#include "kernel.h"
#include "address.h"
#include "connection.h"
#include "maps.h"
#include "record.h"

/* Makes of @key, the ends of a connection, the key that pp_outgoing has for it. */
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

/* Has the sending side decoded a header that ends within the stream's first @len bytes? One that
 * goes on after them is for the decoder here. */
static int outgoing_covers(const struct pp_outgoing *outgoing, __u32 len)
{
	__u8 state = *(volatile __u8 *)&outgoing->record.state;

	barrier(); /* pp_msg writes the state last: see record_write() */
	return (state == PP_STATE_VALID || state == PP_STATE_LOCAL) &&
	       outgoing->record.header_len <= len;
}

/* After outgoing_covers(): @socket gets the record that the sending side has decoded. */
static void outgoing_adopt(struct pp_socket *socket, const struct pp_outgoing *outgoing)
{
	socket->have = outgoing->record.header_len;
	record_write(&socket->record, &outgoing->record);
	count(PP_STAT_FROM_SENDER);
}

/* Nobody needs the announcement of @key any more. @socket: the mail server's, if there is one. */
static void outgoing_forget(const struct pp_connection_key *key, struct pp_socket *socket)
{
	bpf_map_delete_elem(&pp_outgoing, key);
	if (socket)
		socket->announced = 0;
}

/* The socket @cookie has nothing more to say in pp_senders. From any program of sock_ops, whichever
 * socket it runs for. */
static void sender_dismiss(__u64 cookie)
{
	if (!bpf_map_delete_elem(&pp_senders, &cookie))
		count(PP_STAT_SENDERS_NATIVE);
}

#endif
