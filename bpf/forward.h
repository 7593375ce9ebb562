/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections that this host forwards, mostly by DNAT, to a server in another network namespace:
 * the published port of a container. pp_in and pp_out on the host's interfaces serve them, and the
 * container needs no hook of its own. There is no request in this namespace that could be asked:
 *
 *   SYN      pp_gate, on the server's cgroup, in a namespace without hooks, or to a port that is
 *            not served itself, notes it in pp_syns: this connection is for a server that is served
 *   SYN-ACK  pp_out finds it there, and notes the answer in pp_synacks
 *   header   pp_in asks pp_synacks in the request's place; its note for the new socket is found by
 *            what DNAT leaves alone: the proxy's end, the sequence number, the acknowledgement
 *   later    pp_forwarded is what SK_STORAGE is elsewhere, until the socket is gone and TIME_WAIT
 *            is over
 *
 * A connection that was not noted passes as it is. Without the way back, pp_gate stops it at the
 * server's socket.
 */
#ifndef PP_FORWARD_H
#define PP_FORWARD_H

#include "kernel.h"
#include "context.h"
#include "maps.h"
#include "netns.h"
#include "policy.h"

#define FORWARD_OLD_NS	 (120 * 1000000000ULL) /* twice as long as TIME_WAIT */
#define FORWARD_SWEEP_NS (10 * 1000000000ULL)

/* pp_gate: a SYN for a server of a served cgroup. Its port may be another than the one that is
 * served; in a namespace with hooks, it has to be (REDIRECT). */
static void forward_syn(struct bpf_sock *listener, const struct segment *segment, int is_served)
{
	struct pp_syn_key key = {.remote_port = segment->source_port, .first_seq = segment->seq};
	__u64 now, cookie;

	if (!hooks_are_somewhere())
		return;
	cookie = socket_netns_cookie(listener);
	if (is_served && bpf_map_lookup_elem(&pp_hooked, &cookie))
		return;
	if (!is_marked(segment->source))
		return;
	port_mark_records(listener->src_port);
	__builtin_memcpy(key.remote, segment->source, 16);
	now = bpf_ktime_get_ns();
	bpf_map_update_elem(&pp_syns, &key, &now, BPF_ANY);
}

/* pp_out: a SYN-ACK that no socket of this namespace sends, or one from another port. @key: of the
 * connection. */
static void forward_synack(const struct segment *segment, const struct pp_connection_key *key)
{
	struct pp_syn_key syn = {.remote_port = key->remote_port, .first_seq = segment->ack};
	struct pp_synack synack = {.first_seq = segment->ack, .next_ack = segment->seq}, *known;
	struct pp_forward *forward;

	__builtin_memcpy(syn.remote, key->remote, 16);
	/* what there is of another connection does not concern this one, whichever its server is */
	forward = bpf_map_lookup_elem(&pp_forwarded, key);
	if (forward && forward->first_seq != segment->ack)
		bpf_map_delete_elem(&pp_forwarded, key);
	known = bpf_map_lookup_elem(&pp_synacks, key);
	if (known && known->first_seq == synack.first_seq && known->next_ack == synack.next_ack)
		return;
	if (known)
		bpf_map_delete_elem(&pp_synacks, key);
	if (!bpf_map_lookup_elem(&pp_syns, &syn))
		return;
	synack.sent_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&pp_synacks, key, &synack, BPF_ANY);
}

static long forward_sweep_step(void *map, struct pp_connection_key *key, struct pp_forward *forward,
			       __u64 *now)
{
	__u64 since = forward->ended_ns;

	if (!since && !forward->confirmed)
		since = forward->made_ns;
	if (since && *now - since > FORWARD_OLD_NS)
		bpf_map_delete_elem(map, key);
	return 0;
}

static void forward_sweep(__u64 now)
{
	struct pp_loss *loss_of = loss();

	if (!loss_of || now - loss_of->forward_swept_ns < FORWARD_SWEEP_NS)
		return;
	loss_of->forward_swept_ns = now;
	bpf_for_each_map_elem(&pp_forwarded, forward_sweep_step, &now, 0);
}

/* pp_in: the header is cut out. Return: 0; or -1, there is no room. */
static __noinline int forward_keep(const struct pp_connection_key *key, const struct pp_flow *flow)
{
	struct pp_forward forward = {};

	if (!key || !flow)
		return -1;
	forward.first_seq = flow->first_seq;
	forward.cut = flow->cut;
	forward.made_ns = bpf_ktime_get_ns();
	forward_sweep(forward.made_ns);
	if (!bpf_map_update_elem(&pp_forwarded, key, &forward, BPF_ANY))
		return 0;
	count(PP_STAT_FORWARDED_FULL);
	return -1;
}

/* pp_gate: is this the port of a server, not served itself, that has got forwarded connections
 * without their headers? Then it gets no others from a proxy. */
static int is_inner(struct bpf_sock *listener)
{
	struct pp_inner key = {.port = listener->src_port};

	if (!hooks_are_somewhere())
		return 0;
	key.netns_cookie = socket_netns_cookie(listener);
	return bpf_map_lookup_elem(&pp_inners, &key) != NULL;
}

/* pp_sockops: the connection has its socket. */
static void forward_confirm(struct bpf_sock_ops *ops, struct bpf_sock *sk,
			    struct pp_connection_key *key)
{
	struct pp_inner inner = {.netns_cookie = bpf_get_netns_cookie(ops),
				 .port = ops->local_port};
	struct pp_forward *forward = bpf_map_lookup_elem(&pp_forwarded, key);
	__u32 yes = 1;

	if (!forward)
		return;
	forward->confirmed = 1;
	if (!bpf_map_lookup_elem(&pp_inners, &inner))
		bpf_map_update_elem(&pp_inners, &inner, &yes, BPF_ANY);
	/* Where there is no memory, or another program removes the callback, the entry stays
	 * until the proxy connects from the same port again. */
	bpf_sk_storage_get(&pp_forward_of, sk, key, BPF_SK_STORAGE_GET_F_CREATE);
	bpf_sock_ops_cb_flags_set(ops, CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) |
					       BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* pp_sockops, STATE_CB */
static void forward_closed(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct pp_forward *forward;
	struct pp_connection_key *key;

	if (!sk || CONTEXT_FIELD(ops->args[1]) != BPF_TCP_CLOSE)
		return;
	key = bpf_sk_storage_get(&pp_forward_of, sk, 0, 0);
	if (!key)
		return;
	forward = bpf_map_lookup_elem(&pp_forwarded, key);
	if (forward)
		forward->ended_ns = bpf_ktime_get_ns();
}

#endif
