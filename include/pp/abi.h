/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the BPF programs and user space agree on: the record that getsockopt(SOL_PP) answers, its
 * states, and the keys and values of the pinned maps. Included by bpf/, libpp, ppctl, and by
 * programs in any language that call getsockopt() without libpp.
 *
 * Addresses and ports of an origin are in network byte order; everything else is in host order.
 */
#ifndef PP_ABI_H
#define PP_ABI_H

#include <linux/types.h>

/* getsockopt(fd, SOL_PP, option, buf, &len): errors are ENOBUFS (buf is too small), ENODATA
 * (nothing of that kind is kept), ENOTCONN (a listening socket) and, where no programs are attached
 * to the socket's cgroup, the kernel's own EOPNOTSUPP (AF_INET) or ENOPROTOOPT (AF_INET6). PP_TAKE
 * says EBUSY when the application has read bytes of the header from the socket itself.
 *
 * PP_TAKE: record.take says how many bytes of the stream are header and have to be discarded now,
 * by recv(MSG_TRUNC). While the header is incomplete (PP_STATE_FRAGMENTED) these are the bytes that
 * have arrived: without them the socket is not readable before the next ones come. A header is gone
 * from the stream when PP_RECORD_TAKEN is set, or once the bytes are discarded. A take of 0 without
 * it, in state VALID or LOCAL, means that another process is about to discard them. */
#define SOL_PP	  0x5050
#define PP_ORIGIN 1 /* struct pp_record */
#define PP_TAKE	  2 /* struct pp_record, and record.take bytes are the caller's to discard */
#define PP_TLVS	  3 /* raw TLVs of a v2 header: the first PP_PAGE bytes of them */
#define PP_HEADER \
	5 /* the raw header, when it has TLVs or UNIX addresses: the first PP_PAGE bytes */
#define PP_PAGE		  4096 /* bytes in an answer, at most */
#define PP_PAGES	  (PP_HEADER_MAX / PP_PAGE)
#define PP_TLVS_PAGE(n)	  (0x100 + (n)) /* TLV bytes from n * PP_PAGE on; n is 0 to 3 */
#define PP_HEADER_PAGE(n) (0x200 + (n)) /* the same for the header */

enum pp_state {
	PP_STATE_NONE = 0,    /* the peer is not a marked proxy */
	PP_STATE_PENDING = 1, /* marked proxy, no header yet */
	PP_STATE_EXPIRED = 2, /* the gate's time ran out without a header */
	PP_STATE_VALID = 3,   /* the origin is in the record */
	PP_STATE_LOCAL = 4,   /* v2 LOCAL or UNSPEC, v1 UNKNOWN: the origin is the proxy itself */
	PP_STATE_BAD = 5,     /* not a valid header: reason says which rule it breaks */
	PP_STATE_FRAGMENTED = 6, /* part of a header is there, the rest is not */
};

/* Why a header is bad. The numbers are also offsets into pp_stats, from PP_STAT_BAD on. */
enum pp_reason {
	PP_REASON_NONE = 0,
	PP_BAD_SIGNATURE = 1,	/* neither "PROXY " nor the v2 signature */
	PP_BAD_VERSION = 2,	/* v2: version nibble is not 2 */
	PP_BAD_COMMAND = 3,	/* v2: command is neither LOCAL nor PROXY */
	PP_BAD_FAMILY = 4,	/* v1: not TCP4, TCP6, UNKNOWN; v2: family or transport not known */
	PP_BAD_ADDRESS = 5,	/* v1: address malformed or of another family */
	PP_BAD_PORT = 6,	/* v1: port malformed or over 65535 */
	PP_BAD_LINE = 7,	/* v1: no CR LF where it has to be, or not within 107 bytes */
	PP_BAD_LENGTH = 8,	/* v2: length too short for the address family */
	PP_BAD_TLV = 9,		/* v2: a TLV runs past its end, or has a size its type forbids */
	PP_BAD_CHECKSUM = 10,	/* v2: CRC32C is there and wrong */
	PP_BAD_TOO_LARGE = 11,	/* v2: header larger than PP_HEADER_MAX */
	PP_BAD_CLOSED = 12,	/* the peer closed before the header was complete */
	PP_BAD_MISSED = 13,	/* bytes reached the socket that the programs did not see */
	PP_BAD_SENDER = 14,	/* from this host, by a process outside of the proxies' cgroups */
	PP_BAD_UNRECORDED = 15, /* the connection is older than the programs, the port or the mark
				 * of its proxy, or there was no memory for its record */
	PP_BAD_MPTCP = 16, /* a Multipath TCP connection: its bytes did not pass the programs */
	PP_REASON_COUNT
};

