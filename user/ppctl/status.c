// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl status: what is loaded, where it is attached, what it serves, what it has counted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "engine.h"
#include "interface.h"
#include "drain.h"

static const char *const program_names[] = {"pp_gate",	   "pp_sockops",  "pp_getsockopt",
					    "pp_getpeer4", "pp_getpeer6", "pp_getsock4",
					    "pp_getsock6"};
static const struct map_program {
	const char *name;
	const char *map;
	enum bpf_attach_type type;
} map_programs[] = {
	{"pp_msg", "pp_senders", BPF_SK_MSG_VERDICT},
	{"pp_pass", "pp_senders", BPF_SK_SKB_VERDICT},
};

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static void add_number(struct json_object *object, const char *key, int64_t value)
{
	json_object_object_add(object, key, json_object_new_int64(value));
}

static const char *string_of(struct json_object *object, const char *key)
{
	return json_object_get_string(json_object_object_get(object, key));
}

static int number_of(struct json_object *object, const char *key)
{
	return json_object_get_int(json_object_object_get(object, key));
}

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

/* @cgroup: receives the path of the cgroup that the program is attached to, or "" */
static struct json_object *program_read(const char *name, const char *pin, char cgroup[PATH_MAX])
{
	struct bpf_link_info link = {};
	struct json_object *object;
	char path[PATH_MAX];
	__u32 len = sizeof(link);
	int fd, id;

	cgroup[0] = 0;
	pin_path(path, "links", pin);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return NULL;
	object = json_object_new_object();
	add_string(object, "name", name);
	id = bpf_obj_get_info_by_fd(fd, &link, &len) ? -1 : (int)link.prog_id;
	close(fd);
	if (id < 0)
		return object;
	add_number(object, "link_id", link.id);
	add_number(object, "prog_id", link.prog_id);
	if (cgroup_path_of_id(link.cgroup.cgroup_id, cgroup))
		cgroup[0] = 0;
	add_string(object, "cgroup", cgroup);
	add_program_info(object, id);
	return object;
}

/* A program that is attached to a map has no link. */
static struct json_object *map_program_read(const struct map_program *program)
{
	struct json_object *object;
	__u32 id = 0, count = 1;
	char path[PATH_MAX];
	int map, failed;

	pin_path(path, "maps", program->map);
	map = bpf_obj_get(path);
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

static int add_sender_program(const char *link, const char *path, void *list)
{
	char cgroup[PATH_MAX];
	struct json_object *program = program_read(SENDER_PROGRAM, link, cgroup);

	(void)path;
	if (program)
		json_object_array_add(list, program);
	return 0;
}

/* @cgroup: receives the path of the first that is attached, or "" */
static struct json_object *programs_read(char cgroup[PATH_MAX])
{
	struct json_object *list = json_object_new_array(), *program;
	char path[PATH_MAX];
	size_t i;

	cgroup[0] = 0;
	for (i = 0; i < ARRAY_SIZE(program_names); i++) {
		program = program_read(program_names[i], program_names[i], path);
		if (program)
			json_object_array_add(list, program);
		if (!cgroup[0])
			memcpy(cgroup, path, sizeof(path));
	}
	sender_links(add_sender_program, list);
	for (i = 0; i < ARRAY_SIZE(map_programs); i++) {
		program = map_program_read(&map_programs[i]);
		if (program)
			json_object_array_add(list, program);
	}
	return list;
}

static int add_map(const char *name, const char *path, void *list)
{
	struct bpf_map_info info = {};
	struct json_object *object;
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(path);

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
static struct json_object *maps_read(void)
{
	struct json_object *list = json_object_new_array();

	pin_each("maps", add_map, list);
	return list;
}

static int is_listed(struct json_object *programs, const char *name)
{
	size_t i;

	for (i = 0; i < json_object_array_length(programs); i++) {
		if (!strcmp(string_of(json_object_array_get_idx(programs, i), "name"), name))
			return 1;
	}
	return 0;
}

/* Somebody has removed pins. With none of them left, the programs may be attached with bpftool. */
static void print_unpinned(struct json_object *programs)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(program_names); i++) {
		for (k = 0; k < ARRAY_SIZE(program_names) && !is_listed(programs, program_names[k]);
		     k++)
			;
		if (k < ARRAY_SIZE(program_names) && !is_listed(programs, program_names[i]))
			printf("  %-14s NOT ATTACHED: its pin below %s/links is gone; 'ppctl up' "
			       "with all "
			       "its options repairs that\n",
			       program_names[i], options.pin);
	}
}

static void print_attachment(struct json_object *program)
{
	const char *cgroup;

	if (json_object_object_get(program, "map")) {
		printf("map %s", string_of(program, "map"));
		return;
	}
	cgroup = string_of(program, "cgroup");
	printf("link %d%s", number_of(program, "link_id"),
	       cgroup && cgroup[0] ? ""
				   : ", DETACHED: its cgroup is gone, or another tool detached it");
}

static void print_programs(struct json_object *list)
{
	struct json_object *program;
	size_t i;

	printf("programs\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		program = json_object_array_get_idx(list, i);
		printf("  %-14s prog %d, %d instructions, ", string_of(program, "name"),
		       number_of(program, "prog_id"), number_of(program, "instructions"));
		print_attachment(program);
		printf("\n");
	}
	print_unpinned(list);
	if (!json_object_array_length(list))
		printf("  none pinned here: attached with bpftool, or not at all\n");
}

