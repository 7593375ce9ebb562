// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl upgrade, and 'ppctl up' with another build than the one that is up: each program is
 * replaced where it is attached, in its link or filter, and the maps stay in use. So nothing is
 * detached even for a moment, and connections and lists stay.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../common/array.h"
#include "engine.h"
#include "build.h"
#include "drain.h"
#include "hook.h"
#include "upgrade.h"

#define HOOKS_MAX      4096
#define NAMESPACES_MAX 1024

/* Where a program is attached. */
struct hook {
	enum { LINK, FILTER, MAP } kind;
	char name[NAME_MAX + 1]; /* of the pin, or the program */
	int at;			 /* descriptor of the link or map, or -1 */
	struct filter filter;
	int before, after; /* of the programs; after -1: this build has none by that name */
	enum bpf_attach_type type;
};

/* The tc programs of a network namespace. */
struct namespace
{
	uint64_t cookie;
	struct pp_bpf *build;
};

struct replacement {
	struct pp_bpf *build; /* all others */
	struct namespace *namespaces;
	size_t namespace_count;
	struct hook *hooks;
	size_t count, done;
};

/* Pins maps that are new, or replace one that does not fit. This comes before the tc programs are
 * loaded, which look for them there. */
static int pin_new_maps(struct pp_bpf *build)
{
	struct bpf_map_info info = {}, is = {};
	struct bpf_map *map;
	__u32 len;
	int fd, same;

	bpf_object__for_each_map(map, build_object(build))
	{
		if (bpf_map__is_internal(map))
			continue;
		fd = pin_open("maps", bpf_map__name(map));
		len = sizeof(info);
		same = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len);
		len = sizeof(is);
		same = same && !bpf_obj_get_info_by_fd(bpf_map__fd(map), &is, &len) &&
		       is.id == info.id;
		if (fd >= 0)
			close(fd);
		if (!same && pin_replace("maps", bpf_map__name(map), bpf_map__fd(map)))
			return -1;
	}
	return 0;
}

/* The build that has the programs of the namespace @cookie, or NULL. */
static struct pp_bpf *build_of(const struct replacement *replacement, uint64_t cookie)
{
	size_t i;

	for (i = 0; i < replacement->namespace_count; i++) {
		if (replacement->namespaces[i].cookie == cookie)
			return replacement->namespaces[i].build;
	}
	return NULL;
}

/* Those that are not pinned are loaded when there is an interface for them. */
static void leave_out_unused(const struct namespace *namespace)
{
	struct bpf_program *program;
	char name[64];
	int fd;

	bpf_object__for_each_program(program, build_object(namespace->build))
	{
		snprintf(name, sizeof(name), "%s_%llu", bpf_program__name(program),
			 (unsigned long long)namespace->cookie);
		fd = pin_open("progs", name);
		if (fd >= 0)
			close(fd);
		else
			bpf_program__set_autoload(program, false);
	}
}

static int add_namespace(const char *pin, const char *path, void *context)
{
	struct replacement *replacement = context;
	struct namespace *namespace = &replacement->namespaces[replacement->namespace_count];

	(void)path;
	if (hook_parse_program(pin, &namespace->cookie) || build_of(replacement, namespace->cookie))
		return 0;
	if (replacement->namespace_count == NAMESPACES_MAX)
		return error("%s/progs: more than %d network namespaces", options.pin,
			     NAMESPACES_MAX);
	namespace->build = build_open_tc(namespace->cookie);
	if (!namespace->build)
		return -1;
	replacement->namespace_count++;
	leave_out_unused(namespace);
	return build_reuse_maps(namespace->build, 0) || build_load(namespace->build) ? -1 : 0;
}

/* The program of @build with the name of the one that @before is. Return: a descriptor, or -1. */
static int program_like(struct pp_bpf *build, int before)
{
	struct bpf_prog_info info = {};
	struct bpf_program *program;
	__u32 len = sizeof(info);

	if (!build || before < 0 || bpf_obj_get_info_by_fd(before, &info, &len))
		return -1;
	program = bpf_object__find_program_by_name(build_object(build), info.name);
	return program && bpf_program__autoload(program) ? bpf_program__fd(program) : -1;
}

static int add_hook(struct replacement *replacement, const struct hook *hook)
{
	if (replacement->count == HOOKS_MAX)
		return error("%s/links: more than %d", options.pin, HOOKS_MAX);
	replacement->hooks[replacement->count++] = *hook;
	return 0;
}

