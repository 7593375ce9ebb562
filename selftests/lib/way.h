/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways on which the tests of the split send segments made by hand: each device, to a socket of
 * each kind, with checksums of each kind.
 */
#ifndef WAY_H
#define WAY_H

#include "net.h"
#include "wire.h"

#define SPLIT	   2540 /* its listener is an IPv4 socket */
#define SPLIT_BOTH 2541 /* an IPv6 socket, for IPv4 too */

struct way {
	const char *name;
	int wire, mapped, partial, stamps;
	int listener;
};

#define WAYS 8

extern struct way ways[WAYS];
extern uint32_t way_isn; /* of the next connection */

/* Group set-up: net_setup(), and both ports with a split and a gate of 30 s. */
int ways_setup(void **state);

/* A handshake, with its ACK. */
void way_open(struct peer *peer, struct way *way);
/* The server gets a connection with @origin. */
int way_accept(struct peer *peer, struct way *way, const char *origin);
/* Its stream is @payload, behind a header of @len bytes; and both ends can speak. */
void way_check(struct peer *peer, int server, const char *payload, uint32_t len);
/* Ends it by a RST. */
void way_end(struct peer *peer, int server);

#endif
