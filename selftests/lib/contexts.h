/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes and connections on a cable between a server here and a proxy in another network
 * namespace, each of whose packets is made by hand. For random packets around them.
 */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include "frame.h"
#include "net.h"

#define DROPS	 2560 /* split */
#define TELLS	 2561 /* split, on-bad tell */
#define LARGEST	 3000 /* bytes of a header */
#define CONTEXTS 24

/* A handshake that waits for its header, or a connection behind one. */
struct context {
	int six, established;
	int cookie; /* by a SYN cookie, where the kernel itself is not sure of the first number */
	uint16_t from, to;
	uint32_t first, ack; /* of the stream's first byte; what acknowledges the SYN-ACK */
	uint8_t header[LARGEST];
	size_t h;
	int socket;
};

extern struct context contexts[CONTEXTS];
extern uint8_t other_ip[2][16]; /* of neither, IPv4 and IPv6 */
extern unsigned int device;	/* the server's end of the cable */
extern long answers;		/* packets of the server's on the wire that were checked */

/* Group set-up: net_setup(), the cable, and both ports. */
void contexts_setup(void);
/* All of them, anew; every fourth round under SYN cookies. */
void make_contexts(unsigned int round);
void end_contexts(void);

/* That of a frame of the proxy's or, with @out, of the server's; or NULL. */
struct context *context_of(const struct frame *frame, const struct reading *reading, int out);
/* The bytes of its stream from @at on. */
size_t stream_bytes(const struct context *context, uint32_t at, uint8_t *to, size_t len);
/* A packet of the proxy's: the first one after the handshake, but for its payload. */
void plan_for(struct plan *plan, const struct context *context, uint8_t flags);
/* The next frame on the wire that the server sent, which must be right. Return: 1; 0 when there is
 * none within @timeout_ms. */
int next_of_server(struct frame *frame, int timeout_ms);
/* Fails the test, and prints up to two frames. */
void fail_frame(const char *what, const struct frame *in, const struct frame *out,
		uint32_t verdict);

#endif