#define PP_HEADER_MAX 16384 /* largest header that ppsplit takes, bytes */
#define PP_WINDOW     1024  /* a header of up to this many bytes is small: see struct pp_extra */

/* record.flags */
#define PP_RECORD_LARGE	 0x01 /* larger than PP_WINDOW */
#define PP_RECORD_KEPT	 0x02 /* PP_HEADER and PP_TLVS have the bytes */
#define PP_RECORD_TAKEN	 0x04 /* the header has been discarded from the stream */
#define PP_RECORD_SPLIT	 0x08 /* the kernel takes the header out of the stream, nobody else */
#define PP_RECORD_URGENT 0x20 /* with a take: urgent bytes (TCP URG) are, or were, there */

/* record.path: who decoded the header */
enum pp_path {
	PP_PATH_NONE = 0,
	PP_PATH_HANDSHAKE = 1, /* pp_gate, in the segment that ended the handshake */
	PP_PATH_SEGMENT = 2,   /* pp_gate, in a later segment */
	PP_PATH_SPLIT = 4,     /* pp_in, before the socket existed */
	PP_PATH_SENDER = 3,    /* pp_msg, when a proxy on this host sent it */
};

/* TLV types, section 2.2 of the protocol. */
#define PP_TLV_ALPN	       0x01
#define PP_TLV_AUTHORITY       0x02 /* host name that the client asked for (SNI), UTF-8 */
#define PP_TLV_CRC32C	       0x03 /* 4 bytes; verified by the decoder */
#define PP_TLV_NOOP	       0x04
#define PP_TLV_UNIQUE_ID       0x05 /* at most 128 bytes */
#define PP_TLV_SSL	       0x20 /* client bits, 4 bytes of verify result, sub-TLVs */
#define PP_TLV_SSL_FIXED       5    /* bytes in front of the sub-TLVs */
#define PP_TLV_SSL_VERSION     0x21
#define PP_TLV_SSL_CN	       0x22
#define PP_TLV_SSL_CIPHER      0x23
#define PP_TLV_SSL_SIG_ALG     0x24
#define PP_TLV_SSL_KEY_ALG     0x25
#define PP_TLV_SSL_GROUP       0x26
#define PP_TLV_SSL_SIG_SCHEME  0x27
#define PP_TLV_SSL_CLIENT_CERT 0x28
#define PP_TLV_NETNS	       0x30
#define PP_TLV_GCP_CONNECTION  0xe0 /* Google Cloud: connection id */
#define PP_TLV_AWS	       0xea /* Amazon: VPC endpoint id, behind a subtype byte of 1 */
#define PP_TLV_AZURE	       0xee /* Azure: private link id, behind a subtype byte of 1 */

/* Command and family of a record and of struct pp_origin (pp.h). Families are Linux' AF_ numbers,
 * transports are SOCK_STREAM, SOCK_DGRAM or 0. */
#define PP_LOCAL 0
#define PP_PROXY 1

