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

#ifdef __cplusplus
extern "C" {
#endif

/* What a PROXY protocol header says. */
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
};

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
 * begins like this.
 */
int pp_parse(const void *buf, size_t len, struct pp_origin *origin);

/**
 * pp_lookup - who is really at the other end of @fd
 * @fd: an accepted TCP socket
 * @origin: filled on success
 *
 * Never blocks. After 0 the next byte that read() returns is payload: the first successful call
 * takes the header out of the stream, further ones answer the same and take nothing. Costs one
 * getsockopt() and, the first time, one recv(); a header of over PP_WINDOW (1,024) bytes one recv()
 * and one getsockopt() more. Only one thread may read from @fd while the first call is under way.
 *
 * Return: 0;
 * -EAGAIN: a marked proxy, but its header is not there yet;
 * -ETIMEDOUT: a marked proxy, and the gate's time ran out without a header;
 * -ENOENT: the peer is not a marked proxy, or the port is not served: an ordinary connection;
 * -EBADMSG: a marked proxy sent something that is not a valid header, or closed first;
 * -ENOPROTOOPT: no ppsplit programs on this socket's cgroup;
 * -EBADF, -ENOTSOCK: as getsockopt(2).
 */
int pp_lookup(int fd, struct pp_origin *origin);

/**
 * pp_lookup_wait - pp_lookup() that waits for the header
 * @fd: an accepted TCP socket, blocking or not
 * @origin: filled on success
 * @timeout_ms: how long to wait, milliseconds; 0 not at all, -1 without limit
 *
 * Blocks in poll(2); on a port with --pop, where the header wakes nobody, it also asks again up to
 * every 10 ms. The protocol wants a limit of at least 3,000 ms, one TCP retransmission. While
 * it waits for the rest of a header it raises SO_RCVLOWAT, and sets it back before it returns.
 *
 * Return: as pp_lookup(), but -ETIMEDOUT in place of -EAGAIN; -EINTR when a signal came.
 */
int pp_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms);

/**
 * pp_read_header - read the header in user space, for kernels without the programs
 * @fd: an accepted TCP socket, blocking or not
 * @origin: filled on success
 * @timeout_ms: as for pp_lookup_wait()
 *
 * The caller has to know that the peer is a proxy that sends headers. Looks with MSG_PEEK, then
 * takes exactly the header, never a byte more: two system calls for a header that is there.
 *
 * Return: 0; -EBADMSG not a valid header, nothing was taken, or the peer closed first; -ETIMEDOUT;
 * -EINTR when a signal came; any error of recv(2), such as -ECONNRESET.
 */
int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms);

/**
 * pp_tlvs - raw TLVs of the header of @fd
 * @fd: an accepted TCP socket
 * @buf: receives the TLVs as they were sent, for pp_tlv_next()
 * @size: bytes in @buf; 1,024 hold all that the kernel keeps
 *
 * Never blocks. The kernel keeps the TLVs of headers of up to PP_WINDOW (1,024) bytes, as long as
 * the socket lives. Those of a larger header can be had before pp_lookup() takes it, not after.
 *
 * Return: bytes written, 0 when the header has no TLVs; -ENOBUFS @buf is too small;
 * -ENODATA there is no valid header (yet), or a LOCAL one, whose TLVs are to be ignored;
 * -EMSGSIZE the header is larger than the kernel keeps, and has been taken; -ENOPROTOOPT.
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
 * bytes behind its value's start
 * @len: bytes of them
 * @offset: 0 before the first call; moved on
 * @tlv: filled; its value points into @tlvs
 *
 * Return: 1 @tlv is filled; 0 that was the last one; -EBADMSG a TLV runs past @len.
 */
int pp_tlv_next(const void *tlvs, size_t len, size_t *offset, struct pp_tlv *tlv);

/**
 * pp_strerror - text for an error of this library
 * @error: what a function returned; never NULL comes back
 */
const char *pp_strerror(int error);

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

#ifdef __cplusplus
}
#endif

#endif
