// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs of peek mode: the header is decoded where it arrives, and kept with the socket.
 *
 *   pp_gate        cgroup_skb/ingress   holds bare ACKs, decodes header segments
 *   pp_sockops     sock_ops             gives a new connection's socket its record
 *   pp_getsockopt  cgroup/getsockopt    answers the MTA
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
#include <bpf/bpf_endian.h>

#include <pp/header.h>

#include "context.h"
#include "maps.h"
#include "segment.h"
#include "record.h"
#include "gate.h"
#include "sockops.h"
#include "sockopt.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup_skb/ingress")
int pp_gate(struct __sk_buff *skb)
{
	return gate(skb);
}

SEC("sockops")
int pp_sockops(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		passive_established(ops);
	return 1;
}

SEC("cgroup/getsockopt")
int pp_getsockopt(struct bpf_sockopt *ctx)
{
	if (ctx->level != SOL_PP)
		return 1;
	return answer(ctx);
}
