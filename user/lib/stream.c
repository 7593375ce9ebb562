// SPDX-License-Identifier: BSD-2-Clause
/*
 * The system calls that libpp makes on a socket. None of them leaves a socket option changed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#include "internal.h"

#define PAUSE_MAX_MS 10 /* the longest pause where poll() says "readable" and nothing is there */
#define SLICE_MS     50 /* between looks at a socket whose SO_RCVLOWAT keeps poll() quiet */

int pp_sockopt(int fd, int option, void *buf, size_t size)
{
	socklen_t len = size;

	if (getsockopt(fd, SOL_PP, option, buf, &len) == 0)
		return len;
	/* The kernel's own answer for an unknown level: EOPNOTSUPP on AF_INET and AF_UNIX,
	 * ENOPROTOOPT on AF_INET6. */
	return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
}

static ssize_t receive_now(int fd, void *buf, size_t len, int flags)
{
	ssize_t got;

	do
		got = recv(fd, buf, len, flags | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* recv() drops an urgent byte (send(MSG_OOB)) without a word when it starts there, unless
 * SO_OOBINLINE is set. */
static ssize_t receive_urgent(int fd, void *buf, size_t len, int flags)
{
	int was_inline, on = 1, off = 0;
	socklen_t size = sizeof(was_inline);
	ssize_t got;

	if (getsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &was_inline, &size))
		return -errno;
	if (was_inline)
		return receive_now(fd, buf, len, flags);
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)))
		return -errno;
	got = receive_now(fd, buf, len, flags);
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &off, sizeof(off));
	return got;
}

ssize_t pp_receive(int fd, void *buf, size_t len, int flags)
{
	int queued;

	/* SIOCINQ counts up to the urgent byte. A queued byte cannot become urgent any more. */
	if (ioctl(fd, SIOCINQ, &queued) || queued <= 0)
		return receive_urgent(fd, buf, len, flags);
	return receive_now(fd, buf, len < (size_t)queued ? len : (size_t)queued, flags);
}

int pp_discard(int fd, uint32_t len, int urgent)
{
	ssize_t taken;

	while (len) {
		taken = urgent ? pp_receive(fd, NULL, len, MSG_TRUNC)
			       : receive_now(fd, NULL, len, MSG_TRUNC);
		if (taken < 0)
			return taken;
		if (taken == 0)
			return -EPIPE;
		len -= taken;
	}
	return 0;
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

/* Return: milliseconds until the deadline, at most @most; -1: no limit; 0: it is over. */
static int64_t time_left(const struct pp_wait *wait, int64_t most)
{
	int64_t left;

	if (wait->deadline < 0)
		return most;
	left = wait->deadline - now_ms();
	if (left < 0)
		return 0;
	return most >= 0 && left > most ? most : left;
}

int pp_is_over(const struct pp_wait *wait)
{
	return time_left(wait, -1) == 0;
}

int pp_pause(struct pp_wait *wait)
{
	int64_t left;

	wait->pause = wait->pause ? wait->pause * 2 : 1;
	if (wait->pause > PAUSE_MAX_MS)
		wait->pause = PAUSE_MAX_MS;
	left = time_left(wait, wait->pause);
	if (!left)
		return -ETIMEDOUT;
	return nanosleep(&(struct timespec){.tv_nsec = left * 1000000}, NULL) ? -errno : 0;
}

/* An application's own SO_RCVLOWAT can keep poll() quiet while a whole header is there. It belongs
 * to the application: two waiters, or one that is killed, could not restore it. It is read only
 * after the first slice, since most headers have arrived by then. */
static int64_t longest_wait(int fd, const struct pp_wait *wait)
{
	int low_water = 1;
	socklen_t len = sizeof(low_water);

	if (!wait->quiet)
		return SLICE_MS;
	getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, &len);
	return low_water > 1 ? SLICE_MS : -1;
}

int pp_wait_input(int fd, struct pp_wait *wait, int progress)
{
	/* POLLPRI: a single urgent byte is not "readable" if it is the next byte. */
	struct pollfd input = {.fd = fd, .events = POLLIN | POLLRDHUP | POLLPRI};
	int64_t left;
	int result;

	if (progress)
		wait->pause = 0;
	else if (wait->ready && (result = pp_pause(wait)))
		return result;
	left = time_left(wait, longest_wait(fd, wait));
	if (!left)
		return -ETIMEDOUT;
	if (poll(&input, 1, left) < 0)
		return -errno;
	wait->ready = input.revents != 0;
	wait->quiet = !wait->ready;
	wait->closed = (input.revents & (POLLRDHUP | POLLHUP)) != 0;
	return 0;
}
