/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hooks: pp_in and pp_out on the interfaces of this network namespace, by tcx links (tcx.c) or by
 * filters on the clsact qdisc (clsact.c); hook.c chooses. What is pinned says in which namespace:
 * progs/pp_in_COOKIE is the program for each of them.
 *
 * @cookie is that of the network namespace, @index that of an interface in it.
 */
#ifndef PPCTL_HOOK_H
#define PPCTL_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "netlink.h"

/* In the order in which they are attached: no header is taken out before its acknowledgement can be
 * translated. */
enum { OUT, IN, WAYS };

/* Attaches what is missing on @interface. Return: 0, or -1. */
int hook_attach(uint64_t cookie, const struct interface *interface);
int hook_detach(uint64_t cookie, unsigned int index);
/* Does the kernel run our program there? */
int hook_is_attached(int way, uint64_t cookie, unsigned int index);
int hooks_are_attached(uint64_t cookie, unsigned int index);

/* Are there programs for this namespace? */
int hook_has_programs(uint64_t cookie);
/* Is progs/@pin a tc program, and of which namespace? Return: 0; or -1: it is none. */
int hook_parse_program(const char *pin, uint64_t *cookie);

/* tcx.c */
/* Has this kernel tcx? */
int has_tcx(void);
/* Attaches the program, and pins the link. Return: 0, or a negative errno. */
int tcx_attach(int way, uint64_t cookie, unsigned int index, int program);
int tcx_detach(uint64_t cookie, unsigned int index);
int tcx_is_attached(int way, uint64_t cookie, unsigned int index);
/* Is the interface of the pinned link gone? */
int tcx_is_gone(const char *path);
/* Is links/@pin a tcx link, and of what? @index may be NULL. Return: 0; or -1: it is none. */
int tcx_parse(const char *pin, uint64_t *cookie, unsigned int *index);

/* clsact.c */
/* Attaches the program, on a qdisc that is made if need be. Return: 0, or a negative errno. */
int clsact_attach(int way, uint64_t cookie, unsigned int index, int program);
/* The filters, and the qdisc, if it is ours and nobody else has a filter there. */
int clsact_detach(uint64_t cookie, unsigned int index);
/* From all interfaces of this namespace. Return: 0, or -1. */
int clsact_detach_all(uint64_t cookie);
int clsact_is_attached(int way, unsigned int index);
/* Is links/@pin the mark of a qdisc that is ours, and of which? As tcx_parse(). */
int clsact_parse(const char *pin, uint64_t *cookie, unsigned int *index);

/* One of ours on a clsact qdisc. */
struct filter {
	uint64_t cookie;
	unsigned int index;
	int way;
	__u32 handle;
	__u32 program; /* id */
};
/* Those of the namespace @cookie: @list receives @max of them. Return: how many there are; or -1:
 * the way into the namespace is not found. */
int filters_find(uint64_t cookie, struct filter *list, size_t max);
/* Return: 0, or a negative errno. */
int filter_replace(const struct filter *filter, int program);

#endif
