/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The maps, which ppctl, or bpftool's pinmaps, pins under /sys/fs/bpf/pp/maps/. Keys and values
 * that ppctl knows are in include/pp/maps.h, the others here. Two are elsewhere, with their values:
 * pp_stage in stage.h, and pp_packet in packet.h.
 *
 * Sizes are those for 16,384 connections at once, and ppctl changes those that depend on that
 * number (build.c): most of a set's memory is in pp_flows.
 */
#ifndef PP_BPF_MAPS_H
#define PP_BPF_MAPS_H

#include "kernel.h"
#include <pp/decoder.h>
#include <pp/maps.h>
#include "handshake.h"
#include "segment.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576); /* each takes its memory when it is added */
	__type(key, struct pp_prefix);
	__type(value, struct pp_proxy);
} pp_proxies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u16);
	__type(value, struct pp_port);
} pp_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} pp_served SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct pp_port_key);
	__type(value, struct pp_port);
} pp_addresses SEC(".maps");

/* A socket of the mail server. */
struct pp_socket {
	struct pp_record record;
	__u32 cut;	 /* split: bytes that pp_in cut out: the proxy's sequence numbers are so
			  * much ahead of the socket's; else 0 */
	__u32 first_seq; /* sequence number of the stream's first byte */
	__u32 have;	 /* bytes of the header seen so far, while FRAGMENTED */
	__u32 told;	 /* PP_TAKE: bytes of the header that somebody was told to discard */
	__u8 on_bad;	 /* copied from the port's policy */
	__u8 split;
	__u16 port_flags;
	__u8 announced;	 /* 1: its sender has an entry in pp_outgoing */
	__u8 settled;	 /* 1: TCP has accepted what the record is about: nothing undoes that */
	__u8 asked;	 /* 1: somebody has asked for the record */
	__u8 unused;	 /* 0 */
	__u32 made_s;	 /* when it was made, CLOCK_MONOTONIC, seconds */
	__u32 bad_after; /* bytes that TCP had accepted when the header was found to be bad */
	__u64 told_ns;	 /* when PP_TAKE said so, CLOCK_MONOTONIC */
	__u64 taker;	 /* and to whom: process and thread, as bpf_get_current_pid_tgid() */
};

/* An entry is made with its value, and never filled after that: the gate, on another CPU, may find
 * it at once, and would take an empty one for a stranger's. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_socket);
} pp_origins SEC(".maps");

/* What is left of a hostile crowd in one does not push a proxy out of the other. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__uint(max_entries, 512);
	__type(key, struct pp_peer_key);
	__type(value, struct pp_peer);
} pp_refused SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__uint(max_entries, 512);
	__type(key, struct pp_peer_key);
	__type(value, struct pp_peer);
} pp_unmarked SEC(".maps");

/* The bytes of a socket's header: only for headers with TLVs, UNIX addresses or several segments */
struct pp_extra {
	__u64 len; /* bytes used */
	__u8 bytes[PP_WINDOW];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_extra);
} pp_extra SEC(".maps");

/* The same for a header that is complete, and so short as nearly all are: what is allocated for a
 * socket is also cleared and copied, and an eighth of the size costs a fifth. */
#define PP_SHORT 128

struct pp_short {
	__u64 len; /* as in struct pp_extra, whose beginning this can be copied from */
	__u8 bytes[PP_SHORT];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_short);
} pp_short SEC(".maps");

/* The same for headers larger than PP_WINDOW, in pages, as many as the header needs: Linux 7 has no
 * more than 8 KiB for an entry (KMALLOC_MAX_CACHE_SIZE, which kmalloc_nolock() keeps to). */
struct pp_large_page {
	__u8 bytes[PP_PAGE];
};

struct pp_large_pages {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_large_page);
};

struct pp_large_pages pp_large_0 SEC(".maps"), pp_large_1 SEC(".maps"), pp_large_2 SEC(".maps"),
	pp_large_3 SEC(".maps");

/* The whole of one, while it is put together. What follows PP_HEADER_MAX
 * is for the verifier, which does not see that a copy of up to PP_LARGE_SLACK bytes ends there. */
#define PP_LARGE_SLACK 256

