// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages in a Maildir: written in tmp, synced, renamed into new, and that synced.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../common/array.h"
#include "../../common/file.h"
#include "delivery.h"

int maildir_make(const char *path)
{
	static const char *const folders[] = {"", "/tmp", "/new", "/cur"};
	char folder[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(folder, sizeof(folder), "%s%s", path, folders[i]);
		if (mkdir(folder, 0700) && errno != EEXIST)
			return errno;
	}
	return 0;
}

static int write_part(void *context, const char *bytes, size_t len)
{
	return file_write(*(const int *)context, bytes, len);
}

static int write_file(const char *path, const char *head, struct message *message)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), failed;

	if (fd < 0)
		return errno;
	failed = file_write(fd, head, strlen(head));
	if (!failed)
		failed = message_read(message, write_part, &fd);
	if (!failed && fsync(fd))
		failed = errno;
	if (close(fd) && !failed)
		failed = errno;
	if (failed)
		unlink(path);
	return failed;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

	if (fd < 0)
		return errno;
	failed = fsync(fd) ? errno : 0;
	close(fd);
	return failed;
}

int maildir_deliver(const char *path, const char *name, const char *head, struct message *message)
{
	char tmp[PATH_MAX], final[PATH_MAX], folder[PATH_MAX];
	int failed;

	snprintf(tmp, sizeof(tmp), "%s/tmp/%s", path, name);
	snprintf(final, sizeof(final), "%s/new/%s", path, name);
	snprintf(folder, sizeof(folder), "%s/new", path);
	failed = write_file(tmp, head, message);
	if (failed)
		return failed;
	if (rename(tmp, final)) {
		failed = errno;
		unlink(tmp);
		return failed;
	}
	failed = sync_folder(folder);
	if (failed) /* the client will send it again: one copy is enough */
		unlink(final);
	return failed;
}
