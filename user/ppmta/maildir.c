// SPDX-License-Identifier: BSD-2-Clause
/*
 * Delivery into a Maildir: tmp/, fsync, rename into new/, fsync of new/. Only then is a message
 * safe.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ppmta.h"

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
static void make_id(char id[MESSAGE_ID_LEN + 1])
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

int maildir_make(const char *path, unsigned int uid, unsigned int gid)
{
	static const char *const folders[] = {"", "/tmp", "/new", "/cur"};
	char folder[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(folder, sizeof(folder), "%s%s", path, folders[i]);
		if (mkdir(folder, 0700)) {
			if (errno != EEXIST)
				return -1;
		} else if (chown(folder, uid, gid)) {
			return -1;
		}
	}
	return 0;
}

int delivery_open(struct delivery *delivery)
{
	memset(delivery, 0, offsetof(struct delivery, buf));
	make_id(delivery->id);
	snprintf(delivery->tmp, sizeof(delivery->tmp), "%s/tmp/%s.%s", settings.maildir,
		 delivery->id, settings.hostname);
	snprintf(delivery->final, sizeof(delivery->final), "%s/new/%s.%s", settings.maildir,
		 delivery->id, settings.hostname);
	delivery->fd = open(delivery->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return delivery->fd < 0 ? errno : 0;
}

static void write_out(struct delivery *delivery)
{
	size_t done = 0;
	ssize_t now;

	while (done < delivery->buffered && !delivery->failed) {
		now = write(delivery->fd, delivery->buf + done, delivery->buffered - done);
		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0)
			delivery->failed = now < 0 ? errno : EIO;
		else
			done += now;
	}
	delivery->buffered = 0;
}

void delivery_write(struct delivery *delivery, const char *bytes, size_t len)
{
	size_t part;

	delivery->size += len;
	while (len) {
		if (delivery->buffered == sizeof(delivery->buf))
			write_out(delivery);
		part = sizeof(delivery->buf) - delivery->buffered;
		if (part > len)
			part = len;
		memcpy(delivery->buf + delivery->buffered, bytes, part);
		delivery->buffered += part;
		bytes += part;
		len -= part;
	}
}

static int sync_folder(const char *file)
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

int delivery_commit(struct delivery *delivery)
{
	int failed;

	write_out(delivery);
	if (!delivery->failed && fsync(delivery->fd))
		delivery->failed = errno;
	if (close(delivery->fd) && !delivery->failed)
		delivery->failed = errno;
	delivery->fd = -1;
	if (!delivery->failed && rename(delivery->tmp, delivery->final))
		delivery->failed = errno;
	if (delivery->failed) {
		unlink(delivery->tmp);
		return delivery->failed;
	}
	failed = sync_folder(delivery->final);
	if (failed) /* the client will send it again: one copy is enough */
		unlink(delivery->final);
	return failed;
}

void delivery_abort(struct delivery *delivery)
{
	if (delivery->fd >= 0)
		close(delivery->fd);
	delivery->fd = -1;
	unlink(delivery->tmp);
}
