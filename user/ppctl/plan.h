/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between a set as it is pinned at options.pin and as it is to be; and the way from
 * one to the other.
 */
#ifndef PPCTL_PLAN_H
#define PPCTL_PLAN_H

#include "ppctl.h"

struct change {
	char sign; /* '+', '-', '~' */
	enum change_kind {
		CHANGE_PROXY,
		CHANGE_SENDER,
		CHANGE_PORT,
		CHANGE_CGROUP,
		CHANGE_INTERFACE,
		CHANGE_HOOKS, /* only to be printed: plan_hooks.c */
	} kind;
	char *text; /* what is printed after the kind */
	struct pp_prefix key;
	struct pp_proxy proxy;
	struct pp_port_key port;
	struct pp_port policy;
	char *path;	 /* of a cgroup, NULL: it does not exist now; or name of an interface */
	uint64_t cgroup; /* its id */
};

struct plan {
	struct change *change;
	size_t count;
};

/* @exact: what is not wanted goes. Changes nothing. Return: 0, or -1. */
int plan_make(const struct section *wanted, int exact, struct plan *plan);
void plan_free(struct plan *plan);
/* Is there a change of the set itself? Return: the first; or NULL. Hooks are none: which interfaces
 * there are may change at any time. */
const struct change *plan_first(const struct plan *plan);
/* Return: the new change; or NULL after an error. */
struct change *plan_add_change(struct plan *plan, char sign, enum change_kind kind,
			       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* plan_hooks.c: adds the hooks of which interfaces come and go. Return: 0, or -1. */
int plan_hooks(const struct section *wanted, struct plan *plan);
/* Adds "+ port 25 ..." and so on to @list. @set: its name, or "". */
void plan_list(const struct plan *plan, const char *set, struct json_object *list);
/* First all that goes, then all that comes: what is believed is at no moment more than before, and
 * than after it. */
int plan_take_away(const struct plan *plan);
int plan_add(const struct plan *plan);

/* The set as it is. */
int section_of_set(struct section *section);

#endif
