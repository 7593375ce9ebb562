/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of libpp share, and ppctl with them (it links libpp.a).
 */
#ifndef PP_INTERNAL_H
#define PP_INTERNAL_H

#include <pp/header.h>
#include <pp/pp.h>

/* Fills @origin from a decoded record. @header: the raw header, for AF_UNIX; else not looked at. */
void pp_origin_from_record(struct pp_origin *origin, const struct pp_record *record,
			   const uint8_t *header);

/* pp_parse() that also says, on 0, how many bytes of stream are needed before it helps to ask
 * again. */
int pp_parse_need(const void *buf, size_t len, struct pp_origin *origin, uint32_t *need);

/* getsockopt(SOL_PP, @option). Return: bytes of @buf filled, or a negative errno. */
int pp_sockopt(int fd, int option, void *buf, size_t size);

/* Takes exactly @len bytes, which are there, out of the stream. Return: 0, or a negative errno. */
int pp_discard(int fd, uint32_t len);

/* Looks at the first bytes of the stream. Never blocks. Return: bytes, or a negative errno. */
int pp_peek(int fd, void *buf, size_t size);

/* When a wait that may last @timeout_ms from now on has to end; -1: never. */
int64_t pp_deadline(int timeout_ms);

#define PP_PEER_CLOSED 1

/* Waits until @need bytes of stream are there, or EOF, or @deadline. Memory pressure can end the
 * wait early (tcp_stream_is_readable()). Return: 0; PP_PEER_CLOSED, no more bytes will come;
 * -ETIMEDOUT; -EINTR. */
int pp_wait_readable(int fd, uint32_t need, int64_t deadline);

/* The same where input is not sure to come: waits 0.1 ms the first time (@times 0), longer each
 * time, up to 10 ms. */
int pp_wait_silent(int fd, unsigned int times, int64_t deadline);

/* A millisecond, where poll() sees progress and there is none. */
void pp_pause(void);

#endif
