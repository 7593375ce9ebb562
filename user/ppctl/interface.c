// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interfaces that pp_in and pp_out are attached to, for ports with a split: in each network
 * namespace in which ppctl was told so, lo and those that have an address, or those that
 * --interface names. From Linux 6.6 on by tcx links, before by clsact.
 *
 * What is pinned says in which namespace: progs/pp_in_COOKIE, a program for each of them;
 * links/pp_tcx_in_COOKIE_INDEX, a link; links/pp_clsact_COOKIE_INDEX, any program: the clsact qdisc
 * is one that ppctl has made. A filter is known by the map of ports that its program reads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ppctl.h"
#include "drain.h"

/* libbpf 1.1 has no names for these; it passes the numbers on. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

#define TCX_PROGRAMS_MAX 64 /* of one interface, the kernel's limit */

/* A link whose pin has just been removed goes a little later, and until then its program is there.
 */
#define LINK_TRIES   100
#define LINK_WAIT_US 10000

/* Of clsact filters: fixed, so that they are found again. Each set has a handle of its own. */
#define CLSACT_PRIORITY 0x5050
#define CLSACT_HANDLE	0x5050
#define CLSACT_HANDLES	8

#define PIN_TCX	   "pp_tcx_"
#define PIN_CLSACT "pp_clsact_"
#define LO_INDEX   1

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif
#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

enum { OUT, IN, WAYS };

/* In the order in which they are attached: a header is not taken out before its acknowledgement
 * would be translated. */
static const struct way {
	const char *name;
	int tcx;
	enum bpf_tc_attach_point clsact;
} ways[WAYS] = {
	{"out", ATTACH_TCX_EGRESS, BPF_TC_EGRESS},
	{"in", ATTACH_TCX_INGRESS, BPF_TC_INGRESS},
};

/* For devices with an Ethernet header, and for those without. */
static const char *const ethernet_programs[] = {"pp_out", "pp_in", NULL};
static const char *const bare_programs[] = {"pp_out_bare", "pp_in_bare", NULL};

/* Has this kernel tcx? */
static int has_tcx(void)
{
	static int known = -1;
	__u32 count = 0;

	if (known < 0)
		known = !bpf_prog_query(LO_INDEX, ATTACH_TCX_INGRESS, 0, NULL, NULL, &count);
	return known;
}

static void program_path(char path[PATH_MAX], const char *program, uint64_t cookie)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%llu", program, (unsigned long long)cookie);
	pin_path(path, "progs", name);
}

static void tcx_path(char path[PATH_MAX], int way, uint64_t cookie, unsigned int index)
{
	char name[64];

	snprintf(name, sizeof(name), PIN_TCX "%s_%llu_%u", ways[way].name,
		 (unsigned long long)cookie, index);
	pin_path(path, "links", name);
}

static void clsact_path(char path[PATH_MAX], uint64_t cookie, unsigned int index)
{
	char name[64];

	snprintf(name, sizeof(name), PIN_CLSACT "%llu_%u", (unsigned long long)cookie, index);
	pin_path(path, "links", name);
}

/* The programs for an interface of this @type, ARPHRD_*: pp_out's and pp_in's; or NULL: pp_in does
 * not know what stands before the IP header there. */
static const char *const *programs_for(unsigned int type)
{
	switch (type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return ethernet_programs;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
		return bare_programs;
	}
	return NULL;
}

/* Of a pinned map, or 0. */
static __u32 map_id(const char *name)
{
	int fd = pin_open("maps", name);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.id = 0;
	close(fd);
	return info.id;
}

#define MAPS_MAX 64 /* of one program, the kernel's limit */

/* Is the program of this set? */
static int is_own(__u32 program)
{
	__u32 maps[MAPS_MAX], ports = map_id(MAP_PORTS), len, i;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)maps};
	int fd = ports ? bpf_prog_get_fd_by_id(program) : -1, own = 0;

	if (fd < 0)
		return 0;
	len = sizeof(info);
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		for (i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++)
			own |= maps[i] == ports;
	}
	close(fd);
	return own;
}

