/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host that forwards published ports by DNAT, a proxy on another host, and a container without
 * hooks that has the server: three network namespaces, and the caller is in the host's.
 */
#ifndef FORWARDED_H
#define FORWARDED_H

#include "net.h"

#define PUBLISHED   2540 /* the server's port is the same */
#define RENAMED	    2541 /* it is another, which is not served */
#define REDIRECTED  2543 /* to a port of this host, which is not served */
#define TARGET	    2544
#define INNER	    2542
#define UPLINK	    "10.70.0.1"
#define PROXY_HOST  "10.70.0.2"
#define GATEWAY	    "10.71.0.1"
#define CONTAINER   "10.71.0.2"
#define UPLINK6	    "fd00:70::1"
#define PROXY_HOST6 "fd00:70::2"
#define CONTAINER6  "fd00:71::2"

extern int host, proxy, container; /* network namespaces */

/* Group set-up: net_setup(), the namespaces, DNAT, and the transparent ports above. */
int forwarded_setup(void **state);

/* A listener in the container. */
int serve(const char *address, unsigned int port);
/* The proxy's connection to the host's address. */
int call(const char *source, const char *address, unsigned int port);
/* @from sends 1 MiB that @to gets, both ends never waiting for the other. @each: called now and
 * then, or NULL. */
void transfer(int from, int to, void (*each)(void));

#endif
