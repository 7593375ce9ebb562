/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces that have hooks, for ports with a split: in each network namespace in which ppctl
 * was told so, lo and those that have an address, or those that --interface names.
 */
#ifndef PPCTL_INTERFACE_H
#define PPCTL_INTERFACE_H

#include <stdint.h>

#include <json-c/json.h>

#include "netlink.h"

/* Attaches what is missing in this network namespace, and takes away what is gone. Return: 0, or
 * -1. */
int interfaces_attach(void);
/* Those that interfaces_attach() has attached something to, an array of names: the caller's. */
struct json_object *interfaces_attached(void);
/* In all network namespaces. Return: 0, or -1. */
int interfaces_detach(void);

/* Is @interface to have hooks? @only: the descriptor of MAP_ONLY. */
int interface_is_wanted(int only, uint64_t cookie, const struct interface *interface);
/* Return: NULL where there is none of this name. */
const struct interface *interface_by_name(const struct interfaces *list, const char *name);

/* interface_status.c: for 'ppctl status'. @serves_here: may a process of the served cgroups be in
 * this network namespace? */
struct json_object *interfaces_read(int serves_here);
void interfaces_print(struct json_object *interfaces, const char *cgroup);

#endif