/* The program at this place of clsact's, or 0. */
static __u32 filter_at(int way, unsigned int index, __u32 handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = ways[way].clsact);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = CLSACT_PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

/* Return: the handle of our filter, or 0. */
static __u32 find_filter(int way, unsigned int index)
{
	__u32 i, id;

	for (i = 0; i < CLSACT_HANDLES; i++) {
		id = filter_at(way, index, CLSACT_HANDLE + i);
		if (id && is_own(id))
			return CLSACT_HANDLE + i;
	}
	return 0;
}

/* What a tcx link says: the first word is its interface's number, 0 when that is gone. */
static int read_link(const char *path, __u32 *program, __u32 *index)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int link = bpf_obj_get(path), result;

	if (link < 0)
		return -1;
	result = bpf_obj_get_info_by_fd(link, &info, &len);
	close(link);
	*program = info.prog_id;
	*index = *(const __u32 *)&info.tracing;
	return result;
}

/* Does the kernel run our program there? A link alone says less: its interface may have gone, or
 * have been moved to another namespace, where it may have the same number. */
static int is_attached(int way, uint64_t cookie, unsigned int index)
{
	__u32 ids[TCX_PROGRAMS_MAX], count = TCX_PROGRAMS_MAX, program, on, i;
	char path[PATH_MAX];

	if (!has_tcx())
		return find_filter(way, index) != 0;
	tcx_path(path, way, cookie, index);
	if (read_link(path, &program, &on) || on != index ||
	    bpf_prog_query(index, ways[way].tcx, 0, NULL, ids, &count))
		return 0;
	for (i = 0; i < count; i++) {
		if (ids[i] == program)
			return 1;
	}
	return 0;
}

static int are_attached(uint64_t cookie, unsigned int index)
{
	return is_attached(OUT, cookie, index) && is_attached(IN, cookie, index);
}

/* Makes a clsact qdisc where there is none, and remembers that. Return: 0, or a negative errno. */
static int make_clsact(uint64_t cookie, unsigned int index, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int result = bpf_tc_hook_create(&hook);
	char path[PATH_MAX];

	clsact_path(path, cookie, index);
	if (result == -EEXIST) {
		/* ours would have a filter: somebody has replaced it */
		if (!find_filter(OUT, index) && !find_filter(IN, index))
			unlink(path);
		return 0;
	}
	if (result)
		return result;
	unlink(path);
	if (bpf_obj_pin(program, path))
		return -errno;
	chmod(path, 0600);
	return 0;
}

static int attach_clsact(int way, uint64_t cookie, unsigned int index, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = ways[way].clsact);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .priority = CLSACT_PRIORITY);
	int result = make_clsact(cookie, index, program);
	__u32 i;

	if (result)
		return result;
	result = -EEXIST;
	/* a handle that is taken is another set's, or another tool's */
	for (i = 0; i < CLSACT_HANDLES && result == -EEXIST; i++) {
		opts.handle = CLSACT_HANDLE + i;
		result = bpf_tc_attach(&hook, &opts);
	}
	return result;
}

static int attach_tcx(int way, uint64_t cookie, unsigned int index, int program)
{
	int link = -1, tries, result = 0;
	char path[PATH_MAX];

	tcx_path(path, way, cookie, index);
	pin_remove_link(path); /* one that does not work any more */
	for (tries = 0; link < 0 && tries < LINK_TRIES; tries++) {
		if (tries)
			usleep(LINK_WAIT_US);
		link = bpf_link_create(program, index, ways[way].tcx, NULL);
		if (link < 0 && errno != EEXIST)
			break;
	}
	if (link < 0)
		return -errno;
	if (bpf_obj_pin(link, path))
		result = -errno;
	else
		chmod(path, 0600);
	close(link);
	return result;
}

