/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many connections through a split port, each different, and each a function of its number: header
 * of v1 or v2 in pieces or not, who speaks first, how much goes each way, who closes. Every byte
 * that arrives is compared with the one that belongs at its place. The header's origin tells the
 * server which connection it has.
 */
#ifndef CROWD_H
#define CROWD_H

#include <stddef.h>
#include <stdint.h>

struct crowd {
	const char *from, *to; /* addresses of the proxy and of the server */
	unsigned int port;     /* split */
	int server, proxy;     /* network namespaces, or 0: where the caller is */
	unsigned int count;    /* connections */
	unsigned int parallel; /* at a time */
	uint64_t most;	       /* bytes each way of a connection, at most; most have few */
	int all;	       /* 1: each way of each connection has that many */
	uint32_t seed;
	/* answers */
	uint64_t bytes;	     /* that arrived, both ways */
	unsigned int pieces; /* connections whose header came in pieces */
};

/* Runs them all, or fails the test. */
void crowd_run(struct crowd *crowd);

/* Both ways of a connection at once: sends @up bytes of the stream @seed, and reads @down bytes of
 * the stream @seed + 1; or the other way round where @server. Return: what went wrong, or NULL. */
const char *pump(int fd, uint32_t seed, uint64_t up, uint64_t down, int server);

#endif
