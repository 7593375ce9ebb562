// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pinned maps and links: where they are, and what it means when they are not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/magic.h>

#include "../common/array.h"
#include "interface.h"
#include "port_map.h"
#include "ppctl.h"
#include "process.h"
#include "build.h"

void pin_path(char path[PATH_MAX], const char *kind, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s/%s", options.pin, kind, name);
}

/* What nobody is told must not be taken for "it is not there": what is there would be left, or
 * counted as nothing. */
static void unknown(const char *path) __attribute__((noreturn));

static void unknown(const char *path)
{
	if (errno == EPERM || errno == EACCES)
		give_up("%s: %s: needs root (CAP_BPF, or on older kernels CAP_SYS_ADMIN)", path,
			strerror(errno));
	give_up("%s: %s", path, strerror(errno));
}

int path_exists(const char *path)
{
	if (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
		return 1;
	if (errno != ENOENT)
		unknown(path);
	return 0;
}

int pin_open_path(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd < 0 && errno != ENOENT)
		unknown(path);
	return fd;
}

int pin_open(const char *kind, const char *name)
{
	char path[PATH_MAX];

	pin_path(path, kind, name);
	return pin_open_path(path);
}

int pin_open_map(const char *name)
{
	int fd = pin_open("maps", name);

	if (fd < 0)
		return error("nothing is up at %s: start with 'ppctl up --cgroup PATH', or name "
			     "another directory with --pin",
			     options.pin);
	if (!version_check())
		return fd;
	close(fd);
	return -1;
}

/* What all pins of ours begin with: nothing else below options.pin is ever removed. */
#define OWN_PREFIX "pp_"

static int is_own(const struct dirent *entry)
{
	return !strncmp(entry->d_name, OWN_PREFIX, strlen(OWN_PREFIX));
}

int pin_each(const char *kind, int (*each)(const char *name, const char *path, void *context),
	     void *context)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent **entries;
	int count, i, result = 0;

	pin_path(folder, kind, "");
	count = scandir(folder, &entries, is_own, alphasort);
	if (count < 0 && errno != ENOENT)
		unknown(folder);
	for (i = 0; i < count; i++) {
		pin_path(path, kind, entries[i]->d_name);
		if (!result)
			result = each(entries[i]->d_name, path, context);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return result;
}

int pin_exists(const char *kind, const char *name)
{
	char path[PATH_MAX];

	pin_path(path, kind, name);
	return path_exists(path);
}

/* In the order in which they are removed: a program keeps its maps. */
static const char *const kinds[] = {"links", "progs", "maps"};

int pin_has_any(void)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		pin_path(path, kinds[i], "");
		if (path_exists(path))
			return 1;
	}
	return 0;
}

/* One lock for all sets of a BPF file system: its root, which nobody removes. Sets are compared
 * with one another, and several are changed by one 'ppctl apply'. A lock
 * that another command has for longer than this is told of. */
#define LOCK_PAUSE_US 20000
#define LOCK_TRIES    50

static int lock = -1;

uint32_t pin_map_id(const char *name)
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

int pin_replace(const char *kind, const char *name, int fd)
{
	char path[PATH_MAX], fresh[PATH_MAX];

	pin_path(path, kind, name);
	pin_path(fresh, kind, OWN_PREFIX "fresh");
	unlink(fresh); /* of one that was killed here */
	if (bpf_obj_pin(fd, fresh) || chmod(fresh, 0600) || rename(fresh, path))
		return error("%s: %s", path, strerror(errno));
	return 0;
}

static int is_on_bpffs(const char *path)
{
	struct statfs fs;

	if (!statfs(path, &fs))
		return fs.f_type == BPF_FS_MAGIC;
	if (errno != ENOENT)
		unknown(path);
	return 0;
}

int pin_root(char path[PATH_MAX])
{
	char above[PATH_MAX], *slash;

	snprintf(path, PATH_MAX, "%s", options.pin);
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return -1;
	*slash = 0;
	for (;;) {
		snprintf(above, sizeof(above), "%s", path);
		slash = strrchr(above, '/');
		if (!slash || slash == above)
			break;
		*slash = 0;
		if (is_on_bpffs(path) && !is_on_bpffs(above))
			break;
		memcpy(path, above, sizeof(above));
	}
	return is_on_bpffs(path) ? 0 : -1;
}

int pin_write(const char *name, const void *value, size_t size)
{
	int map = pin_open("maps", name), result = 0;
	__u32 zero = 0;

	if (map < 0) {
		map = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(zero), size, 1, NULL);
		if (map < 0)
			return error("%s: %s", name, strerror(errno));
		result = pin_replace("maps", name, map);
	}
	if (!result && bpf_map_update_elem(map, &zero, value, BPF_ANY))
		result = error("%s: %s", name, strerror(errno));
	close(map);
	return result;
}

/* Whom does this wait for? It can be interrupted: nothing is changed yet. */
static void say_waiting(const char *path)
{
	pid_t pid = lock_holder(lock);
	char name[17], text[64] = "another ppctl", number[16];

	if (pid) {
		snprintf(number, sizeof(number), "%d", (int)pid);
		process_name(number, name);
		snprintf(text, sizeof(text), "process %s (%s)", number, name);
	}
	print_line(stderr, "ppctl: ", "waiting for %s, which has the lock of %s", text, path);
}

