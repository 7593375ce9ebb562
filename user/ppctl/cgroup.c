// SPDX-License-Identifier: BSD-2-Clause
/*
 * cgroup v2: where it is mounted, paths from names and ids, programs on them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "ppctl.h"

#define ROOT_CGROUP_INODE 1
#define MAX_PROGRAMS	  64	   /* BPF_CGROUP_MAX_PROGS, kernel/bpf/cgroup.c */
#define SYSTEMD_FIREWALL  "sd_fw_" /* src/core/bpf-firewall.c */
#define KERNFS_HANDLE	  0xfe	   /* FILEID_KERNFS, include/linux/exportfs.h */

/* Characters of a mount point that mountinfo(5) has as \\ and three octal digits. */
static void unescape(char *path)
{
	char *to = path;
	unsigned int byte;

	while (*path) {
		if (*path == '\\' && sscanf(path + 1, "%3o", &byte) == 1 && strlen(path) > 3) {
			*to++ = byte;
			path += 4;
		} else {
			*to++ = *path++;
		}
	}
	*to = 0;
}

int cgroup_each_mount(int (*each)(const char *mount, void *context), void *context)
{
	char line[PATH_MAX + 512], mount[PATH_MAX];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	int done = 0;

	while (mounts && !done && fgets(line, sizeof(line), mounts)) {
		/* field 5 is the mount point; the type follows " - " */
		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*s %*s %*s %*s %4095s", mount) != 1)
			continue;
		unescape(mount);
		done = each(mount, context);
	}
	if (mounts)
		fclose(mounts);
	return done;
}

/* Does the mount show all cgroups? */
static int is_whole(const char *mount)
{
	struct stat st;

	return !stat(mount, &st) && st.st_ino == ROOT_CGROUP_INODE;
}

/* The first one, unless there is one that shows all. */
static int take_mount(const char *mount, void *context)
{
	char *path = context;

	if (!path[0] || is_whole(mount))
		snprintf(path, PATH_MAX, "%s", mount);
	return is_whole(path);
}

int cgroup_find_mount(char path[PATH_MAX])
{
	path[0] = 0;
	cgroup_each_mount(take_mount, path);
	return path[0] != 0;
}

/* What cgroup_each_mount() looks for. */
struct wanted_name {
	const char *name;
	char *path; /* receives it */
};

static int has_name(const char *mount, void *context)
{
	char joined[2 * PATH_MAX];
	struct wanted_name *wanted = context;

	snprintf(joined, sizeof(joined), "%s/%s", mount, wanted->name);
	return realpath(joined, wanted->path) != NULL;
}

int cgroup_find(const char *name, char path[PATH_MAX])
{
	struct wanted_name wanted = {.name = name, .path = path};
	char mount[PATH_MAX];
	struct statfs fs;
	struct stat st;
	int found;

	if (!cgroup_find_mount(mount))
		return CGROUP_NOT_MOUNTED;
	if (name[0] == '/')
		found = realpath(name, path) != NULL;
	else
		found = has_name(mount, &wanted) || cgroup_each_mount(has_name, &wanted);
	if (!found || stat(path, &st) || statfs(path, &fs)) {
		found = errno;
		if (name[0] == '/')
			snprintf(path, PATH_MAX, "%s", name);
		else
			snprintf(path, PATH_MAX, "%.*s/%.*s", PATH_MAX / 2, mount, PATH_MAX / 2 - 2,
				 name);
		errno = found;
		return found == ENOENT ? CGROUP_MISSING : CGROUP_UNKNOWN;
	}
	if (!S_ISDIR(st.st_mode) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return CGROUP_NONE;
	return st.st_ino == ROOT_CGROUP_INODE ? CGROUP_ROOT : CGROUP_FOUND;
}

int cgroup_resolve(const char *option, const char *name, char path[PATH_MAX])
{
	switch (cgroup_find(name, path)) {
	case CGROUP_FOUND:
		return 0;
	case CGROUP_NOT_MOUNTED:
		return error("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	case CGROUP_MISSING:
	case CGROUP_UNKNOWN:
		return error("%s %s: %s: %s", option, name, path, strerror(errno));
	case CGROUP_NONE:
		return error("%s %s: not a cgroup v2 directory (see grep cgroup2 /proc/mounts)",
			     option, name);
	case CGROUP_ROOT:
		break;
	}
	if (options.allow_root_cgroup)
		return 0;
	return error("%s %s: that is the root cgroup, every socket of the machine: name "
		     "the %s, or say --allow-root-cgroup",
		     option, name, strcmp(option, "--cgroup") ? "proxy's" : "mail server's");
}

uint64_t cgroup_id_of_path(const char *path)
{
	struct stat st;

	/* the inode of a cgroup's directory is its id */
	return stat(path, &st) ? 0 : st.st_ino;
}

int cgroup_walk(char path[PATH_MAX], int (*each)(const char *path, void *context), void *context)
{
	size_t len = strlen(path);
	int found = each(path, context);
	DIR *dir = found ? NULL : opendir(path);
	struct dirent *entry;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(path + len, PATH_MAX - len, "/%s", entry->d_name) >=
			    (int)(PATH_MAX - len))
			continue;
		found = cgroup_walk(path, each, context);
	}
	if (dir)
		closedir(dir);
	if (!found)
		path[len] = 0;
	return found;
}

/* What cgroup_each_mount() looks for, by its id. */
struct wanted_id {
	uint64_t id;
	char *path; /* receives it */
	int gone;   /* 1: the kernel says so, or all cgroups were looked at */
};

static int is_at(const char *path, void *context)
{
	const struct wanted_id *wanted = context;

	return cgroup_id_of_path(path) == wanted->id;
}

