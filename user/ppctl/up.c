// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl up: load, pin, attach; and on a set that is up, what is missing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/magic.h>

#include "../common/array.h"
#include "engine.h"
#include "build.h"
#include "drain.h"
#include "interface.h"
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

/* What loading and attaching the programs takes (capabilities(7)). CAP_SYS_ADMIN has the first two
 * in it. */
static const struct {
	unsigned int number;
	const char *name;
	int in_sys_admin;
} capabilities[] = {
	{CAP_BPF, "CAP_BPF", 1},
	{CAP_PERFMON, "CAP_PERFMON", 1},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", 0},
};

/* Those in effect, a bit for each; or all, where that cannot be read. */
static uint64_t own_capabilities(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long effective = ~0ULL;
	char line[256];

	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	}
	if (status)
		fclose(status);
	return effective;
}

static int check_capabilities(void)
{
	uint64_t own = own_capabilities();
	char missing[128] = "";
	size_t i, len = 0;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++) {
		if (own >> capabilities[i].number & 1 ||
		    (capabilities[i].in_sys_admin && own >> CAP_SYS_ADMIN & 1))
			continue;
		len += snprintf(missing + len, sizeof(missing) - len, "%s%s", len ? ", " : "",
				capabilities[i].name);
	}
	if (!len)
		return 0;
	return error("needs root: to load and attach BPF programs, this process lacks %s (in a "
		     "container: --cap-add, and a seccomp profile that allows bpf())",
		     missing);
}

/* By the text that Debian, and most others, install with a kernel. */
static int was_built_with(const char *release, const char *setting)
{
	char path[256], line[256];
	FILE *config;
	int found = 0;

	snprintf(path, sizeof(path), "/boot/config-%s", release);
	config = fopen(path, "re");
	while (config && !found && fgets(line, sizeof(line), config)) {
		line[strcspn(line, "\n")] = 0;
		found = !strcmp(line, setting);
	}
	if (config)
		fclose(config);
	return found;
}

/* The programs have working memory for each CPU, and pp_gate leaves a note there for pp_sockops:
 * the softirqs of a CPU must come one after another. PREEMPT_RT has given that up with Linux 6.18,
 * if it was not built to keep it (kernel/softirq.c); this type came together with that. */
#define OVERLAP_TYPE   "tasklet_sync_callback"
#define OVERLAP_OPTION "CONFIG_PREEMPT_RT_NEEDS_BH_LOCK=y"

static int check_softirqs(void)
{
	struct utsname system;
	struct btf *btf;
	int overlap;

	if (uname(&system) || !strstr(system.version, "PREEMPT_RT"))
		return 0;
	btf = btf__load_vmlinux_btf();
	overlap = !btf || btf__find_by_name_kind(btf, OVERLAP_TYPE, BTF_KIND_STRUCT) > 0;
	btf__free(btf);
	if (!overlap || was_built_with(system.release, OVERLAP_OPTION))
		return 0;
	return error(
		"this kernel is PREEMPT_RT, and handles several packets at once on a CPU, whose "
		"origins would be mixed up: it needs " OVERLAP_OPTION
		", as /boot/config-%s would say, or another kernel",
		system.release);
}

static int check_kernel(void)
{
	size_t i;

	if (check_capabilities())
		return -1;
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return error("this kernel has no type information (/sys/kernel/btf/vmlinux): it "
			     "needs CONFIG_DEBUG_INFO_BTF=y, as Debian's kernels have it");
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (libbpf_probe_bpf_helper(needed[i].type, needed[i].helper, NULL) == 0)
			return error("this kernel is too old: it has no %s, which came with Linux "
				     "%s; ppsplit needs 6.1 or newer",
				     needed[i].name, needed[i].since);
	}
	return check_softirqs();
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

/* What is attached later, and again. */
static int pin_programs(struct pp_bpf *build)
{
	const struct bpf_program *program;
	size_t i;

	for (i = 0; cgroup_program(i); i++) {
		program = bpf_object__find_program_by_name(build->obj, cgroup_program(i));
		if (!program || build_pin_program(program, cgroup_program(i)))
			return -1;
	}
	return build_pin_program(build->progs.pp_sender, SENDER_PROGRAM) ||
			       build_pin_program(build->progs.pp_count, COUNT_PROGRAM)
		       ? -1
		       : 0;
}

static int load_and_pin(struct pp_bpf *build)
{
	if (build_load(build))
		return -1;
	/* The mark of a change first, the build's number last. The sockmaps' programs before any
	 * socket is in a sockmap. */
	if (config_change(bpf_map__fd(build->maps.pp_config), PP_CONFIG_CHANGING, 1) ||
	    pin_maps(build) || pin_programs(build) || attach_to_maps(build) || version_write())
		return -1;
	return build_write();
}

