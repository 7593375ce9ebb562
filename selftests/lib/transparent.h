/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A split port and transparent ones, for the tests of what an application notices of them: nothing
 * but the origin's address.
 */
#ifndef TRANSPARENT_H
#define TRANSPARENT_H

#include "name.h"
#include "net.h"

#define SPLIT	    2540
#define TRANSPARENT 2541
#define BOTH_NAMES  2542 /* transparent; getsockname() answers the destination (--local) */
#define SHORT	    2543 /* transparent, with a gate of 900 ms, see QUICK */
#define REUSED	    2545 /* not served */

#define ORIGIN	"192.0.2.7:4711"
#define ORIGIN6 "[2001:db8::7]:4711"

extern int listener; /* on TRANSPARENT */

/* Group set-up: net_setup(), and the ports above. */
int transparent_setup(void **state);

/* accept() with an address, as MTAs call it, which must be @origin. */
int accept_from(int here, const char *origin);
/* A connection to TRANSPARENT whose header has come, alone; accepted. */
void open_pair(int *client, int *server);
/* poll() says so: at once that there is nothing, or soon that there is something. */
void assert_readable(int fd, int wanted);

#endif