struct pp_record {
	__u8 state;	  /* enum pp_state */
	__u8 version;	  /* 1 or 2 */
	__u8 command;	  /* PP_LOCAL or PP_PROXY */
	__u8 family;	  /* AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX */
	__u8 transport;	  /* 0, SOCK_STREAM, SOCK_DGRAM */
	__u8 reason;	  /* enum pp_reason, when state is PP_STATE_BAD */
	__u8 flags;	  /* PP_RECORD_* */
	__u8 path;	  /* enum pp_path */
	__u16 header_len; /* bytes that the header takes in the stream */
	__u16 tlv_len;	  /* bytes of TLVs, at the end of the header */
	__be16 source_port;
	__be16 destination_port;
	__u8 source[16];      /* AF_INET: the first four bytes; AF_UNIX: see PP_HEADER */
	__u8 destination[16]; /* likewise */
	__u32 take;	      /* PP_TAKE: bytes that the caller has to discard now */
	__u32 need;	      /* PENDING, FRAGMENTED: length that the header has at least, bytes */
	__u64 netns_cookie;   /* network namespace of the socket */
	/* The process that sent the header, when it is one of a proxy cgroup on this host. */
	__u64 sender_cgroup; /* id of its cgroup v2, as bpf_get_current_cgroup_id(); 0: none such */
	__u32 sender_pid;    /* in the initial process namespace; 0: its send() was not seen */
	__u32 sender_uid;    /* in the initial user namespace */
};

/* pp_proxies: LPM trie. IPv4 prefixes are v4-mapped, with 96 added to their length. */
struct pp_prefix {
	__u32 length; /* 0 to 128 bits */
	__u8 address[16];
};

struct pp_proxy {
	__u32 flags; /* 0 */
};

/* pp_ports: listening port (host order, __u16) -> policy */
enum pp_split_way {
	PP_SPLIT_NO = 0,  /* peek: the header stays in the stream, libpp discards it */
	PP_SPLIT_YES = 1, /* pp_in takes it out before the socket exists */
};

enum pp_on_bad {
	PP_ON_BAD_TELL = 0, /* the MTA is told, and answers 503 */
	PP_ON_BAD_DROP = 1, /* it does not reach the MTA; with a split the proxy gets a RST */
};

#define PP_PORT_V1_MIXED    0x01 /* a v1 line with addresses of two families is taken (nginx) */
#define PP_PORT_TRANSPARENT 0x02 /* accept() and getpeername() answer with the origin */
#define PP_PORT_LOCAL	    0x04 /* getsockname() answers with the header's destination */
#define PP_PORT_DRAINING    0x08 /* takes no new connections; those that are split go on */
#define PP_PORT_WAS_SPLIT   0x10 /* served without a split, but such connections are left */
#define PP_PORT_DOWN	    0x20 /* draining since 'ppctl down': 'up' serves the port again */

struct pp_port {
	__u8 split;    /* enum pp_split_way */
	__u8 on_bad;   /* enum pp_on_bad */
	__u16 flags;   /* PP_PORT_* */
	__u32 gate_ms; /* how long the handshake's bare ACK is held, ms; 0: not at all, or with a
			* split as long as the kernel keeps the request */
};

/* What getpeername() and getsockname() say in transparent mode where the origin's address does not
 * fit the socket: an IPv6 origin on an IPv4 socket, or a UNIX one. RFC 7600, section 4.8: an IPv4
 * address that nobody has. */
#define PP_DUMMY_IP4 0xc0000008 /* 192.0.0.8, host order */

/* pp_origins: SK_STORAGE */
struct pp_socket {
	struct pp_record record;
	__u32 cut;	 /* split: bytes that pp_in took out: the proxy's sequence numbers are so
			  * much ahead of the socket's; else 0 */
	__u32 first_seq; /* sequence number of the stream's first byte */
	__u32 have;	 /* bytes of the header seen so far, while FRAGMENTED */
	__u32 told;	 /* PP_TAKE: bytes of the header that somebody was told to discard */
	__u8 on_bad;	 /* copied from the port's policy */
	__u8 split;
	__u16 port_flags;
	__u32 announced; /* 1: its sender has an entry in pp_outgoing */
	__u32 settled;	 /* 1: TCP has taken what the record is about: nothing undoes that */
	__u32 bad_after; /* bytes that TCP had accepted when the header was found to be bad */
	__u64 told_ns;	 /* when PP_TAKE said so, CLOCK_MONOTONIC */
	__u64 taker;	 /* and to whom: process and thread, as bpf_get_current_pid_tgid() */
};

