// SPDX-License-Identifier: BSD-2-Clause
/*
 * The file of a configuration: what it has to be, and who may have changed it. Whoever can write to
 * it, or put another one in its place, says who is believed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../common/file.h"
#include "ppctl.h"

#define CONFIG_LEN_MAX (1 << 20)

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	}
	return "no regular file";
}

/* An empty configuration, which says that nothing is to be served. */
static int is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Who, but root and the user that ppctl runs as, may write there? Return: words, or NULL. */
static const char *stranger(const struct stat *st)
{
	if (st->st_uid && st->st_uid != geteuid())
		return "it belongs to another user than root";
	if (st->st_mode & S_IWOTH)
		return "everybody may write to it";
	if (st->st_mode & S_IWGRP && st->st_gid)
		return "a group that is not root's may write to it";
	return NULL;
}

/* In a folder with the sticky bit, as /tmp has it, others cannot replace what is not theirs; nor on
 * a file system that is read-only, as Kubernetes mounts a ConfigMap. */
static int can_be_replaced_in(const char *folder, const struct stat *st)
{
	struct statvfs fs;

	return !(st->st_mode & S_ISVTX && (!st->st_uid || st->st_uid == geteuid())) &&
	       !(!statvfs(folder, &fs) && fs.f_flag & ST_RDONLY);
}

/* @path: of the file itself, without a symbolic link. */
static void check_folders(const char *path, int warning, struct problems *problems)
{
	char folder[PATH_MAX], *slash;
	const char *who;
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	while ((slash = strrchr(folder, '/'))) {
		slash[slash == folder] = 0;
		who = stat(folder, &st) ? strerror(errno) : stranger(&st);
		if (who && can_be_replaced_in(folder, &st))
			problem_add(problems, 0, warning,
				    "who can write to the folder %s can put another file there, "
				    "and %s: make it root's, chmod go-w",
				    folder, who);
		if (slash == folder)
			return;
	}
}

/* sudo has the same rules for sudoers(5), and sshd for the folders. */
static void check_trust(const char *file, const struct stat *st, int warning,
			struct problems *problems)
{
	const char *who = stranger(st);
	char path[PATH_MAX];

	if (who)
		problem_add(problems, 0, warning,
			    "%s: chown root, chmod go-w; 'ppctl apply' does not take it", who);
	else if (!realpath(file, path))
		problem_add(problems, 0, warning, "%s", strerror(errno));
	else
		check_folders(path, warning, problems);
}

static char *read_file(int fd, const char *file, const struct stat *st, size_t *len)
{
	char *text;

	if (!S_ISREG(st->st_mode) && !is_null_device(st)) {
		error("%s is %s: a configuration is a regular file", file, kind_of(st->st_mode));
		return NULL;
	}
	text = file_read(fd, CONFIG_LEN_MAX, len);
	if (!text && errno == EFBIG)
		error("%s: more than %d bytes: is this a configuration?", file, CONFIG_LEN_MAX);
	else if (!text)
		error("%s: %s", file, strerror(errno));
	return text;
}

char *config_file_read(const char *file, size_t *len, int warning, struct problems *problems)
{
	/* a pipe without a writer would keep open() waiting */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		error("%s: %s", file, strerror(errno));
	else
		text = read_file(fd, file, &st, len);
	if (text && S_ISREG(st.st_mode))
		check_trust(file, &st, warning, problems);
	if (fd >= 0)
		close(fd);
	return text;
}