static int attach(int way, uint64_t cookie, const struct interface *interface, const char *program)
{
	char path[PATH_MAX], name[IF_NAMESIZE];
	int fd, result;

	/* in its one place the kernel would take pp_out for a filter of what comes in */
	if (!has_tcx() && has_ingress_qdisc(interface->index))
		return error("%s has an ingress qdisc of another tool, where pp_out has no place: "
			     "have that "
			     "use clsact, which takes the same filters",
			     interface->name);
	program_path(path, program, cookie);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return error("%s: %s", path, strerror(errno));
	if (has_tcx())
		result = attach_tcx(way, cookie, interface->index, fd);
	else
		result = attach_clsact(way, cookie, interface->index, fd);
	close(fd);
	if (!result && is_attached(way, cookie, interface->index))
		return 0;
	if (!if_indextoname(interface->index, name))
		return 0; /* it has just gone */
	return error(
		"attaching %s to %s by %s: %s; see what else is there: tc qdisc show dev %s, tc "
		"filter show dev %s, bpftool net",
		program, interface->name, has_tcx() ? "tcx" : "clsact",
		strerror(result ? -result : EBUSY), interface->name, interface->name);
}

/* The pins say in which namespaces there are filters. */
static int are_pinned(uint64_t cookie, const char *const *programs)
{
	char path[PATH_MAX];

	for (; *programs; programs++) {
		program_path(path, *programs, cookie);
		if (access(path, F_OK))
			return 0;
	}
	return 1;
}

static int attach_interface(uint64_t cookie, const struct interface *interface)
{
	const char *const *programs = programs_for(interface->type);
	int way, pinned;

	if (!programs)
		return error("%s is of a kind that pp_in cannot read (neither Ethernet nor a "
			     "tunnel): name "
			     "the others with --interface",
			     interface->name);
	pinned = are_pinned(cookie, programs);
	if (pinned && are_attached(cookie, interface->index))
		return 0;
	if (!pinned && load_tc_programs(cookie, programs))
		return -1;
	flows_forget_old();
	for (way = 0; way < WAYS; way++) {
		if (!is_attached(way, cookie, interface->index) &&
		    attach(way, cookie, interface, programs[way]))
			return -1;
	}
	return 0;
}

static void detach_clsact(uint64_t cookie, unsigned int index)
{
	char path[PATH_MAX];
	__u32 handle;
	int way;

	for (way = WAYS - 1; way >= 0; way--) {
		handle = find_filter(way, index);
		if (handle) {
			DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
					    .attach_point = ways[way].clsact);
			DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle,
					    .priority = CLSACT_PRIORITY);

			bpf_tc_detach(&hook, &opts);
		}
	}
	clsact_path(path, cookie, index);
	if (!access(path, F_OK) && !clsact_has_filters(index)) {
		DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
				    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

		bpf_tc_hook_destroy(&hook);
	}
	unlink(path);
}

static void detach_interface(uint64_t cookie, unsigned int index)
{
	char path[PATH_MAX];
	int way;

	if (!has_tcx()) {
		detach_clsact(cookie, index);
		return;
	}
	for (way = WAYS - 1; way >= 0; way--) {
		tcx_path(path, way, cookie, index);
		pin_remove_link(path);
	}
}

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

static int is_wanted(int map, uint64_t cookie, const struct interface *interface)
{
	struct pp_interface_name key;
	__u32 value;

	if (!has_only(map, cookie))
		return interface->addressed || interface->index == LO_INDEX;
	only_key(&key, cookie, interface->name);
	return !bpf_map_lookup_elem(map, &key, &value);
}

static const struct interface *find_by_name(const struct interfaces *list, const char *name)
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
			if (!find_by_name(list, word))
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

static int parse_tcx(const char *name, uint64_t *cookie, unsigned int *index)
{
	unsigned long long number;
	char way[4];

	if (sscanf(name, PIN_TCX "%3[a-z]_%llu_%u", way, &number, index) != 3)
		return -1;
	*cookie = number;
	return 0;
}

static int parse_clsact(const char *name, uint64_t *cookie, unsigned int *index)
{
	unsigned long long number;

	if (sscanf(name, PIN_CLSACT "%llu_%u", &number, index) != 2)
		return -1;
	*cookie = number;
	return 0;
}

