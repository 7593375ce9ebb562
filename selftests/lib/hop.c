// SPDX-License-Identifier: BSD-2-Clause
/*
 * A next hop that does what a test tells it: a thread for each connection.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hop.h"
#include "net.h"

#define MESSAGE_MAX (4 * 1024 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread;
static int listener = -1;
static const char *extensions;
static struct {
	enum hop_at at;
	const char *says;
	enum hop_then then;
	int times;
} fault;
static int taken;
static char message[MESSAGE_MAX + 1], heard[65536];

/* A connection; its stream is unbuffered on the way out. */
struct peer {
	FILE *in;
	int fd;
	int is_lmtp, recipients;
	char *body;
};

static void hear(const char *text)
{
	pthread_mutex_lock(&lock);
	strncat(heard, text, sizeof(heard) - strlen(heard) - 1);
	pthread_mutex_unlock(&lock);
}

static void say(const struct peer *peer, const char *text)
{
	send(peer->fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Waits until ppmta gives up. */
static void wait_for_end(const struct peer *peer)
{
	struct pollfd end = {.fd = peer->fd, .events = POLLRDHUP};

	poll(&end, 1, SOON_MS);
}

/* What is said at @at. Return: is the connection to go on? */
static int answer(const struct peer *peer, enum hop_at at, const char *usual)
{
	enum hop_then then = GO_ON;

	pthread_mutex_lock(&lock);
	if (fault.at == at && fault.times) {
		fault.times--;
		then = fault.then;
		if (fault.says)
			usual = fault.says;
	}
	pthread_mutex_unlock(&lock);
	say(peer, usual);
	if (then == KEEP_SILENT)
		wait_for_end(peer);
	return then == GO_ON;
}

static int has_fault(enum hop_at at)
{
	int has;

	pthread_mutex_lock(&lock);
	has = fault.at == at && fault.times;
	pthread_mutex_unlock(&lock);
	return has;
}

/* Return: is the connection to go on? */
static int take_message(struct peer *peer)
{
	char *body = peer->body, line[65536];
	size_t len = 0;
	int before, i;

	*body = 0;
	while (fgets(line, sizeof(line), peer->in) && strcmp(line, ".\r\n")) {
		if (len + strlen(line) < MESSAGE_MAX)
			strcpy(body + len, line);
		len += strlen(line);
		if (len > 1000 && has_fault(AT_BODY))
			return answer(peer, AT_BODY, "");
	}
	if (strcmp(line, ".\r\n"))
		return 0;
	pthread_mutex_lock(&lock);
	strcpy(message, body);
	before = fault.at == AT_DOT && fault.times && (!fault.says || fault.says[0] != '2');
	if (!before)
		taken++;
	pthread_mutex_unlock(&lock);
	for (i = 0; i < (peer->is_lmtp ? peer->recipients : 1); i++) {
		if (!answer(peer, AT_DOT, "250 2.0.0 taken by the hop\r\n"))
			return 0;
	}
	return 1;
}

static int hello(struct peer *peer, const char *line)
{
	char text[4096];

	peer->is_lmtp = !strncasecmp(line, "LHLO", 4);
	snprintf(text, sizeof(text), "250-hop.example.net\r\n%s250 HELP\r\n", extensions);
	return answer(peer, AT_HELLO, text);
}

/* Return: is the connection to go on? */
static int command(struct peer *peer, const char *line)
{
	if (!strncasecmp(line, "EHLO", 4) || !strncasecmp(line, "LHLO", 4))
		return hello(peer, line);
	if (!strncasecmp(line, "MAIL", 4)) {
		peer->recipients = 0;
		return answer(peer, AT_MAIL, "250 2.1.0 sender of the hop\r\n");
	}
	if (!strncasecmp(line, "RCPT", 4)) {
		peer->recipients++;
		return answer(peer, AT_RCPT, "250 2.1.5 recipient of the hop\r\n");
	}
	if (!strncasecmp(line, "DATA", 4)) {
		int is_refused = has_fault(AT_DATA);

		if (!answer(peer, AT_DATA, "354 go\r\n"))
			return 0;
		return is_refused || take_message(peer);
	}
	if (!strncasecmp(line, "RSET", 4))
		return answer(peer, AT_RSET, "250 2.0.0 reset\r\n");
	if (!strncasecmp(line, "XCLIENT", 7))
		return answer(peer, AT_NOTHING, "220 again\r\n");
	if (!strncasecmp(line, "QUIT", 4)) {
		say(peer, "221 bye\r\n");
		return 0;
	}
	say(peer, "500 what\r\n");
	return 1;
}

static void *serve(void *context)
{
	struct peer peer = {.fd = *(int *)context, .body = malloc(MESSAGE_MAX + 1)};
	char line[4096];

	free(context);
	peer.in = fdopen(dup(peer.fd), "r");
	if (answer(&peer, AT_GREETING, "220 hop.example.net ESMTP\r\n")) {
		while (fgets(line, sizeof(line), peer.in)) {
			hear(line);
			if (!command(&peer, line))
				break;
		}
	}
	fclose(peer.in);
	close(peer.fd);
	free(peer.body);
	return NULL;
}

static void *run_hop(void *unused)
{
	pthread_t one;
	int fd, *context;

	(void)unused;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		context = malloc(sizeof(*context));
		*context = fd;
		pthread_create(&one, NULL, serve, context);
		pthread_detach(one);
	}
	return NULL;
}

void hop_start(const char *lines)
{
	extensions = lines;
	listener = listen_on(SERVER, HOP_PORT);
	assert_int_equal(pthread_create(&thread, NULL, run_hop, NULL), 0);
}

void hop_stop(void)
{
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
}

void hop_fault(enum hop_at at, const char *says, enum hop_then then, int times)
{
	pthread_mutex_lock(&lock);
	fault.at = at;
	fault.says = says;
	fault.then = then;
	fault.times = times;
	pthread_mutex_unlock(&lock);
}

int hop_taken(void)
{
	int now;

	pthread_mutex_lock(&lock);
	now = taken;
	pthread_mutex_unlock(&lock);
	return now;
}

const char *hop_message(void)
{
	static char copy[MESSAGE_MAX + 1];

	pthread_mutex_lock(&lock);
	strcpy(copy, message);
	pthread_mutex_unlock(&lock);
	return copy;
}

const char *hop_heard(void)
{
	static char copy[sizeof(heard)];

	pthread_mutex_lock(&lock);
	strcpy(copy, heard);
	pthread_mutex_unlock(&lock);
	return copy;
}

void hop_forget(void)
{
	pthread_mutex_lock(&lock);
	heard[0] = 0;
	message[0] = 0;
	pthread_mutex_unlock(&lock);
}
