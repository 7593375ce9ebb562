/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The pinned maps, as far as ppctl and the tests read or write them: keys, values, and the
 * counters. Not installed: bpf/ and ppctl are built together, and 'ppctl upgrade' compares sizes.
 * What only the programs use is beside the maps, in bpf/maps.h.
 *
 * A connection is named from the server's end: remote is the proxy, local the server. Source and
 * destination are those of a header, in struct pp_record. Addresses are v4-mapped where they are
 * IPv4; what does not say __be is in host order.
 */
#ifndef PP_MAPS_H
#define PP_MAPS_H

#include <pp/abi.h>

/* Of what is in this file and in bpf/maps.h: it grows with every change of what a map's key or
 * value means, or of its size. Programs of another number do not take over a set: they would
 * misread what its live connections have. */
#define PP_MAPS_ABI 4

/* pp_version: one entry, ppctl's own. Who has made the set, or replaced its programs last. */
struct pp_version {
	__u32 abi;     /* PP_MAPS_ABI */
	char name[60]; /* "0.1.0" */
};

/* pp_configured: one entry, ppctl's own. Lines "KIND NAME", where KIND is cgroup or proxy-cgroup;
 * it ends with a 0. */
#define PP_CONFIGURED_LEN 65536

/* pp_proxies: LPM trie. IPv4 prefixes are v4-mapped, with 96 added to their length. */
struct pp_prefix {
	__u32 length; /* 0 to 128 bits */
	__u8 address[16];
};

/* The prefix is shorter than that of all v4-mapped addresses and has them in it, as ::/0 has: it is
 * meant for IPv6, and marks no IPv4 address. */
#define PP_PROXY_NOT_IPV4 0x01

struct pp_proxy {
	__u32 flags; /* PP_PROXY_* */
};

/* pp_ports: listening port (host order, __u16) -> policy */
enum pp_split_way {
	PP_SPLIT_NO = 0,  /* peek: the header stays in the stream, libpp discards it */
	PP_SPLIT_YES = 1, /* pp_in cuts it out before the socket exists */
};

enum pp_on_bad {
	PP_ON_BAD_TELL = 0, /* the MTA is told, and answers 503 */
	PP_ON_BAD_DROP = 1, /* it does not reach the MTA; with a split the proxy gets a RST */
};

#define PP_PORT_V1_MIXED    0x01  /* a v1 line with addresses of two families is taken (nginx) */
#define PP_PORT_TRANSPARENT 0x02  /* accept() and getpeername() answer with the origin */
#define PP_PORT_LOCAL	    0x04  /* getsockname() answers with the header's destination */
#define PP_PORT_DRAINING    0x08  /* takes no new connections; those that are split go on */
#define PP_PORT_WAS_SPLIT   0x10  /* served without a split, but such connections are left */
#define PP_PORT_DOWN	    0x20  /* draining since 'ppctl down': 'up' serves the port again */
#define PP_PORT_ADDRESSES   0x40  /* pp_addresses has policies for some of its local addresses */
#define PP_PORT_NO_OTHERS   0x80  /* with that: it is not served on any other address */
#define PP_PORT_NO_LOOKUP   0x100 /* nobody asks here: pp_getsockopt is not needed for it */

struct pp_port {
	__u8 split;    /* enum pp_split_way */
	__u8 on_bad;   /* enum pp_on_bad */
	__u16 flags;   /* PP_PORT_* */
	__u32 gate_ms; /* how long the handshake's bare ACK is held, ms; 0: not at all, or with a
			* split as long as the kernel keeps the request */
};

/* pp_served: port (host order, __u32) -> what is known of it, PP_SERVED_*, by which programs leave
 * early: an array, which costs them next to nothing. A bit that is set without need costs a look at
 * pp_ports, one that is missing leaves the port unserved: so ppctl sets bits before it changes
 * pp_ports, and clears them after that. */
#define PP_SERVED_LISTED  0x01 /* pp_ports has it */
#define PP_SERVED_SPLIT	  0x02 /* and connections, new ones or old, whose header is cut out */
#define PP_SERVED_RECORDS 0x04 /* sockets of that local port may have a record: never cleared */

/* pp_addresses: a port's policy on one local address, before that of pp_ports. */
struct pp_port_key {
	__u8 address[16]; /* v4-mapped where it is IPv4; for ppctl alone: all 0, any address */
	__u16 port;
	__u16 unused; /* 0 */
};

/* Which connection. The same addresses and ports in two network namespaces (127.0.0.1 in two
 * containers) are two connections. */
struct pp_connection_key {
	__u64 netns_cookie;
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	/* Of the stream's first byte, where a record is found by the key: what a forger sends under
	 * another number never meets the connection. 0 in the maps of the split, which are asked
	 * for each packet. */
	__u32 first_seq;
};

