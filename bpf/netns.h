/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which network namespace: by its cookie, which no other one ever gets.
 */
#ifndef PP_NETNS_H
#define PP_NETNS_H

#include "kernel.h"

#define LOOPBACK_IFINDEX 1 /* of lo, in each network namespace */

/* Which network namespace the tc programs are loaded for: ppctl does so once for each, and sets
 * this before. 0: not known (in the other programs, or where bpftool has loaded them). */
const volatile __u64 netns_cookie = 0;

/* bpf_get_netns_cookie() accepts no skb before 6.16, so walk to it. */
static __u64 socket_netns_cookie(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net->net_cookie : 0;
}

/* The same of the network namespace of @skb's device, which a tc program knows no socket of yet. */
static __u64 skb_netns_cookie(struct __sk_buff *skb)
{
	if (netns_cookie)
		return netns_cookie;
	return BPF_CORE_READ((struct sk_buff *)skb, dev, nd_net.net, net_cookie);
}

#endif
