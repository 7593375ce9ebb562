// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs: the header is decoded where it arrives, and kept with the socket.
 *
 *   pp_gate        cgroup_skb/ingress    holds bare ACKs, decodes headers; the split's guard
 *   pp_in          tc, ingress           split: takes the header out, translates sequence numbers
 *   pp_out         tc, egress            split: translates acknowledgements
 *   pp_sockops     sock_ops              gives a new connection's socket its record
 *   pp_getsockopt  cgroup/getsockopt     answers the MTA that asks
 *   pp_getpeer4/6  cgroup/getpeername    transparent: the origin in accept() and getpeername()
 *   pp_getsock4/6  cgroup/getsockname    transparent, --local: the header's destination
 *   pp_count       iter on pp_origins    tells ppctl which connections are split
 *
 * and for proxies on this host, on their cgroup:
 *
 *   pp_sender      sock_ops              announces connections to served ports; in and out of
 *                                        pp_senders
 *   pp_msg         sk_msg on pp_senders  decodes the header inside the proxy's send()
 *   pp_pass        sk_skb on pp_senders  passes what they receive
 *
 * Needs Linux 6.1. ppctl loads them, or bpftool (docs/bpftool.md).
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include <pp/header.h>
#include <pp/maps.h>

#include "context.h"
#include "segment.h"
#include "maps.h"
#include "payload.h"
#include "line.h"
#include "record.h"
#include "connection.h"
#include "outgoing.h"
#include "handshake.h"
#include "forward.h"
#include "listener.h"
#include "established.h"
#include "packet.h"
#include "split.h"
#include "sender.h"
#include "sockops.h"
#include "stream.h"
#include "sockopt.h"
#include "peername.h"
#include "msg.h"
#include "count.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup_skb/ingress")
int pp_gate(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	if (sk->state == BPF_TCP_LISTEN)
		return gate_listener(skb, sk);
	return gate_established(skb, sk);
}

SEC("tc")
int pp_in(struct __sk_buff *skb)
{
	return split_in(skb, ETH_HLEN);
}

SEC("tc")
int pp_out(struct __sk_buff *skb)
{
	return split_out(skb, ETH_HLEN);
}

/* For devices without a link-layer header: tun, WireGuard. */
SEC("tc")
int pp_in_bare(struct __sk_buff *skb)
{
	return split_in(skb, 0);
}

SEC("tc")
int pp_out_bare(struct __sk_buff *skb)
{
	return split_out(skb, 0);
}

SEC("sockops")
int pp_sockops(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		own_connection(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		passive_established(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		forward_closed(ops);
		break;
	}
	return 1;
}

SEC("cgroup/getsockopt")
int pp_getsockopt(struct bpf_sockopt *ctx)
{
	if (ctx->level != SOL_PP)
		return 1;
	return answer(ctx);
}

SEC("cgroup/getpeername4")
int pp_getpeer4(struct bpf_sock_addr *ctx)
{
	return name4(ctx, 0);
}

SEC("cgroup/getpeername6")
int pp_getpeer6(struct bpf_sock_addr *ctx)
{
	return name6(ctx, 0);
}

SEC("cgroup/getsockname4")
int pp_getsock4(struct bpf_sock_addr *ctx)
{
	return name4(ctx, 1);
}

SEC("cgroup/getsockname6")
int pp_getsock6(struct bpf_sock_addr *ctx)
{
	return name6(ctx, 1);
}

SEC("sockops")
int pp_sender(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		sender_connect(ops);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		sender_established(ops);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		sender_leave(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		sender_closed(ops);
		break;
	}
	return 1;
}

SEC("sk_msg")
int pp_msg(struct sk_msg_md *msg)
{
	return message(msg);
}

SEC("sk_skb")
int pp_pass(struct __sk_buff *skb)
{
	(void)skb;
	return SK_PASS;
}

SEC("iter/bpf_sk_storage_map")
int pp_count(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return count_translated(ctx);
}
