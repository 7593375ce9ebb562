/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_sockops, sock_ops: a connection to a served port becomes a socket. Gives it the record that
 * the gate handed over, or, when the peer is a marked proxy that sent none, the state that says so.
 */
#ifndef PP_SOCKOPS_H
#define PP_SOCKOPS_H

static int same_connection(const struct pp_connection_key *one,
			   const struct pp_connection_key *other)
{
	const __u64 *left = (const __u64 *)one, *right = (const __u64 *)other;

	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3] && left[4] == right[4] &&
	       one->remote_port == other->remote_port && one->local_port == other->local_port;
}

/* The segment must have acknowledged our SYN-ACK, which only its receiver can do. What came in a
 * SYN (TCP Fast Open) says no more than that the peer is a stranger. */
static int handoff_is_of(const struct pp_handoff *handoff, const struct pp_connection_key *key,
			 struct bpf_sock_ops *ops)
{
	if (!handoff->full || !same_connection(&handoff->key, key))
		return 0;
	if (ops->skb_tcp_flags & TCP_SYN)
		return handoff->kind == PP_HANDOFF_STRANGER;
	return handoff->ack == ops->snd_nxt;
}

/* Is its record the new socket's? A header is only where the stream begins. Who the peer is, any of
 * its segments tells. */
static int handoff_has_record(const struct pp_handoff *handoff, const struct pp_connection_key *key)
{
	if (handoff->kind == PP_HANDOFF_HEADER)
		return handoff->key.first_seq == key->first_seq;
	return handoff->kind != PP_HANDOFF_PROXY;
}

/* The header's raw bytes, where they are to be kept. */
static void keep_handed_over(struct bpf_sock *sk, struct pp_handoff *handoff)
{
	struct pp_record *record = &handoff->socket.record;
	void *kept;

	if (record->flags & PP_RECORD_LARGE)
		kept = bpf_sk_storage_get(&pp_large, sk, large_working_memory(),
					  BPF_SK_STORAGE_GET_F_CREATE);
	else if (record_wants_bytes(record))
		kept = bpf_sk_storage_get(&pp_extra, sk, &handoff->extra,
					  BPF_SK_STORAGE_GET_F_CREATE);
	else
		return;
	if (kept) {
		record->flags |= PP_RECORD_KEPT;
		return;
	}
	count(PP_STAT_NO_MEMORY);
	if (record->state == PP_STATE_FRAGMENTED) { /* its rest can be joined to nothing */
		record->state = PP_STATE_BAD;
		record->reason = PP_BAD_UNRECORDED;
		handoff->socket.settled = 1;
	}
}

static void socket_from_handoff(struct bpf_sock *sk, struct pp_handoff *handoff)
{
	struct pp_connection_key key = handoff->key;
	struct pp_outgoing *outgoing;
	struct pp_socket *socket;

	keep_handed_over(sk, handoff);
	socket = bpf_sk_storage_get(&pp_origins, sk, &handoff->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) { /* sockopt.h and peername.h refuse what has no record */
		count(PP_STAT_NO_MEMORY);
		return;
	}
	if (handoff->kind == PP_HANDOFF_STRANGER)
		return;
	record_count(&socket->record);
	if (!socket->announced)
		return;
	outgoing = outgoing_find(&key, key.netns_cookie, key.first_seq);
	if (outgoing)
		sender_dismiss(outgoing->cookie);
	if (record_is_settled(&socket->record)) {
		outgoing_forget(&key);
		socket->announced = 0;
	}
}

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
	socket->record.state = gate_expired(ops, policy) ? PP_STATE_EXPIRED : PP_STATE_PENDING;
	if (outgoing) {
		socket->announced = 1;
		record_set_sender(&socket->record, &outgoing->record);
		/* Without a gate this comes before the proxy's first message. */
		if (policy->gate_ms)
			sender_dismiss(outgoing->cookie);
	}
	record_count(&socket->record);
}

/* The same for a header that pp_in has taken out: its bytes are in pp_pieces. */
static void keep_pieces(struct bpf_sock *sk, struct pp_handover *handover)
{
	struct pp_record *record = &handover->socket.record;
	void *pieces, *kept = NULL;

	if (record->flags & PP_RECORD_LARGE) {
		pieces = bpf_map_lookup_elem(&pp_large_pieces, &handover->flow);
		if (pieces)
			kept = bpf_sk_storage_get(&pp_large, sk, pieces,
						  BPF_SK_STORAGE_GET_F_CREATE);
		bpf_map_delete_elem(&pp_large_pieces, &handover->flow);
	} else if (record_wants_bytes(record)) {
		pieces = bpf_map_lookup_elem(&pp_pieces, &handover->flow);
		if (pieces)
			kept = bpf_sk_storage_get(&pp_extra, sk, pieces,
						  BPF_SK_STORAGE_GET_F_CREATE);
		bpf_map_delete_elem(&pp_pieces, &handover->flow);
	} else {
		return;
	}
	if (kept)
		record->flags |= PP_RECORD_KEPT;
	else
		count(PP_STAT_NO_MEMORY);
}

