// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log: one line, one write(2), so that lines of several threads do not mix; or syslog.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

int debugging;

static int log_fd = STDERR_FILENO;
static bool to_syslog;

int log_open(const char *path)
{
	bool syslog_now = path && !strcmp(path, "syslog");
	int fd;

	if (syslog_now)
		openlog("ppmta", LOG_PID, LOG_MAIL);
	__atomic_store_n(&to_syslog, syslog_now, __ATOMIC_RELAXED);
	if (syslog_now)
		return 0;
	fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640)
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
	if (__atomic_load_n(&to_syslog, __ATOMIC_RELAXED)) {
		syslog(LOG_INFO, "%s", line + len);
		return;
	}
	len += text;
	line[len++] = '\n';
	if (write(__atomic_load_n(&log_fd, __ATOMIC_RELAXED), line, len) < 0 &&
	    write(STDERR_FILENO, line, len) < 0)
		return; /* a full disk must not hide what happens, but no more can be done */
}

void debug(const char *format, ...)
{
	va_list arguments;

	if (!debugging)
		return;
	flockfile(stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	funlockfile(stderr);
}