/* pp_extra: SK_STORAGE, only for headers with TLVs, UNIX addresses or several segments */
struct pp_extra {
	__u64 len; /* bytes used */
	__u8 bytes[PP_WINDOW];
};

/* pp_large: SK_STORAGE, in its place for headers larger than PP_WINDOW. What follows PP_HEADER_MAX
 * is for the verifier, which does not see that a copy of up to PP_LARGE_SLACK bytes ends there. */
#define PP_LARGE_SLACK 256

struct pp_large {
	__u64 len; /* bytes used */
	__u8 bytes[PP_HEADER_MAX + PP_LARGE_SLACK];
};

/* Which connection a hand-over is for. Addresses are v4-mapped where they are IPv4; ports in host
 * order. The sequence number of the stream's first byte is part of it: what a forger sends under
 * another number never meets the connection. */
struct pp_handoff_key {
	__u64 netns_cookie;
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	__u32 first_seq;
};

/* The split: what pp_in and pp_out know of a connection whose header pp_in takes out. Addresses are
 * v4-mapped where they are IPv4, ports in host order; remote is the proxy. The same addresses and
 * ports in two network namespaces (127.0.0.1 in two containers) are two connections. */
struct pp_flow_key {
	__u64 netns_cookie;
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	__u32 unused; /* 0 */
};

