// SPDX-License-Identifier: BSD-2-Clause
/*
 * The BPF programs that this ppctl has: the object, loaded on maps of its own or on those that are
 * pinned, and the number by which builds are told from one another.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../common/name.h"
#include "build.h"
#include "ppctl.h"
#include "pp.skel.h"

/* Working memory, which no program needs after it ends: a map of another size is made again. */
static const char *const scratch_maps[] = {"pp_work", "pp_large_work", "pp_stage", "pp_packet"};

/* The last lines that libbpf and the verifier said, for the error. */
static char libbpf_said[1024];

static int remember_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text;
	size_t len, have;

	if (level != LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	len = strlen(text);
	if (len >= sizeof(libbpf_said)) {
		libbpf_said[0] = 0;
		have = 0;
	} else {
		have = strlen(libbpf_said);
		if (have + len >= sizeof(libbpf_said)) {
			memmove(libbpf_said, libbpf_said + len, have - len + 1);
			have -= len;
		}
	}
	snprintf(libbpf_said + have, sizeof(libbpf_said) - have, "%s",
		 len < sizeof(libbpf_said) ? text : text + len - sizeof(libbpf_said) + 1);
	free(text);
	return 0;
}

/* FNV-1a of the object. */
static uint64_t build_id(void)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const unsigned char *bytes;
	size_t size, i;

	bytes = pp_bpf__elf_bytes(&size);
	for (i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

int build_write(void)
{
	uint64_t id = build_id();

	return pin_write(MAP_BUILD, &id, sizeof(id));
}

int build_is_same(void)
{
	int map = pin_open("maps", MAP_BUILD);
	uint64_t id = 0;
	__u32 zero = 0;

	if (map < 0)
		return 0;
	if (bpf_map_lookup_elem(map, &zero, &id))
		id = 0;
	close(map);
	return id == build_id();
}

int build_pin_program(const struct bpf_program *program, const char *name)
{
	char path[PATH_MAX];

	pin_path(path, "progs", name);
	if (bpf_obj_pin(bpf_program__fd(program), path))
		return error("%s: %s", path, strerror(errno));
	chmod(path, 0600);
	return 0;
}

/* The tc programs are loaded apart, for each network namespace: build_load_tc(). */
static void leave_tc_programs_out(struct pp_bpf *build)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, build->obj)
	{
		if (bpf_program__type(program) == BPF_PROG_TYPE_SCHED_CLS)
			bpf_program__set_autoload(program, false);
	}
}

struct pp_bpf *build_open(void)
{
	struct pp_bpf *build;

	libbpf_set_print(remember_print);
	build = pp_bpf__open();
	if (build)
		leave_tc_programs_out(build);
	else
		error("the BPF object: %s", strerror(errno));
	return build;
}

/* Maps whose sizes are for DEFAULT_CONNECTIONS, and how many entries a CPU needs in any case: the
 * kernel divides those of an LRU map among them. */
static const struct {
	const char *name;
	unsigned int of_a_cpu;
} sized_maps[] = {
	{"pp_flows", 128},   {"pp_handovers", 256}, {"pp_syns", 256},
	{"pp_synacks", 256}, {"pp_pieces", 64},	    {"pp_large_pieces", 8},
	{"pp_senders", 0},   {"pp_outgoing", 0},    {"pp_forwarded", 0},
};

int build_set_connections(struct pp_bpf *build, uint32_t connections)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t entries, least;
	struct bpf_map *map;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sized_maps); i++) {
		map = bpf_object__find_map_by_name(build->obj, sized_maps[i].name);
		if (!map)
			return error("the BPF object has no map %s", sized_maps[i].name);
		entries = (uint64_t)bpf_map__max_entries(map) * connections / DEFAULT_CONNECTIONS;
		least = (uint64_t)sized_maps[i].of_a_cpu * (cpus > 0 ? cpus : 1);
		if (bpf_map__set_max_entries(map, entries > least ? entries : least))
			return error("%s: %s", sized_maps[i].name, strerror(errno));
	}
	return 0;
}

struct pp_bpf *build_open_tc(uint64_t cookie)
{
	struct bpf_program *program;
	struct pp_bpf *build = build_open();

	if (!build)
		return NULL;
	build->rodata->netns_cookie = cookie;
	bpf_object__for_each_program(program, build->obj) bpf_program__set_autoload(
		program, bpf_program__type(program) == BPF_PROG_TYPE_SCHED_CLS);
	return build;
}

