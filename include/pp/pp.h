/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpp: who is really at the other end of a connection that came through a proxy.
 *
 * A mail server calls pp_lookup() on each accepted socket. Errors are negative errno values
 * (pp_strerror() has a text for each), addresses and ports are in network byte order, nothing
 * allocates memory, every function may be called from several threads. No privilege is needed.
 *
 * Link with `pkg-config --cflags --libs pp`. C and C++.
 */
#ifndef PP_H
#define PP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <pp/abi.h>
#include <pp/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a PROXY protocol header says. Filled when a function succeeds; when one fails, only @reason
 * is set. */
struct pp_origin {
	uint8_t version;     /* 1 or 2 */
	uint8_t command;     /* PP_LOCAL or PP_PROXY */
	uint8_t family;	     /* AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX */
	uint8_t transport;   /* 0, SOCK_STREAM, SOCK_DGRAM */
	uint16_t header_len; /* bytes that the header took in the stream */
	uint16_t tlv_len;    /* bytes of TLVs in the header, 0 for v1 */
	/* The client, and what it connected to. AF_UNSPEC for PP_LOCAL (v2 LOCAL, v1 UNKNOWN) and
	 * for family UNSPEC: the origin is the proxy itself, as accept() names it. A UNIX path of
	 * 108 bytes has no terminating zero (section 2.2 of the protocol). */
	struct sockaddr_storage src, dst;
	/* The process that sent the header, where it is one of a proxy cgroup on this host (ppctl
	 * proxy-cgroup), from pp_lookup(): the id of its cgroup (the inode number of the cgroup's
	 * directory), its process and user id as the initial namespaces number them. Else all 0;
	 * the process id alone is 0 where its send() could not be seen (TCP Fast Open, say). */
	uint64_t sender_cgroup;
	uint32_t sender_pid;
	uint32_t sender_uid;
	uint8_t reason;	     /* after -EBADMSG: enum pp_reason, see pp_reason_text(); else 0 */
	uint8_t reserved[7]; /* 0 */
	/* The ends of the TCP connection that the header came by, as the server's socket has them:
	 * the proxy, and the address of this host that it connected to. In transparent mode
	 * accept() and getpeername() do not tell. AF_INET for IPv4 on an IPv6 socket, too.
	 * AF_UNSPEC where they are not known: from pp_parse(), or from programs that are older than
	 * this. */
	struct sockaddr_storage proxy, proxy_dst;
};

/*
 * The struct may get more fields at its end. What is declared in this block is told how large the
 * caller's is, fills so much of it, and zeroes what this version of the library does not know.
 * -EINVAL: @size is smaller than the first version, which ended after @reserved. C and C++ call it
 * through the functions below. In another language pass the size of the struct as it is there.
 */
int pp_parse_sized(const void *buf, size_t len, struct pp_origin *origin, size_t size);
int pp_lookup_sized(int fd, struct pp_origin *origin, size_t size);
int pp_lookup_wait_sized(int fd, struct pp_origin *origin, size_t size, int timeout_ms);
int pp_read_header_sized(int fd, struct pp_origin *origin, size_t size, int timeout_ms);
int pp_read_header_tlvs_sized(int fd, struct pp_origin *origin, size_t size, void *tlvs,
			      size_t tlvs_size, int timeout_ms);

/**
 * pp_parse - decode a header in memory
 * @buf: the first bytes of a stream
 * @len: how many of them there are
 * @origin: filled when a whole header is there
 *
 * Pure, no I/O. Headers of up to PP_HEADER_MAX (16,384) bytes, as section 2 of HAProxy's
 * doc/proxy-protocol.txt has them: v1 and v2, TLVs walked, CRC32C verified when it is there.
 *
 * Return: > 0 the header's length in bytes; 0 more bytes are needed; -EBADMSG no valid header
 * begins like this, and origin->reason says why.
 */
static __inline__ int pp_parse(const void *buf, size_t len, struct pp_origin *origin)
{
	return pp_parse_sized(buf, len, origin, sizeof(*origin));
}