/* Of a tc program's pin. */
static int parse_program(const char *name, uint64_t *cookie)
{
	unsigned long long number;

	if (sscanf(name, "pp_in_%llu", &number) != 1 && sscanf(name, "pp_out_%llu", &number) != 1 &&
	    sscanf(name, "pp_in_bare_%llu", &number) != 1 &&
	    sscanf(name, "pp_out_bare_%llu", &number) != 1)
		return -1;
	*cookie = number;
	return 0;
}

/* What has gone: interfaces, and whole namespaces. */
struct sweep {
	uint64_t cookie; /* of this namespace */
	const struct interfaces *list;
	uint64_t looked_for; /* see namespace_has_links() */
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
	__u32 program, on;
	unsigned int index;
	uint64_t cookie;

	if (!parse_tcx(name, &cookie, &index)) {
		if ((cookie == sweep->cookie && !is_there(sweep->list, index)) ||
		    (!read_link(path, &program, &on) && !on))
			pin_remove_link(path);
	} else if (!parse_clsact(name, &cookie, &index)) {
		if (cookie == sweep->cookie && !is_there(sweep->list, index))
			unlink(path);
	}
	return 0;
}

static int see_link(const char *name, const char *path, void *context)
{
	struct sweep *sweep = context;
	unsigned int index;
	uint64_t cookie;

	(void)path;
	if (!parse_tcx(name, &cookie, &index) && cookie == sweep->looked_for)
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

	if (parse_program(name, &cookie) || cookie == sweep->cookie)
		return 0;
	sweep->looked_for = cookie;
	sweep->found = 0;
	if (has_tcx())
		pin_each("links", see_link, sweep);
	else
		sweep->found = !netns_run(cookie, do_nothing);
	if (!sweep->found)
		unlink(path);
	return 0;
}

static int has_programs(uint64_t cookie)
{
	char program[PATH_MAX], bare[PATH_MAX];

	program_path(program, ethernet_programs[IN], cookie);
	program_path(bare, bare_programs[IN], cookie);
	return !access(program, F_OK) || !access(bare, F_OK);
}

/* Of a namespace whose programs are gone with it. */
static int sweep_mark(const char *name, const char *path, void *context)
{
	const struct sweep *sweep = context;
	unsigned int index;
	uint64_t cookie;

	if (parse_clsact(name, &cookie, &index) || cookie == sweep->cookie)
		return 0;
	if (!has_programs(cookie))
		unlink(path);
	return 0;
}

static int attach_wanted(int map, uint64_t cookie, const struct interfaces *list)
{
	int count = 0;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!is_wanted(map, cookie, &list->entry[i]))
			continue;
		if (attach_interface(cookie, &list->entry[i]))
			return -1;
		count++;
	}
	if (!count)
		return error(
			"none of the interfaces that --interface has named is there: name another "
			"one with it");
	/* last, so that what goes on by another interface goes on */
	for (i = 0; i < list->count; i++) {
		if (!is_wanted(map, cookie, &list->entry[i]))
			detach_interface(cookie, list->entry[i].index);
	}
	return 0;
}

static int hooked_put(const char *name, const char *path, void *context)
{
	const int *map = context;
	__u32 yes = 1;
	uint64_t cookie;

	(void)path;
	if (!parse_program(name, &cookie))
		bpf_map_update_elem(*map, &cookie, &yes, BPF_ANY);
	return 0;
}

/* pp_hooked is what the pinned programs say. */
static int hooked_follow(void)
{
	int map = pin_open_map(MAP_HOOKED), config, result;
	uint64_t key, next, *previous = NULL;

	if (map < 0)
		return -1;
	config = pin_open_map(MAP_CONFIG);
	if (config < 0) {
		close(map);
		return -1;
	}
	pin_each("progs", hooked_put, &map);
	while (!bpf_map_get_next_key(map, previous, &next)) {
		if (previous && !has_programs(key))
			bpf_map_delete_elem(map, &key);
		key = next;
		previous = &key;
	}
	if (previous && !has_programs(key))
		bpf_map_delete_elem(map, &key);
	result = config_change(config, PP_CONFIG_HOOKED, !bpf_map_get_next_key(map, NULL, &next));
	close(config);
	close(map);
	return result;
}

