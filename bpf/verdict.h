/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Verdicts of the programs on a packet, and the mark that one leaves on it for another.
 */
#ifndef PP_VERDICT_H
#define PP_VERDICT_H

#include "kernel.h"

/* cgroup_skb */
#define PASS 1
#define DROP 0

#define TC_NEXT -1 /* TCX_NEXT, TC_ACT_UNSPEC: as if this program was not there */
#define TC_PASS 0  /* keeps the mark */
#define TC_DROP 2

/* Says "pp_in has seen this": set as tc_classid, which the kernel keeps as tc_index when the
 * program passes the packet. Nobody else's mark is touched, and it survives a way through veth. */
#define SEEN_IN 0x5050

/* The same, of a segment that belongs to no connection: the kernel is to reset it. */
#define SEEN_LATE 0x5051

/* "pp_out has seen this", and "both have": on lo, and through veth, one comes after the other, and
 * where both port numbers are those of ports with a split, each has its own part to do. */
#define SEEN_OUT  0x5052
#define SEEN_BOTH 0x5053

static __always_inline int went_in(struct __sk_buff *skb)
{
	return skb->tc_index == SEEN_IN || skb->tc_index == SEEN_BOTH;
}

static __always_inline int went_out(struct __sk_buff *skb)
{
	return skb->tc_index == SEEN_OUT || skb->tc_index == SEEN_BOTH;
}

#endif
