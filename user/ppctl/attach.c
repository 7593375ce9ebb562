// SPDX-License-Identifier: BSD-2-Clause
/*
 * The programs on the mail server's cgroups. Their links are pinned as links/NAME, for one of the
 * cgroups, and links/NAME_ID, with the cgroup's number, for others. A link whose cgroup is gone has
 * no number any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "../common/name.h"
#include "port_map.h"
#include "ppctl.h"

#define MAX_PROGRAMS 64 /* BPF_CGROUP_MAX_PROGS, kernel/bpf/cgroup.c */
#define MAPS_MAX     64 /* of one program, the kernel's limit */

/* In the order in which they go: without the gate and pp_sockops no connection has an origin any
 * more, and the names, which then refuse, go last. They come the other way round. */
static const char *const programs[] = {"pp_gate",     "pp_sockops",  "pp_getsockopt", "pp_getsock4",
				       "pp_getsock6", "pp_getpeer4", "pp_getpeer6"};

/* The types of the programs above. */
static const enum bpf_attach_type types[ARRAY_SIZE(programs)] = {
	BPF_CGROUP_INET_INGRESS,      BPF_CGROUP_SOCK_OPS,	    BPF_CGROUP_GETSOCKOPT,
	BPF_CGROUP_INET4_GETSOCKNAME, BPF_CGROUP_INET6_GETSOCKNAME, BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET6_GETPEERNAME,
};

#define LOOKUP 2 /* the number of pp_getsockopt */

const char *cgroup_program(size_t i)
{
	return i < ARRAY_SIZE(programs) ? programs[i] : NULL;
}

/* Which program is the link links/@pin of? Return: its number, or -1. @plain: receives 1 for a name
 * without a cgroup's number. */
static int program_of_pin(const char *pin, int *plain)
{
	char name[NAME_MAX + 1], *number;
	int i;

	*plain = 1;
	snprintf(name, sizeof(name), "%s", pin);
	i = NAME_FIND(name, programs);
	number = strrchr(name, '_');
	if (i >= 0 || !number || !number[1] || number[1 + strspn(number + 1, "0123456789")])
		return i;
	*number = 0;
	*plain = 0;
	return NAME_FIND(name, programs);
}

/* Return: 0, or -1. */
static int add_link(const char *pin, const char *path, void *context)
{
	struct cgroup_links *links = context;
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct cgroup_link link = {}, *grown;
	char cgroup[PATH_MAX];
	int fd;

	link.program = program_of_pin(pin, &link.plain);
	if (link.program < 0)
		return 0;
	fd = pin_open("links", pin);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
		if (fd >= 0)
			close(fd);
		return error("%s: %s", path, strerror(errno));
	}
	close(fd);
	snprintf(link.pin, sizeof(link.pin), "%s", pin);
	link.cgroup = info.cgroup.cgroup_id;
	/* the kernel detaches a link some time after its cgroup is removed */
	if (link.cgroup && cgroup_path_of_id(link.cgroup, cgroup) && errno == ESTALE)
		link.cgroup = CGROUP_GONE;
	link.program_id = info.prog_id;
	grown = array_grow(links->link, links->count, 1, sizeof(*grown));
	if (!grown)
		return error("%s", strerror(ENOMEM));
	links->link = grown;
	grown[links->count++] = link;
	return 0;
}

int cgroup_links_read(struct cgroup_links *links)
{
	memset(links, 0, sizeof(*links));
	return pin_each("links", add_link, links);
}

void cgroup_links_free(struct cgroup_links *links)
{
	free(links->link);
	memset(links, 0, sizeof(*links));
}

static const struct cgroup_link *find_link(const struct cgroup_links *links, int program,
					   uint64_t cgroup)
{
	size_t i;

	for (i = 0; i < links->count; i++) {
		if (links->link[i].program == program && links->link[i].cgroup == cgroup)
			return &links->link[i];
	}
	return NULL;
}

/* Of the set at options.pin. */
static int lookup_is_needed(void)
{
	int ports = pin_open("maps", MAP_PORTS), needed = ports < 0 || ports_have_lookup(ports);

	if (ports >= 0)
		close(ports);
	return needed;
}