/* Return: 0, or -1 with errno. */
static int wait_for_lock(const char *path)
{
	int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (!flock(lock, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		usleep(LOCK_PAUSE_US);
	}
	say_waiting(path);
	return flock(lock, LOCK_EX);
}

int pin_lock(void)
{
	char path[PATH_MAX];

	if (lock >= 0 || pin_root(path))
		return 0; /* what is wrong is said later */
	lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return error("%s: %s", path, strerror(errno));
	/* held until this process ends */
	if (wait_for_lock(path))
		return error("%s: %s", path, strerror(errno));
	return 0;
}

void pin_unlock(void)
{
	if (lock >= 0)
		close(lock);
	lock = -1;
}

/* Is @path a directory that only root can have put something into? One that is not there is right.
 */
static int check_directory(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : error("%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error("%s is not a directory (a symbolic link is not taken for one)", path);
	if (st.st_uid != geteuid() && !st.st_uid)
		return error("%s is root's: needs root", path);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return error("%s belongs to somebody else, or others may write there: name another "
			     "directory with --pin",
			     path);
	if (!options.dry_run && access(path, W_OK)) /* on a file system that is read-only */
		return error("%s: %s: nothing can be changed there", path, strerror(errno));
	return 0;
}

static int check_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int result = 0;

	if (!dir && errno != ENOENT)
		return error("%s: %s", folder, strerror(errno));
	while (dir && !result && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && !is_own(entry))
			result = error(
				"%s/%s is not a pin of ppsplit: name another directory with --pin",
				folder, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return result;
}

int pin_check(void)
{
	char path[PATH_MAX];
	size_t i;

	if ((options.sets && check_directory(options.sets)) || check_directory(options.pin))
		return -1;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "%s/%s", options.pin, kinds[i]);
		if (check_directory(path) || check_entries(path))
			return -1;
	}
	return 0;
}

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

	if ((options.sets && make_directory(options.sets)) || make_directory(options.pin))
		return -1;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		pin_path(path, kinds[i], "");
		if (make_directory(path))
			return -1;
	}
	return 0;
}

int pin_remove(const char *path)
{
	if (unlink(path) && errno != ENOENT)
		return error("%s cannot be removed: %s", path, strerror(errno));
	return 0;
}

int pin_remove_link(const char *path)
{
	int link = pin_open_path(path);

	if (link >= 0) {
		bpf_link_detach(link);
		close(link);
	}
	return pin_remove(path);
}

/* One that is not empty stays, if @may_be_used: there are other sets in it, or it is a mount point.
 */
static int remove_directory(const char *path, int may_be_used)
{
	if (!rmdir(path) || errno == ENOENT ||
	    (may_be_used && (errno == ENOTEMPTY || errno == EBUSY)))
		return 0;
	return error("%s cannot be removed: %s", path, strerror(errno));
}

/* A tc program may remain in a network namespace that is not found. It has nothing to do then.
 */
static void serve_no_port(void)
{
	int map = version_is_readable() ? pin_open("maps", MAP_PORTS) : -1;

	if (map < 0)
		return;
	ports_remove(map);
	close(map);
}

static int remove_pin(const char *name, const char *path, void *kind)
{
	(void)name;
	return strcmp(kind, "links") ? pin_remove(path) : pin_remove_link(path);
}

static int remove_kind(const char *kind)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/%s", options.pin, kind);
	return pin_each(kind, remove_pin, (void *)kind) || remove_directory(folder, 0) ? -1 : 0;
}

/* The mark first: whoever is killed here leaves a rest, and not a set with empty lists. */
static int remove_mark(void)
{
	int map = version_is_readable() ? pin_open("maps", MAP_CONFIG) : -1, result = 0;
	char path[PATH_MAX];

	if (map >= 0) {
		result = config_change(map, PP_CONFIG_CHANGING, 1);
		close(map);
	}
	pin_path(path, "maps", MAP_BUILD);
	return result || pin_remove(path) ? -1 : 0;
}

int pin_remove_all(void)
{
	size_t i;

	/* without the gate, which is the guard too, segments that pp_in does not translate get into
	 * a stream */
	if (remove_mark() || interfaces_detach() || cgroup_programs_detach(CGROUP_ALL))
		return -1;
	serve_no_port();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (remove_kind(kinds[i]))
			return -1;
	}
	if (remove_directory(options.pin, 1))
		return -1;
	/* where this was the last one in it */
	return options.sets ? remove_directory(options.sets, 1) : 0;
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

int config_change(int map, __u32 flag, int on)
{
	struct pp_config config = {};
	__u32 zero = 0;

	bpf_map_lookup_elem(map, &zero, &config);
	config.flags = on ? config.flags | flag : config.flags & ~flag;
	if (bpf_map_update_elem(map, &zero, &config, BPF_ANY))
		return error("%s: %s", MAP_CONFIG, strerror(errno));
	return 0;
}
