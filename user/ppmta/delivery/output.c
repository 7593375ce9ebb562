// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writing files that have to be safe, and the ids of messages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "delivery.h"

static void base62(uint64_t number, char *to, int digits)
{
	static const char alphabet[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	while (digits--) {
		to[digits] = alphabet[number % 62];
		number /= 62;
	}
}

/* Exim's form: seconds, process, fraction. Threads share a process, so the middle counts them too:
 * unique for 4,096 messages in half a millisecond. */
void make_message_id(char id[MESSAGE_ID_LEN + 1])
{
	static unsigned int counter;
	unsigned int serial = __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	base62(now.tv_sec, id, 6);
	id[6] = '-';
	base62((uint64_t)getpid() << 12 | (serial & 0xfff), id + 7, 6);
	id[13] = '-';
	base62(now.tv_nsec / 500000, id + 14, 2);
	id[MESSAGE_ID_LEN] = 0;
}

void output_open(struct output *output, int fd)
{
	memset(output, 0, offsetof(struct output, buf));
	output->fd = fd;
}

static void write_out(struct output *output)
{
	size_t done = 0;
	ssize_t now;

	while (done < output->buffered && !output->failed) {
		now = write(output->fd, output->buf + done, output->buffered - done);
		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0)
			output->failed = now < 0 ? errno : EIO;
		else
			done += now;
	}
	output->buffered = 0;
}

void output_write(struct output *output, const char *bytes, size_t len)
{
	size_t part;

	output->size += len;
	while (len) {
		if (output->buffered == sizeof(output->buf))
			write_out(output);
		part = sizeof(output->buf) - output->buffered;
		if (part > len)
			part = len;
		memcpy(output->buf + output->buffered, bytes, part);
		output->buffered += part;
		bytes += part;
		len -= part;
	}
}

int output_close(struct output *output)
{
	write_out(output);
	if (!output->failed && fsync(output->fd))
		output->failed = errno;
	if (close(output->fd) && !output->failed)
		output->failed = errno;
	output->fd = -1;
	return output->failed;
}

int sync_folder_of(const char *file)
{
	char folder[PATH_MAX];
	int fd, failed;

	snprintf(folder, sizeof(folder), "%s", file);
	*strrchr(folder, '/') = 0;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	failed = fsync(fd) ? errno : 0;
	close(fd);
	return failed;
}
