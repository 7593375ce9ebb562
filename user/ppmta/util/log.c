// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log: one line, one write(2), so that lines of several threads do not mix.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/file.h"
#include "util.h"

static int log_fd = STDERR_FILENO;

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
	text_clean(line + len, text, false);
	len += text;
	line[len++] = '\n';
	if (write(__atomic_load_n(&log_fd, __ATOMIC_RELAXED), line, len) < 0 &&
	    write(STDERR_FILENO, line, len) < 0)
		return; /* a full disk must not hide what happens, but no more can be done */
}
