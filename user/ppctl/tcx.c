// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_in and pp_out by tcx links, on Linux 6.6 and later. A link is pinned as
 * links/pp_tcx_in_COOKIE_INDEX: its network namespace and its interface.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "hook.h"
#include "ppctl.h"

/* libbpf 1.1 has no names for these; it passes the numbers on. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

#define PROGRAMS_MAX 64 /* of one interface, the kernel's limit */

/* A link whose pin has just been removed goes a little later, and until then its program is there.
 */
#define LINK_TRIES   100
#define LINK_WAIT_US 10000

#define PIN "pp_tcx_"

static const struct {
	const char *name; /* in a pin */
	int type;
} ways[WAYS] = {
	[OUT] = {"out", ATTACH_TCX_EGRESS},
	[IN] = {"in", ATTACH_TCX_INGRESS},
};

int has_tcx(void)
{
	static int known = -1;
	__u32 count = 0;

	if (known < 0)
		known = !bpf_prog_query(LO_INDEX, ATTACH_TCX_INGRESS, 0, NULL, NULL, &count);
	return known;
}

static void tcx_path(char path[PATH_MAX], int way, uint64_t cookie, unsigned int index)
{
	char name[64];

	snprintf(name, sizeof(name), PIN "%s_%llu_%u", ways[way].name, (unsigned long long)cookie,
		 index);
	pin_path(path, "links", name);
}

int tcx_parse(const char *pin, uint64_t *cookie, unsigned int *index)
{
	unsigned long long number;
	unsigned int on;
	char way[4];

	if (sscanf(pin, PIN "%3[a-z]_%llu_%u", way, &number, &on) != 3)
		return -1;
	*cookie = number;
	if (index)
		*index = on;
	return 0;
}

/* What a tcx link says: the first word is its interface's number, 0 when that is gone. */
static int read_link(const char *path, __u32 *program, __u32 *index)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int link = pin_open_path(path), result;

	if (link < 0)
		return -1;
	result = bpf_obj_get_info_by_fd(link, &info, &len);
	close(link);
	*program = info.prog_id;
	*index = *(const __u32 *)&info.tracing;
	return result;
}

/* A link alone says less: its interface may have gone, or have been moved to another namespace,
 * where it may have the same number. */
int tcx_is_attached(int way, uint64_t cookie, unsigned int index)
{
	__u32 ids[PROGRAMS_MAX], count = PROGRAMS_MAX, program, on, i;
	char path[PATH_MAX];

	tcx_path(path, way, cookie, index);
	if (read_link(path, &program, &on) || on != index ||
	    bpf_prog_query(index, ways[way].type, 0, NULL, ids, &count))
		return 0;
	for (i = 0; i < count; i++) {
		if (ids[i] == program)
			return 1;
	}
	return 0;
}

int tcx_is_gone(const char *path)
{
	__u32 program, on;

	return !read_link(path, &program, &on) && !on;
}

int tcx_attach(int way, uint64_t cookie, unsigned int index, int program)
{
	int link = -1, tries, result = 0;
	char path[PATH_MAX];

	tcx_path(path, way, cookie, index);
	if (pin_remove_link(path)) /* one that does not work any more */
		return -errno;
	for (tries = 0; link < 0 && tries < LINK_TRIES; tries++) {
		if (tries)
			usleep(LINK_WAIT_US);
		link = bpf_link_create(program, index, ways[way].type, NULL);
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

int tcx_detach(uint64_t cookie, unsigned int index)
{
	char path[PATH_MAX];
	int way;

	for (way = WAYS - 1; way >= 0; way--) {
		tcx_path(path, way, cookie, index);
		if (pin_remove_link(path))
			return -1;
	}
	return 0;
}