struct pp_large {
	__u64 unused; /* struct pp_extra begins alike */
	__u8 bytes[PP_HEADER_MAX + PP_LARGE_SLACK];
};

/* What the gate says of the segment that ends a handshake. Without a proxy cgroup it notes only
 * headers: the peer's address says the rest. */
enum pp_gate_note_kind {
	PP_GATE_NOTE_HEADER = 0,   /* the record is in socket */
	PP_GATE_NOTE_PROXY = 1,	   /* from a proxy, without a header */
	PP_GATE_NOTE_STRANGER = 2, /* from a peer that is no proxy */
	PP_GATE_NOTE_OUTSIDER = 3, /* from a process of this host that only has a proxy's address */
};

/* The gate's note for pp_sockops, one for each CPU. The gate sees the segment that ends a
 * handshake, and PASSIVE_ESTABLISHED follows in the same softirq. */
struct pp_gate_note {
	struct pp_connection_key key;
	struct pp_socket socket;
	__u32 ack; /* acknowledgement number of the segment */
	__u8 kind; /* enum pp_gate_note_kind */
	__u8 full; /* 1: pp_sockops has not read it yet */
	__u8 unused[2];
	struct pp_extra extra;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_gate_note);
} pp_handoff SEC(".maps");

/* A cache: pp_origins is the truth for a socket that lives. It also serves sockets in TIME_WAIT,
 * which have no storage, and headers in pieces, before there is a socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_flow);
} pp_flows SEC(".maps");

/* The split's note, from pp_in to pp_gate and pp_sockops, for the segment that ends the handshake.
 * The maps of both notes have older names, which pins and tools know. Not a slot per CPU, as
 * pp_handoff is: tc sees a whole batch of packets before TCP sees the first. The local end
 * is not in the key: behind DNAT it is another here than there. */
struct pp_split_note_key {
	__u8 remote[16];
	__u32 remote_port;
	__u32 first_seq;
	__u32 ack;
};

struct pp_split_note {
	struct pp_socket socket;
	struct pp_connection_key flow;
	__u32 forwarded;	/* as in struct pp_flow */
	__u32 unused;		/* 0 */
	struct pp_short header; /* len 0: it is in pp_pieces or pp_large_pieces, if it is kept */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct pp_split_note_key);
	__type(value, struct pp_split_note);
} pp_handovers SEC(".maps");

/* Bytes of a header in pieces, or with TLVs, until there is a socket to keep them with. What is
 * evicted refuses its connection, if that is not made yet. A list for each CPU: before 6.16 a CPU
 * takes 128 free entries of a common one at a time, and where none are left the next CPU keeps no
 * more than one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__uint(max_entries, 512);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_extra);
} pp_pieces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__uint(max_entries, 64);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_large);
} pp_large_pieces SEC(".maps");

/* Network namespaces (cookie) that have pp_in and pp_out on their interfaces, as ppctl says. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} pp_hooked SEC(".maps");

/* Listeners (socket cookie) that pp_gate has seen a proxy's SYN come to. pp_in cuts out no header
 * that is for another one: it knows ports, and no cgroups. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} pp_listeners SEC(".maps");

/* forward.h: a SYN of a proxy that a served cgroup has got, and when (CLOCK_MONOTONIC, ns). */
struct pp_syn_key {
	__u8 remote[16];
	__u32 remote_port;
	__u32 first_seq;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct pp_syn_key);
	__type(value, __u64);
} pp_syns SEC(".maps");

/* The answer to it: what a request would say, where there is none to ask. */
struct pp_synack {
	__u64 sent_ns;
	__u32 first_seq;
	__u32 next_ack;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_synack);
} pp_synacks SEC(".maps");

/* Where forwarded connections arrive: the server's own port, which may be another than the served
 * one. */
struct pp_inner {
	__u64 netns_cookie;
	__u32 port;
	__u32 unused; /* 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pp_inner);
	__type(value, __u32);
} pp_inners SEC(".maps");

/* A forwarded connection whose header was cut out. Nothing evicts it: no socket of this namespace
 * would tell again. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_forward);
} pp_forwarded SEC(".maps");

/* A server's socket -> its entry in pp_forwarded. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_connection_key);
} pp_forward_of SEC(".maps");

/* Port, host order -> connections in a row on which the server spoke first, some few at most. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u16);
	__type(value, __u32);
} pp_greetings SEC(".maps");

/* Sockets of proxies on this host, from connect() to their first message, which pp_msg sees. They
 * have pp_pass for a verdict: without one, a socket in a sockmap can lose its wake-ups (6.12.75,
 * 6.18.14 and others). */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} pp_senders SEC(".maps");

