// SPDX-License-Identifier: BSD-2-Clause
/*
 * What 'ppctl status' says of programs and maps: what is pinned, and what it is attached to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "json.h"
#include "ppctl.h"
#include "status.h"

const char *const served_programs[] = {"pp_gate",     "pp_sockops",  "pp_getsockopt", "pp_getpeer4",
				       "pp_getpeer6", "pp_getsock4", "pp_getsock6",   NULL};

/* These are on maps, in the place of a link. */
static const struct map_program {
	const char *name;
	const char *map;
	enum bpf_attach_type type;
} map_programs[] = {
	{"pp_msg", "pp_senders", BPF_SK_MSG_VERDICT},
	{"pp_pass", "pp_senders", BPF_SK_SKB_VERDICT},
};

static void add_program_info(struct json_object *object, int id)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len)) {
		add_number(object, "instructions", info.xlated_prog_len / 8);
		add_number(object, "run_count", info.run_cnt);
		add_number(object, "run_time_ns", info.run_time_ns);
	}
	if (fd >= 0)
		close(fd);
}

/* Return: NULL where the link cannot be read. */
static struct json_object *program_read(const char *name, const char *pin)
{
	struct bpf_link_info link = {};
	__u32 len = sizeof(link);
	int fd = pin_open("links", pin), failed;
	struct json_object *object;
	char cgroup[PATH_MAX];

	failed = fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &len);
	if (fd >= 0)
		close(fd);
	if (failed)
		return NULL;
	object = json_object_new_object();
	add_string(object, "name", name);
	add_number(object, "link_id", link.id);
	add_number(object, "prog_id", link.prog_id);
	if (cgroup_path_of_id(link.cgroup.cgroup_id, cgroup) && errno == ESTALE)
		cgroup[0] = 0;
	add_string(object, "cgroup", cgroup);
	add_program_info(object, link.prog_id);
	return object;
}

/* A program that is attached to a map has no link. */
static struct json_object *map_program_read(const struct map_program *program)
{
	struct json_object *object;
	__u32 id = 0, count = 1;
	int map = pin_open("maps", program->map), failed;

	if (map < 0)
		return NULL;
	failed = bpf_prog_query(map, program->type, 0, NULL, &id, &count);
	close(map);
	if (failed || !count || !id)
		return NULL;
	object = json_object_new_object();
	add_string(object, "name", program->name);
	add_number(object, "prog_id", id);
	add_string(object, "map", program->map);
	add_program_info(object, id);
	return object;
}

struct reading {
	struct json_object *programs, *cgroups;
	const char *name; /* of which programs */
};

static int has_string(struct json_object *list, const char *text)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (!strcmp(json_object_get_string(json_object_array_get_idx(list, i)), text))
			return 1;
	}
	return 0;
}

/* A pin is NAME, or NAME_CGROUP with the cgroup's number. */
static int add_link(const char *pin, const char *path, void *context)
{
	struct reading *reading = context;
	size_t len = strlen(reading->name);
	struct json_object *program;
	const char *cgroup;

	(void)path;
	if (strncmp(pin, reading->name, len) ||
	    (pin[len] && (pin[len] != '_' || pin[len + 1 + strspn(pin + len + 1, "0123456789")])))
		return 0;
	program = program_read(reading->name, pin);
	if (!program)
		return 0;
	json_object_array_add(reading->programs, program);
	cgroup = string_of(program, "cgroup");
	if (reading->cgroups && cgroup[0] && !has_string(reading->cgroups, cgroup))
		json_object_array_add(reading->cgroups, json_object_new_string(cgroup));
	return 0;
}

struct json_object *programs_read(struct json_object *cgroups)
{
	struct reading reading = {.programs = json_object_new_array(), .cgroups = cgroups};
	struct json_object *program;
	size_t i;

	for (i = 0; served_programs[i]; i++) {
		reading.name = served_programs[i];
		pin_each("links", add_link, &reading);
	}
	reading.name = SENDER_PROGRAM;
	reading.cgroups = NULL;
	pin_each("links", add_link, &reading);
	for (i = 0; i < ARRAY_SIZE(map_programs); i++) {
		program = map_program_read(&map_programs[i]);
		if (program)
			json_object_array_add(reading.programs, program);
	}
	return reading.programs;
}

static int add_map(const char *name, const char *path, void *list)
{
	struct bpf_map_info info = {};
	struct json_object *object;
	__u32 len = sizeof(info);
	int fd = pin_open_path(path);

	if (fd < 0)
		return 0;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		object = json_object_new_object();
		add_string(object, "name", name);
		add_number(object, "id", info.id);
		add_number(object, "max_entries", info.max_entries);
		add_number(object, "key_size", info.key_size);
		add_number(object, "value_size", info.value_size);
		json_object_array_add(list, object);
	}
	close(fd);
	return 0;
}

/* All that are pinned. */
struct json_object *maps_read(void)
{
	struct json_object *list = json_object_new_array();

	pin_each("maps", add_map, list);
	return list;
}

static void print_attachment(struct json_object *program)
{
	const char *cgroup = string_of(program, "cgroup");

	if (value_of(program, "map"))
		printf("map %s", string_of(program, "map"));
	else
		printf("link %lld on %s", (long long)number_of(program, "link_id"),
		       cgroup[0] ? cgroup : "nothing");
}

void programs_print(struct json_object *list)
{
	struct json_object *program;
	size_t i;

	printf("programs\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		program = json_object_array_get_idx(list, i);
		printf("  %-14s prog %lld, %lld instructions, ", string_of(program, "name"),
		       (long long)number_of(program, "prog_id"),
		       (long long)number_of(program, "instructions"));
		print_attachment(program);
		printf("\n");
	}
}

void maps_print(struct json_object *list)
{
	struct json_object *map;
	size_t i;

	printf("maps\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		map = json_object_array_get_idx(list, i);
		printf("  %-14s id %lld, at most %lld entries, %lld -> %lld bytes\n",
		       string_of(map, "name"), (long long)number_of(map, "id"),
		       (long long)number_of(map, "max_entries"),
		       (long long)number_of(map, "key_size"),
		       (long long)number_of(map, "value_size"));
	}
}
