// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which hooks come and which go when a set is made what it is to be: also of interfaces that are
 * new, or have got or lost their addresses since the last time. interfaces_attach() and
 * interfaces_detach() do it, after everything else.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "drain.h"
#include "hook.h"
#include "interface.h"
#include "plan.h"
#include "port_map.h"

static int has_translated_connections(void)
{
	struct translated_list list;
	size_t count;

	if (translated_read(&list))
		return -1;
	count = list.count;
	translated_free(&list);
	return count != 0;
}

/* Will there be a port with a split, or connections of one? Return: 1, 0; or -1 after an error. */
static int will_split(const struct section *wanted)
{
	int map, had_split;
	size_t i;

	for (i = 0; i < wanted->port_count; i++) {
		if (wanted->ports[i].policy.split != PP_SPLIT_NO)
			return 1;
	}
	map = pin_open("maps", MAP_PORTS);
	if (map < 0)
		return 0;
	had_split = ports_have_split(map);
	close(map);
	return had_split ? has_translated_connections() : 0;
}

/* As interface_is_wanted() has it, with the names that will be there then. */
static int is_wanted(const struct section *wanted, const struct interface *interface)
{
	size_t i;

	if (!wanted->interfaces.count)
		return interface->addressed || interface->index == LO_INDEX;
	for (i = 0; i < wanted->interfaces.count; i++) {
		if (!strcmp(wanted->interfaces.word[i].text, interface->name))
			return 1;
	}
	return 0;
}

static int plan_hook(struct plan *plan, char sign, const struct interface *interface)
{
	return plan_add_change(plan, sign, CHANGE_HOOKS, "on %s", interface->name) ? 0 : -1;
}

static int plan_here(const struct section *wanted, int split, uint64_t cookie, struct plan *plan)
{
	struct interfaces list;
	int result = 0, out, in;
	size_t i;

	if (interfaces_list(&list))
		return -1;
	for (i = 0; !result && i < list.count; i++) {
		out = hook_is_attached(OUT, cookie, list.entry[i].index);
		in = hook_is_attached(IN, cookie, list.entry[i].index);
		if (split && is_wanted(wanted, &list.entry[i])) {
			if (!out || !in)
				result = plan_hook(plan, '+', &list.entry[i]);
		} else if (out || in) {
			result = plan_hook(plan, '-', &list.entry[i]);
		}
	}
	free(list.entry);
	return result;
}

/* Return: 1 for a program of another network namespace. */
static int is_elsewhere(const char *pin, const char *path, void *context)
{
	const uint64_t *here = context;
	uint64_t cookie;

	(void)path;
	return !hook_parse_program(pin, &cookie) && cookie != *here;
}

int plan_hooks(const struct section *wanted, struct plan *plan)
{
	int split = will_split(wanted);
	uint64_t cookie;

	if (split < 0 || netns_cookie(&cookie) || plan_here(wanted, split, cookie, plan))
		return -1;
	if (!split && pin_each("progs", is_elsewhere, &cookie) &&
	    !plan_add_change(plan, '-', CHANGE_HOOKS, "in other network namespaces"))
		return -1;
	return 0;
}
