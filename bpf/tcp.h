/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP's numbers, and a walk over its options.
 */
#ifndef PP_TCP_H
#define PP_TCP_H

#include "kernel.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_HEADER 20 /* bytes of a TCP header without options */

#define TCP_AT_SOURCE	   0 /* offsets in it */
#define TCP_AT_DESTINATION 2
#define TCP_AT_SEQ	   4
#define TCP_AT_ACK	   8
#define TCP_AT_CHECKSUM	   16

#define TCP_OPTION_END	    0
#define TCP_OPTION_NOP	    1
#define TCP_OPTION_SACK	    5
#define TCP_OPTION_MPTCP    30
#define TCP_OPTION_FASTOPEN 34
#define TCP_OPTION_EXP	    254	   /* followed by a number that says what for (RFC 6994) */
#define TCP_EXP_FASTOPEN    0xf989 /* as Linux sent it before RFC 7413 */
#define TCP_OPTIONS_MAX	    40	   /* bytes */
#define MPTCP_CAPABLE	    0	   /* subtype, high half of the third byte (RFC 8684) */

/* A walk over the TCP options of a segment; each loop's own state has it for a beginning. */
struct option_walk {
	struct __sk_buff *skb;
	__u32 at; /* offsets in the skb: of the option, and after the last one */
	__u32 end;
};

/* Kind and length of the option that the walk is at. Return: 1; 0, it was a NOP, and the walk is
 * after it; or -1, there are no more, or one is longer than the header: TCP reads no further,
 * either. */
static __always_inline int option_here(struct option_walk *walk, __u8 option[2])
{
	if (walk->at >= walk->end || bpf_skb_load_bytes(walk->skb, walk->at, option, 1))
		return -1;
	if (option[0] == TCP_OPTION_END)
		return -1;
	if (option[0] == TCP_OPTION_NOP) {
		walk->at++;
		return 0;
	}
	if (bpf_skb_load_bytes(walk->skb, walk->at, option, 2) || option[1] < 2 ||
	    walk->at + option[1] > walk->end)
		return -1;
	return 1;
}

#endif
