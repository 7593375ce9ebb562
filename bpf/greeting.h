/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Does the server speak first? A header alone is acknowledged at once, or the proxy would send it
 * again after 200 ms, unless the server does that by what it says first: on a port where it did so
 * lately, some connections in a row, it is expected to. An acknowledgement of our own costs as much
 * as all else that pp_in does.
 */
#ifndef PP_GREETING_H
#define PP_GREETING_H

#include "kernel.h"
#include "maps.h"

#define GREETINGS 8

static int is_greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port);

	return greetings && *greetings >= GREETINGS;
}

/* The server spoke, before anything but the header had come. Several CPUs may lose a count. */
static void greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port), one = 1;

	if (!greetings)
		bpf_map_update_elem(&pp_greetings, &port, &one, BPF_ANY);
	else if (*greetings < GREETINGS)
		++*greetings;
}

/* A header was sent again. */
static void not_greeted(__u16 port)
{
	__u32 *greetings = bpf_map_lookup_elem(&pp_greetings, &port);

	if (greetings)
		*greetings = 0;
}

#endif
