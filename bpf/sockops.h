/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sockops, sock_ops: the records of sockets of which no note says anything.
 */
#ifndef PP_SOCKOPS_H
#define PP_SOCKOPS_H

#include "kernel.h"
#include "context.h"
#include "events.h"
#include "outgoing.h"
#include "policy.h"
#include "record.h"
#include "tcp.h"

/* Only a gate whose time is up lets a bare ACK through. A FIN passes at any time, and a segment
 * that overtook the header has one after it. */
static int gate_expired(struct bpf_sock_ops *ops, const struct pp_port *policy)
{
	struct tcphdr *tcp = (struct tcphdr *)(long)CONTEXT_FIELD(ops->skb_data);
	void *end = (void *)(long)CONTEXT_FIELD(ops->skb_data_end);

	if (!policy->gate_ms || ops->skb_tcp_flags & (TCP_FIN | TCP_SYN))
		return 0;
	return (void *)(tcp + 1) <= end && ops->skb_len <= tcp->doff * 4;
}

static void socket_without_header(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				  const struct pp_port *policy, const struct pp_outgoing *outgoing)
{
	struct pp_socket socket = {
		.first_seq = ops->rcv_nxt,
		.made_s = now_s(),
	};

	socket_set_policy(&socket, policy);
	socket.record.netns_cookie = bpf_get_netns_cookie(ops);
	socket.record.need = 1;
	socket.record.state = gate_expired(ops, policy) ? PP_STATE_EXPIRED : PP_STATE_PENDING;
	if (outgoing) {
		socket.announced = 1;
		record_set_sender(&socket.record, &outgoing->record);
	}
	if (!bpf_sk_storage_get(&pp_origins, sk, &socket, BPF_SK_STORAGE_GET_F_CREATE)) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	/* Without a gate this comes before the proxy's first message. */
	if (outgoing && policy->gate_ms)
		sender_dismiss(outgoing->cookie);
	record_count(&socket.record);
}

/* A connection that has become a socket may have its record by now. */
static void event_of_new(struct bpf_sock_ops *ops)
{
	struct pp_connection_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct pp_socket *socket;

	if (!sk)
		return;
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	if (!socket || (kind_of_record(&socket->record) == PP_EVENT_ACCEPTED && !listened_to()))
		return;
	connection_of_server(ops, &key);
	key.netns_cookie = socket->record.netns_cookie;
	event_of_record(&key, &socket->record);
}

/* TCP_CONNECT: the mail server makes a connection of its own. Where its socket was an accepted one
 * before (connect(AF_UNSPEC)), that has nothing to do with this one; and where its port has a
 * served port's number, its peer is not to pass for a proxy. */
static void own_connection(struct bpf_sock_ops *ops)
{
	struct pp_socket own = {.record.state = PP_STATE_NONE, .settled = 1};
	__u16 port = ops->local_port;
	struct bpf_sock *sk = ops->sk;

	if (!sk)
		return;
	bpf_sk_storage_delete(&pp_origins, sk);
	if (port_is_listed(port))
		bpf_sk_storage_get(&pp_origins, sk, &own, BPF_SK_STORAGE_GET_F_CREATE);
}

#endif
