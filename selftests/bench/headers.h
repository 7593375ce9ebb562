/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers of the benchmark's proxy: the client is 192.0.2.7 or 2001:db8::7, port 4711.
 */
#ifndef HEADERS_H
#define HEADERS_H

#include <stddef.h>
#include <sys/socket.h>

#define LINE "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"

#define HEADER_SIZE 1024

struct header_kind {
	int version; /* 1 or 2 */
	int family;  /* of the addresses in it, and of the connection */
	int tlv;     /* v2: bytes of a TLV's value, or 0: no TLV */
	int crc;     /* v2: with a CRC32C */
};

/* Return: its length. */
size_t header_make(char header[HEADER_SIZE], const struct header_kind *kind);
/* Is it the client of these headers? */
int is_client(const struct sockaddr_storage *peer);

#endif
