/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other hosts and containers, for the net tests: network namespaces that veth pairs connect.
 */
#ifndef NETNS_H
#define NETNS_H

/* The caller's network namespace: a descriptor. */
int netns_here(void);
/* A new one, with lo up. The caller stays where it is. */
int netns_make(void);
void netns_enter(int netns);
/* A veth pair: @name with @address/24 in each of two namespaces. */
void netns_connect(const char *name, int one, const char *one_address, int other,
		   const char *other_address);

#endif
