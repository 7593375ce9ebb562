// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client's byte stream: lines in, replies out, with a time limit on each wait.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ppmta.h"

static int wait_for(struct channel *channel, short events)
{
	struct pollfd waited = {.fd = channel->fd, .events = events};
	int ready;

	do
		ready = poll(&waited, 1, channel->timeout_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0 ? 0 : CHANNEL_EOF;
}

int channel_flush(struct channel *channel)
{
	size_t sent = 0;
	ssize_t now;

	while (sent < channel->queued) {
		if (wait_for(channel, POLLOUT))
			break;
		now = send(channel->fd, channel->reply + sent, channel->queued - sent,
			   MSG_NOSIGNAL | MSG_DONTWAIT);
		if (now < 0 && errno != EAGAIN && errno != EINTR)
			break;
		if (now > 0)
			sent += now;
	}
	now = sent == channel->queued ? 0 : CHANNEL_EOF;
	channel->queued = 0;
	return now;
}

static int fill(struct channel *channel)
{
	ssize_t len;

	if (channel_flush(channel))
		return CHANNEL_EOF;
	for (;;) {
		len = recv(channel->fd, channel->buf, sizeof(channel->buf), MSG_DONTWAIT);
		if (len > 0)
			break;
		if (len == 0 || (errno != EAGAIN && errno != EINTR) || wait_for(channel, POLLIN))
			return CHANNEL_EOF;
	}
	channel->start = 0;
	channel->end = len;
	return 0;
}

int channel_read_byte(struct channel *channel)
{
	if (channel->start == channel->end && fill(channel))
		return CHANNEL_EOF;
	return (unsigned char)channel->buf[channel->start++];
}

int channel_read_line(struct channel *channel, char *line, size_t size)
{
	size_t len = 0, stored = 0;
	int byte, before = 0;

	for (;;) {
		byte = channel_read_byte(channel);
		if (byte == CHANNEL_EOF)
			return CHANNEL_EOF;
		if (byte == '\n' && before == '\r')
			break;
		if (stored < size)
			line[stored++] = byte;
		len++;
		before = byte;
	}
	len--; /* the CR */
	if (len >= size)
		return CHANNEL_TOO_LONG;
	line[len] = 0;
	return len;
}

void channel_reply(struct channel *channel, const char *format, ...)
{
	size_t room = sizeof(channel->reply) - channel->queued;
	va_list arguments;
	int len;

	if (room < COMMAND_LINE_MAX + 2) {
		channel_flush(channel);
		room = sizeof(channel->reply);
	}
	va_start(arguments, format);
	len = vsnprintf(channel->reply + channel->queued, room - 2, format, arguments);
	va_end(arguments);
	if (len > (int)room - 3)
		len = room - 3;
	memcpy(channel->reply + channel->queued + len, "\r\n", 2);
	channel->queued += len + 2;
}