int set_make(uint32_t connections)
{
	struct pp_bpf *build = build_open();
	int result;

	if (!build)
		return -1;
	result = build_set_connections(build, connections ? connections : DEFAULT_CONNECTIONS);
	if (!result)
		result = load_and_pin(build);
	build_close(build);
	return result;
}

/* The words of the command line, as a section. */
static int section_of_options(struct section *section)
{
	struct problems problems = {};
	size_t i;
	int result;

	memset(section, 0, sizeof(*section));
	section_add_word(&section->cgroups, options.cgroup, 0, "--cgroup", &problems);
	if (options.ports)
		section_add_ports(section, options.ports, 0, &problems);
	if (options.proxies)
		section_add_proxies(section, options.proxies, 0, &problems);
	if (options.senders)
		section_add_words(&section->senders, options.senders, 0, "--proxy-cgroup",
				  &problems);
	if (options.interfaces)
		section_add_words(&section->interfaces, options.interfaces, 0, "--interface",
				  &problems);
	section->connections = options.connections;
	for (i = 0; i < section->port_count; i++)
		section->ports[i].policy = options.policy;
	result = problems.errors ? usage_error("%s", problems.count ? problems.problem[0].text
								    : strerror(ENOMEM))
				 : 0;
	problems_free(&problems);
	return result;
}

static int find_cgroup(const struct section *section, char path[PATH_MAX])
{
	struct word *word = section->cgroups.word;

	if (cgroup_name_own(word))
		return error("--cgroup %s: " OWN_UNSEEN, word->text);
	return cgroup_resolve("--cgroup", word->text, path);
}

/* What is typed must be there now. */
static int check_names(const struct section *section)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < section->senders.count; i++) {
		if (cgroup_resolve("--proxy-cgroup", section->senders.word[i].text, path))
			return -1;
	}
	for (i = 0; i < section->interfaces.count; i++) {
		if (!if_nametoindex(section->interfaces.word[i].text))
			return error("--interface %s: there is none of this name in this network "
				     "namespace",
				     section->interfaces.word[i].text);
	}
	if (options.interfaces && options.policy.split == PP_SPLIT_NO)
		return usage_error(
			"--interface is for ports with a split: --split yes, or --transparent");
	return 0;
}

/* A set of 'ppctl up' is on one cgroup. @was_on: receives 1 if all programs are. */
static int check_cgroup(const char *path, int *was_on)
{
	uint64_t id = cgroup_id_of_path(path);
	struct cgroup_links links;
	char other[PATH_MAX];
	int result;
	size_t i;

	result = cgroup_links_read(&links);
	for (i = 0; !result && i < links.count; i++) {
		if (!links.link[i].cgroup || links.link[i].cgroup == id ||
		    (cgroup_path_of_id(links.link[i].cgroup, other) && errno == ESTALE))
			continue;
		result = error("already up on %s: 'ppctl down' first, or another %s for another "
			       "set",
			       other, options.set ? "name with --set" : "directory with --pin");
	}
	*was_on = cgroup_links_whole(&links, id);
	cgroup_links_free(&links);
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

static void say_up(const struct job *job, const char *path, int was_on)
{
	if (job->state != SET_THERE)
		say("up on %s, pinned at %s%s%s", path, options.pin, hooks_text(),
		    job->state == SET_REST ? "; an incomplete set was removed from there, with its "
					     "ports and proxies"
					   : "");
	else
		say("%s %s%s%s%s%s%s", was_on && !job->taken_back ? "already up on" : "up again on",
		    path, job->taken_back ? "; it was going down" : "",
		    job->broken ? "; a change that was broken off is complete" : "",
		    job->replaced ? "; the programs of another build replaced" : "",
		    options.ports || options.proxies || options.senders
			    ? "; ports and proxies added"
			    : "",
		    hooks_text());
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

static int up(const struct section *section, const char *path)
{
	struct job job = {.wanted = section, .pin = options.pin};
	int was_on, result;

	result = check_names(section);
	if (result)
		return result;
	if (pin_lock() || pin_check() || check_cgroup(path, &was_on))
		return -1;
	result = engine_plan(&job, NULL) || engine_run(&job, 1) ? -1 : 0;
	if (!result) {
		say_up(&job, path, was_on);
		result = report_up(path, job.state == SET_THERE);
	}
	job_free(&job);
	return result;
}

int check_system(void)
{
	libbpf_set_print(NULL);
	return check_kernel() || check_bpffs() ? -1 : 0;
}

int command_up(int argc, char **argv)
{
	struct section section;
	char path[PATH_MAX];
	int result;

	(void)argc;
	(void)argv;
	if (!options.ports && options.policy_given)
		return usage_error("%s belongs to the policy of a port: name the port with --port",
				   options.policy_given);
	if (check_system())
		return -1;
	result = section_of_options(&section);
	if (!result)
		result = find_cgroup(&section, path);
	if (!result)
		result = up(&section, path);
	section_free(&section);
	return result;
}