/* pp_flows */
struct pp_flow {
	__u32 first_seq;   /* of the stream's first byte, in both ends' numbers */
	__u32 got;	   /* bytes of the header acknowledged so far */
	__u32 cut;	   /* bytes cut out of the stream, 0 while the header is incomplete */
	__u32 established; /* 1: the socket has its record, and cut in it */
	__u32 forwarded;   /* 1: the server is behind this host: see forward.h */
};

/* pp_forwarded */
struct pp_forward {
	__u32 first_seq;
	__u32 cut;
	__u64 made_ns;
	__u64 ended_ns;	 /* when its socket was closed, else 0 */
	__u32 confirmed; /* 1: it has a socket */
	__u32 unused;
};

/* pp_outgoing: what the sending side knows of a connection that a process of a proxy cgroup makes
 * to a port with a served number, from its connect() until the receiving side has taken it over.
 * The key's netns_cookie is 0, since the two ends may be in different namespaces of the host,
 * unless the addresses are loopback ones, which mean something else in each namespace. */
struct pp_outgoing {
	struct pp_record
		record;	 /* PENDING until pp_msg has decoded a header; VALID or LOCAL then */
	__u64 cookie;	 /* of the proxy's socket */
	__u64 made_ns;	 /* when it was announced, or closed; CLOCK_MONOTONIC */
	__u32 confirmed; /* 1: the gate has seen its SYN, so the port is one that is served */
	__u32 closed;	 /* 1: its socket is closed since made_ns; what it sent may be on the way */
};

/* pp_config: one entry */
#define PP_CONFIG_PROXY_CGROUP \
	0x01		      /* there is a proxy cgroup: over loopback, only it is believed */
#define PP_CONFIG_HOOKED 0x02 /* pp_in and pp_out are on interfaces */
#define PP_CONFIG_DOWN	 0x04 /* 'ppctl down' waits for the last connections to be gone */
#define PP_CONFIG_CHANGING \
	0x08 /* 'ppctl up' or 'ppctl apply' is at it; or was, and was broken off */

struct pp_config {
	__u32 flags; /* PP_CONFIG_* */
};

/* pp_guarded: segments that the guard dropped, __u64 */
struct pp_interface {
	__u64 netns_cookie;
	__u32 index;
	__u32 unused; /* 0 */
};

/* pp_only: where a network namespace has entries, only these interfaces have hooks. The value says
 * nothing. */
struct pp_interface_name {
	__u64 netns_cookie;
	char name[16]; /* filled with 0 */
};

/* What pp_count, an iterator over pp_origins, writes for each socket that has a record; after it
 * come the bytes of the header that are kept. */
#define PP_LIVE_MAGIC 0x50504c01

struct pp_live {
	__u32 size;  /* of this struct */
	__u32 magic; /* PP_LIVE_MAGIC: no socket's cookie, with which an older program would begin
		      */
	struct pp_record record;
	__u8 remote[16]; /* the socket's own two ends, v4-mapped where they are IPv4 */
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	__u32 kept;	/* bytes that follow */
	__u64 cookie;	/* of the socket */
	__u64 inode;	/* of it, as /proc/PID/fd has it; 0: no process has it */
	__u64 received; /* bytes that TCP has accepted */
	__u32 cut;	/* bytes that pp_in cut out: pp_in and pp_out translate it */
	__u32 made_s;	/* when it was made, CLOCK_MONOTONIC, seconds; 0: not known */
	__u8 tcp_state; /* TCP_ESTABLISHED and so on */
	__u8 orphan;	/* 1: no process has it any more, the kernel ends it */
	__u8 asked;	/* 1: somebody has asked for the record */
	__u8 settled;	/* 1: TCP has accepted what the record is about */
	__u8 family;	/* of the socket */
	__u8 unused[3];
};

/* pp_listening: one entry */
struct pp_listening {
	__u64 until_ns; /* CLOCK_MONOTONIC: until then somebody reads pp_events; 0: nobody does */
	__u64 lost;	/* events that found no room in it */
};

/* A number keeps its meaning. */
enum pp_event_kind {
	PP_EVENT_ACCEPTED = 1, /* a header was valid */
	PP_EVENT_REFUSED = 2,  /* it was not, or was none; see the reason */
	PP_EVENT_HELD = 3,     /* the handshake's bare ACK is held back for a header */
	PP_EVENT_EXPIRED = 4,  /* the gate's time ran out without one */
	PP_EVENT_GUARDED = 5,  /* a segment that did not pass pp_in was dropped */
	PP_EVENT_UNMARKED = 6, /* a peer that is not marked sends what begins as a header does */
};

/* pp_events */
struct pp_event {
	__u64 made_ns; /* CLOCK_MONOTONIC */
	__u64 netns_cookie;
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	__u8 kind;   /* enum pp_event_kind */
	__u8 reason; /* enum pp_reason */
	__u8 unused[2];
	struct pp_record record; /* 0 where there is none */
};

/* pp_refused, by the address of a marked proxy, or of a peer that has one or is announced; and
 * pp_unmarked, of peers that are no proxies and began as a header does. The maps forget the oldest.
 */
