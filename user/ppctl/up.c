// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl up: load, pin, attach; and on a set that is up, what is missing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "../common/array.h"
#include "interface.h"
#include "ppctl.h"
#include "build.h"
#include "drain.h"
#include "upgrade.h"
#include "pp.skel.h"

/* Features that a kernel may lack, and the version that brought each. */
static const struct {
	enum bpf_prog_type type;
	enum bpf_func_id helper;
	const char *name;
	const char *since;
} needed[] = {
	{BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_skc_lookup_tcp, "bpf_skc_lookup_tcp", "5.2"},
	{BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.2"},
	{BPF_PROG_TYPE_SOCK_OPS, BPF_FUNC_get_netns_cookie, "bpf_get_netns_cookie", "5.15"},
	{BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_loop, "bpf_loop", "5.17"},
	{BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_FUNC_set_retval, "bpf_set_retval", "5.18"},
	{BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_setsockopt, "bpf_setsockopt", "5.8"},
	{BPF_PROG_TYPE_SK_MSG, BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.9"},
};

static int check_kernel(void)
{
	size_t i;

	if (geteuid() != 0)
		return error("needs root: loading and attaching BPF programs takes CAP_BPF, "
			     "CAP_NET_ADMIN and CAP_SYS_ADMIN");
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return error("this kernel has no type information (/sys/kernel/btf/vmlinux): it "
			     "needs CONFIG_DEBUG_INFO_BTF=y, as Debian's kernels have it");
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (libbpf_probe_bpf_helper(needed[i].type, needed[i].helper, NULL) == 0)
			return error("this kernel is too old: it has no %s, which came with Linux "
				     "%s; ppsplit needs 6.1 or newer",
				     needed[i].name, needed[i].since);
	}
	return 0;
}

/* The directory itself may not be there yet: its parent decides. With --set it stays, since others
 * may wait for its lock, to make a set in it. */
static int check_bpffs(void)
{
	char parent[PATH_MAX], *slash;
	struct statfs fs;

	snprintf(parent, sizeof(parent), "%s", options.sets ? options.sets : options.pin);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return error("--pin %s: must be an absolute path below a BPF file system",
			     options.pin);
	*slash = 0;
	if (statfs(parent, &fs))
		return error("--pin %s: %s: %s", options.pin, parent, strerror(errno));
	if (fs.f_type != BPF_FS_MAGIC)
		return error("%s is not on a BPF file system: mount -t bpf bpf %s", options.pin,
			     parent);
	if (options.sets && mkdir(options.sets, 0755) && errno != EEXIST)
		return error("%s: %s", options.sets, strerror(errno));
	return 0;
}

static int pin_maps(struct pp_bpf *build)
{
	char path[PATH_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, build->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		pin_path(path, "maps", bpf_map__name(map));
		if (bpf_map__pin(map, path))
			return error("%s: %s", path, strerror(errno));
		chmod(path, 0600);
	}
	return 0;
}

static int attach_to_map(const struct bpf_program *program, const struct bpf_map *map,
			 enum bpf_attach_type type)
{
	if (bpf_prog_attach(bpf_program__fd(program), bpf_map__fd(map), type, 0))
		return error("attaching %s to %s: %s", bpf_program__name(program),
			     bpf_map__name(map), strerror(errno));
	return 0;
}

/* Programs of sockmaps stay with their map: sockmaps have links from 6.10 on only. */
static int attach_to_maps(struct pp_bpf *build)
{
	if (attach_to_map(build->progs.pp_pass, build->maps.pp_senders, BPF_SK_SKB_VERDICT))
		return -1;
	return attach_to_map(build->progs.pp_msg, build->maps.pp_senders, BPF_SK_MSG_VERDICT);
}

static int attach_to_cgroup(struct pp_bpf *build, const char *cgroup)
{
	struct bpf_program *program;
	enum bpf_attach_type type;
	const char *name;

	bpf_object__for_each_program(program, build->obj)
	{
		type = bpf_program__expected_attach_type(program);
		name = bpf_program__name(program);
		if (program == build->progs.pp_sender ||
		    bpf_program__type(program) == BPF_PROG_TYPE_SCHED_CLS ||
		    bpf_program__type(program) == BPF_PROG_TYPE_TRACING ||
		    bpf_program__type(program) == BPF_PROG_TYPE_SK_SKB ||
		    bpf_program__type(program) == BPF_PROG_TYPE_SK_MSG)
			continue;
		if (cgroup_attach(bpf_program__fd(program), type, name, cgroup, name))
			return -1;
	}
	return 0;
}

static int check_lists(void)
{
	int result = list_check(&port_list, options.ports);

	if (!result)
		result = list_check(&proxy_list, options.proxies);
	return result ? result : list_check(&proxy_cgroup_list, options.senders);
}

static int add_to_lists(void)
{
	if (list_add(&port_list, options.ports) || list_add(&proxy_cgroup_list, options.senders))
		return -1;
	return list_add(&proxy_list, options.proxies);
}

static int load_and_attach(struct pp_bpf *build, const char *cgroup)
{
	if (build_load(build))
		return -1;
	/* The lists first, and the sockmaps' programs: from its first packet on, a program sees
	 * what it was told to serve, and no socket is in a sockmap without its program. */
	if (pin_maps(build) || build_pin_program(build->progs.pp_sender, SENDER_PROGRAM) ||
	    build_pin_program(build->progs.pp_count, COUNT_PROGRAM) || attach_to_maps(build) ||
	    add_to_lists())
		return -1;
	return attach_to_cgroup(build, cgroup) || build_write() ? -1 : 0;
}

/* There may be new interfaces, and hooks may have gone. */
static int look_at_interfaces(void)
{
	int map = pin_open_map(MAP_PORTS), result = 0;

	if (map < 0)
		return -1;
	if (ports_have_split(map))
		result = interfaces_attach();
	close(map);
	return result;
}

/* "; hooks attached: lo, eth0", or "". */
static const char *hooks_text(void)
{
	struct json_object *names = interfaces_attached();
	static char text[1024];
	size_t i, have = 0;

	for (i = 0; i < json_object_array_length(names) && have < sizeof(text); i++)
		have += snprintf(text + have, sizeof(text) - have, "%s%s",
				 i ? ", " : "; hooks attached: ",
				 json_object_get_string(json_object_array_get_idx(names, i)));
	json_object_put(names);
	return text;
}

/* A unit that is started again has a new cgroup under the old name: the programs go there, with
 * their maps as they are. */
static int already_up(const char *cgroup_path)
{
	int again = 0, taken_back = 0, replaced = 0;
	char path[PATH_MAX];
	size_t i;

	for (i = 0; cgroup_programs[i]; i++) {
		if (cgroup_of_link(cgroup_programs[i], path))
			return error("%s/links/%s: %s", options.pin, cgroup_programs[i],
				     strerror(errno));
		if (path[0] && strcmp(path, cgroup_path))
			return error("already up on %s: 'ppctl down' first, or another directory "
				     "with --pin for another set",
				     path);
	}
	for (i = 0; cgroup_programs[i]; i++) {
		cgroup_of_link(cgroup_programs[i], path);
		if (!path[0] && cgroup_reattach(cgroup_programs[i], cgroup_path))
			return -1;
		again |= !path[0];
	}
	if (!build_is_same()) {
		if (upgrade(cgroup_path))
			return -1;
		replaced = 1;
	}
	if (drain_take_back(&taken_back))
		return -1;
	if (add_to_lists()) {
		list_undo();
		return -1;
	}
	if (look_at_interfaces())
		return -1;
	say("%s %s%s%s%s%s", again || taken_back ? "up again on" : "already up on", cgroup_path,
	    taken_back ? "; it was going down" : "",
	    replaced ? "; the programs of another build replaced" : "",
	    options.ports || options.proxies || options.senders ? "; ports and proxies added" : "",
	    hooks_text());
	return 0;
}

static int report_up(const char *cgroup_path, int already)
{
	struct json_object *object;

	if (!options.json)
		return 0;
	object = set_object();
	json_object_object_add(object, "cgroup", json_object_new_string(cgroup_path));
	json_object_object_add(object, "already", json_object_new_boolean(already));
	json_object_object_add(object, "hooks_attached", interfaces_attached());
	print_json(object);
	return 0;
}

int command_up(int argc, char **argv)
{
	struct pp_bpf *build;
	char path[PATH_MAX], rest_path[PATH_MAX];
	int result, rest;

	(void)argc;
	(void)argv;
	if (!options.ports && options.policy_given)
		return usage_error("%s belongs to the policy of a port: name the port with --port",
				   options.policy_given);
	libbpf_set_print(NULL);
	if (check_kernel() || check_bpffs() || cgroup_resolve("--cgroup", options.cgroup, path))
		return -1;
	result = check_lists();
	if (result)
		return result;
	if (pin_lock() || pin_check())
		return -1;
	if (pin_is_up())
		return already_up(path) ? -1 : report_up(path, 1);
	/* another build may have fewer programs, or links are gone; but its connections live */
	if (upgrade_is_due()) {
		if (upgrade(path))
			return -1;
		return already_up(path) ? -1 : report_up(path, 1);
	}

	build = build_open();
	if (!build)
		return -1;
	pin_path(rest_path, "maps", MAP_PORTS);
	rest = !access(rest_path, F_OK);
	pin_remove_all(); /* what a killed 'up' or 'down' may have left */
	result = pin_make_directories();
	if (!result)
		result = load_and_attach(build, path);
	if (result)
		pin_remove_all();
	build_close(build);
	if (result)
		return -1;
	say("up on %s, pinned at %s%s%s", path, options.pin, hooks_text(),
	    rest ? "; an incomplete set was removed from there, with its ports and proxies" : "");
	return report_up(path, 0);
}
