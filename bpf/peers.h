/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is remembered of peers, for 'ppctl status': proxies that were refused, or sent no header in
 * time, and peers that are no proxies and send one.
 */
#ifndef PP_PEERS_H
#define PP_PEERS_H

#include "kernel.h"
#include "maps.h"

/* @map: pp_refused or pp_unmarked. Several CPUs may lose a count. */
static __always_inline void peer_note(void *map, const __u8 *address, __u16 port, __u32 kind,
				      __u32 reason)
{
	struct pp_peer peer = {.last_ns = bpf_ktime_get_ns(), .count = 1}, *known;
	struct pp_peer_key key = {};

	__builtin_memcpy(key.address, address, sizeof(key.address));
	known = bpf_map_lookup_elem(map, &key);
	if (known)
		peer.count = known->count + 1;
	peer.port = port;
	peer.kind = kind;
	peer.reason = reason;
	bpf_map_update_elem(map, &key, &peer, BPF_ANY);
}

#endif
