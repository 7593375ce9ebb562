// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pinned maps and links: where they are, and what it means when they are not.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"

void pin_path(char path[PATH_MAX], const char *kind, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s/%s", options.pin, kind, name);
}

int pin_open_map(const char *name)
{
	char path[PATH_MAX];
	int fd;

	pin_path(path, "maps", name);
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	if (errno == EPERM || errno == EACCES)
		return error("%s: needs root (CAP_BPF, or on older kernels CAP_SYS_ADMIN)", path);
	if (errno == ENOENT)
		return error("nothing is up at %s: start with 'ppctl up --cgroup PATH', or name "
			     "another directory with --pin",
			     options.pin);
	return error("%s: %s", path, strerror(errno));
}

int pin_is_up(void)
{
	char path[PATH_MAX];

	pin_path(path, "links", "pp_gate");
	return access(path, F_OK) == 0;
}

static const char *const kinds[] = {"maps", "links", "progs"};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return error("%s: %s", path, strerror(errno));
	return 0;
}

int pin_make_directories(void)
{
	char path[PATH_MAX];
	size_t i;

	if (make_directory(options.pin))
		return -1;
	for (i = 0; i < KINDS; i++) {
		pin_path(path, kinds[i], "");
		if (make_directory(path))
			return -1;
	}
	return 0;
}

void pin_remove_link(const char *path)
{
	int link = bpf_obj_get(path);

	if (link >= 0) {
		bpf_link_detach(link);
		close(link);
	}
	unlink(path);
}

void pin_remove_all(void)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent *entry;
	size_t i;
	DIR *dir;

	for (i = 0; i < KINDS; i++) {
		pin_path(folder, kinds[i], "");
		dir = opendir(folder);
		while (dir && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			pin_path(path, kinds[i], entry->d_name);
			if (!strcmp(kinds[i], "links"))
				pin_remove_link(path);
			else
				unlink(path);
		}
		if (dir)
			closedir(dir);
		rmdir(folder);
	}
	rmdir(options.pin);
}

int map_update_error(const char *map, int fd, const char *what, int error_number)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (error_number != E2BIG && error_number != ENOSPC)
		return error("%s: %s: %s", map, what, strerror(error_number));
	bpf_obj_get_info_by_fd(fd, &info, &len);
	return error("%s is full (%u entries), %s was not added: delete some first", map,
		     info.max_entries, what);
}
