/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sender: puts a connection into pp_senders for its first message, which pp_msg sees, and
 * deletes it there.
 */
#ifndef PP_SENDER_H
#define PP_SENDER_H

#include "kernel.h"
#include "announce.h"
#include "outgoing.h"

/* ACTIVE_ESTABLISHED. Where data has gone out already (TCP Fast Open), the first message that
 * pp_msg would see is not the stream's first. */
static void sender_established(struct bpf_sock_ops *ops)
{
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct pp_announced *announced;
	struct pp_connection_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct pp_outgoing *outgoing;
	struct pp_sending *sending;
	struct pp_port *policy;
	struct tcp_sock *tcp;
	__u32 first_seq, write_seq;

	if (!sk)
		return;
	announced = bpf_sk_storage_get(&pp_announced, sk, 0, 0);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp || !sender_concerns(ops))
		return;
	write_seq = first_seq = tcp->write_seq;
	pp_opaque(first_seq); /* or one load serves two kinds of pointer, which the verifier refuses
			       */
	if (announced)
		first_seq = announced->first_seq;
	sender_key(ops, &key, first_seq);
	outgoing = bpf_map_lookup_elem(&pp_outgoing, &key);
	if (outgoing && !outgoing->confirmed) {
		sender_is_elsewhere(sk, &key);
		return;
	}
	policy = policy_at(key.local_port, key.local);
	if (!outgoing || !announced || first_seq != write_seq || !policy) {
		count(PP_STAT_UNSEEN);
		return;
	}
	sending = bpf_sk_storage_get(&pp_sending, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!sending)
		goto full;
	sending->key = key;
	sending->socket.first_seq = first_seq;
	sending->socket.port_flags = policy->flags;
	if (bpf_sock_hash_update(ops, &pp_senders, &cookie, BPF_NOEXIST)) {
		bpf_sk_storage_delete(&pp_sending, sk);
		goto full;
	}
	if (policy->gate_ms || policy->split != PP_SPLIT_NO)
		return; /* leaves when the receiving side's socket is made: see pp_sockops */
	announced->in_senders = 1;
	sender_wants(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
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
	struct pp_announced *announced;
	struct bpf_sock *sk = ops->sk;
	struct tcp_sock *tcp;

	if (!ops->skb_len || !sk)
		return;
	announced = bpf_sk_storage_get(&pp_announced, sk, 0, 0);
	if (!announced || !announced->in_senders)
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp || tcp->copied_seq != tcp->rcv_nxt)
		return;
	announced->in_senders = 0;
	if (bpf_sk_storage_get(&pp_sending, sk, 0, 0)) { /* pp_msg saw no message */
		bpf_sk_storage_delete(&pp_sending, sk);
		count(PP_STAT_UNSEEN);
	}
	sender_dismiss(bpf_get_socket_cookie(ops));
}

#endif