struct pp_peer_key {
	__u8 address[16]; /* v4-mapped where it is IPv4 */
};

struct pp_peer {
	__u64 last_ns; /* CLOCK_MONOTONIC */
	__u64 count;   /* connections, or segments that were dropped */
	__u16 port;    /* to which the last one was */
	__u8 kind;     /* enum pp_event_kind: PP_EVENT_REFUSED, _EXPIRED or _UNMARKED */
	__u8 reason;   /* enum pp_reason */
	__u32 unused;  /* 0 */
};

/* pp_stats: per-CPU array of __u64. A counter keeps its number, since pp_stats outlives the build
 * that made it ('ppctl upgrade'). A new one takes the next number below PP_STAT_BAD that no counter
 * ever had, whatever its place in this list, and a name in user/ppctl/stats.c and ppctl(8). One
 * that goes leaves its number unused. */
enum pp_stat {
	PP_STAT_CONNECTIONS = 0,   /* from marked proxies to served ports, established */
	PP_STAT_ACKS_HELD = 1,	   /* bare ACKs held back by the gate */
	PP_STAT_GATES_EXPIRED = 2, /* handshakes let through without a header, time being up */
	PP_STAT_V1 = 3,		   /* valid v1 headers, UNKNOWN included */
	PP_STAT_V2 = 4,		   /* valid v2 headers, LOCAL included */
	PP_STAT_LOCAL = 5,	   /* of these: LOCAL, UNSPEC and UNKNOWN */
	PP_STAT_FRAGMENTED = 6,	   /* headers of which the first segment had a part only */
	PP_STAT_LARGE = 7,	   /* headers larger than PP_WINDOW */
	PP_STAT_DROPPED_BAD = 8,   /* segments with a bad header dropped (on_bad drop) */
	PP_STAT_DROPPED_HOLE = 9,  /* segments that do not continue an incomplete header, dropped */
	PP_STAT_GUARDED = 10,	   /* split: segments that pp_in has not seen, or that no
				    * record explains, dropped */
	PP_STAT_SPLIT = 11,	   /* split: headers cut out of the stream */
	PP_STAT_PIECES = 12,	   /* split: pieces of headers acknowledged in the server's place */
	PP_STAT_NO_MEMORY = 13,	   /* a socket's record or header could not be stored */
	PP_STAT_FOREIGN = 14,	   /* transparent: addresses that do not fit their socket */
	PP_STAT_OUTSIDERS = 15,	   /* segments of processes outside of the proxies' cgroups */
	PP_STAT_FROM_SENDER = 16,  /* headers whose record came from the sending side */
	PP_STAT_SENDERS = 17,	   /* connections of proxy cgroups to ports with a served number */
	PP_STAT_SENT = 18,	   /* of these: headers decoded at their send() */
	PP_STAT_UNSEEN = 19,	   /* of these: headers left to the receiving side */
	PP_STAT_SENDERS_NATIVE = 20,	 /* sockets that have left pp_senders */
	PP_STAT_DROPPED_UNREADABLE = 21, /* segments whose headers cannot be read, dropped */
	PP_STAT_DROPPED_FASTOPEN = 22,	 /* SYNs of proxies with TCP Fast Open, dropped */
	PP_STAT_DROPPED_MPTCP = 23,	 /* SYNs of proxies with Multipath TCP, dropped */
	PP_STAT_UNANNOUNCED = 24, /* segments of connections whose announcement is lost, dropped */
	PP_STAT_UNCONFIRMED = 25, /* connections of proxy cgroups to ports that are not served */
	PP_STAT_FORWARDED_FULL = 26, /* split: no room in pp_forwarded, refused */
	PP_STAT_UNSERVED = 27,	     /* split: to listeners outside of the cgroup, reset */
	PP_STAT_ASKED = 28,	     /* connections whose origin somebody has asked for */
	PP_STAT_BAD = 32,	     /* PP_STAT_BAD + enum pp_reason: bad headers by reason */
	PP_STAT_COUNT = 64,
};

#ifndef __cplusplus
_Static_assert(sizeof(struct pp_prefix) == 20, "no padding in a prefix");
_Static_assert(sizeof(struct pp_port) == 8, "no padding in a policy");
_Static_assert(sizeof(struct pp_port_key) == 20, "no padding in a port's key");
_Static_assert(sizeof(struct pp_connection_key) == 48, "no padding in a key");
_Static_assert(sizeof(struct pp_outgoing) == 104, "no padding in an entry");
_Static_assert(sizeof(struct pp_event) == sizeof(struct pp_record) + 56, "no padding in an event");
_Static_assert(sizeof(struct pp_peer) == 24, "no padding in a peer's entry");
_Static_assert(sizeof(struct pp_live) == sizeof(struct pp_record) + 88,
	       "no padding in a socket's entry");
_Static_assert(PP_STAT_BAD + PP_REASON_COUNT <= PP_STAT_COUNT, "a counter for each reason");
#endif

#endif
