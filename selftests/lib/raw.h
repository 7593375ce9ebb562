/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw sockets for the net tests: look at a handshake, and send segments with the proxy's address.
 */
#ifndef RAW_H
#define RAW_H

#include <stdint.h>

/* What a forger would have to guess. */
struct handshake {
	uint16_t port; /* the proxy's, network order */
	uint16_t to;   /* the server's, network order */
	uint32_t seq;  /* of the first payload byte */
	uint32_t ack;  /* what acknowledges the SYN-ACK */
};

/* Opens the sockets, anew: just before the connection that is to be looked at. */
void raw_open(void);

/* Reads the handshake of the connection from @port off the wire. */
void sniff(struct handshake *handshake, unsigned int port);

/* Sends a segment from PROXY to SERVER, all of it right but for what the caller gets wrong. */
void forge(const struct handshake *handshake, uint32_t seq, uint32_t ack, const char *text);

#endif
