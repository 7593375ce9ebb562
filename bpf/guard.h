/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The guard of the split: nothing gets past it that pp_in has not seen, or that no record explains.
 */
#ifndef PP_GUARD_H
#define PP_GUARD_H

#include "kernel.h"
#include "events.h"
#include "maps.h"
#include "netns.h"
#include "verdict.h"

/* A segment of a proxy that pp_in has not seen, or that no record explains: counted by its
 * interface, so that ppctl can say which one has no hooks. */
static __noinline int guard_drop(struct __sk_buff *skb)
{
	struct pp_interface key = {
		.netns_cookie = skb_netns_cookie(skb),
		.index = skb->ifindex,
	};
	__u64 *known, one = 1;

	count(PP_STAT_GUARDED);
	event_of_guarded(skb);
	known = bpf_map_lookup_elem(&pp_guarded, &key);
	if (known)
		__sync_fetch_and_add(known, 1);
	else
		bpf_map_update_elem(&pp_guarded, &key, &one, BPF_NOEXIST);
	return DROP;
}

#endif
