// SPDX-License-Identifier: BSD-2-Clause
/*
 * A byte stream: lines in, replies out, plain or under TLS, with a time limit on each wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "../../common/clock.h"
#include "net.h"

/* How long a wait may take, in ms */
static int patience(const struct channel *channel)
{
	int64_t left;

	if (!channel->deadline)
		return channel->timeout_ms;
	left = channel->deadline - clock_ms();
	return left < channel->timeout_ms ? (int)(left > 0 ? left : 0) : channel->timeout_ms;
}

/* Return: 0 or CHANNEL_*. */
static int wait_for(struct channel *channel, short events)
{
	struct pollfd waited[2] = {{.fd = channel->fd, .events = events},
				   {.fd = channel->stop_fd, .events = POLLIN}};
	int ready;

	do
		ready = poll(waited, 2, patience(channel));
	while (ready < 0 && errno == EINTR);
	if (ready == 0 || (channel->deadline && channel->deadline <= clock_ms()))
		return CHANNEL_TIMEOUT;
	if (ready < 0)
		return CHANNEL_EOF;
	return waited[0].revents ? 0 : CHANNEL_STOPPED;
}

/* Waits until an SSL call can continue. Return: 0 when it may be tried again, or CHANNEL_*. */
static int wait_for_tls(struct channel *channel, int result, bool wait)
{
	int error = SSL_get_error(channel->ssl, result);

	ERR_clear_error();
	if (!wait)
		return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0
										     : CHANNEL_EOF;
	if (error == SSL_ERROR_WANT_READ)
		return wait_for(channel, POLLIN);
	if (error == SSL_ERROR_WANT_WRITE)
		return wait_for(channel, POLLOUT);
	return CHANNEL_EOF;
}

/* Return: bytes sent, 0 when it may be tried again, or CHANNEL_*. */
static ssize_t send_some(struct channel *channel, const char *bytes, size_t len)
{
	ssize_t now;

	if (channel->ssl) {
		now = SSL_write(channel->ssl, bytes, len);
		return now > 0 ? now : wait_for_tls(channel, now, true);
	}
	now = send(channel->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (now >= 0)
		return now;
	if (errno == EINTR)
		return 0;
	return errno == EAGAIN ? wait_for(channel, POLLOUT) : CHANNEL_EOF;
}

int channel_flush(struct channel *channel)
{
	int stop_fd = channel->stop_fd;
	size_t sent = 0;
	ssize_t now = channel->failed;

	channel->stop_fd = -1; /* replies that are queued are sent completely */
	while (sent < channel->queued && now >= 0) {
		now = send_some(channel, channel->reply + sent, channel->queued - sent);
		if (now > 0)
			sent += now;
	}
	channel->stop_fd = stop_fd;
	channel->queued = 0;
	channel->failed = now < 0 ? (int)now : 0;
	return channel->failed;
}

/* Return: bytes, 0 when there are none yet, or CHANNEL_*. */
static ssize_t receive_some(struct channel *channel, bool wait)
{
	ssize_t len;

	if (channel->ssl) {
		len = SSL_read(channel->ssl, channel->buf, sizeof(channel->buf));
		if (len > 0)
			return len;
		return wait_for_tls(channel, len, wait);
	}
	len = recv(channel->fd, channel->buf, sizeof(channel->buf), MSG_DONTWAIT);
	if (len > 0)
		return len;
	if (len == 0)
		return CHANNEL_EOF;
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return CHANNEL_EOF;
	return wait ? wait_for(channel, POLLIN) : 0;
}

static int fill(struct channel *channel)
{
	ssize_t len = channel_flush(channel);

	if (len < 0)
		return len;
	if (channel->deadline && !patience(channel)) /* one who always sends never waits */
		return CHANNEL_TIMEOUT;
	while (len == 0)
		len = receive_some(channel, true);
	if (len < 0)
		return len;
	channel->start = 0;
	channel->end = len;
	return 0;
}

/* What is there already. Return: bytes that are unread, or CHANNEL_*. Never blocks. */
static ssize_t peek(struct channel *channel)
{
	ssize_t len;

	if (channel->start == channel->end) {
		len = receive_some(channel, false);
		if (len <= 0)
			return len;
		channel->start = 0;
		channel->end = len;
	}
	return channel->end - channel->start;
}

int channel_has_input(struct channel *channel, char *shown, size_t size)
{
	ssize_t len = peek(channel);

	if (len > 0)
		snprintf(shown, size, "%.*s", (int)len, channel->buf + channel->start);
	return len > 0;
}

bool channel_is_idle(struct channel *channel)
{
	return !channel->failed && !peek(channel);
}

bool channel_wait(struct channel *channel, int ms)
{
	int timeout_ms = channel->timeout_ms, failed;

	if (channel_flush(channel) || channel->start != channel->end ||
	    (channel->ssl && SSL_pending(channel->ssl)))
		return true;
	channel->timeout_ms = ms;
	failed = wait_for(channel, POLLIN);
	channel->timeout_ms = timeout_ms;
	return failed != CHANNEL_TIMEOUT;
}

int channel_read_byte(struct channel *channel)
{
	int failed;

	if (channel->start == channel->end) {
		failed = fill(channel);
		if (failed)
			return failed;
	}
	return (unsigned char)channel->buf[channel->start++];
}

int channel_read_line(struct channel *channel, char *line, size_t size)
{
	size_t len = 0, stored = 0;
	int byte, before = 0;

	for (;;) {
		byte = channel_read_byte(channel);
		if (byte < 0)
			return byte;
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

void channel_write(struct channel *channel, const char *bytes, size_t len)
{
	size_t part;

	while (len && !channel->failed) {
		if (channel->queued == sizeof(channel->reply) && channel_flush(channel) < 0)
			return;
		part = sizeof(channel->reply) - channel->queued;
		if (part > len)
			part = len;
		memcpy(channel->reply + channel->queued, bytes, part);
		channel->queued += part;
		bytes += part;
		len -= part;
	}
}

void channel_line(struct channel *channel, const char *line)
{
	channel_write(channel, line, strlen(line));
	channel_write(channel, "\r\n", 2);
}

int channel_start_tls(struct channel *channel, SSL_CTX *context, int as_client)
{
	int result = 0, failed;

	/* what came before the handshake, in the clear, must not be taken for protected */
	channel->start = channel->end = 0;
	failed = channel_flush(channel);
	if (failed)
		return failed;
	channel->ssl = SSL_new(context);
	if (!channel->ssl)
		return CHANNEL_EOF;
	SSL_set_fd(channel->ssl, channel->fd);
	fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK);
	for (;;) {
		result = as_client ? SSL_connect(channel->ssl) : SSL_accept(channel->ssl);
		if (result == 1)
			return 0;
		failed = wait_for_tls(channel, result, true);
		if (failed) {
			SSL_free(channel->ssl);
			channel->ssl = NULL;
			return failed;
		}
	}
}

void channel_close(struct channel *channel)
{
	if (channel->ssl) {
		SSL_shutdown(channel->ssl);
		ERR_clear_error();
		SSL_free(channel->ssl);
		channel->ssl = NULL;
	}
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}
