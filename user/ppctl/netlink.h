/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netlink says of this network namespace: a dump of anything, and its interfaces.
 */
#ifndef PPCTL_NETLINK_H
#define PPCTL_NETLINK_H

#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;
struct prefix;

typedef void netlink_answer(const struct nlmsghdr *message, void *context);

#define NETLINK_TRIES 10 /* of a dump that the kernel interrupts */

/* dump.c: sends @request to NETLINK_* @protocol, and calls @each for the answers. Return: 0, or a
 * negative errno; -EINTR: something has changed meanwhile, and answers may be missing: again. */
int netlink_dump(int protocol, struct nlmsghdr *request, netlink_answer *each, void *context);

#define LO_INDEX 1

struct interface {
	unsigned int index;
	unsigned int master; /* index of the bridge, bond or VRF that it is under, or 0 */
	unsigned short type; /* ARPHRD_* */
	int is_port;	     /* of a bridge or bond: what comes by it goes on as that one's */
	int addressed;	     /* 1: packets for this host come by it, as far as addresses tell */
	char name[16];
};

struct interfaces {
	struct interface *entry; /* by index; free() it */
	size_t count;
};

/* Return: 0, or -1. */
int interfaces_list(struct interfaces *list);
/* Are there filters, of anybody, on the interface's clsact qdisc? Return: 1, 0; or -1. */
int clsact_has_filters(unsigned int index);

struct clsact_program {
	uint32_t handle, id;
};

/* The programs on one side of its clsact qdisc, with that priority and one of the @max handles from
 * @first on. Return: how many; or a negative errno. */
int clsact_programs(unsigned int index, int egress, unsigned int priority, uint32_t first,
		    struct clsact_program *list, size_t max);

/* Does the interface have an ingress qdisc in the place of clsact? */
int has_ingress_qdisc(unsigned int index);

/* The type of the route to an address (RTN_*); or -1: none, or -2: the kernel cannot say. */
int route_type(const struct prefix *prefix);

#endif