/**
 * pp_lookup - who is really at the other end of @fd
 * @fd: an accepted TCP socket
 * @origin: filled on success
 *
 * Never blocks. After 0 the next byte that read() returns is payload: a look-up takes the header
 * out of the stream, further ones answer the same and take nothing. Costs one getsockopt() and, the
 * first time, one recv().
 *
 * After -EAGAIN wait until the socket is readable (level- or edge-triggered, with epoll, poll,
 * select or io_uring), and call it again. A look-up takes the part of a header that has arrived, so
 * the socket is not readable again before more arrives: a server is woken once for each segment.
 * Until a look-up returns 0 or -ENOENT, neither the caller nor another thread or process may read
 * from @fd. Several of them may call pp_lookup() and pp_lookup_wait() at once; one of them takes
 * the header, and all get the answer.
 *
 * Leaves every option of the socket as the application has set it, SO_RCVLOWAT and SO_PEEK_OFF
 * among them. Where an urgent byte (TCP's URG) is the next one of the header, SO_OOBINLINE is set
 * for the duration of one recv().
 *
 * Return: 0;
 * -EAGAIN: a marked proxy, but its header is not there yet, or not complete; or another thread or
 * process is taking it at this moment;
 * -ETIMEDOUT: a marked proxy, and the gate's time ran out without a header; that is final;
 * -ENOENT: the peer is not a marked proxy, or the port is not served: an ordinary connection;
 * -EBADMSG: a marked proxy sent something that is not a valid header, or closed before it was
 * complete, or its connection was not recorded; origin->reason says which of these. The bytes
 * stay in the stream, except the part that an earlier look-up took;
 * -EBUSY: the application has read bytes of the header from the socket itself;
 * -ENOPROTOOPT: no ppsplit programs on this socket's cgroup;
 * -ENOTCONN: a listening socket;
 * -EBADF, -ENOTSOCK: as getsockopt(2).
 */
static __inline__ int pp_lookup(int fd, struct pp_origin *origin)
{
	return pp_lookup_sized(fd, origin, sizeof(*origin));
}

/**
 * pp_lookup_wait - pp_lookup() that waits for the header
 * @fd: an accepted TCP socket, blocking or not
 * @origin: filled on success
 * @timeout_ms: how long to wait, milliseconds; 0 not at all, -1 without limit
 *
 * Blocks in poll(2). The protocol wants a limit of at least 3,000 ms, one TCP retransmission. Where
 * the application has set SO_RCVLOWAT to more than 1, it asks again every 50 ms, since poll() may
 * stay quiet when a small header arrives.
 *
 * Return: as pp_lookup(), but -ETIMEDOUT in place of -EAGAIN; -EINTR when a signal came. After
 * either it may be called again, though a gate whose time ran out (see pp_lookup()) answers the
 * same.
 */
static __inline__ int pp_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms)
{
	return pp_lookup_wait_sized(fd, origin, sizeof(*origin), timeout_ms);
}

/**
 * pp_read_header - read the header in user space, for kernels without the programs
 * @fd: an accepted TCP socket, blocking or not
 * @origin: filled on success
 * @timeout_ms: as for pp_lookup_wait()
 *
 * The caller has to know that the peer is a proxy that sends headers, and no one else may read from
 * @fd meanwhile. Takes exactly the header, never a byte more: four system calls for a header that
 * is there, and one more if payload follows it. While it waits it takes the parts as they arrive.
 * It leaves the socket's options alone as pp_lookup() does.
 *
 * origin->proxy and proxy_dst are what getpeername(2) and getsockname(2) answer. On a transparent
 * port, from which the programs have taken a first header, this reads a second one, and proxy is
 * the origin that the first one named.
 *
 * Close the connection after any error but -ENOBUFS: a part of the header may have been taken.
 * Nothing has been taken after -EINTR, after -ETIMEDOUT with a @timeout_ms of 0 (both may be
 * repeated), and after -EBADMSG when the first bytes that were there made no header (unless
 * SO_PEEK_OFF is set).
 *
 * Return: 0; -EBADMSG not a valid header, or the peer closed first: origin->reason says which;
 * -ETIMEDOUT; -EINTR when a signal came before any byte of the header; -EIO another one read from
 * @fd, or SO_PEEK_OFF pointed at what looks like another, longer header; any error of recv(2), such
 * as -ECONNRESET.
 */
