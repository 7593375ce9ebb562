// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_read_header() on real TCP connections over loopback. The linker's --wrap counts its system
 * calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pp/pp.h>

#include "headers.h"

#define LINE	"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define WAIT_MS 2000

static int calls;

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
	calls++;
	return __real_recv(fd, buf, len, flags);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	calls++;
	return __real_poll(fds, count, timeout);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	calls++;
	return __real_setsockopt(fd, level, name, value, len);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	calls++;
	return __real_getsockopt(fd, level, name, value, len);
}

struct pair {
	int client, server;
};

static void connect_pair(struct pair *pair)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t len = sizeof(address);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	pair->client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair->client, (struct sockaddr *)&address, len), 0);
	setsockopt(pair->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	pair->server = accept(listener, NULL, NULL);
	assert_true(pair->server >= 0);
	close(listener);
}

static void close_pair(struct pair *pair)
{
	close(pair->client);
	close(pair->server);
}

static void send_all(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* All that is sent has reached the other side's queue. */
static void await_bytes(int fd, size_t len)
{
	static char bytes[HEADER_CASE_MAX + 100];
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT) >= (ssize_t)len)
			return;
		usleep(1000);
	}
	fail_msg("%zu bytes did not arrive", len);
}

static void assert_next_is(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, 0), strlen(text));
	assert_string_equal(buf, text);
}

static void a_header_that_is_there_takes_two_calls(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	send_all(pair.client, LINE "EHLO x\r\n", strlen(LINE) + 8);
	await_bytes(pair.server, strlen(LINE) + 8);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_true(calls <= 3);
	assert_int_equal(origin.header_len, strlen(LINE));
	assert_next_is(pair.server, "EHLO x\r\n");
	close_pair(&pair);
}

static void a_header_in_many_segments_takes_no_more_calls(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	size_t i;

	(void)state;
	connect_pair(&pair);
	for (i = 0; i < strlen(LINE); i++)
		send_all(pair.client, LINE + i, 1);
	send_all(pair.client, "EHLO x\r\n", 8);
	await_bytes(pair.server, strlen(LINE) + 8);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_true(calls <= 3);
	assert_next_is(pair.server, "EHLO x\r\n");
	close_pair(&pair);
}

struct slow {
	int fd;
	const uint8_t *bytes;
	size_t len, part;
};

static void *send_slowly(void *argument)
{
	struct slow *slow = argument;
	size_t sent, now;

	for (sent = 0; sent < slow->len; sent += now) {
		usleep(2000);
		now = slow->len - sent < slow->part ? slow->len - sent : slow->part;
		if (send(slow->fd, slow->bytes + sent, now, MSG_NOSIGNAL) != (ssize_t)now)
			break;
	}
	return NULL;
}

static void a_slow_header_is_waited_for(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	struct slow slow;
	struct pair pair;
	pthread_t thread;
	int lowat;
	socklen_t len = sizeof(lowat);
	size_t i;

	(void)state;
	for (i = 0; i < header_case_count; i += 3) {
		slow.len = header_bytes(&header_cases[i], bytes);
		if (header_cases[i].want != WHOLE)
			continue;
		memcpy(bytes + slow.len, "QUIT\r\n", 6);
		slow.len += 6;
		slow.bytes = bytes;
		slow.part = slow.len / 4 + 1;
		connect_pair(&pair);
		slow.fd = pair.client;
		assert_int_equal(pthread_create(&thread, NULL, send_slowly, &slow), 0);
		assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
		pthread_join(thread, NULL);
		assert_next_is(pair.server, "QUIT\r\n");
		getsockopt(pair.server, SOL_SOCKET, SO_RCVLOWAT, &lowat, &len);
		assert_int_equal(lowat, 1);
		close_pair(&pair);
	}
}

static void a_bad_header_is_refused_and_nothing_is_taken(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	send_all(pair.client, "EHLO x\r\n", 8);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EBADMSG);
	assert_next_is(pair.server, "EHLO x\r\n");
	close_pair(&pair);
}

static void no_header_is_a_timeout(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	assert_int_equal(pp_read_header(pair.server, &origin, 0), -ETIMEDOUT);
	assert_int_equal(pp_read_header(pair.server, &origin, 30), -ETIMEDOUT);
	send_all(pair.client, LINE, 20);
	assert_int_equal(pp_read_header(pair.server, &origin, 30), -ETIMEDOUT);
	send_all(pair.client, LINE + 20, strlen(LINE) - 20);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	close_pair(&pair);
}

static void a_peer_that_closes_early_is_an_error_at_once(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EBADMSG);
	close_pair(&pair);
	connect_pair(&pair);
	send_all(pair.client, LINE, 20);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(pp_read_header(pair.server, &origin, 50), -EBADMSG);
	close_pair(&pair);
}

static void without_programs_a_lookup_says_so(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	int ip6 = socket(AF_INET6, SOCK_STREAM, 0);

	(void)state;
	connect_pair(&pair);
	assert_int_equal(pp_lookup(pair.server, &origin), -ENOPROTOOPT);
	assert_int_equal(pp_lookup(ip6, &origin), -ENOPROTOOPT);
	assert_int_equal(pp_lookup_wait(pair.server, &origin, 10), -ENOPROTOOPT);
	assert_int_equal(pp_lookup(-1, &origin), -EBADF);
	assert_int_equal(pp_lookup(STDIN_FILENO, &origin), -ENOTSOCK);
	close(ip6);
	close_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_that_is_there_takes_two_calls),
		cmocka_unit_test(a_header_in_many_segments_takes_no_more_calls),
		cmocka_unit_test(a_slow_header_is_waited_for),
		cmocka_unit_test(a_bad_header_is_refused_and_nothing_is_taken),
		cmocka_unit_test(no_header_is_a_timeout),
		cmocka_unit_test(a_peer_that_closes_early_is_an_error_at_once),
		cmocka_unit_test(without_programs_a_lookup_says_so),
	};

	return cmocka_run_group_tests_name("read_header", tests, NULL, NULL);
}
