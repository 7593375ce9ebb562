// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log: one line, one write(2), so that lines of several threads do not mix.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ppmta.h"

static int log_fd = STDERR_FILENO;

int log_open(const char *path)
{
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return log_fd < 0 ? -1 : 0;
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
