/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw sockets for the net tests: look at a handshake, and send segments with the proxy's address.
 */
#ifndef RAW_H
#define RAW_H

#include <netinet/tcp.h> /* TH_ACK and the other flags */
#include <stddef.h>
#include <stdint.h>

/* What a forger would have to guess. */
struct handshake {
	uint16_t port;	  /* the proxy's, network order */
	uint16_t to;	  /* the server's, network order */
	uint32_t seq;	  /* of the first payload byte */
	uint32_t ack;	  /* what acknowledges the SYN-ACK */
	const char *from; /* NULL: PROXY or PROXY6; another address, to be set after sniff() */
};

/* A segment to SERVER or SERVER6. */
struct raw_segment {
	uint32_t seq, ack;
	uint8_t flags; /* 0: TH_ACK | TH_PUSH */
	const void *bytes;
	size_t len;	    /* up to RAW_PAYLOAD_MAX */
	const void *option; /* TCP options, up to 40 bytes, or NULL */
	size_t option_len;  /* a multiple of 4 */
	int damaged;	    /* with a wrong checksum, which TCP refuses */
	int extensions;	    /* IPv6: extension headers in front of TCP's */
};

#define RAW_PAYLOAD_MAX 8192

/* Opens the sockets, anew: just before the connection that is to be looked at. For IPv4, or IPv6.
 */
void raw_open(void);
void raw_open6(void);

/* Reads the handshake of the connection from @port off the wire. */
void sniff(struct handshake *handshake, unsigned int port);

void raw_send(const struct handshake *handshake, const struct raw_segment *segment);

/* Sends a segment with @text, all of it right but for what the caller gets wrong. */
void forge(const struct handshake *handshake, uint32_t seq, uint32_t ack, const char *text);

/* From here on segments that belong to no socket of the client's are not answered with a RST: none
 * reaches the server, also none that a client's socket sends. */
void raw_mute(void);

/* After raw_mute(): a SYN from handshake->from and @port to the server's port @to, and its answer.
 * @port must be nobody else's. Return: 0, or -ETIMEDOUT. */
int raw_connect(struct handshake *handshake, unsigned int port, unsigned int to, int timeout_ms);

#endif