int cgroup_links_whole(const struct cgroup_links *links, uint64_t cgroup)
{
	int lookup = lookup_is_needed();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		if (!find_link(links, i, cgroup) && (i != LOOKUP || lookup))
			return 0;
	}
	return 1;
}

int cgroup_links_any(const struct cgroup_links *links, uint64_t cgroup)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		if (find_link(links, i, cgroup))
			return 1;
	}
	return 0;
}

/* Is the name without a number this cgroup's, or nobody's? */
static int takes_plain(const struct cgroup_links *links, uint64_t cgroup)
{
	int others = 0;
	size_t i;

	for (i = 0; i < links->count; i++) {
		if (!links->link[i].plain || !links->link[i].cgroup)
			continue;
		if (links->link[i].cgroup == cgroup)
			return 1;
		others = 1;
	}
	return !others;
}

static void link_name(char name[64], int program, uint64_t cgroup, int plain)
{
	if (plain)
		snprintf(name, 64, "%s", programs[program]);
	else
		snprintf(name, 64, "%s_%llu", programs[program], (unsigned long long)cgroup);
}

static int rename_link(const char *from, const char *to)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];

	pin_path(from_path, "links", from);
	pin_path(to_path, "links", to);
	return rename(from_path, to_path) ? error("%s: %s", to_path, strerror(errno)) : 0;
}

static int attach_one(int number, const char *cgroup, const char *pin)
{
	int program = pin_open("progs", programs[number]), result;

	if (program < 0)
		return error("%s/progs/%s: %s: 'ppctl upgrade' puts it there", options.pin,
			     programs[number], strerror(errno));
	result = cgroup_attach(program, types[number], programs[number], cgroup, pin);
	close(program);
	return result;
}

/* @lookup: also pp_getsockopt. */
static int attach_programs(const char *cgroup, int lookup)
{
	uint64_t id = cgroup_id_of_path(cgroup);
	int i, plain, result = 0;
	const struct cgroup_link *link;
	struct cgroup_links links;
	char name[64];

	if (!id)
		return error("%s: %s", cgroup, strerror(errno));
	if (cgroup_links_read(&links)) {
		cgroup_links_free(&links);
		return -1;
	}
	plain = takes_plain(&links, id);
	for (i = ARRAY_SIZE(programs) - 1; i >= 0 && !result; i--) {
		link_name(name, i, id, plain);
		link = find_link(&links, i, id);
		if (!link && (i != LOOKUP || lookup))
			result = attach_one(i, cgroup, name);
		else if (link && strcmp(link->pin, name))
			result = rename_link(link->pin, name);
	}
	cgroup_links_free(&links);
	return result;
}

int cgroup_programs_attach(const char *cgroup)
{
	return attach_programs(cgroup, lookup_is_needed());
}

int cgroup_lookup_attach(void)
{
	struct cgroup_links links;
	int result = cgroup_links_read(&links);
	char cgroup[PATH_MAX];
	size_t i;

	for (i = 0; !result && i < links.count; i++) {
		if (links.link[i].program == 0 && links.link[i].cgroup &&
		    !find_link(&links, LOOKUP, links.link[i].cgroup) &&
		    !cgroup_path_of_id(links.link[i].cgroup, cgroup))
			result = attach_programs(cgroup, 1);
	}
	cgroup_links_free(&links);
	return result;
}

int cgroup_lookup_detach_unneeded(int ports)
{
	struct cgroup_links links;
	char path[PATH_MAX];
	int result;
	size_t i;

	if (ports_have_lookup(ports))
		return 0;
	result = cgroup_links_read(&links);
	for (i = 0; !result && i < links.count; i++) {
		if (links.link[i].program != LOOKUP)
			continue;
		pin_path(path, "links", links.link[i].pin);
		result = pin_remove_link(path);
	}
	cgroup_links_free(&links);
	return result;
}

