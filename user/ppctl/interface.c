// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which interfaces have hooks: lo and those that have an address, or those that --interface has
 * named, for each network namespace. What is pinned for interfaces and namespaces that are gone is
 * taken away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "interface.h"
#include "ppctl.h"

/* --interface NAME: lists of names, one for each namespace, in pp_only. */
static void only_key(struct pp_interface_name *key, uint64_t cookie, const char *name)
{
	memset(key, 0, sizeof(*key));
	key->netns_cookie = cookie;
	snprintf(key->name, sizeof(key->name), "%s", name);
}

/* Are the interfaces of this namespace limited? */
static int has_only(int map, uint64_t cookie)
{
	struct pp_interface_name key, *previous = NULL;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		if (key.netns_cookie == cookie)
			return 1;
		previous = &key;
	}
	return 0;
}

int interface_is_wanted(int only, uint64_t cookie, const struct interface *interface)
{
	struct pp_interface_name key;
	__u32 value;

	if (!has_only(only, cookie))
		return interface->addressed || interface->index == LO_INDEX;
	only_key(&key, cookie, interface->name);
	return !bpf_map_lookup_elem(only, &key, &value);
}

const struct interface *interface_by_name(const struct interfaces *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!strcmp(list->entry[i].name, name))
			return &list->entry[i];
	}
	return NULL;
}

/* Adds the words of --interface: all, or none. */
static int only_add(int map, uint64_t cookie, const struct interfaces *list)
{
	char words[4096], *word, *rest;
	struct pp_interface_name key;
	__u32 value = 0;
	int add;

	if (!options.interfaces)
		return 0;
	for (add = 0; add < 2; add++) {
		snprintf(words, sizeof(words), "%s", options.interfaces);
		for (word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
			if (!interface_by_name(list, word))
				return error("--interface %s: there is none of this name in this "
					     "network "
					     "namespace",
					     word);
			only_key(&key, cookie, word);
			if (add && bpf_map_update_elem(map, &key, &value, BPF_ANY))
				return map_update_error(MAP_ONLY, map, word, errno);
		}
	}
	return 0;
}

static void only_clear(void)
{
	int map = pin_open("maps", MAP_ONLY);
	struct pp_interface_name key;

	if (map < 0)
		return;
	while (!bpf_map_get_next_key(map, NULL, &key) && !bpf_map_delete_elem(map, &key))
		;
	close(map);
}

/* Interfaces and whole namespaces that have gone. */
struct sweep {
	uint64_t cookie; /* of this namespace */
	const struct interfaces *list;
	uint64_t looked_for; /* see sweep_program() */
	int found;
};

static int is_there(const struct interfaces *list, unsigned int index)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->entry[i].index == index)
			return 1;
	}
	return 0;
}

static int sweep_link(const char *name, const char *path, void *context)
{
	const struct sweep *sweep = context;
	unsigned int index;
	uint64_t cookie;

	if (!tcx_parse(name, &cookie, &index)) {
		if ((cookie == sweep->cookie && !is_there(sweep->list, index)) || tcx_is_gone(path))
			return pin_remove_link(path);
	} else if (!clsact_parse(name, &cookie, &index)) {
		if (cookie == sweep->cookie && !is_there(sweep->list, index))
			return pin_remove(path);
	}
	return 0;
}

static int see_link(const char *name, const char *path, void *context)
{
	struct sweep *sweep = context;
	unsigned int index;
	uint64_t cookie;

	(void)path;
	if (!tcx_parse(name, &cookie, &index) && cookie == sweep->looked_for)
		sweep->found = 1;
	return 0;
}

static int do_nothing(uint64_t cookie)
{
	(void)cookie;
	return 0;
}

static int sweep_program(const char *name, const char *path, void *context)
{
	struct sweep *sweep = context;
	uint64_t cookie;

	if (hook_parse_program(name, &cookie) || cookie == sweep->cookie)
		return 0;
	sweep->looked_for = cookie;
	sweep->found = 0;
	if (has_tcx())
		pin_each("links", see_link, sweep);
	else
		sweep->found = !netns_run(cookie, do_nothing) || errno != ESRCH;
	return sweep->found ? 0 : pin_remove(path);
}

/* Of a namespace whose programs are gone with it. */
static int sweep_mark(const char *name, const char *path, void *context)
{
	const struct sweep *sweep = context;
	unsigned int index;
	uint64_t cookie;

	if (clsact_parse(name, &cookie, &index) || cookie == sweep->cookie)
		return 0;
	return hook_has_programs(cookie) ? 0 : pin_remove(path);
}