int interfaces_attach(void)
{
	static int done; /* a command may add several ports */
	struct sweep sweep = {};
	struct interfaces list;
	uint64_t cookie;
	int map, result;

	if (done)
		return 0;
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
	pin_each("links", sweep_link, &sweep);
	pin_each("progs", sweep_program, &sweep);
	pin_each("links", sweep_mark, &sweep);
	result =
		only_add(map, cookie, &list) || attach_wanted(map, cookie, &list) || hooked_follow()
			? -1
			: 0;
	close(map);
	free(list.entry);
	done = !result;
	return result;
}

static int detach_link(const char *name, const char *path, void *context)
{
	(void)context;
	if (!strncmp(name, PIN_TCX, strlen(PIN_TCX)))
		pin_remove_link(path);
	return 0;
}

static int detach_filters(uint64_t cookie)
{
	struct interfaces list;
	size_t i;

	if (interfaces_list(&list))
		return -1;
	for (i = 0; i < list.count; i++)
		detach_clsact(cookie, list.entry[i].index);
	free(list.entry);
	return 0;
}

/* Once for each program of it: the second time there is nothing left to do. */
static int detach_namespace(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)path;
	(void)context;
	if (!parse_program(name, &cookie))
		netns_run(cookie, detach_filters);
	return 0;
}

static int remove_program(const char *name, const char *path, void *context)
{
	uint64_t cookie;

	(void)context;
	if (!parse_program(name, &cookie))
		unlink(path);
	return 0;
}

static int remove_mark(const char *name, const char *path, void *context)
{
	(void)context;
	if (!strncmp(name, PIN_CLSACT, strlen(PIN_CLSACT)))
		unlink(path);
	return 0;
}

void interfaces_detach(void)
{
	char path[PATH_MAX];
	uint64_t here;

	libbpf_set_print(NULL);
	pin_each("links", detach_link, NULL);
	/* the programs' pins last: they say in which namespaces there are filters */
	if (!has_tcx()) {
		if (!netns_cookie(&here))
			detach_filters(here);
		pin_each("progs", detach_namespace, NULL);
	}
	pin_each("links", remove_mark, NULL);
	pin_each("progs", remove_program, NULL);
	pin_path(path, "maps", MAP_HOOKED);
	if (!access(path, F_OK))
		hooked_follow();
	only_clear();
}

int tcx_cookie(const char *pin, uint64_t *cookie)
{
	unsigned int index;

	return parse_tcx(pin, cookie, &index);
}

int clsact_cookie(const char *pin, uint64_t *cookie)
{
	unsigned int index;

	return parse_clsact(pin, cookie, &index);
}

int tc_program_cookie(const char *pin, uint64_t *cookie)
{
	return parse_program(pin, cookie);
}

/* What netns_run() does for filters_find() and filter_replace(). */
static struct {
	struct filter *list;
	size_t count, max;
	const struct filter *filter;
	int program;
} visit;

static int find_filters(uint64_t cookie)
{
	struct filter filter = {.cookie = cookie};
	struct interfaces list;
	size_t i;

	if (interfaces_list(&list))
		return -1;
	for (i = 0; i < list.count; i++) {
		filter.index = list.entry[i].index;
		for (filter.way = 0; filter.way < WAYS; filter.way++) {
			filter.handle = find_filter(filter.way, filter.index);
			if (!filter.handle)
				continue;
			filter.program = filter_at(filter.way, filter.index, filter.handle);
			if (visit.count < visit.max)
				visit.list[visit.count] = filter;
			visit.count++;
		}
	}
	free(list.entry);
	return 0;
}

int filters_find(uint64_t cookie, struct filter *list, size_t max)
{
	if (has_tcx())
		return 0;
	visit.list = list;
	visit.max = max;
	visit.count = 0;
	return netns_run(cookie, find_filters) ? -1 : (int)visit.count;
}