/* One of those that are left gets the names without a number. */
static int pass_plain_on(void)
{
	struct cgroup_links links;
	uint64_t heir = 0;
	int result = cgroup_links_read(&links);
	char name[64];
	size_t i;

	for (i = 0; !result && i < links.count; i++) {
		if (links.link[i].plain && links.link[i].cgroup) {
			heir = 0;
			break;
		}
		if (links.link[i].cgroup)
			heir = links.link[i].cgroup;
	}
	for (i = 0; !result && heir && i < links.count; i++) {
		if (links.link[i].cgroup != heir)
			continue;
		link_name(name, links.link[i].program, heir, 1);
		result = rename_link(links.link[i].pin, name);
	}
	cgroup_links_free(&links);
	return result;
}

int cgroup_programs_detach(uint64_t cgroup)
{
	struct cgroup_links links;
	char path[PATH_MAX];
	int result = 0;
	size_t i, k;

	if (cgroup_links_read(&links)) {
		cgroup_links_free(&links);
		return -1;
	}
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		for (k = 0; k < links.count && !result; k++) {
			if (links.link[k].program != (int)i ||
			    (cgroup != CGROUP_ALL && links.link[k].cgroup != cgroup))
				continue;
			pin_path(path, "links", links.link[k].pin);
			result = pin_remove_link(path);
		}
	}
	cgroup_links_free(&links);
	return result || cgroup == CGROUP_ALL ? result : pass_plain_on();
}

/* What cgroup_other_set() looks for. */
struct look {
	__u32 own_ports, found;
	uint32_t flags;
	int unknown; /* 1: there is a program that may be a gate, for all that can be seen */
	char *where; /* receives a cgroup that the gate found works for */
};

static int is_own_gate(__u32 id)
{
	struct cgroup_links links;
	int found = 0;
	size_t i;

	if (!cgroup_links_read(&links)) {
		for (i = 0; i < links.count; i++)
			found |= links.link[i].program_id == id;
	}
	cgroup_links_free(&links);
	return found;
}

/* Is the program the gate of another set than this one? */
static int is_foreign_gate(struct look *look, __u32 id)
{
	__u32 maps[MAPS_MAX], len = sizeof(struct bpf_prog_info), i;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)maps};
	int fd = bpf_prog_get_fd_by_id(id), own = 0;

	if (fd < 0) {
		look->unknown |= errno == EPERM && !is_own_gate(id);
		return 0;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.name[0] = 0;
	close(fd);
	for (i = 0; look->own_ports && i < info.nr_map_ids && i < MAPS_MAX; i++)
		own |= maps[i] == look->own_ports;
	return !own && !strcmp(info.name, programs[0]);
}

static int look_at_cgroup(const char *path, void *context)
{
	__u32 ids[MAX_PROGRAMS], count = MAX_PROGRAMS, i;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;
	struct look *look = context;

	if (fd < 0)
		return 0;
	failed = bpf_prog_query(fd, types[0], look->flags, NULL, ids, &count);
	close(fd);
	for (i = 0; !failed && i < count; i++) {
		if (is_foreign_gate(look, ids[i])) {
			look->found = ids[i];
			snprintf(look->where, PATH_MAX, "%s", path);
			return 1;
		}
	}
	return 0;
}

uint32_t cgroup_gate_of_other(const char *cgroup)
{
	char where[PATH_MAX];
	struct look look = {
		.own_ports = pin_map_id(MAP_PORTS), .flags = BPF_F_QUERY_EFFECTIVE, .where = where};

	look_at_cgroup(cgroup, &look);
	return look.found;
}

uint32_t cgroup_other_set(const char *cgroup, char where[PATH_MAX])
{
	struct look look = {.own_ports = pin_map_id(MAP_PORTS), .where = where};
	char path[PATH_MAX];

	where[0] = 0;
	snprintf(path, sizeof(path), "%s", cgroup);
	look.flags = BPF_F_QUERY_EFFECTIVE; /* those of the cgroups above, too */
	if (!look_at_cgroup(path, &look)) {
		look.flags = 0;
		cgroup_walk(path, look_at_cgroup, &look);
	}
	if (!look.found && look.unknown)
		warn("%s: other programs are attached there, above or below; without "
		     "CAP_SYS_ADMIN it cannot be seen whether they are another set's",
		     cgroup);
	return look.found;
}
