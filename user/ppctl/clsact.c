// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_in and pp_out by filters on the clsact qdisc, where the kernel has no tcx. A filter has no
 * pin: it is known by its handle, and by a map that its program reads. A pin
 * links/pp_clsact_COOKIE_INDEX, of any program, says that ppctl has made this interface's qdisc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "netlink.h"
#include "ppctl.h"

/* Fixed, so that filters are found again. Each set has a handle of its own. */
#define PRIORITY 0x5050
#define HANDLE	 0x5050
#define HANDLES	 64 /* as many as tcx admits programs */

#define PIN	 "pp_clsact_"
#define MAPS_MAX 64 /* of one program, the kernel's limit */

static const enum bpf_tc_attach_point points[WAYS] = {
	[OUT] = BPF_TC_EGRESS,
	[IN] = BPF_TC_INGRESS,
};

static void clsact_path(char path[PATH_MAX], uint64_t cookie, unsigned int index)
{
	char name[64];

	snprintf(name, sizeof(name), PIN "%llu_%u", (unsigned long long)cookie, index);
	pin_path(path, "links", name);
}

int clsact_parse(const char *pin, uint64_t *cookie, unsigned int *index)
{
	unsigned long long number;
	unsigned int on;

	if (sscanf(pin, PIN "%llu_%u", &number, &on) != 2)
		return -1;
	*cookie = number;
	if (index)
		*index = on;
	return 0;
}

/* Is the program of this set? All of them read pp_served; in sets of before that, pp_ports. */
static int is_own(__u32 program)
{
	__u32 served = pin_map_id(MAP_SERVED), maps[MAPS_MAX], len, i;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)maps};
	__u32 known = served ? served : pin_map_id(MAP_PORTS);
	int fd = known ? bpf_prog_get_fd_by_id(program) : -1, own = 0;

	if (fd < 0)
		return 0;
	len = sizeof(info);
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		for (i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++)
			own |= maps[i] == known;
	}
	close(fd);
	return own;
}

/* Our filter; handle 0: there is none. */
static struct clsact_program find_filter(int way, unsigned int index)
{
	struct clsact_program list[HANDLES];
	int count = clsact_programs(index, points[way] == BPF_TC_EGRESS, PRIORITY, HANDLE, list,
				    HANDLES);
	int i;

	for (i = 0; i < count; i++) {
		if (is_own(list[i].id))
			return list[i];
	}
	return (struct clsact_program){};
}

int clsact_is_attached(int way, unsigned int index)
{
	return find_filter(way, index).handle != 0;
}

/* Makes a clsact qdisc where there is none, and remembers that. Return: 0, or a negative errno. */
static int make_qdisc(uint64_t cookie, unsigned int index, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int result = bpf_tc_hook_create(&hook);
	char path[PATH_MAX];

	clsact_path(path, cookie, index);
	if (result == -EEXIST) {
		/* ours would have a filter: somebody has replaced it */
		if (!clsact_is_attached(OUT, index) && !clsact_is_attached(IN, index))
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

int clsact_attach(int way, uint64_t cookie, unsigned int index, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = points[way]);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .priority = PRIORITY);
	int result = make_qdisc(cookie, index, program);
	__u32 i;

	if (result)
		return result;
	result = -EEXIST;
	/* a handle that is taken is another set's, or another tool's */
	for (i = 0; i < HANDLES && result == -EEXIST; i++) {
		opts.handle = HANDLE + i;
		result = bpf_tc_attach(&hook, &opts);
	}
	return result;
}

int clsact_detach(uint64_t cookie, unsigned int index)
{
	char path[PATH_MAX];
	__u32 handle;
	int way;

	for (way = WAYS - 1; way >= 0; way--) {
		handle = find_filter(way, index).handle;
		if (handle) {
			DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
					    .attach_point = points[way]);
			DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle,
					    .priority = PRIORITY);

			bpf_tc_detach(&hook, &opts);
		}
	}
	clsact_path(path, cookie, index);
	if (path_exists(path) && !clsact_has_filters(index)) {
		DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
				    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

		bpf_tc_hook_destroy(&hook);
	}
	return pin_remove(path);
}

int clsact_detach_all(uint64_t cookie)
{
	struct interfaces list;
	int result = 0;
	size_t i;

	if (interfaces_list(&list))
		return -1;
	for (i = 0; i < list.count && !result; i++)
		result = clsact_detach(cookie, list.entry[i].index);
	free(list.entry);
	return result;
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
	struct clsact_program found;
	struct interfaces list;
	size_t i;

	if (interfaces_list(&list))
		return -1;
	for (i = 0; i < list.count; i++) {
		filter.index = list.entry[i].index;
		for (filter.way = 0; filter.way < WAYS; filter.way++) {
			found = find_filter(filter.way, filter.index);
			if (!found.handle)
				continue;
			filter.handle = found.handle;
			filter.program = found.id;
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
			    .attach_point = points[filter->way]);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = visit.program, .handle = filter->handle,
			    .priority = PRIORITY, .flags = BPF_TC_F_REPLACE);

	(void)cookie;
	return bpf_tc_attach(&hook, &opts);
}

int filter_replace(const struct filter *filter, int program)
{
	visit.filter = filter;
	visit.program = program;
	return netns_run(filter->cookie, replace_filter);
}