static int replace_filter(uint64_t cookie)
{
	const struct filter *filter = visit.filter;
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = filter->index,
			    .attach_point = ways[filter->way].clsact);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = visit.program, .handle = filter->handle,
			    .priority = CLSACT_PRIORITY, .flags = BPF_TC_F_REPLACE);

	(void)cookie;
	return bpf_tc_attach(&hook, &opts);
}

int filter_replace(const struct filter *filter, int program)
{
	visit.filter = filter;
	visit.program = program;
	return netns_run(filter->cookie, replace_filter);
}

/* How much the guard has dropped. */
static uint64_t guarded(int map, uint64_t cookie, unsigned int index)
{
	struct pp_interface key = {.netns_cookie = cookie, .index = index};
	uint64_t count;

	return bpf_map_lookup_elem(map, &key, &count) ? 0 : count;
}

static const char *hooks_of(uint64_t cookie, unsigned int index)
{
	int in = is_attached(IN, cookie, index), out = is_attached(OUT, cookie, index);

	if (in && out)
		return has_tcx() ? "tcx" : "clsact";
	if (in)
		return "in";
	return out ? "out" : "none";
}

static void add_interface(struct json_object *list, int only, int guarded_map, uint64_t cookie,
			  const struct interface *interface)
{
	uint64_t dropped = guarded(guarded_map, cookie, interface->index);
	const char *hooks = hooks_of(cookie, interface->index);
	int wanted = is_wanted(only, cookie, interface);
	struct json_object *object;

	if (!wanted && !interface->addressed && !strcmp(hooks, "none") && !dropped)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "interface", json_object_new_string(interface->name));
	json_object_object_add(object, "index", json_object_new_int64(interface->index));
	json_object_object_add(object, "wanted", json_object_new_boolean(wanted));
	json_object_object_add(object, "hooks", json_object_new_string(hooks));
	json_object_object_add(object, "attached",
			       json_object_new_boolean(are_attached(cookie, interface->index)));
	json_object_object_add(object, "dropped", json_object_new_int64(dropped));
	json_object_array_add(list, object);
}

/* Names of --interface that nobody has. */
static void add_absent(struct json_object *list, int only, uint64_t cookie,
		       const struct interfaces *there)
{
	struct pp_interface_name key, *previous = NULL;
	struct json_object *object;

	while (!bpf_map_get_next_key(only, previous, &key)) {
		previous = &key;
		if (key.netns_cookie != cookie || find_by_name(there, key.name))
			continue;
		object = json_object_new_object();
		json_object_object_add(object, "interface", json_object_new_string(key.name));
		json_object_object_add(object, "wanted", json_object_new_boolean(1));
		json_object_object_add(object, "hooks", json_object_new_string("absent"));
		json_object_object_add(object, "attached", json_object_new_boolean(0));
		json_object_object_add(object, "dropped", json_object_new_int64(0));
		json_object_array_add(list, object);
	}
}

/* The other namespaces in which there are hooks, or something was dropped. */
struct others {
	struct json_object *list;
	uint64_t cookie; /* of this one */
};

static struct json_object *other_namespace(const struct others *others, uint64_t cookie)
{
	struct json_object *object;
	size_t i;

	for (i = 0; i < json_object_array_length(others->list); i++) {
		object = json_object_array_get_idx(others->list, i);
		if (json_object_get_uint64(json_object_object_get(object, "netns_cookie")) ==
		    cookie)
			return object;
	}
	object = json_object_new_object();
	json_object_object_add(object, "netns_cookie", json_object_new_uint64(cookie));
	json_object_object_add(object, "loaded", json_object_new_boolean(0));
	json_object_object_add(object, "dropped", json_object_new_int64(0));
	json_object_array_add(others->list, object);
	return object;
}

static int add_namespace(const char *name, const char *path, void *context)
{
	struct others *others = context;
	struct json_object *object;
	uint64_t cookie;

	(void)path;
	if (parse_program(name, &cookie) || cookie == others->cookie)
		return 0;
	object = other_namespace(others, cookie);
	json_object_object_add(object, "loaded", json_object_new_boolean(1));
	return 0;
}

