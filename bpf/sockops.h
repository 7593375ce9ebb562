/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sockops, sock_ops: a connection to a served port becomes a socket. Gives it the record that
 * the gate handed over, or, when the peer is a marked proxy that sent none, the state that says so.
 */
#ifndef PP_SOCKOPS_H
#define PP_SOCKOPS_H

static void remote_and_local(struct bpf_sock_ops *ops, __u8 *remote, __u8 *local)
{
	__u32 *r = (__u32 *)remote, *l = (__u32 *)local;

	if (ops->family == PP_AF_INET) {
		map_v4(remote, CONTEXT_FIELD(ops->remote_ip4));
		map_v4(local, CONTEXT_FIELD(ops->local_ip4));
		return;
	}
	r[0] = CONTEXT_FIELD(ops->remote_ip6[0]);
	r[1] = CONTEXT_FIELD(ops->remote_ip6[1]);
	r[2] = CONTEXT_FIELD(ops->remote_ip6[2]);
	r[3] = CONTEXT_FIELD(ops->remote_ip6[3]);
	l[0] = CONTEXT_FIELD(ops->local_ip6[0]);
	l[1] = CONTEXT_FIELD(ops->local_ip6[1]);
	l[2] = CONTEXT_FIELD(ops->local_ip6[2]);
	l[3] = CONTEXT_FIELD(ops->local_ip6[3]);
}

/* The segment must have acknowledged our SYN-ACK, which only who received that can do; unless it
 * was the SYN itself, whose TCP Fast Open cookie the kernel has checked. */
static int handoff_is_of(const struct pp_handoff *handoff, struct bpf_sock_ops *ops)
{
	if (ops->skb_tcp_flags & TCP_SYN)
		return handoff->syn;
	return !handoff->syn && handoff->ack == ops->snd_nxt;
}

static void socket_from_handoff(struct bpf_sock *sk, struct pp_handoff *handoff)
{
	struct pp_socket *socket;

	if (record_wants_bytes(&handoff->socket.record)) {
		if (bpf_sk_storage_get(&pp_extra, sk, &handoff->extra, BPF_SK_STORAGE_GET_F_CREATE))
			handoff->socket.record.flags |= PP_RECORD_KEPT;
		else
			count(PP_STAT_NO_MEMORY);
	}
	socket = bpf_sk_storage_get(&pp_origins, sk, &handoff->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket)
		count(PP_STAT_NO_MEMORY);
	else
		record_count(&socket->record);
}

/* Only a gate whose time is up lets a bare ACK through. A FIN passes at any time, and a segment
 * that overtook the header has one behind it. */
static int gate_expired(struct bpf_sock_ops *ops, const struct pp_port *policy)
{
	struct tcphdr *tcp = (struct tcphdr *)(long)CONTEXT_FIELD(ops->skb_data);
	void *end = (void *)(long)CONTEXT_FIELD(ops->skb_data_end);

	if (!policy->gate_ms || ops->skb_tcp_flags & (TCP_FIN | TCP_SYN))
		return 0;
	return (void *)(tcp + 1) <= end && ops->skb_len <= tcp->doff * 4;
}

static void socket_without_header(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				  const struct pp_port *policy)
{
	struct pp_socket *socket =
		bpf_sk_storage_get(&pp_origins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!socket) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	socket->first_seq = ops->rcv_nxt;
	socket->on_bad = policy->on_bad;
	socket->port_flags = policy->flags;
	socket->record.netns_cookie = bpf_get_netns_cookie(ops);
	socket->record.need = 1;
	socket->record.state = gate_expired(ops, policy) ? PP_STATE_EXPIRED : PP_STATE_PENDING;
	record_count(&socket->record);
}

static void passive_established(struct bpf_sock_ops *ops)
{
	__u16 port = ops->local_port;
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct pp_handoff_key key = {};
	struct bpf_sock *sk = ops->sk;
	struct pp_handoff *handoff;

	if (!policy || !sk)
		return;
	remote_and_local(ops, key.remote, key.local);
	if (!is_marked(key.remote))
		return;
	count(PP_STAT_CONNECTIONS);

	key.netns_cookie = bpf_get_netns_cookie(ops);
	key.remote_port = bpf_ntohl(CONTEXT_FIELD(ops->remote_port));
	key.local_port = port;
	key.first_seq = ops->rcv_nxt;
	handoff = bpf_map_lookup_elem(&pp_handoff, &key);
	if (handoff && handoff_is_of(handoff, ops))
		socket_from_handoff(sk, handoff);
	else
		socket_without_header(ops, sk, policy);
	if (handoff)
		bpf_map_delete_elem(&pp_handoff, &key);
}

#endif