static struct json_object *attached; /* names; NULL: none */

struct json_object *interfaces_attached(void)
{
	return attached ? json_object_get(attached) : json_object_new_array();
}

static int attach_and_note(uint64_t cookie, const struct interface *interface)
{
	int before = hooks_are_attached(cookie, interface->index);

	if (hook_attach(cookie, interface))
		return -1;
	if (before)
		return 0;
	if (!attached)
		attached = json_object_new_array();
	json_object_array_add(attached, json_object_new_string(interface->name));
	return 0;
}

static int attach_wanted(int map, uint64_t cookie, const struct interfaces *list)
{
	int count = 0;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!interface_is_wanted(map, cookie, &list->entry[i]))
			continue;
		if (attach_and_note(cookie, &list->entry[i]))
			return -1;
		count++;
	}
	if (!count && !options.names_later)
		return error(
			"none of the interfaces that --interface has named is there: name another "
			"one with it");
	/* last, so that connections by other interfaces continue */
	for (i = 0; i < list->count; i++) {
		if (!interface_is_wanted(map, cookie, &list->entry[i]) &&
		    hook_detach(cookie, list->entry[i].index))
			return -1;
	}
	return 0;
}

static int hooked_put(const char *name, const char *path, void *context)
{
	const int *map = context;
	__u32 yes = 1;
	uint64_t cookie;

	(void)path;
	if (!hook_parse_program(name, &cookie))
		bpf_map_update_elem(*map, &cookie, &yes, BPF_ANY);
	return 0;
}

/* Sets pp_hooked by the pinned programs. */
static int follow(int map, int config)
{
	uint64_t key, next, *previous = NULL;

	pin_each("progs", hooked_put, &map);
	while (!bpf_map_get_next_key(map, previous, &next)) {
		if (previous && !hook_has_programs(key))
			bpf_map_delete_elem(map, &key);
		key = next;
		previous = &key;
	}
	if (previous && !hook_has_programs(key))
		bpf_map_delete_elem(map, &key);
	return config_change(config, PP_CONFIG_HOOKED, !bpf_map_get_next_key(map, NULL, &next));
}

/* Return: 0; 1: what is left of a set has no such maps; or -1. */
static int hooked_follow(void)
{
	int map = pin_open("maps", MAP_HOOKED), config = pin_open("maps", MAP_CONFIG);
	int result = map >= 0 && config >= 0 ? follow(map, config) : 1;

	if (config >= 0)
		close(config);
	if (map >= 0)
		close(map);
	return result;
}

int interfaces_attach(void)
{
	struct sweep sweep = {};
	struct interfaces list;
	uint64_t cookie;
	int map, result;

	libbpf_set_print(NULL);
	map = pin_open_map(MAP_ONLY);
	if (map < 0)
		return -1;
	if (netns_cookie(&cookie) || interfaces_list(&list)) {
		close(map);
		return -1;
	}
	sweep.cookie = cookie;
	sweep.list = &list;
	result = pin_each("links", sweep_link, &sweep) ||
		 pin_each("progs", sweep_program, &sweep) ||
		 pin_each("links", sweep_mark, &sweep) || only_add(map, cookie, &list) ||
		 attach_wanted(map, cookie, &list) || hooked_follow();
	close(map);
	free(list.entry);
	return result ? -1 : 0;
}

static int detach_link(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)context;
	return tcx_parse(name, &cookie, NULL) ? 0 : pin_remove_link(path);
}

/* Once for each program of it: the second time there is nothing left to do. */
static int detach_namespace(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)path;
	(void)context;
	if (!hook_parse_program(name, &cookie))
		netns_run(cookie, clsact_detach_all);
	return 0;
}

static int remove_program(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)context;
	return hook_parse_program(name, &cookie) ? 0 : pin_remove(path);
}

static int remove_mark(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)context;
	return clsact_parse(name, &cookie, NULL) ? 0 : pin_remove(path);
}

int interfaces_detach(void)
{
	uint64_t here;

	libbpf_set_print(NULL);
	if (pin_each("links", detach_link, NULL))
		return -1;
	/* the programs' pins last: they say in which namespaces there are filters */
	if (!has_tcx()) {
		if (!netns_cookie(&here) && clsact_detach_all(here))
			return -1;
		pin_each("progs", detach_namespace, NULL);
	}
	if (pin_each("links", remove_mark, NULL) || pin_each("progs", remove_program, NULL) ||
	    (version_is_readable() && hooked_follow() < 0))
		return -1;
	if (version_is_readable())
		only_clear();
	return 0;
}
