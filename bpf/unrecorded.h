/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A socket without a record: what pp_getsockopt and the names of transparent mode make of it.
 */
#ifndef PP_UNRECORDED_H
#define PP_UNRECORDED_H

#include "kernel.h"
#include "connection.h"
#include "context.h"
#include "policy.h"

/* The socket has no record. Return: the state and reason that say what that means. On a served port
 * the peer may be a proxy all the same: the connection is older than the programs, the port or the
 * mark, or there was no memory. Where there is a proxy cgroup, each stranger has a record that says
 * so; else its address tells. */
static __always_inline void record_absent(struct pp_record *record, struct bpf_sock *sk)
{
	__u32 peer[4] = {};

	if ((sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_MPTCP) ||
	    !serves(policy_of_socket(sk)))
		return;
	peer_of_socket(sk, (__u8 *)peer);
	if (!has_proxy_cgroup() && !is_marked((__u8 *)peer))
		return;
	record->state = PP_STATE_BAD;
	record->reason = sk->protocol == IPPROTO_TCP ? PP_BAD_UNRECORDED : PP_BAD_MPTCP;
}

/* On a transparent port and without a record, a connection may be a proxy's (see record_absent()):
 * the proxy's own address must not be told here, either. */
static int is_unrecorded(struct bpf_sock *sk)
{
	struct pp_port *policy = policy_of_socket(sk);
	struct pp_record record = {};

	if (!policy || !(policy->flags & PP_PORT_TRANSPARENT))
		return 0;
	record_absent(&record, sk);
	return record.state == PP_STATE_BAD;
}

#endif
