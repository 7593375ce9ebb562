/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A proxy's stream, header and payload, of which raw segments send any part in any order; with
 * bytes that are not the stream's in front of it.
 */
#ifndef STREAM_H
#define STREAM_H

#include "net.h"
#include "raw.h"

#define STREAM_BEFORE	   200
#define STREAM_HEADER_MAX  5000
#define STREAM_PAYLOAD_MAX 40000

struct stream {
	uint8_t room[STREAM_BEFORE + STREAM_HEADER_MAX + STREAM_PAYLOAD_MAX];
	size_t header_len, len;
	const char *origin;
};

/* A v2 header of @header_len bytes, or 0: LINE; and a payload that tells its place. */
void stream_make(struct stream *stream, size_t header_len, size_t payload_len);
/* The stream's byte @at, which may be before it. */
uint8_t *stream_at(struct stream *stream, int at);

/* A connection of which the client sends nothing itself, but by raw segments. */
int stream_begin(struct handshake *handshake, unsigned int port);
/* The bytes from @from, which may be before the stream, to @to. @damaged: with a wrong checksum. */
void stream_send(const struct handshake *handshake, const struct stream *stream, int from, int to,
		 int damaged);
/* The server gets the origin and the payload; else the test fails, and names @what, @one and
 * @other. */
void stream_check(int server, const struct stream *stream, const char *what, int one, int other);
/* And ends the connection by a RST. */
void stream_end(int client, int server);

#endif
