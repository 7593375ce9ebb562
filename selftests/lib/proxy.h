/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proxies on this host, for the net tests: they are in the cgroup LAB_OUTSIDE, the test itself, the
 * mail server, is in LAB_CGROUP. And the entries of pp_outgoing.
 */
#ifndef PROXY_H
#define PROXY_H

#include <pp/maps.h>

#include "net.h"

#define LOCAL  "127.0.0.5" /* no marked address */
#define OTHERS "/sys/fs/bpf/others"

/* Group set-up: that of net.h, with LAB_OUTSIDE for a proxy cgroup. */
int proxy_setup(void **state);
/* The same, and a port with a split. */
int proxy_split_setup(void **state);
#define PROXY_SPLIT 2541

/* A socket belongs to the cgroup of who made it, and so does an accepted one. */
void become_proxy(void);
void become_server(void);
/* A process of neither: what it listens on is not served, and what it connects is a stranger's. */
void become_bystander(void);

/* connect_to() of the proxy's; the caller is the server again. */
int proxy_connects(const char *source, const char *address, unsigned int port);
/* A connection of the caller's, from port @from. */
int connect_from(const char *source, unsigned int from, const char *address, unsigned int port);

/* The record, or a failed test. */
struct pp_record record_of(int fd);
unsigned long cgroup_id(const char *path);

#define OUTGOING_MAX 32768 /* entries of pp_outgoing */

/* Fills pp_outgoing with entries of no connection, which were made @age_s seconds ago. */
void outgoing_fill(unsigned int age_s);
/* Puts @count more of these into it, whose sockets were closed then. */
void outgoing_put_closed(unsigned int count, unsigned int age_s);
/* How many entries have `closed` set. */
int outgoing_closed(void);
/* Removes all of its entries. */
void outgoing_clear(void);
void outgoing_put(const struct pp_connection_key *key, const struct pp_outgoing *outgoing);

#endif
