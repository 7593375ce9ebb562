/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sender, sock_ops on a proxy cgroup: announces its connections to served ports before the first
 * SYN leaves, takes them into pp_senders for their first message, and out again.
 *
 * A program of its own, and not part of pp_sockops: a mail server makes outgoing connections too,
 * and is no proxy.
 */
#ifndef PP_SENDER_H
#define PP_SENDER_H

static void sender_flags(struct bpf_sock_ops *ops, __u32 clear, __u32 set)
{
	bpf_sock_ops_cb_flags_set(ops, (CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) & ~clear) | set);
}

static void sender_key(struct bpf_sock_ops *ops, struct pp_handoff_key *key)
{
	connection_of_sender(ops, key);
	outgoing_key(key, bpf_get_netns_cookie(ops));
}

static struct pp_port *sender_policy(struct bpf_sock_ops *ops)
{
	__u16 port = bpf_ntohl(CONTEXT_FIELD(ops->remote_port));

	return bpf_map_lookup_elem(&pp_ports, &port);
}

/* TCP_CONNECT: addresses, ports and the first sequence number are chosen, nothing has been sent. So
 * the receiving side finds the entry with the first packet that it sees, also where data comes in
 * the SYN. */
static void sender_connect(struct bpf_sock_ops *ops)
{
	struct pp_outgoing outgoing = {};
	struct pp_handoff_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct tcp_sock *tcp;

	if (!sk || !sender_policy(ops))
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return;
	sender_key(ops, &key);
	outgoing.first_seq = tcp->write_seq + 1;
	outgoing.record.state = PP_STATE_PENDING;
	outgoing.record.need = 1;
	/* what the socket knows; pp_msg sees the process */
	outgoing.record.sender_cgroup = tcp->inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup->kn->id;
	outgoing.record.sender_uid = tcp->inet_conn.icsk_inet.sk.sk_uid.val;
	if (bpf_map_update_elem(&pp_outgoing, &key, &outgoing, BPF_ANY)) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	count(PP_STAT_SENDERS);
	sender_flags(ops, 0, BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* ACTIVE_ESTABLISHED. Where data has gone out already (TCP Fast Open), the first message that
 * pp_msg would see is not the stream's first. */
static void sender_established(struct bpf_sock_ops *ops)
{
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct pp_handoff_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct pp_outgoing *outgoing;
	struct pp_sending *sending;
	struct pp_port *policy;
	struct tcp_sock *tcp;

	if (!sk)
		return;
	policy = sender_policy(ops);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!policy || !tcp)
		return;
	sender_key(ops, &key);
	outgoing = bpf_map_lookup_elem(&pp_outgoing, &key);
	if (!outgoing || outgoing->first_seq != tcp->write_seq) {
		count(PP_STAT_UNSEEN);
		return;
	}
	sending = bpf_sk_storage_get(&pp_sending, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!sending)
		goto full;
	sending->key = key;
	sending->socket.first_seq = outgoing->first_seq;
	sending->socket.split = policy->split;
	sending->socket.port_flags = policy->flags;
	sending->seen = 0;
	if (bpf_sock_hash_update(ops, &pp_senders, &cookie, BPF_NOEXIST)) {
		bpf_sk_storage_delete(&pp_sending, sk);
		goto full;
	}
	sender_flags(ops, 0, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
	return;
full:
	count(PP_STAT_NO_MEMORY);
	count(PP_STAT_UNSEEN);
}

/* Called while a segment of the proxy's goes out, in its own context, with the socket locked. With
 * data in it, the first message has been seen, or never will be (a send() that waited for the
 * connection). What came from the mail server, and pp_pass has put into the sockmap's own queue,
 * has to be read first. */
static void sender_leave(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct pp_sending *sending;
	struct tcp_sock *tcp;
	__u64 cookie;

	if (!ops->skb_len || !sk)
		return;
	sending = bpf_sk_storage_get(&pp_sending, sk, 0, 0);
	if (!sending)
		return;
	if (!sending->seen) {
		sending->seen = 1;
		count(PP_STAT_UNSEEN);
	}
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp || tcp->copied_seq != tcp->rcv_nxt)
		return;
	cookie = bpf_get_socket_cookie(ops);
	bpf_map_delete_elem(&pp_senders, &cookie);
	bpf_sk_storage_delete(&pp_sending, sk);
	sender_flags(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 0);
	count(PP_STAT_SENDERS_NATIVE);
}

/* The socket is closed. Where everything has been acknowledged, or the connection never was, nobody
 * can need the entry any more. Else the header may be on its way to the receiving side still, and
 * without the entry it would be taken for a stranger's. */
static void sender_closed(struct bpf_sock_ops *ops)
{
	struct pp_handoff_key key = {};

	if (ops->args[1] != BPF_TCP_CLOSE || !sender_policy(ops))
		return;
	if (ops->args[0] != BPF_TCP_SYN_SENT && ops->snd_una != ops->snd_nxt)
		return;
	sender_key(ops, &key);
	bpf_map_delete_elem(&pp_outgoing, &key);
	bpf_map_delete_elem(&pp_popped, &key);
}

#endif
