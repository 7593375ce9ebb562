// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Programs of somebody else, on the hooks that ppsplit's are on:
 *
 *   other     sock_ops              or-s its callback flags to those that are set, and counts
 *   rude      sock_ops              sets its own flags, and so clears all others
 *   firewall  cgroup_skb/ingress    passes everything
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "others.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HITS);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

static void hit(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&hits, &what);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static int is_established(__u32 op)
{
	return op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB ||
	       op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB;
}

SEC("sockops")
int other(struct bpf_sock_ops *ops)
{
	__u32 op = ops->op;

	if (is_established(op)) {
		hit(HIT_ESTABLISHED);
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags |
						       BPF_SOCK_OPS_STATE_CB_FLAG |
						       BPF_SOCK_OPS_RTT_CB_FLAG);
	}
	if (op == BPF_SOCK_OPS_STATE_CB && ops->args[1] == BPF_TCP_CLOSE)
		hit(HIT_CLOSED);
	if (op == BPF_SOCK_OPS_RTT_CB)
		hit(HIT_RTT);
	return 1;
}

SEC("sockops")
int rude(struct bpf_sock_ops *ops)
{
	__u32 op = ops->op;

	if (is_established(op)) {
		hit(HIT_ESTABLISHED);
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_RTT_CB_FLAG);
	}
	if (op == BPF_SOCK_OPS_RTT_CB)
		hit(HIT_RTT);
	return 1;
}

SEC("cgroup_skb/ingress")
int firewall(struct __sk_buff *skb)
{
	(void)skb;
	return 1;
}