static void add_guarded(struct others *others, int map)
{
	struct pp_interface key, *previous = NULL;
	struct json_object *object;
	int64_t sum;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == others->cookie)
			continue;
		object = other_namespace(others, key.netns_cookie);
		sum = json_object_get_int64(json_object_object_get(object, "dropped"));
		sum += guarded(map, key.netns_cookie, key.index);
		json_object_object_add(object, "dropped", json_object_new_int64(sum));
	}
}

struct json_object *interfaces_read(void)
{
	struct json_object *object = json_object_new_object(), *here = json_object_new_array();
	struct others others = {.list = json_object_new_array()};
	int only = pin_open_map(MAP_ONLY), drops = pin_open_map(MAP_GUARDED);
	struct interfaces list;
	size_t i;

	libbpf_set_print(NULL);
	json_object_object_add(object, "here", here);
	json_object_object_add(object, "other_namespaces", others.list);
	if (only < 0 || drops < 0 || netns_cookie(&others.cookie) || interfaces_list(&list)) {
		json_object_put(object);
		object = NULL;
		goto out;
	}
	json_object_object_add(object, "netns_cookie", json_object_new_uint64(others.cookie));
	for (i = 0; i < list.count; i++)
		add_interface(here, only, drops, others.cookie, &list.entry[i]);
	add_absent(here, only, others.cookie, &list);
	pin_each("progs", add_namespace, &others);
	add_guarded(&others, drops);
	free(list.entry);
out:
	if (only >= 0)
		close(only);
	if (drops >= 0)
		close(drops);
	return object;
}

static void print_interface(struct json_object *interface, const char *cgroup)
{
	const char *hooks = json_object_get_string(json_object_object_get(interface, "hooks"));
	int64_t dropped = json_object_get_int64(json_object_object_get(interface, "dropped"));

	printf("  %-15s ", json_object_get_string(json_object_object_get(interface, "interface")));
	if (!strcmp(hooks, "absent"))
		printf("not there: named by --interface");
	else if (json_object_get_boolean(json_object_object_get(interface, "attached")))
		printf("%s", hooks);
	else if (json_object_get_boolean(json_object_object_get(interface, "wanted")))
		printf("%s: what proxies send by it to a port with a split is dropped; 'ppctl up "
		       "--cgroup "
		       "%s' attaches them",
		       strcmp(hooks, "none") ? "HALF OF ITS HOOKS" : "NO HOOKS", cgroup);
	else
		printf("no hooks: not named by --interface");
	if (dropped)
		printf(", %lld segments dropped by the guard", (long long)dropped);
	if (dropped && json_object_get_boolean(json_object_object_get(interface, "attached")))
		printf(" (if that still grows, another tc program comes before pp_in)");
	printf("\n");
}

void interfaces_print(struct json_object *interfaces, const char *cgroup)
{
	struct json_object *list = json_object_object_get(interfaces, "here"), *object;
	size_t i;

	printf("interfaces of this network namespace\n");
	for (i = 0; i < json_object_array_length(list); i++)
		print_interface(json_object_array_get_idx(list, i), cgroup);
	list = json_object_object_get(interfaces, "other_namespaces");
	if (json_object_array_length(list))
		printf("other network namespaces\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		object = json_object_array_get_idx(list, i);
		printf("  cookie %-8llu %s",
		       (unsigned long long)json_object_get_uint64(
			       json_object_object_get(object, "netns_cookie")),
		       json_object_get_boolean(json_object_object_get(object, "loaded"))
			       ? "hooks"
			       : "no hooks");
		if (json_object_get_int64(json_object_object_get(object, "dropped")))
			printf(", %lld segments dropped by the guard: proxies' packets reached it "
			       "past "
			       "the hooks, or for a published port that is not served",
			       (long long)json_object_get_int64(
				       json_object_object_get(object, "dropped")));
		printf("\n");
	}
	if (json_object_array_length(list))
		printf("  a packet that has passed hooks in one of them needs none here\n");
}