static int add_link(const char *pin, const char *path, void *context)
{
	struct replacement *replacement = context;
	struct hook hook = {.kind = LINK, .before = -1};
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	uint64_t cookie;

	(void)path;
	if (!clsact_parse(pin, &cookie, NULL)) /* no link */
		return 0;
	hook.at = pin_open("links", pin);
	if (hook.at < 0 || bpf_obj_get_info_by_fd(hook.at, &info, &len))
		return error("%s/links/%s: %s", options.pin, pin, strerror(errno));
	snprintf(hook.name, sizeof(hook.name), "%s", pin);
	hook.before = bpf_prog_get_fd_by_id(info.prog_id);
	hook.after = program_like(tcx_parse(pin, &cookie, NULL) ? replacement->build
								: build_of(replacement, cookie),
				  hook.before);
	return add_hook(replacement, &hook);
}

static int add_filters(struct replacement *replacement, const struct namespace *namespace)
{
	struct hook hook = {.kind = FILTER, .at = -1};
	struct filter filters[256];
	int count = filters_find(namespace->cookie, filters, ARRAY_SIZE(filters)), i;

	if (count > (int)ARRAY_SIZE(filters))
		return error("a network namespace has more than %zu filters", ARRAY_SIZE(filters));
	/* no process and no name leads there: its filters stay, on the same maps */
	for (i = 0; i < count; i++) {
		hook.filter = filters[i];
		snprintf(hook.name, sizeof(hook.name), "the clsact filter of interface %u",
			 hook.filter.index);
		hook.before = bpf_prog_get_fd_by_id(hook.filter.program);
		hook.after = program_like(namespace->build, hook.before);
		if (add_hook(replacement, &hook))
			return -1;
	}
	return 0;
}

static int add_map_program(struct replacement *replacement, const char *name, const char *map,
			   enum bpf_attach_type type)
{
	struct hook hook = {.kind = MAP, .before = -1, .after = -1, .type = type};
	struct bpf_program *program;
	__u32 id = 0, count = 1;

	snprintf(hook.name, sizeof(hook.name), "%s", name);
	hook.at = pin_open("maps", map);
	if (hook.at < 0)
		return error("%s/maps/%s: %s", options.pin, map, strerror(errno));
	/* 5.17 and later can be asked; the program is this one in any case */
	if (!bpf_prog_query(hook.at, type, 0, NULL, &id, &count) && count)
		hook.before = bpf_prog_get_fd_by_id(id);
	program = bpf_object__find_program_by_name(build_object(replacement->build), name);
	if (program)
		hook.after = bpf_program__fd(program);
	return add_hook(replacement, &hook);
}

static int find_hooks(struct replacement *replacement)
{
	size_t i;

	if (pin_each("links", add_link, replacement))
		return -1;
	for (i = 0; i < replacement->namespace_count; i++) {
		if (add_filters(replacement, &replacement->namespaces[i]))
			return -1;
	}
	if (add_map_program(replacement, "pp_pass", "pp_senders", BPF_SK_SKB_VERDICT) ||
	    add_map_program(replacement, "pp_msg", "pp_senders", BPF_SK_MSG_VERDICT))
		return -1;
	return 0;
}

static int put(const struct hook *hook, int program)
{
	switch (hook->kind) {
	case LINK:
		/* ENOLINK: its cgroup or interface is gone */
		return bpf_link_update(hook->at, program, NULL) && errno != ENOLINK ? -errno : 0;
	case FILTER:
		return filter_replace(&hook->filter, program);
	case MAP:
		return bpf_prog_attach(program, hook->at, hook->type, 0) ? -errno : 0;
	}
	return 0;
}

static int put_back(struct replacement *replacement)
{
	const struct hook *hook;
	int result = 0;

	while (replacement->done--) {
		hook = &replacement->hooks[replacement->done];
		if (hook->after >= 0 && hook->before >= 0 && put(hook, hook->before))
			result = -1;
	}
	return result;
}

static int replace_hooks(struct replacement *replacement)
{
	const struct hook *hook;
	int result;

	for (; replacement->done < replacement->count; replacement->done++) {
		hook = &replacement->hooks[replacement->done];
		result = hook->after < 0 ? 0 : put(hook, hook->after);
		if (!result)
			continue;
		return error("replacing the program of %s: %s; %s", hook->name, strerror(-result),
			     put_back(replacement)
				     ? "some are replaced, some are not: 'ppctl upgrade' "
				       "again"
				     : "nothing was changed");
	}
	return 0;
}

/* A program that the other build did not have, or that has lost its link. */
static int attach_new(void)
{
	struct cgroup_links links;
	int result = cgroup_links_read(&links);
	char cgroup[PATH_MAX];
	size_t i;

	for (i = 0; !result && i < links.count; i++) {
		if (links.link[i].cgroup && !cgroup_path_of_id(links.link[i].cgroup, cgroup))
			result = cgroup_programs_attach(cgroup);
	}
	cgroup_links_free(&links);
	return result;
}

