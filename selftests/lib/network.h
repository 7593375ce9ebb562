/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks with a server on this side and a proxy on another host, for the tests of the split on
 * devices of all kinds. Each network has a number N: the server is 10.N.0.1 and fd00:N::1, the
 * proxy ends in 2.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include "net.h"

#define NETWORK_SPLIT	    2550
#define NETWORK_TRANSPARENT 2551
#define CABLE		    "cable" /* what a device between the two is called */

extern int here, there; /* network namespaces of the server and of the proxy */
extern char server_ip[2][64], proxy_ip[2][64];

/* Group set-up: net_setup(), and the namespaces. */
int network_setup(void **state);
/* Test tear-down: removes what a test that failed has left. */
int network_clear(void **state);

/* Runs a command in a namespace; the caller is in the server's again. */
void on(int netns, const char *command);
/* The addresses of network @n are the marked proxy's and the server's, from now on. */
void choose(int n);
/* A pair of devices @device, one here and one there, down and without addresses. */
void plug(const char *device);
void unplug(const char *device);
/* Both ends of @device get the addresses, and are up. */
void addresses(const char *device);
/* The programs on what has addresses now. */
void attach(void);
/* No segments larger than the wire's, in neither direction. */
void no_offloads(int netns, const char *device);

/* From here on, the headers that are taken out are counted: */
void count_splits(void);
/* at least @count since then. */
void assert_splits(long count);
/* Connections over IPv4 and IPv6, to both ports. @most: bytes each way of a connection. */
void meet(unsigned int count, uint64_t most);

#endif
