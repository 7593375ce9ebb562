/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sockops, sock_ops: a connection to a served port becomes a socket. Gives it the record that
 * the gate handed over, or, when the peer is a marked proxy that sent none, the state that says so.
 */
#ifndef PP_SOCKOPS_H
#define PP_SOCKOPS_H

static int same_key(const struct pp_handoff_key *one, const struct pp_handoff_key *other)
{
	const __u64 *left = (const __u64 *)one, *right = (const __u64 *)other;

	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3] && left[4] == right[4] && left[5] == right[5];
}

/* The segment must have acknowledged our SYN-ACK, which only who received that can do; unless it
 * was the SYN itself, whose TCP Fast Open cookie the kernel has checked. */
static int handoff_is_of(const struct pp_handoff *handoff, const struct pp_handoff_key *key,
			 struct bpf_sock_ops *ops)
{
	if (!handoff->full || !same_key(&handoff->key, key))
		return 0;
	if (ops->skb_tcp_flags & TCP_SYN)
		return handoff->syn;
	return !handoff->syn && handoff->ack == ops->snd_nxt;
}

static void socket_from_handoff(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				struct pp_handoff *handoff)
{
	struct pp_handoff_key key = handoff->key;
	struct pp_socket *socket;

	handoff->socket.cookie = 0;
	if (handoff->socket.split == PP_SPLIT_SOCKMAP)
		split_enter(ops, handoff);

	if (record_wants_bytes(&handoff->socket.record)) {
		if (bpf_sk_storage_get(&pp_extra, sk, &handoff->extra, BPF_SK_STORAGE_GET_F_CREATE))
			handoff->socket.record.flags |= PP_RECORD_KEPT;
		else
			count(PP_STAT_NO_MEMORY);
	}
	socket = bpf_sk_storage_get(&pp_origins, sk, &handoff->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	record_count(&socket->record);
	if (socket->announced && record_is_settled(&socket->record)) {
		outgoing_key(&key, key.netns_cookie);
		outgoing_forget(&key, &socket->record);
		socket->announced = 0;
	}
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
				  const struct pp_port *policy, const struct pp_outgoing *outgoing)
{
	int popped = outgoing && policy->flags & PP_PORT_POP;
	struct pp_socket *socket =
		bpf_sk_storage_get(&pp_origins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!socket) {
		count(PP_STAT_NO_MEMORY);
		return;
	}
	socket->first_seq = ops->rcv_nxt;
	socket->on_bad = policy->on_bad;
	socket->split = policy->split;
	socket->port_flags = policy->flags;
	socket->record.netns_cookie = bpf_get_netns_cookie(ops);
	socket->record.need = 1;
	socket->record.state =
		!popped && gate_expired(ops, policy) ? PP_STATE_EXPIRED : PP_STATE_PENDING;
	if (outgoing) {
		socket->announced = 1;
		record_set_sender(&socket->record, &outgoing->record);
	}
	record_count(&socket->record);
}

static void passive_established(struct bpf_sock_ops *ops)
{
	__u16 port = ops->local_port;
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct pp_handoff_key key = {}, outgoing_at;
	struct pp_outgoing *outgoing = NULL;
	struct bpf_sock *sk = ops->sk;
	struct pp_handoff *handoff;

	if (!policy || !sk)
		return;
	connection_of_server(ops, &key);
	key.netns_cookie = bpf_get_netns_cookie(ops);
	key.first_seq = ops->rcv_nxt;
	handoff = handoff_of_this_cpu();
	if (handoff && handoff_is_of(handoff, &key, ops)) {
		handoff->full = 0;
		count(PP_STAT_CONNECTIONS);
		socket_from_handoff(ops, sk, handoff);
		return;
	}
	if (has_senders()) {
		outgoing_at = key;
		outgoing = outgoing_find(&outgoing_at, key.netns_cookie, key.first_seq);
	}
	if (!outgoing && !is_marked(key.remote))
		return;
	count(PP_STAT_CONNECTIONS);
	socket_without_header(ops, sk, policy, outgoing);
}

#endif
