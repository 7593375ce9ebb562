// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sends a header with an urgent byte.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "urgent.h"

static void cork(int fd, int on)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static void send_bytes(int fd, const void *bytes, size_t len, int flags)
{
	if (len)
		assert_int_equal(send(fd, bytes, len, flags), len);
}

void *send_urgent(void *argument)
{
	const struct urgent *urgent = argument;
	size_t first = urgent->position + 1;

	if (urgent->arrival == TOGETHER)
		cork(urgent->fd, 1);
	if (urgent->arrival == LATE && first > 1) {
		usleep(1000);
		send_bytes(urgent->fd, urgent->bytes, first - 1, 0);
		usleep(1000);
		send_bytes(urgent->fd, urgent->bytes + first - 1, 1, MSG_OOB);
		usleep(1000);
	} else {
		send_bytes(urgent->fd, urgent->bytes, first, MSG_OOB);
	}
	send_bytes(urgent->fd, urgent->bytes + first, urgent->len - first, 0);
	if (urgent->arrival != TOGETHER) /* else the kernel may join them */
		usleep(1000);
	send_bytes(urgent->fd, urgent->payload, strlen(urgent->payload), 0);
	cork(urgent->fd, 0);
	return NULL;
}