static int socket_from_handover(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				struct pp_connection_key *key)
{
	struct pp_handover_key at = {
		.remote_port = key->remote_port,
		.first_seq = key->first_seq,
		.ack = ops->snd_nxt,
	};
	struct pp_handover *handover;
	struct pp_outgoing *outgoing;
	struct pp_socket *socket;
	struct pp_flow *flow;

	__builtin_memcpy(at.remote, key->remote, 16);
	handover = bpf_map_lookup_elem(&pp_handovers, &at);
	if (!handover)
		return -1;
	handover->socket.record.netns_cookie = key->netns_cookie;
	if (has_proxy_cgroup()) {
		outgoing = outgoing_find(key, key->netns_cookie, key->first_seq);
		if (outgoing) {
			record_set_sender(&handover->socket.record, &outgoing->record);
			/* pp_msg has decoded the same bytes */
			if (outgoing_covers(outgoing, handover->socket.record.header_len)) {
				handover->socket.record.path = PP_PATH_SENDER;
				count(PP_STAT_FROM_SENDER);
			}
			sender_dismiss(outgoing->cookie);
			outgoing_forget(key);
		}
	}
	keep_pieces(sk, handover);
	socket =
		bpf_sk_storage_get(&pp_origins, sk, &handover->socket, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket) {
		record_count(&socket->record);
		flow = bpf_map_lookup_elem(&pp_flows, &handover->flow);
		if (flow)
			flow->established = 1;
		if (handover->forwarded)
			forward_confirm(ops, sk, &handover->flow);
	} else { /* the guard stops it */
		count(PP_STAT_NO_MEMORY);
	}
	bpf_map_delete_elem(&pp_handovers, &at);
	return 0;
}

/* TCP_CONNECT: the mail server makes a connection of its own. Where its socket was an accepted one
 * before (connect(AF_UNSPEC)), that has nothing to do with this one; and where its port has a
 * served port's number, nobody is to take its peer for a proxy. */
static void own_connection(struct bpf_sock_ops *ops)
{
	__u16 port = ops->local_port;
	struct bpf_sock *sk = ops->sk;
	struct pp_socket *socket;

	if (!sk)
		return;
	bpf_sk_storage_delete(&pp_origins, sk);
	if (!bpf_map_lookup_elem(&pp_ports, &port))
		return;
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket) {
		socket->record.state = PP_STATE_NONE;
		socket->settled = 1;
	}
}

static void passive_established(struct bpf_sock_ops *ops)
{
	__u16 port = ops->local_port;
	struct pp_port *policy = bpf_map_lookup_elem(&pp_ports, &port);
	struct pp_connection_key key = {}, outgoing_at;
	struct pp_outgoing *outgoing = NULL;
	struct bpf_sock *sk = ops->sk;
	struct pp_handoff *handoff;
	int told;

	if (!sk || (!policy && !hooks_are_somewhere()))
		return;
	connection_of_server(ops, &key);
	key.netns_cookie = bpf_get_netns_cookie(ops);
	key.first_seq = ops->rcv_nxt;
	if (!policy || has_translated(policy)) {
		outgoing_at = key;
		if (!socket_from_handover(ops, sk, &outgoing_at)) {
			count(PP_STAT_CONNECTIONS);
			return;
		}
	}
	if (!policy || policy->flags & PP_PORT_DRAINING)
		return;
	handoff = handoff_of_this_cpu();
	told = handoff && handoff_is_of(handoff, &key, ops);
	if (told)
		handoff->full = 0;
	if (told && handoff_has_record(handoff, &key)) {
		if (handoff->kind != PP_HANDOFF_STRANGER)
			count(PP_STAT_CONNECTIONS);
		socket_from_handoff(sk, handoff);
		return;
	}
	if (has_proxy_cgroup()) {
		if (!told) /* by nobody: it stays without a record */
			return;
		outgoing_at = key;
		outgoing = outgoing_find(&outgoing_at, key.netns_cookie, key.first_seq);
	} else if (!is_marked(key.remote)) {
		return;
	}
	count(PP_STAT_CONNECTIONS);
	socket_without_header(ops, sk, policy, outgoing);
}

#endif
