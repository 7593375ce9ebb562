/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses, of 16 bytes: v4-mapped where they are IPv4.
 */
#ifndef PP_ADDRESS_H
#define PP_ADDRESS_H

#include "kernel.h"

static void map_v4(__u8 *address, __u32 ip4)
{
	__u32 *word = (__u32 *)address;

	word[0] = 0;
	word[1] = 0;
	word[2] = bpf_htonl(0xffff);
	word[3] = ip4;
}

static int is_v4_mapped(const __u8 *address)
{
	const __u32 *word = (const __u32 *)address;

	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
}

static int is_loopback(const __u8 *address)
{
	const __u32 *word = (const __u32 *)address;

	if (word[0] || word[1])
		return 0;
	if (word[2] == bpf_htonl(0xffff))
		return address[12] == 127;
	return !word[2] && word[3] == bpf_htonl(1);
}

#endif
