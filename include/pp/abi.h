/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What getsockopt(SOL_PP) answers: the options, and the record with its states, reasons and flags.
 * Included by pp.h, and by programs in any language that call getsockopt() without libpp.
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
 * PP_ORIGIN and PP_TAKE answer a struct pp_answer, and as much of it as buf has room for: the first
 * sizeof(struct pp_record) bytes at least. Later versions may append fields. len says how many
 * bytes were answered.
 *
 * PP_TAKE: record.take says how many bytes of the stream are header and have to be discarded now,
 * by recv(MSG_TRUNC). While the header is incomplete (PP_STATE_FRAGMENTED) these are the bytes that
 * have arrived: without them the socket is not readable before the next ones come. A header is gone
 * from the stream when PP_RECORD_TAKEN is set, or once the bytes are discarded. A take of 0 without
 * it, in state VALID or LOCAL, means that another process is about to discard them. */
#define SOL_PP	  0x5050
#define PP_ORIGIN 1 /* struct pp_answer */
#define PP_TAKE	  2 /* struct pp_answer, and record.take bytes are the caller's to discard */
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

/* Why a header is bad. A number keeps its meaning: ppctl counts by it (pp/maps.h), and programs
 * that were built long ago read it. */
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
#define PP_WINDOW     1024  /* a header of up to this many bytes is small */

/* record.flags */
#define PP_RECORD_LARGE	 0x01 /* larger than PP_WINDOW */
#define PP_RECORD_KEPT	 0x02 /* PP_HEADER and PP_TLVS have the bytes */
#define PP_RECORD_TAKEN	 0x04 /* the header has been discarded from the stream */
#define PP_RECORD_SPLIT	 0x08 /* the kernel cuts the header out of the stream */
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
#define PP_TLV_SSL_FIXED       5    /* bytes before the sub-TLVs */
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
#define PP_TLV_AWS	       0xea /* Amazon: VPC endpoint id, after a subtype byte of 1 */
#define PP_TLV_AZURE	       0xee /* Azure: private link id, after a subtype byte of 1 */

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
	__be16 src_port;
	__be16 dst_port;
	__u8 src[16];	    /* AF_INET: the first four bytes; AF_UNIX: see PP_HEADER */
	__u8 dst[16];	    /* likewise */
	__u32 take;	    /* PP_TAKE: bytes that the caller has to discard now */
	__u32 need;	    /* PENDING, FRAGMENTED: length that the header has at least, bytes */
	__u64 netns_cookie; /* network namespace of the socket */
	/* The process that sent the header, when it is one of a proxy cgroup on this host. */
	__u64 sender_cgroup; /* id of its cgroup v2, as bpf_get_current_cgroup_id(); 0: none such */
	__u32 sender_pid;    /* in the initial process namespace; 0: its send() was not seen */
	__u32 sender_uid;    /* in the initial user namespace */
};

/* What PP_ORIGIN and PP_TAKE answer. The record keeps its size, and is all that a program needs
 * that was built when it was the whole answer. New fields are appended here.
 *
 * The proxy's end of the TCP connection and the server's, as the socket has them when it is asked:
 * in transparent mode accept() and getpeername() do not tell. All 0 in PP_STATE_NONE, where there
 * is no proxy. An IPv4 connection is AF_INET on an IPv6 socket, too. */
struct pp_answer {
	struct pp_record record;
	__u8 proxy[16];	    /* the proxy's address; AF_INET: the first four bytes */
	__u8 proxy_dst[16]; /* the address that it connected to, likewise */
	__be16 proxy_port;
	__be16 proxy_dst_port;
	__u32 proxy_scope; /* index of the interface, for addresses of fe80::/10; else 0 */
	__u8 proxy_family; /* AF_INET or AF_INET6; 0: no proxy */
	__u8 reserved[7];  /* 0 */
};

#ifndef __cplusplus
_Static_assert(sizeof(struct pp_record) == 80, "the record is 80 bytes");
_Static_assert(sizeof(struct pp_answer) == 128, "no padding in an answer");
#endif

#endif