/* pp_flows */
struct pp_flow {
	__u32 first_seq;   /* of the stream's first byte, in both ends' numbers */
	__u32 got;	   /* bytes of the header taken and acknowledged so far */
	__u32 cut;	   /* bytes taken out of the stream, 0 while the header is incomplete */
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
#define PP_CONFIG_SENDERS 0x01 /* there is a proxy cgroup: over loopback, only it is believed */
#define PP_CONFIG_HOOKED  0x02 /* pp_in and pp_out are on interfaces */
#define PP_CONFIG_DOWN	  0x04 /* 'ppctl down' waits for the last connections to be gone */

struct pp_config {
	__u32 flags; /* PP_CONFIG_* */
};

/* What the gate says of the segment that ends a handshake. Without a proxy cgroup only headers are
 * handed over: the peer's address says the rest. */
enum pp_handoff_kind {
	PP_HANDOFF_HEADER = 0,	 /* the record is in socket */
	PP_HANDOFF_PROXY = 1,	 /* from a proxy, without a header */
	PP_HANDOFF_STRANGER = 2, /* from somebody who is no proxy */
	PP_HANDOFF_OUTSIDER = 3, /* from a process of this host that only has a proxy's address */
};

/* pp_handoff: one for each CPU. The gate sees the segment that ends a handshake, and
 * PASSIVE_ESTABLISHED follows in the same softirq. */
struct pp_handoff {
	struct pp_handoff_key key;
	struct pp_socket socket;
	__u32 ack; /* acknowledgement number of the segment */
	__u8 kind; /* enum pp_handoff_kind */
	__u8 full; /* 1: not taken yet */
	__u8 unused[2];
	struct pp_extra extra;
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

/* What pp_count, an iterator over pp_origins, writes for each socket that pp_in and pp_out
 * translate. */
struct pp_translated {
	__u64 cookie; /* of the socket */
	__u64 netns_cookie;
	__u16 port;  /* the socket's own, host order */
	__u8 orphan; /* 1: no process has it any more, the kernel ends it */
	__u8 unused[5];
};

/* pp_stats: per-CPU array of __u64 */
enum pp_stat {
	PP_STAT_CONNECTIONS,	/* from marked proxies to served ports, established */
	PP_STAT_ACKS_HELD,	/* bare ACKs held back by the gate */
	PP_STAT_GATES_EXPIRED,	/* handshakes let through without a header, time being up */
	PP_STAT_V1,		/* valid v1 headers, UNKNOWN included */
	PP_STAT_V2,		/* valid v2 headers, LOCAL included */
	PP_STAT_LOCAL,		/* of these: LOCAL, UNSPEC and UNKNOWN */
	PP_STAT_FRAGMENTED,	/* headers of which the first segment had a part only */
	PP_STAT_LARGE,		/* headers larger than PP_WINDOW */
	PP_STAT_DROPPED_BAD,	/* segments with a bad header dropped (on_bad drop) */
	PP_STAT_DROPPED_HOLE,	/* segments that do not continue an incomplete header, dropped */
	PP_STAT_GUARDED,	/* split: segments that did not pass pp_in, dropped */
	PP_STAT_SPLIT,		/* split: headers taken out of the stream */
	PP_STAT_PIECES,		/* split: pieces of headers acknowledged in the server's place */
	PP_STAT_NO_MEMORY,	/* a socket's record or header could not be stored */
	PP_STAT_FOREIGN,	/* transparent: addresses that do not fit their socket */
	PP_STAT_OUTSIDERS,	/* connections of processes outside of the proxies' cgroups */
	PP_STAT_FROM_SENDER,	/* headers whose record came from the sending side */
	PP_STAT_SENDERS,	/* connections of proxy cgroups to served ports */
	PP_STAT_SENT,		/* of these: headers decoded at their send() */
	PP_STAT_UNSEEN,		/* of these: headers left to the receiving side */
	PP_STAT_SENDERS_NATIVE, /* sockets that have left pp_senders */
	PP_STAT_DROPPED_UNREADABLE, /* segments whose TCP header is behind too many IPv6 extensions
				     */
	PP_STAT_DROPPED_FASTOPEN,   /* SYNs of proxies with TCP Fast Open, dropped */
	PP_STAT_DROPPED_MPTCP,	    /* SYNs of proxies with Multipath TCP, dropped */
	PP_STAT_UNANNOUNCED,	/* segments of connections whose announcement is lost, dropped */
	PP_STAT_UNCONFIRMED,	/* connections of proxy cgroups to ports that are not served */
	PP_STAT_FORWARDED_FULL, /* split: connections refused for want of room in pp_forwarded */
	PP_STAT_UNSERVED, /* split: proxies' connections to listeners outside of the cgroup, reset
			   */
	PP_STAT_BAD = 32, /* PP_STAT_BAD + enum pp_reason: bad headers by reason */
	PP_STAT_COUNT = 64,
};

#ifndef __cplusplus
_Static_assert(sizeof(struct pp_record) == 80, "the record is 80 bytes");
_Static_assert(sizeof(struct pp_prefix) == 20, "no padding in a prefix");
_Static_assert(sizeof(struct pp_port) == 8, "no padding in a policy");
_Static_assert(sizeof(struct pp_socket) == 128, "no padding in a socket's entry");
_Static_assert(sizeof(struct pp_handoff_key) == 48, "no padding in a key");
_Static_assert(sizeof(struct pp_handoff) == 48 + 128 + 8 + 8 + PP_WINDOW,
	       "no padding in a hand-over");
_Static_assert(sizeof(struct pp_outgoing) == 104, "no padding in an entry");
_Static_assert(sizeof(struct pp_flow_key) == 48, "no padding in a key");
_Static_assert(sizeof(struct pp_translated) == 24, "no padding in a socket's entry");
_Static_assert(PP_STAT_BAD + PP_REASON_COUNT <= PP_STAT_COUNT, "a counter for each reason");
#endif

#endif
