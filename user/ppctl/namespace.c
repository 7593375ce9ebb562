// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network namespaces: their cookies, and the way into one of which only the cookie is known.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/array.h"
#include "ppctl.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

#define NAMED "/run/netns" /* where ip-netns(8) keeps them */

/* Return: 0, or -1 with errno set. */
static int read_cookie(uint64_t *cookie)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;
	socklen_t len = sizeof(*cookie);

	if (fd < 0)
		return -1;
	result = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len);
	close(fd);
	return result;
}

int netns_cookie(uint64_t *cookie)
{
	if (read_cookie(cookie))
		return error("the cookie of this network namespace: %s", strerror(errno));
	return 0;
}

/* Namespaces that have been tried. */
struct tried {
	ino_t *inode;
	size_t count;
	int unseen; /* 1: one could not be entered, and may be the one */
};

/* Is the namespace of @fd new in @tried? */
static int try_once(struct tried *tried, int fd)
{
	struct stat st;
	ino_t *grown;
	size_t i;

	if (fstat(fd, &st))
		return 0;
	for (i = 0; i < tried->count; i++) {
		if (tried->inode[i] == st.st_ino)
			return 0;
	}
	grown = array_grow(tried->inode, tried->count, 1, sizeof(*grown));
	if (!grown)
		return 0;
	tried->inode = grown;
	grown[tried->count++] = st.st_ino;
	return 1;
}

/* Enters @path's namespace. Return: 1 when it is the one with @cookie. */
static int enter(const char *path, uint64_t cookie, struct tried *tried)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), found = 0;
	uint64_t here;

	if (fd < 0) {
		tried->unseen |= errno != ENOENT && errno != ESRCH; /* else it has just ended */
		return 0;
	}
	if (try_once(tried, fd)) {
		if (setns(fd, CLONE_NEWNET))
			tried->unseen |= errno != EINVAL; /* else it is no namespace */
		else if (read_cookie(&here))
			tried->unseen = 1;
		else
			found = here == cookie;
	}
	close(fd);
	return found;
}

static int enter_one_of(const char *folder, const char *format, uint64_t cookie,
			struct tried *tried)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int found = 0;

	tried->unseen |= !dir && errno != ENOENT;
	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (format[0] && !isdigit((unsigned char)entry->d_name[0])))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", folder, entry->d_name, format);
		found = enter(path, cookie, tried);
	}
	if (dir)
		closedir(dir);
	return found;
}

int netns_run(uint64_t cookie, int (*act)(uint64_t cookie))
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), result = -1;
	struct tried tried = {};
	int not_there = 0;
	uint64_t here;

	if (home < 0)
		return error("/proc/self/ns/net: %s", strerror(errno));
	if ((!read_cookie(&here) && here == cookie) || enter_one_of(NAMED, "", cookie, &tried) ||
	    enter_one_of("/proc", "/ns/net", cookie, &tried))
		result = act(cookie);
	else
		not_there = tried.unseen ? EPERM : ESRCH;
	free(tried.inode);
	if (setns(home, CLONE_NEWNET))
		result = error("back to the own network namespace: %s", strerror(errno));
	else
		errno = not_there;
	close(home);
	return result;
}

/* What netns_each_of_cgroup() is about. */
struct walk {
	struct tried tried;
	void (*act)(uint64_t cookie, void *context);
	void *context;
	int home;
	ino_t home_inode;
	int here;   /* 1: one is in the own namespace */
	int unseen; /* 1: one could not be entered */
};

static int is_home(struct walk *walk, int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_ino == walk->home_inode;
}

static void visit(struct walk *walk, const char *pid)
{
	char path[PATH_MAX];
	uint64_t cookie;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		walk->unseen |= errno != ENOENT && errno != ESRCH;
		return;
	}
	if (is_home(walk, fd)) {
		walk->here = 1;
	} else if (try_once(&walk->tried, fd)) {
		if (setns(fd, CLONE_NEWNET) || read_cookie(&cookie))
			walk->unseen = 1;
		else
			walk->act(cookie, walk->context);
	}
	close(fd);
}

static int visit_processes(const char *cgroup, void *context)
{
	char path[PATH_MAX + 16], pid[32];
	FILE *processes;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	processes = fopen(path, "re");
	while (processes && fscanf(processes, "%31s", pid) == 1)
		visit(context, pid);
	if (processes)
		fclose(processes);
	return 0;
}

int netns_each_of_cgroup(const char *cgroup, void (*act)(uint64_t cookie, void *context),
			 void *context, int *here)
{
	struct walk walk = {.act = act,
			    .context = context,
			    .home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
	char path[PATH_MAX];
	struct stat st;
	int result;

	if (walk.home < 0)
		return -1;
	if (!fstat(walk.home, &st))
		walk.home_inode = st.st_ino;
	snprintf(path, sizeof(path), "%s", cgroup);
	cgroup_walk(path, visit_processes, &walk);
	free(walk.tried.inode);
	*here |= walk.here;
	result = walk.unseen ? -1 : 0;
	if (walk.tried.count && setns(walk.home, CLONE_NEWNET))
		result = error("back to the own network namespace: %s", strerror(errno));
	close(walk.home);
	return result;
}