/* Removes hooks of programs that this build no longer has. */
static int detach_old(struct replacement *replacement)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < replacement->count; i++) {
		if (replacement->hooks[i].after >= 0 || replacement->hooks[i].kind != LINK)
			continue;
		pin_path(path, "links", replacement->hooks[i].name);
		if (pin_remove_link(path))
			return -1;
	}
	return 0;
}

/* The pins that are no hooks: programs that are attached later, and by others. */
static int renew_pin(const char *pin, const char *path, void *context)
{
	struct replacement *replacement = context;
	int before = pin_open("progs", pin), after;
	uint64_t cookie;

	(void)path;
	after = program_like(hook_parse_program(pin, &cookie) ? replacement->build
							      : build_of(replacement, cookie),
			     before);
	if (before >= 0)
		close(before);
	return after < 0 ? 0 : pin_replace("progs", pin, after);
}

/* Any program marks a clsact qdisc as ours. */
static int renew_clsact(const char *pin, const char *path, void *context)
{
	struct replacement *replacement = context;
	int before, after;
	uint64_t cookie;

	(void)path;
	if (clsact_parse(pin, &cookie, NULL))
		return 0;
	before = pin_open("links", pin);
	after = program_like(build_of(replacement, cookie), before);
	if (before >= 0)
		close(before);
	return after < 0 ? 0 : pin_replace("links", pin, after);
}

static int pin_new_program(struct replacement *replacement, const char *name)
{
	const struct bpf_program *program;

	if (pin_exists("progs", name))
		return 0;
	program = bpf_object__find_program_by_name(build_object(replacement->build), name);
	return program ? pin_replace("progs", name, bpf_program__fd(program)) : 0;
}

/* Of a build that had none such. */
static int pin_new_programs(struct replacement *replacement)
{
	static const char *const names[] = {SENDER_PROGRAM, COUNT_PROGRAM};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (pin_new_program(replacement, names[i]))
			return -1;
	}
	for (i = 0; cgroup_program(i); i++) {
		if (pin_new_program(replacement, cgroup_program(i)))
			return -1;
	}
	return 0;
}

static void replacement_free(struct replacement *replacement)
{
	size_t i;

	for (i = 0; replacement->hooks && i < replacement->count; i++) {
		if (replacement->hooks[i].at >= 0)
			close(replacement->hooks[i].at);
		if (replacement->hooks[i].before >= 0)
			close(replacement->hooks[i].before);
	}
	for (i = 0; i < replacement->namespace_count; i++)
		build_close(replacement->namespaces[i].build);
	free(replacement->hooks);
	free(replacement->namespaces);
	build_close(replacement->build);
}

/* Loads the programs that replace the old ones. */
static int load(struct replacement *replacement)
{
	replacement->hooks = calloc(HOOKS_MAX, sizeof(*replacement->hooks));
	replacement->namespaces = calloc(NAMESPACES_MAX + 1, sizeof(*replacement->namespaces));
	if (!replacement->hooks || !replacement->namespaces)
		return error("%s", strerror(ENOMEM));
	if (build_reuse_maps(replacement->build, 0) || build_load(replacement->build) ||
	    pin_new_maps(replacement->build))
		return -1;
	return pin_each("progs", add_namespace, replacement);
}

int upgrade(void)
{
	struct replacement replacement = {};
	int result = -1;

	/* a set of this build may only have lost something */
	if (!build_is_same() && version_can_replace())
		return -1;
	replacement.build = build_open();
	if (!replacement.build)
		return -1;
	/* the build's number last: without it, the next 'up' goes through all of this again */
	if (!load(&replacement) && !find_hooks(&replacement) && !replace_hooks(&replacement) &&
	    !pin_each("progs", renew_pin, &replacement) &&
	    !pin_each("links", renew_clsact, &replacement) && !pin_new_programs(&replacement) &&
	    !attach_new() && !detach_old(&replacement) && !version_write())
		result = build_write();
	replacement_free(&replacement);
	return result;
}

int upgrade_is_due(void)
{
	static const char *const maps[] = {MAP_PORTS, MAP_PROXIES, MAP_CONFIG, MAP_STATS};
	struct translated_list list;
	int map, due;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		map = pin_open("maps", maps[i]);
		if (map < 0)
			return 0;
		close(map);
	}
	if (translated_read(&list))
		return 0;
	due = list.count != 0;
	translated_free(&list);
	return due;
}

int command_upgrade(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (geteuid() != 0)
		return error("needs root");
	if (pin_lock() || pin_check() || version_check() || drain_finish())
		return -1;
	if (set_state() != SET_THERE)
		return error("nothing is up at %s: start with 'ppctl up --cgroup PATH', or name "
			     "another directory with --pin",
			     options.pin);
	set_say_broken();
	if (upgrade())
		return -1;
	say("the programs are those of this ppctl now");
	if (options.json)
		print_json(set_object());
	return 0;
}
