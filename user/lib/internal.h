/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of libpp, and by ppctl, which links libpp.a.
 */
#ifndef PP_INTERNAL_H
#define PP_INTERNAL_H

#include <sys/types.h>

#include <pp/decoder.h>
#include <pp/pp.h>

#include "first_size.h"

/* Gives the caller, whose struct has @size bytes, what a function @found, or else the reason why it
 * found nothing. */
void pp_origin_give(struct pp_origin *to, size_t size, const struct pp_origin *origin, int found);

/* The ends of the TCP connection, from the programs; or as the kernel names them. */
void pp_origin_proxy_from_answer(struct pp_origin *origin, const struct pp_answer *answer);
void pp_origin_proxy_from_socket(struct pp_origin *origin, int fd);

/* Fills @origin from a decoded record. @header: the raw header, used for AF_UNIX only. */
void pp_origin_from_record(struct pp_origin *origin, const struct pp_record *record,
			   const uint8_t *header);

/* pp_parse() that also says, on 0, how many bytes of stream are needed before another call helps.
 */
int pp_parse_need(const void *buf, size_t len, struct pp_origin *origin, uint32_t *need);

/* -EBADMSG, with @reason (enum pp_reason) in @origin. */
int pp_bad(struct pp_origin *origin, uint8_t reason);

/* getsockopt(SOL_PP, @option). Return: bytes of @buf filled, or a negative errno. */
int pp_sockopt(int fd, int option, void *buf, size_t size);

/* recv(MSG_DONTWAIT | @flags) that treats an urgent byte as any other byte. It may end before that
 * byte. @buf may be NULL with MSG_TRUNC. Return: bytes; 0 at the stream's end; or a negative errno.
 */
ssize_t pp_receive(int fd, void *buf, size_t len, int flags);

/* Takes exactly @len bytes, which have arrived, out of the stream. @urgent: one of them may be
 * urgent. Return: 0; -EPIPE, the stream ends before; or a negative errno. */
int pp_discard(int fd, uint32_t len, int urgent);

/* A wait for input: set the deadline, and zero the rest. */
struct pp_wait {
	int64_t deadline;   /* CLOCK_MONOTONIC, ms; -1: none */
	unsigned int pause; /* ms, where poll() sees input and the caller found none */
	uint8_t ready;	    /* the last wait ended with input, or the stream's end */
	uint8_t quiet;	    /* the last wait ended without input */
	uint8_t closed;	    /* nothing more will come */
};

/* When a wait that may last @timeout_ms from now on has to end; -1: never. */
int64_t pp_deadline(int timeout_ms);

/* Is the deadline over? */
int pp_is_over(const struct pp_wait *wait);

/* Pauses 1 ms, and longer each time, up to 10 ms. Return: 0; -ETIMEDOUT, the deadline is over;
 * -EINTR. */
int pp_pause(struct pp_wait *wait);

/* Waits for input, or the stream's end. @progress: the caller found something after the last wait;
 * else it pauses, if poll() would return at once. Returns early now and then. Return: 0;
 * -ETIMEDOUT, the deadline is over; -EINTR. */
int pp_wait_input(int fd, struct pp_wait *wait, int progress);

#endif