static void print_maps(struct json_object *list)
{
	struct json_object *map;
	size_t i;

	printf("maps\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		map = json_object_array_get_idx(list, i);
		printf("  %-14s id %d, at most %d entries, %d -> %d bytes\n",
		       string_of(map, "name"), number_of(map, "id"), number_of(map, "max_entries"),
		       number_of(map, "key_size"), number_of(map, "value_size"));
	}
}

static void print_listeners(struct json_object *list, int any_port, int any_split)
{
	struct json_object *listener, *inside;
	int served, mptcp, any_mptcp = 0, any_outside = 0;
	size_t i;

	if (!any_port)
		return;
	printf("listeners on served ports, in this network namespace\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		listener = json_object_array_get_idx(list, i);
		inside = json_object_object_get(listener, "inside");
		served = !inside || json_object_get_boolean(inside);
		mptcp = json_object_get_boolean(json_object_object_get(listener, "mptcp"));
		any_mptcp |= mptcp;
		any_outside |= !served;
		printf("  %s%s%s\n", string_of(listener, "address"), mptcp ? "  MPTCP" : "",
		       served ? ""
			      : "  NOT SERVED: made outside of the cgroup, restart its server in "
				"it");
	}
	if (!json_object_array_length(list))
		printf("  none: the server is not started, listens on another port, or is in "
		       "another "
		       "network namespace\n");
	if (any_outside && any_split)
		printf("  NOT SERVED, on a port with a split: proxies' connections to it are "
		       "reset\n");
	if (any_mptcp)
		printf("  MPTCP: proxies must speak plain TCP to it; their Multipath SYNs are "
		       "dropped until they fall back\n");
}

/* @cgroup: receives the path of the one that is served, or "". Return: NULL after an error. */
static struct json_object *status_read(int ports, int proxies, int stats, char cgroup[PATH_MAX])
{
	struct json_object *status = json_object_new_object(), *programs = programs_read(cgroup);
	struct json_object *interfaces = interfaces_read();

	if (!interfaces)
		return NULL;
	add_string(status, "pin", options.pin);
	add_string(status, "cgroup", cgroup);
	json_object_object_add(status, "going_down", json_object_new_boolean(drain_is_down()));
	json_object_object_add(status, "programs", programs);
	json_object_object_add(status, "maps", maps_read());
	json_object_object_add(status, "ports", port_list.read(ports));
	json_object_object_add(status, "proxies", proxy_list.read(proxies));
	json_object_object_add(status, "proxy_cgroups", proxy_cgroup_list.read(-1));
	json_object_object_add(status, "listeners", listeners_read(ports, cgroup));
	json_object_object_add(status, "interfaces", interfaces);
	json_object_object_add(status, "counters", stats_read(stats));
	return status;
}

static void print_lists(struct json_object *ports, struct json_object *proxies,
			struct json_object *senders)
{
	printf("ports\n");
	port_list.print(ports);
	if (!json_object_array_length(ports))
		printf("none: nothing is served\n");
	printf("proxies\n");
	proxy_list.print(proxies);
	if (!json_object_array_length(proxies) && !json_object_array_length(senders))
		printf("none: all peers are ordinary clients\n");
	if (json_object_array_length(senders)) {
		printf("proxy cgroups\n");
		proxy_cgroup_list.print(senders);
	}
}

static void status_print(struct json_object *status, const char *cgroup, int any_split)
{
	struct json_object *programs = json_object_object_get(status, "programs");
	struct json_object *ports = json_object_object_get(status, "ports");

	printf("pinned at %s\n", options.pin);
	if (json_object_get_boolean(json_object_object_get(status, "going_down")))
		printf("going down, when the connections with a split are gone\n");
	if (json_object_array_length(programs))
		printf("cgroup    %s\n", cgroup[0] ? cgroup
						   : "gone: 'ppctl up --cgroup PATH' attaches the "
						     "programs to the new one");
	print_programs(programs);
	print_maps(json_object_object_get(status, "maps"));
	print_lists(ports, json_object_object_get(status, "proxies"),
		    json_object_object_get(status, "proxy_cgroups"));
	print_listeners(json_object_object_get(status, "listeners"),
			json_object_array_length(ports) > 0, any_split);
	if (any_split)
		interfaces_print(json_object_object_get(status, "interfaces"), cgroup);
	printf("counters\n");
	stats_print(json_object_object_get(status, "counters"));
}

int command_status(int argc, char **argv)
{
	int ports, proxies, stats;
	struct json_object *status;
	char cgroup[PATH_MAX];

	(void)argc;
	(void)argv;
	ports = pin_open_map(MAP_PORTS);
	if (ports < 0)
		return -1;
	proxies = pin_open_map(MAP_PROXIES);
	stats = pin_open_map(MAP_STATS);
	if (proxies < 0 || stats < 0)
		return -1;
	set_say_broken();
	status = status_read(ports, proxies, stats, cgroup);
	if (!status)
		return -1;
	if (options.json) {
		print_json(status);
		return 0;
	}
	status_print(status, cgroup, ports_have_split(ports));
	json_object_put(status);
	return 0;
}
