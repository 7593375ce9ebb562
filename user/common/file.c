// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define FIRST_ROOM 8192

int file_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	struct stat stat;

	if (fd < 0 && errno == ENXIO) /* a FIFO without a reader */
		errno = EINVAL;
	if (fd < 0 || (!fstat(fd, &stat) && S_ISREG(stat.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* Return: 0 at the end; or -1 with errno. */
static int read_all(int fd, char **text, size_t max, size_t *len)
{
	size_t room = 0;
	ssize_t got;
	char *more;

	for (;;) {
		if (*len + 1 >= room) {
			room = room ? room * 2 : FIRST_ROOM;
			more = realloc(*text, room);
			if (!more)
				return -1;
			*text = more;
		}
		got = read(fd, *text + *len, room - 1 - *len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		*len += got;
		if (*len > max) {
			errno = EFBIG;
			return -1;
		}
	}
}

char *file_read(int fd, size_t max, size_t *len)
{
	char *text = NULL;
	int failed;

	*len = 0;
	if (!read_all(fd, &text, max, len)) {
		text[*len] = 0;
		return text;
	}
	failed = errno;
	free(text);
	errno = failed;
	return NULL;
}

int file_write(int fd, const char *bytes, size_t len)
{
	ssize_t now;

	while (len) {
		now = write(fd, bytes, len);
		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0)
			return now < 0 ? errno : EIO;
		bytes += now;
		len -= now;
	}
	return 0;
}

/* The line that has the byte at @end. */
static int line_of(const char *text, const char *end)
{
	int line = 1;

	for (; text < end; text++)
		line += *text == '\n';
	return line;
}

char *file_text(const char *path, size_t max, char error[FILE_ERROR_MAX])
{
	int fd = file_open(path, O_RDONLY);
	size_t len = 0;
	char *text = fd < 0 ? NULL : file_read(fd, max, &len);

	if (!text && fd >= 0 && errno == EFBIG)
		snprintf(error, FILE_ERROR_MAX, "%s: more than %zu bytes", path, max);
	else if (!text)
		snprintf(error, FILE_ERROR_MAX, "%s: %s", path,
			 fd < 0 && errno == EINVAL ? "not a file" : strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!text || strlen(text) == len)
		return text;
	snprintf(error, FILE_ERROR_MAX, "%s:%d: a NUL, which no text has: is this the right file?",
		 path, line_of(text, text + strlen(text)));
	free(text);
	return NULL;
}
