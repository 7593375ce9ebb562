/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hooks on interfaces: what ppctl says of them, what is attached, and whether a proxy is
 * served. For the tests of where hooks are.
 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <sys/types.h>

#include "net.h"

#define PPCTL	    "build/bin/ppctl "
#define SPLIT	    2550
#define SPLIT_TEXT  "2550"
#define LINK	    "link0"
#define OWN	    "10.71.0.1" /* of the server, on LINK */
#define PEER	    "10.71.0.2" /* of the proxy on another host, in another namespace */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

extern int home; /* the network namespace of the test */

/* Group set-up. Programs are up in each case, and gone after it; to be called by way of TEST. */
int interfaces_setup(void **state);
int interfaces_up(void **state);
int interfaces_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, interfaces_up, interfaces_down)

/* Is this a kernel with tcx? Else the hooks are clsact's. */
int has_tcx(void);
/* What status says of the interface @name, or "". */
const char *status_of(const char *name);
void assert_hooked(const char *name);
/* How many programs there are on both sides of the interface. */
unsigned int programs_on(const char *name);
/* No hooks are left, at once or when the last connection is closed that needs them. */
void assert_bare(const char *name);
/* Segments that the guard dropped there. */
long dropped_on(const char *name);

/* A link to another host: this namespace has OWN, the one that is returned PEER. */
int link_up(void);
/* A connection of the proxy there. */
int connect_there(int there, const char *source, const char *address);
/* Bytes that tell their place, both ways. */
void exchange(int client, int server, unsigned int seed);
/* The header goes, and what follows it goes both ways. Return: the server's end. */
int served(int listener, int client);
/* A whole connection of the proxy there. */
void serves_link(int there);

/* Ends a process of the test's. */
void end(pid_t child);

#endif