struct bpf_object *build_object(struct pp_bpf *build)
{
	return build->obj;
}

int build_load(struct pp_bpf *build)
{
	libbpf_said[0] = 0;
	if (!pp_bpf__load(build))
		return 0;
	return error("the kernel refused the programs (%s); it said:\n%s", strerror(errno),
		     libbpf_said);
}

void build_close(struct pp_bpf *build)
{
	pp_bpf__destroy(build);
}

static int is_scratch(const struct bpf_map *map)
{
	return NAME_FIND(bpf_map__name(map), scratch_maps) >= 0;
}

static int fits(const struct bpf_map *map, const struct bpf_map_info *info)
{
	return info->type == bpf_map__type(map) && info->key_size == bpf_map__key_size(map) &&
	       info->value_size == bpf_map__value_size(map);
}

/* Programs of both builds run for a moment, and share the pinned maps. @all: see
 * build_reuse_maps(). Return: 0, 1: a new one takes its place; or -1. */
static int check_map(const struct bpf_map *map, int fd, int all)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	const char *name = bpf_map__name(map);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return error("%s/maps/%s: %s", options.pin, name, strerror(errno));
	if (fits(map, &info))
		return 0;
	if (is_scratch(map) && !all)
		return 1;
	return error(
		"%s/maps/%s is of type %u with keys of %u and values of %u bytes; the programs of "
		"this ppctl want type %u, %u and %u: 'ppctl down', then up again. Nothing was "
		"changed",
		options.pin, name, info.type, info.key_size, info.value_size, bpf_map__type(map),
		bpf_map__key_size(map), bpf_map__value_size(map));
}

static int reuse_map(struct bpf_map *map, int all)
{
	const char *name = bpf_map__name(map);
	int fd = all ? pin_open_map(name) : pin_open("maps", name), result;

	if (fd < 0)
		return all ? -1 : 0;
	result = check_map(map, fd, all);
	if (!result && bpf_map__reuse_fd(map, fd))
		result = error("%s/maps/%s: %s", options.pin, name, strerror(errno));
	close(fd);
	return result < 0 ? -1 : 0;
}

int build_reuse_maps(struct pp_bpf *build, int all)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, build->obj)
	{
		if (!bpf_map__is_internal(map) && reuse_map(map, all))
			return -1;
	}
	return 0;
}

static void tc_program_pin(char name[64], const struct bpf_program *program, uint64_t cookie)
{
	snprintf(name, 64, "%s_%llu", bpf_program__name(program), (unsigned long long)cookie);
}

/* Is @program one of @names, and not there yet? */
static int is_missing(const struct bpf_program *program, uint64_t cookie, const char *const names[])
{
	char name[64], path[PATH_MAX];

	for (; *names; names++) {
		if (!strcmp(bpf_program__name(program), *names)) {
			tc_program_pin(name, program, cookie);
			pin_path(path, "progs", name);
			return !path_exists(path);
		}
	}
	return 0;
}

static int load_missing(struct pp_bpf *build, uint64_t cookie, const char *const names[])
{
	struct bpf_program *program;
	char name[64];
	int missing = 0;

	bpf_object__for_each_program(program, build->obj)
	{
		bpf_program__set_autoload(program, is_missing(program, cookie, names));
		missing |= bpf_program__autoload(program);
	}
	if (!missing)
		return 0;
	if (build_reuse_maps(build, 1))
		return -1;
	build->rodata->netns_cookie = cookie;
	libbpf_said[0] = 0;
	libbpf_set_print(remember_print);
	if (pp_bpf__load(build))
		return error("the kernel refused the programs of the split (%s); it said:\n%s",
			     strerror(errno), libbpf_said);
	bpf_object__for_each_program(program, build->obj)
	{
		tc_program_pin(name, program, cookie);
		if (bpf_program__autoload(program) && build_pin_program(program, name))
			return -1;
	}
	return 0;
}

int build_load_tc(uint64_t cookie, const char *const names[])
{
	struct pp_bpf *build = pp_bpf__open();
	int result;

	if (!build)
		return error("the BPF object: %s", strerror(errno));
	result = load_missing(build, cookie, names);
	pp_bpf__destroy(build);
	return result;
}
