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
static int to_syslog;

int log_open(const char *path)
{
	int fd;

	to_syslog = path && !strcmp(path, "syslog");
	if (to_syslog) {
		openlog("ppmta", LOG_PID, LOG_MAIL);
		return 0;
	}
	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	if (log_fd == STDERR_FILENO)
		log_fd = fd;
	else /* reopened: threads may be writing */
		dup3(fd, log_fd, O_CLOEXEC), close(fd);
	return 0;
}

/* What a client sent must not begin a line of its own. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
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
	make_printable(line + len);
	if (to_syslog) {
		syslog(LOG_INFO, "%s", line + len);
		return;
	}
	if (text > (int)sizeof(line) - len - 2)
		text = sizeof(line) - len - 2;
	len += text;
	line[len++] = '\n';
	while (write(log_fd, line, len) < 0) {
		if (log_fd == STDERR_FILENO)
			return;
		log_fd = STDERR_FILENO; /* a full disk must not hide what happens */
	}
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