static __inline__ int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms)
{
	return pp_read_header_sized(fd, origin, sizeof(*origin), timeout_ms);
}

/**
 * pp_read_header_tlvs - pp_read_header() that keeps the TLVs
 * @fd: as for pp_read_header()
 * @origin: filled on success; its tlv_len says how many bytes of TLVs there are
 * @tlvs: receives the TLVs as they were sent, for pp_tlv_next()
 * @size: bytes in @tlvs; PP_HEADER_MAX is enough for any
 * @timeout_ms: as for pp_lookup_wait()
 *
 * Return: as pp_read_header(); -ENOBUFS @tlvs is too small: all is as after 0, @origin filled and
 * the header taken, but @tlvs is not written to.
 */
static __inline__ int pp_read_header_tlvs(int fd, struct pp_origin *origin, void *tlvs, size_t size,
					  int timeout_ms)
{
	return pp_read_header_tlvs_sized(fd, origin, sizeof(*origin), tlvs, size, timeout_ms);
}

/**
 * pp_tlvs - raw TLVs of the header of @fd
 * @fd: an accepted TCP socket
 * @buf: receives the TLVs as they were sent, for pp_tlv_next()
 * @size: bytes in @buf; PP_HEADER_MAX (16,384) is enough for any
 *
 * Never blocks. The kernel keeps the TLVs as long as the socket lives, so call this before
 * pp_lookup() or after it. Costs one getsockopt(); for TLVs of 4,096 bytes and more, one for each
 * 4,096 bytes and one more.
 *
 * Return: bytes written, 0 when the header has no TLVs; -ENOBUFS @buf is too small;
 * -ENODATA there is no valid header (yet), or a LOCAL one, whose TLVs are to be ignored;
 * -ENOTCONN, -ENOPROTOOPT as pp_lookup().
 */
int pp_tlvs(int fd, void *buf, size_t size);

struct pp_tlv {
	uint8_t type; /* PP_TLV_* */
	uint16_t len; /* bytes of value */
	const uint8_t *value;
};

/**
 * pp_tlv_next - walk over TLVs
 * @tlvs: what pp_tlvs() wrote; or the sub-TLVs of PP_TLV_SSL, which begin PP_TLV_SSL_FIXED (5)
 * bytes after its value's start
 * @len: bytes of them
 * @offset: 0 before the first call; moved on
 * @tlv: filled; its value points into @tlvs
 *
 * Return: 1 @tlv is filled; 0 that was the last one; -EBADMSG a TLV runs past @len.
 */
int pp_tlv_next(const void *tlvs, size_t len, size_t *offset, struct pp_tlv *tlv);

/**
 * pp_strerror - text for an error of this library
 * @error: what a function returned
 *
 * Return: the text; never NULL. It may be overwritten by the next call for an error of the C
 * library.
 */
const char *pp_strerror(int error);

/**
 * pp_reason_text - which rule a bad header breaks, as text
 * @reason: origin->reason after -EBADMSG, or any number
 *
 * Return: a part of a sentence, such as "the CRC32C checksum is wrong"; never NULL.
 */
const char *pp_reason_text(int reason);

/**
 * pp_origin_print - an origin as text
 * @origin: what to print
 * @buf: receives for example "PROXY v2 TCP 192.0.2.7:4711 -> 198.51.100.1:25", or "LOCAL v2"
 * @size: bytes in @buf; PP_ORIGIN_PRINT_MAX is enough for any
 *
 * Return: length of the text, as snprintf(3): at least @size when it was cut.
 */
int pp_origin_print(const struct pp_origin *origin, char *buf, size_t size);

#define PP_ORIGIN_PRINT_MAX 512

/**
 * pp_version - the version of the library that the program runs with
 *
 * PP_VERSION and PP_VERSION_NUMBER (pp/version.h) are those that it was compiled with.
 *
 * Return: as PP_VERSION, such as "0.1.0".
 */
const char *pp_version(void);

#ifdef __cplusplus
}
#endif

#endif