/* A socket of a proxy cgroup that connects, or has connected, to a served port number. It goes with
 * the socket, and no other entry can push it out. */
struct pp_announced {
	__u32 first_seq;  /* sequence number of the stream's first byte */
	__u32 in_senders; /* 1: pp_sender has put the socket into pp_senders, and deletes it there
			   */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_announced);
} pp_announced SEC(".maps");

/* What pp_sender and pp_msg know of a socket in pp_senders until its first message. The decoder
 * works here: a sk_msg program can be preempted, so nothing per CPU would do, but its socket is
 * locked. */
struct pp_sending {
	struct pp_connection_key key; /* in pp_outgoing */
	struct pp_socket socket;
	struct pp_decoder decoder;
	struct pp_extra extra;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pp_sending);
} pp_sending SEC(".maps");

/* Not an LRU: a connection whose entry is gone would look like a stranger's. An entry goes when the
 * receiving side has adopted it, when it turns out to be for another's port, or when its socket
 * is closed and everything it sent was acknowledged. What a reset connection leaves behind is swept
 * when the map is full. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct pp_connection_key);
	__type(value, struct pp_outgoing);
} pp_outgoing SEC(".maps");

/* One entry: when announcements were lost, and when maps were swept that nothing evicts from.
 * CLOCK_MONOTONIC, nanoseconds; 0: never. */
struct pp_loss {
	__u64 lost_ns;		/* when an announcement last had no place in pp_outgoing */
	__u64 swept_ns;		/* when pp_outgoing was last swept */
	__u64 forward_swept_ns; /* and pp_forwarded */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_loss);
} pp_loss SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_config);
} pp_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PP_STAT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} pp_stats SEC(".maps");

/* What the guard has dropped, by the interface that it came by. An LRU: interfaces come and go with
 * their containers. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pp_interface);
	__type(value, __u64);
} pp_guarded SEC(".maps");

/* ppctl's own: the interfaces that --interface names, by name, since an index changes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct pp_interface_name);
	__type(value, __u32);
} pp_only SEC(".maps");

/* For 'ppctl monitor', see events.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_listening);
} pp_listening SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} pp_events SEC(".maps");

/* Working memory of pp_gate: too large for the stack, and the verifier wants the decoder's state in
 * a map (see pp/decoder.h). Safe per CPU: tcp_v4_rcv() runs the gate with bottom halves disabled,
 * and the softirqs of a CPU come one after another (ppctl refuses kernels where they do not).
 */
struct pp_work {
	struct segment segment;	    /* that pp_gate looks at */
	struct handshake handshake; /* of its connection */
	struct pp_decoder decoder;
	struct pp_socket socket; /* while its record is being decoded anew */
	struct {
		__u64 len;
		__u8 bytes[2 * PP_WINDOW];
	} joined; /* as struct pp_extra: a header's first part, and after it the segment's */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_work);
} pp_work SEC(".maps");

/* The same for a header that is larger than PP_WINDOW. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pp_large);
} pp_large_work SEC(".maps");

_Static_assert(sizeof(struct pp_socket) == 128, "no padding in a socket's entry");
_Static_assert(sizeof(struct pp_gate_note) == 48 + 128 + 8 + 8 + PP_WINDOW, "no padding in a note");

static void count(__u32 stat)
{
	__u64 *value = bpf_map_lookup_elem(&pp_stats, &stat);

	if (value)
		*value += 1;
}

static __u32 now_s(void)
{
	return bpf_ktime_get_ns() / 1000000000ULL;
}

static struct pp_work *working_memory(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pp_work, &zero);
}

static struct pp_large *large_working_memory(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pp_large_work, &zero);
}

static struct pp_loss *loss(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pp_loss, &zero);
}

static struct pp_gate_note *gate_note_of_this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pp_handoff, &zero);
}

#endif
