// SPDX-License-Identifier: BSD-2-Clause
/*
 * What came after DATA, until it is handed on: in a file that no folder names, so that nothing is
 * left of it, however ppmta ends. And the ids of messages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/file.h"
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

int message_open(const struct config *config, struct message *message)
{
	memset(message, 0, offsetof(struct message, buf));
	message->fd = open(config->temporary_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return message->fd < 0 ? errno : 0;
}

static void write_out(struct message *message)
{
	if (!message->failed)
		message->failed = file_write(message->fd, message->buf, message->buffered);
	message->buffered = 0;
}

void message_add(struct message *message, char byte)
{
	if (message->buffered == sizeof(message->buf))
		write_out(message);
	message->begins_blank |= !message->size && (byte == ' ' || byte == '\t');
	message->buf[message->buffered++] = byte;
	message->size++;
}

int message_end(struct message *message)
{
	write_out(message);
	return message->failed;
}

int message_read(struct message *message, int (*each)(void *context, const char *bytes, size_t len),
		 void *context)
{
	uint64_t done = 0;
	ssize_t len;
	int failed;

	while (done < message->size) {
		len = pread(message->fd, message->buf, sizeof(message->buf), done);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0) /* an end that comes too early is an error, too */
			return len < 0 ? errno : EIO;
		failed = each(context, message->buf, len);
		if (failed)
			return failed;
		done += len;
	}
	return 0;
}

void message_close(struct message *message)
{
	if (message->fd >= 0)
		close(message->fd);
	message->fd = -1;
}