/* All cgroups are looked at: without CAP_DAC_READ_SEARCH, which the handle takes, and before one is
 * taken for gone. A handle is stale also where its directory entry is being made or removed. */
static int search(const char *mount, struct wanted_id *wanted)
{
	snprintf(wanted->path, PATH_MAX, "%s", mount);
	if (cgroup_walk(wanted->path, is_at, wanted))
		return 1;
	wanted->gone |= is_whole(mount);
	return 0;
}

static int has_id(const char *mount, void *context)
{
	struct wanted_id *wanted = context;
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head = {.handle_bytes = sizeof(wanted->id), .handle_type = KERNFS_HANDLE}};
	int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, failed;
	char proc[64];
	ssize_t len;

	memcpy(handle.head.f_handle, &wanted->id, sizeof(wanted->id));
	fd = open_by_handle_at(root, &handle.head, O_PATH | O_CLOEXEC);
	failed = errno;
	if (root >= 0)
		close(root);
	if (fd < 0) {
		if ((failed == EPERM || failed == ESTALE) && search(mount, wanted))
			return 1;
		wanted->gone |= failed == ESTALE;
		return 0;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	len = readlink(proc, wanted->path, PATH_MAX - 1);
	close(fd);
	if (len < 0)
		return 0;
	wanted->path[len] = 0;
	/* a cgroup that is not below this mount has a path that leads nowhere, or elsewhere */
	return is_at(wanted->path, wanted);
}

int cgroup_path_of_id(uint64_t id, char path[PATH_MAX])
{
	struct wanted_id wanted = {.id = id, .path = path};

	if (id && cgroup_each_mount(has_id, &wanted))
		return 0;
	snprintf(path, PATH_MAX, "(cgroup %llu)", (unsigned long long)id);
	errno = !id || wanted.gone ? ESTALE : EXDEV;
	return -1;
}

int cgroup_of_link(const char *name, char cgroup[PATH_MAX])
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];
	int link, failed;

	cgroup[0] = 0;
	pin_path(path, "links", name);
	link = pin_open_path(path);
	if (link < 0)
		return -1;
	failed = bpf_obj_get_info_by_fd(link, &info, &len);
	close(link);
	if (!failed && cgroup_path_of_id(info.cgroup.cgroup_id, cgroup) && errno == ESTALE)
		cgroup[0] = 0;
	return failed ? -1 : 0;
}

/* Programs of @type on @cgroup. @id: the first one. Return: how many, or -1. */
static int programs_on(const char *cgroup, enum bpf_attach_type type, __u32 *flags, __u32 *id)
{
	__u32 ids[MAX_PROGRAMS], count = MAX_PROGRAMS;
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

	if (fd < 0)
		return -1;
	failed = bpf_prog_query(fd, type, 0, flags, ids, &count);
	close(fd);
	if (failed)
		return -1;
	*id = count ? ids[0] : 0;
	return count;
}

/* The program that lets no other of its @type on @cgroup. It is there, or on the nearest ancestor
 * that has one (hierarchy_allows_attach(), kernel/bpf/cgroup.c); one on an ancestor that may be
 * overridden is none. @where: its cgroup. Return: its id, or 0. */
static __u32 exclusive_program(const char *cgroup, enum bpf_attach_type type, char where[PATH_MAX])
{
	__u32 shares = BPF_F_ALLOW_MULTI, flags, id;
	char mount[PATH_MAX], *slash;
	int count;

	if (!cgroup_find_mount(mount))
		return 0;
	snprintf(where, PATH_MAX, "%s", cgroup);
	for (;;) {
		count = programs_on(where, type, &flags, &id);
		if (count)
			return count > 0 && !(flags & shares) ? id : 0;
		shares = BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE;
		slash = strrchr(where, '/');
		if (!slash || !strcmp(where, mount))
			return 0;
		*slash = 0;
	}
}

/* Why the kernel answered EPERM. */
static int attach_refused(enum bpf_attach_type type, const char *name, const char *cgroup)
{
	const char *type_name = libbpf_bpf_attach_type_str(type), *hint = "";
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), id;
	char where[PATH_MAX];
	int fd;

	id = exclusive_program(cgroup, type, where);
	if (!id)
		return error("attaching %s to %s: %s", name, cgroup, strerror(EPERM));
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	if (!strncmp(info.name, SYSTEMD_FIREWALL, strlen(SYSTEMD_FIREWALL)))
		hint = " It is systemd's, for IPAddressAllow=, IPAddressDeny= or IPAccounting=: "
		       "with Delegate=yes in the unit it shares.";
	return error("attaching %s to %s: the program '%s' (id %u, %s) is attached to %s without "
		     "BPF_F_ALLOW_MULTI, so the kernel admits no other of its type there or "
		     "below.%s Have the tool that attached it use that flag (bpftool: multi), or "
		     "detach it: bpftool cgroup detach %s %s id %u",
		     name, cgroup, info.name, id, type_name, where, hint, where, type_name, id);
}

int cgroup_attach(int program, enum bpf_attach_type type, const char *name, const char *cgroup,
		  const char *pin)
{
	int target, link, failed;

	target = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return error("%s: %s", cgroup, strerror(errno));
	link = bpf_link_create(program, target, type, NULL);
	failed = errno;
	close(target);
	if (link < 0 && failed == EPERM)
		return attach_refused(type, name, cgroup);
	if (link < 0)
		return error("attaching %s to %s: %s", name, cgroup, strerror(failed));
	/* in the place of one whose cgroup is gone */
	failed = pin_replace("links", pin, link);
	close(link);
	return failed;
}
