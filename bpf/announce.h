/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sender, sock_ops on a proxy cgroup: announces its connections to served ports before the first
 * SYN leaves, and forgets them.
 *
 * A port is known here by its number alone. Whether a connection goes to a server that is served is
 * for the receiving side to say: the gate confirms the announcement when it sees the SYN.
 *
 * A program of its own, and not part of pp_sockops: a mail server makes outgoing connections too,
 * and is no proxy.
 */
#ifndef PP_ANNOUNCE_H
#define PP_ANNOUNCE_H

#include "kernel.h"
#include "connection.h"
#include "context.h"
#include "outgoing.h"
#include "policy.h"

#define TCP_SYNCNT 7 /* include/uapi/linux/tcp.h */

#define SECOND_NS	1000000000ULL
#define OUTGOING_OLD_NS (300 * SECOND_NS) /* longer than a handshake lasts */
#define CLOSED_OLD_NS	(10 * SECOND_NS)  /* longer than a packet is on its way within this host */

/* Adds to the socket's callbacks. They are the socket's and not a program's, so none is ever
 * removed: another program may have asked for it. For the same reason another may remove ours:
 * nothing that matters depends on one. */
static void sender_wants(struct bpf_sock_ops *ops, __u32 flags)
{
	bpf_sock_ops_cb_flags_set(ops, CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) | flags);
}

static void sender_key(struct bpf_sock_ops *ops, struct pp_connection_key *key, __u32 first_seq)
{
	connection_of_sender(ops, key);
	outgoing_key(key, bpf_get_netns_cookie(ops), first_seq);
}

/* Is the socket connected to a port with a served number? */
static int sender_concerns(struct bpf_sock_ops *ops)
{
	return serves_somewhere(port_entry(bpf_ntohl(CONTEXT_FIELD(ops->remote_port))));
}

static long sweep_old(void *map, struct pp_connection_key *key, struct pp_outgoing *outgoing,
		      __u64 *now)
{
	(void)map;
	if (*now - outgoing->made_ns > (outgoing->closed ? CLOSED_OLD_NS : OUTGOING_OLD_NS))
		outgoing_forget(key, NULL);
	return 0;
}

/* pp_outgoing is full: entries that no mail server's socket has used, and whose own socket's end
 * was not seen. */
static void sweep(void)
{
	struct pp_loss *loss_of = loss();
	__u64 now = bpf_ktime_get_ns();

	if (!loss_of || now - loss_of->swept_ns < SECOND_NS)
		return;
	loss_of->swept_ns = now;
	bpf_for_each_map_elem(&pp_outgoing, sweep_old, &now, 0);
}

static int outgoing_store(struct pp_connection_key *key, struct pp_outgoing *outgoing)
{
	if (!bpf_map_update_elem(&pp_outgoing, key, outgoing, BPF_ANY))
		return 0;
	sweep();
	return bpf_map_update_elem(&pp_outgoing, key, outgoing, BPF_ANY);
}

/* A connection that cannot be announced must not pass for a stranger's: see standing_of(). Two
 * SYNs, and it gives up. */
static void sender_lost(struct bpf_sock_ops *ops)
{
	struct pp_loss *loss_of = loss();
	int tries = 1;

	count(PP_STAT_NO_MEMORY);
	if (loss_of)
		loss_of->lost_ns = bpf_ktime_get_ns();
	bpf_setsockopt(ops, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries));
}

/* TCP_CONNECT: addresses, ports and the first sequence number are chosen, nothing has been sent. So
 * the receiving side finds the entry with the first packet that it sees, also where data comes in
 * the SYN. */
static void sender_connect(struct bpf_sock_ops *ops)
{
	struct pp_announced *announced;
	struct pp_outgoing outgoing = {};
	struct pp_connection_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct tcp_sock *tcp;

	if (!sk || !sender_concerns(ops))
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return;
	announced = bpf_sk_storage_get(&pp_announced, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (announced) {
		announced->first_seq = tcp->write_seq + 1;
		announced->in_senders = 0;
	} else { /* the entry is what counts, and nothing pushes it out */
		count(PP_STAT_NO_MEMORY);
	}
	sender_key(ops, &key, tcp->write_seq + 1);
	outgoing.cookie = bpf_get_socket_cookie(ops);
	outgoing.made_ns = bpf_ktime_get_ns();
	outgoing.record.state = PP_STATE_PENDING;
	outgoing.record.need = 1;
	/* what the socket knows; pp_msg sees the process */
	outgoing.record.sender_cgroup = tcp->inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup->kn->id;
	outgoing.record.sender_uid = tcp->inet_conn.icsk_inet.sk.sk_uid.val;
	if (outgoing_store(&key, &outgoing)) {
		sender_lost(ops);
		return;
	}
	count(PP_STAT_SENDERS);
	sender_wants(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* The port is one that only has the number of a served one: another server's, here or elsewhere. */
static void sender_is_elsewhere(struct bpf_sock *sk, const struct pp_connection_key *key)
{
	outgoing_forget(key, NULL);
	bpf_sk_storage_delete(&pp_announced, sk);
	count(PP_STAT_UNCONFIRMED);
}

/* The socket is closed. Where everything has been acknowledged, or there never was a connection,
 * the entry is of no more use. Else the header may be on its way to the receiving side still, and
 * without the entry it would be refused or, the socket being gone, pass for a stranger's: it stays
 * until there is need of room. */
static void sender_closed(struct bpf_sock_ops *ops)
{
	struct pp_announced *announced;
	struct pp_outgoing *outgoing;
	struct pp_connection_key key = {};
	struct bpf_sock *sk = ops->sk;

	if (ops->args[1] != BPF_TCP_CLOSE || !sk)
		return;
	announced = bpf_sk_storage_get(&pp_announced, sk, 0, 0);
	if (!announced)
		return;
	sender_key(ops, &key, announced->first_seq);
	if (ops->args[0] == BPF_TCP_SYN_SENT || ops->snd_una == ops->snd_nxt) {
		outgoing_forget(&key, NULL);
		return;
	}
	outgoing = bpf_map_lookup_elem(&pp_outgoing, &key);
	if (outgoing) {
		outgoing->made_ns = bpf_ktime_get_ns();
		outgoing->closed = 1;
	}
}

#endif
