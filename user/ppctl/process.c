// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which process has a socket. Best effort: processes come and go meanwhile, and several may have
 * the same one.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "process.h"

static int by_inode(const void *left, const void *right)
{
	const struct owner *const *one = left, *const *other = right;

	return (*one)->inode < (*other)->inode ? -1 : (*one)->inode > (*other)->inode;
}

void process_name(const char *pid, char name[17])
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(name, 17, file))
		name[0] = 0;
	name[strcspn(name, "\n")] = 0;
	if (file)
		fclose(file);
}

/* @sorted: by inode */
static void note(struct owner **sorted, size_t count, const char *pid, uint64_t inode)
{
	struct owner key = {.inode = inode}, *wanted = &key, **found;

	found = bsearch(&wanted, sorted, count, sizeof(*sorted), by_inode);
	if (!found || (*found)->pid)
		return;
	(*found)->pid = atoi(pid);
	process_name(pid, (*found)->name);
}

static void look_at(struct owner **sorted, size_t count, const char *pid)
{
	unsigned long long inode;
	char folder[64], target[64];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%.20s/fd", pid);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = 0;
		if (sscanf(target, "socket:[%llu]", &inode) == 1)
			note(sorted, count, pid, inode);
	}
	if (dir)
		closedir(dir);
}

void owners_find(struct owner *owners, size_t count)
{
	struct owner **sorted = calloc(count + 1, sizeof(*sorted));
	struct dirent *entry;
	size_t i, known = 0;
	DIR *dir;

	for (i = 0; sorted && i < count; i++) {
		if (owners[i].inode)
			sorted[known++] = &owners[i];
	}
	if (known)
		qsort(sorted, known, sizeof(*sorted), by_inode);
	dir = known ? opendir("/proc") : NULL;
	while (dir && (entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(sorted, known, entry->d_name);
	}
	if (dir)
		closedir(dir);
	free(sorted);
}

pid_t lock_holder(int fd)
{
	unsigned int major_number, minor_number;
	unsigned long long inode;
	char line[256];
	struct stat st;
	pid_t pid = 0;
	FILE *locks;
	int holder;

	if (fstat(fd, &st))
		return 0;
	locks = fopen("/proc/locks", "re");
	/* "1: FLOCK  ADVISORY  WRITE 4711 00:1f:9 0 EOF"; those that wait have "->" after the
	 * number */
	while (locks && !pid && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*u: FLOCK ADVISORY %*s %d %x:%x:%llu", &holder, &major_number,
			   &minor_number, &inode) == 4 &&
		    makedev(major_number, minor_number) == st.st_dev && inode == st.st_ino)
			pid = holder;
	}
	if (locks)
		fclose(locks);
	return pid > 0 ? pid : 0;
}
