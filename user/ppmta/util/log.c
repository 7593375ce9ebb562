// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log: one line, one write(2), so that lines of several threads do not mix.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/file.h"
#include "../../common/utf8.h"
#include "util.h"

#define PATIENCE_MS 1000

static int log_fd = STDERR_FILENO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int missing;

int log_open(const char *path)
{
	int fd = path ? file_open(path, O_WRONLY | O_CREAT | O_APPEND)
		      : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return errno;
	if (log_fd != STDERR_FILENO) { /* reopened: threads may be writing */
		dup3(fd, log_fd, O_CLOEXEC);
		close(fd);
	} else {
		__atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
	}
	return 0;
}

static bool has_room(int fd, int ms)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	return poll(&out, 1, ms) == 1;
}

/* What nobody reads holds up the first who writes, for a moment; lines without room are counted. */
static void write_line(const char *line, int len)
{
	int fd = __atomic_load_n(&log_fd, __ATOMIC_RELAXED), ms = missing ? 0 : PATIENCE_MS;

	if (missing && has_room(fd, 0)) {
		dprintf(fd, "%d lines of the log are missing here: nobody read it\n", missing);
		missing = 0;
	}
	if (missing || !has_room(fd, ms))
		missing++;
	else if (write(fd, line, len) < 0 && fd != STDERR_FILENO && has_room(STDERR_FILENO, 0) &&
		 write(STDERR_FILENO, line, len) < 0)
		return; /* a full disk must not hide what happens, but no more can be done */
}

void log_line(const char *format, ...)
{
	char line[4096];
	va_list arguments;
	struct tm tm;
	time_t now = time(NULL);
	int len, text;

	localtime_r(&now, &tm);
	len = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S ", &tm);
	va_start(arguments, format);
	text = vsnprintf(line + len, sizeof(line) - len - 1, format, arguments);
	va_end(arguments);
	if (text < 0)
		return;
	if (text > (int)sizeof(line) - len - 2)
		text = sizeof(line) - len - 2;
	len += (int)utf8_printable(line + len, text, line + len);
	line[len++] = '\n';
	pthread_mutex_lock(&lock);
	write_line(line, len);
	pthread_mutex_unlock(&lock);
}
