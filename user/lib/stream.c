// SPDX-License-Identifier: BSD-2-Clause
/*
 * The system calls that libpp makes on a socket.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "internal.h"

int pp_sockopt(int fd, int option, void *buf, size_t size)
{
	socklen_t len = size;

	if (getsockopt(fd, SOL_PP, option, buf, &len) == 0)
		return len;
	/* What the kernel itself says of an unknown level: EOPNOTSUPP on AF_INET and AF_UNIX,
	 * ENOPROTOOPT on AF_INET6. */
	return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
}

int pp_discard(int fd, uint32_t len)
{
	ssize_t taken;

	while (len) {
		taken = recv(fd, NULL, len, MSG_TRUNC | MSG_DONTWAIT);
		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0)
			return -errno;
		if (taken == 0)
			return -EBADMSG;
		len -= taken;
	}
	return 0;
}

int pp_peek(int fd, void *buf, size_t size)
{
	ssize_t len = recv(fd, buf, size, MSG_PEEK | MSG_DONTWAIT);

	return len < 0 ? -errno : len;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int64_t pp_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int wait_for_input(int fd, int64_t deadline)
{
	struct pollfd input = {.fd = fd, .events = POLLIN | POLLRDHUP};
	int64_t left = deadline < 0 ? -1 : deadline - now_ms();
	int ready;

	if (deadline >= 0 && left <= 0)
		return -ETIMEDOUT;
	ready = poll(&input, 1, left);
	if (ready < 0)
		return -errno;
	if (!ready)
		return -ETIMEDOUT;
	return input.revents & (POLLRDHUP | POLLHUP | POLLERR) ? PP_PEER_CLOSED : 0;
}

int pp_wait_readable(int fd, uint32_t need, int64_t deadline)
{
	int before, result, wanted = need;
	socklen_t len = sizeof(before);

	if (need <= 1)
		return wait_for_input(fd, deadline);
	/* A part of the header keeps poll() readable: raise what it calls readable. */
	if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &before, &len) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted)))
		return -errno;
	result = wait_for_input(fd, deadline);
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &before, sizeof(before));
	return result;
}

int pp_wait_silent(int fd, unsigned int times, int64_t deadline)
{
	const struct timespec pause = {.tv_nsec = times < 7 ? 100000L << times : 10000000};
	struct pollfd input = {.fd = fd, .events = POLLIN | POLLRDHUP};

	if (deadline >= 0 && deadline <= now_ms())
		return -ETIMEDOUT;
	return ppoll(&input, 1, &pause, NULL) < 0 ? -errno : 0;
}

void pp_pause(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	nanosleep(&pause, NULL);
}
