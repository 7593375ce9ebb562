// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_read_header() on real TCP connections over loopback. The linker's --wrap counts its system
 * calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/lib/internal.h"
#include "../lib/urgent.h"
#include "headers.h"

#define LINE	 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define LINE_LEN (sizeof(LINE) - 1)
#define PAYLOAD	 "EHLO x\r\n"
#define WAIT_MS	 20000 /* for what comes, on a slow machine */

static _Atomic int calls;

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_getpeername(int fd, struct sockaddr *name, socklen_t *len);
int __real_getsockname(int fd, struct sockaddr *name, socklen_t *len);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *name, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *name, socklen_t *len);

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

int __wrap_getpeername(int fd, struct sockaddr *name, socklen_t *len)
{
	calls++;
	return __real_getpeername(fd, name, len);
}

int __wrap_getsockname(int fd, struct sockaddr *name, socklen_t *len)
{
	calls++;
	return __real_getsockname(fd, name, len);
}

struct pair {
	int client, server;
};

/* @rcvbuf: SO_RCVBUF of the server's side; 0: as it is. */
static void connect_pair_with(struct pair *pair, int rcvbuf)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t len = sizeof(address);

	if (rcvbuf)
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
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

static void connect_pair(struct pair *pair)
{
	connect_pair_with(pair, 0);
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
static void await_arrival(int client)
{
	int unsent = 1, tries;

	for (tries = 0; tries < WAIT_MS; tries++) {
		assert_int_equal(ioctl(client, SIOCOUTQ, &unsent), 0);
		if (!unsent)
			return;
		usleep(1000);
	}
	fail_msg("%d bytes did not arrive", unsent);
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, option, &value, &len);
	return value;
}

static void set_option(int fd, int option, int value)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)), 0);
}

static void assert_next_is(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(buf, text);
	assert_int_equal(recv(fd, buf, 1, MSG_DONTWAIT), -1);
}

static void a_header_that_is_there_takes_four_calls(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	send_all(pair.client, LINE, LINE_LEN);
	await_arrival(pair.client);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_int_equal(calls, 4); /* two of them for the proxy's name */
	assert_int_equal(origin.header_len, LINE_LEN);
	assert_int_equal(origin.reason, 0);
	send_all(pair.client, LINE PAYLOAD, LINE_LEN + strlen(PAYLOAD));
	await_arrival(pair.client);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_int_equal(calls, 5); /* with payload after it: SO_PEEK_OFF */
	assert_next_is(pair.server, PAYLOAD);
	close_pair(&pair);
}

static void a_header_in_many_segments_takes_no_more_calls(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	size_t i;

	(void)state;
	connect_pair(&pair);
	for (i = 0; i < LINE_LEN; i++)
		send_all(pair.client, LINE + i, 1);
	send_all(pair.client, PAYLOAD, strlen(PAYLOAD));
	await_arrival(pair.client);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_true(calls <= 5);
	assert_next_is(pair.server, PAYLOAD);
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

/* Reads the header of @len bytes at @bytes, which has "QUIT" after it, while it comes in parts. */
static void check_slow(struct pair *pair, uint8_t *bytes, size_t len, size_t part)
{
	struct slow slow = {pair->client, bytes, len + 6, part};
	static uint8_t tlvs[PP_HEADER_MAX];
	struct pp_origin origin;
	pthread_t thread;

	memcpy(bytes + len, "QUIT\r\n", 6);
	assert_int_equal(pthread_create(&thread, NULL, send_slowly, &slow), 0);
	assert_int_equal(pp_read_header_tlvs(pair->server, &origin, tlvs, sizeof(tlvs), WAIT_MS),
			 0);
	pthread_join(thread, NULL);
	assert_int_equal(origin.header_len, len);
	assert_memory_equal(tlvs, bytes + len - origin.tlv_len, origin.tlv_len);
	assert_next_is(pair->server, "QUIT\r\n");
}

static void a_slow_header_is_waited_for(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pair pair;
	size_t i, len;

	(void)state;
	for (i = 0; i < header_case_count; i += 3) {
		len = header_bytes(&header_cases[i], bytes);
		if (header_cases[i].want != WHOLE)
			continue;
		connect_pair(&pair);
		check_slow(&pair, bytes, len, (len + 6) / 4 + 1);
		assert_int_equal(option_of(pair.server, SO_RCVLOWAT), 1);
		close_pair(&pair);
	}
}

/* A v2 header of @len bytes whose TLV differs from place to place. */
static void fill_v2(uint8_t *bytes, size_t len)
{
	size_t i;

	memcpy(bytes, "\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
	bytes[14] = (len - 16) >> 8;
	bytes[15] = len - 16;
	memcpy(bytes + 16, "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x19\xe5", 13);
	bytes[29] = (len - 31) >> 8;
	bytes[30] = len - 31;
	for (i = 31; i < len; i++)
		bytes[i] = i * 7 + (i >> 8);
}

static void a_header_larger_than_the_receive_buffer_is_read(void **state)
{
	static const int sizes[] = {1, 2048, 4096, 8192};
	static uint8_t bytes[PP_HEADER_MAX + 6];
	struct pair pair;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_v2(bytes, PP_HEADER_MAX);
		connect_pair_with(&pair, sizes[i]);
		check_slow(&pair, bytes, PP_HEADER_MAX, sizeof(bytes));
		close_pair(&pair);
	}
}

static void a_large_low_water_mark_does_not_hold_a_header_back(void **state)
{
	uint8_t bytes[LINE_LEN + 6];
	struct pair pair;

	(void)state;
	memcpy(bytes, LINE, LINE_LEN);
	connect_pair(&pair);
	set_option(pair.server, SO_RCVLOWAT, 500);
	check_slow(&pair, bytes, LINE_LEN, 20);
	assert_int_equal(option_of(pair.server, SO_RCVLOWAT), 500);
	close_pair(&pair);
}

static void a_peek_offset_moves_as_by_reading(void **state)
{
	static const int offsets[] = {0, 1, 5, 20, 43, 44, 60};
	uint8_t bytes[64 + 6];
	struct pair pair;
	size_t i, len, part;
	int offset, left;

	(void)state;
	for (i = 0; i < 2 * 3 * sizeof(offsets) / sizeof(offsets[0]); i++) {
		offset = offsets[i / 6];
		part = i % 3 == 0 ? 20 : i % 3 == 1 ? 70 : 3;
		len = i / 3 % 2 ? 64 : LINE_LEN;
		memcpy(bytes, LINE, LINE_LEN);
		if (len == 64)
			fill_v2(bytes, len);
		connect_pair(&pair);
		if (setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset))) {
			close_pair(&pair);
			return; /* Linux before 6.9 */
		}
		check_slow(&pair, bytes, len, part);
		left = offset - (int)len - 6;
		assert_int_equal(option_of(pair.server, SO_PEEK_OFF), left < 0 ? 0 : left);
		close_pair(&pair);
	}
}

/* A client sends what looks like a header, and an offset makes MSG_PEEK begin there. */
static void a_peek_offset_never_shows_the_clients_header(void **state)
{
	static const struct {
		const char *second;
		int result;
	} tests[] = {
		{"PROXY TCP4 203.0.113.9 203.0.113.10 1 2\r\n", 0},
		{"PROXY UNKNOWN\r\n", 0},
		/* longer than the header: some of it was taken */
		{"PROXY TCP4 203.0.113.100 203.0.113.101 11111 22222\r\n", -EIO},
	};
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin;
	int offset = LINE_LEN;
	struct pair pair;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		connect_pair(&pair);
		if (setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset))) {
			close_pair(&pair);
			return; /* Linux before 6.9 */
		}
		send_all(pair.client, LINE, LINE_LEN);
		send_all(pair.client, tests[i].second, strlen(tests[i].second));
		await_arrival(pair.client);
		assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), tests[i].result);
		if (!tests[i].result) {
			pp_origin_print(&origin, text, sizeof(text));
			assert_string_equal(text, "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25");
			assert_next_is(pair.server, tests[i].second);
			assert_int_equal(option_of(pair.server, SO_PEEK_OFF), 0);
		}
		close_pair(&pair);
	}
}

static void tlvs_that_do_not_fit_are_left_out(void **state)
{
	uint8_t bytes[200], tlvs[172] = {0};
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	fill_v2(bytes, sizeof(bytes));
	connect_pair(&pair);
	send_all(pair.client, bytes, sizeof(bytes));
	send_all(pair.client, PAYLOAD, strlen(PAYLOAD));
	assert_int_equal(pp_read_header_tlvs(pair.server, &origin, tlvs, 171, WAIT_MS), -ENOBUFS);
	assert_int_equal(tlvs[0], 0);
	assert_int_equal(origin.tlv_len, 172);
	assert_next_is(pair.server, PAYLOAD);
	send_all(pair.client, bytes, sizeof(bytes));
	assert_int_equal(pp_read_header_tlvs(pair.server, &origin, tlvs, 172, WAIT_MS), 0);
	assert_memory_equal(tlvs, bytes + 28, 172);
	send_all(pair.client, LINE, LINE_LEN);
	assert_int_equal(pp_read_header_tlvs(pair.server, &origin, tlvs, 0, WAIT_MS), 0);
	assert_int_equal(origin.tlv_len, 0);
	close_pair(&pair);
}

static int discard_urgent(int fd, uint32_t len)
{
	return pp_discard(fd, len, 1);
}

static void check_urgent(struct urgent *urgent, int was_inline, int (*take)(int, uint32_t))
{
	struct pp_origin origin;
	struct pair pair;
	pthread_t thread;

	connect_pair(&pair);
	set_option(pair.server, SO_OOBINLINE, was_inline);
	urgent->fd = pair.client;
	assert_int_equal(pthread_create(&thread, NULL, send_urgent, urgent), 0);
	if (urgent->arrival != LATE) {
		pthread_join(thread, NULL);
		await_arrival(pair.client);
	}
	if (take)
		assert_int_equal(take(pair.server, urgent->len), 0);
	else if (pp_read_header(pair.server, &origin, WAIT_MS))
		fail_msg("byte %zu, arrival %d: %s", urgent->position, urgent->arrival,
			 pp_reason_text(origin.reason));
	if (urgent->arrival == LATE)
		pthread_join(thread, NULL);
	assert_int_equal(option_of(pair.server, SO_OOBINLINE), was_inline);
	assert_next_is(pair.server, PAYLOAD);
	close_pair(&pair);
}

static void an_urgent_byte_anywhere_in_a_header_is_one_of_it(void **state)
{
	struct urgent urgent = {.payload = PAYLOAD};
	uint8_t v2[40];
	int version;

	(void)state;
	fill_v2(v2, sizeof(v2));
	for (version = 1; version <= 2; version++) {
		urgent.bytes = version == 1 ? (const uint8_t *)LINE : v2;
		urgent.len = version == 1 ? LINE_LEN : sizeof(v2);
		for (urgent.arrival = 0; urgent.arrival < ARRIVALS; urgent.arrival++) {
			for (urgent.position = 0; urgent.position < urgent.len; urgent.position++) {
				check_urgent(&urgent, 0, NULL);
				check_urgent(&urgent, 1, NULL);
				if (urgent.arrival == LATE)
					continue;
				check_urgent(&urgent, 0, discard_urgent);
				check_urgent(&urgent, 1, discard_urgent);
			}
		}
	}
}

static void an_urgent_byte_of_the_payload_stays_the_payloads(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	char byte;

	(void)state;
	connect_pair(&pair);
	send_all(pair.client, LINE, LINE_LEN);
	assert_int_equal(send(pair.client, "!", 1, MSG_OOB), 1);
	send_all(pair.client, PAYLOAD, strlen(PAYLOAD));
	await_arrival(pair.client);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	assert_int_equal(recv(pair.server, &byte, 1, MSG_OOB), 1);
	assert_int_equal(byte, '!');
	assert_next_is(pair.server, PAYLOAD);
	close_pair(&pair);
}

static void a_bad_header_is_refused_and_nothing_is_taken(void **state)
{
	struct pp_origin origin;
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	send_all(pair.client, PAYLOAD, strlen(PAYLOAD));
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_SIGNATURE);
	assert_next_is(pair.server, PAYLOAD);
	send_all(pair.client, "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", 37);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_PORT);
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
	assert_int_equal(origin.reason, 0);
	/* without time to wait nothing is taken, so the call can be repeated */
	send_all(pair.client, LINE, 20);
	await_arrival(pair.client);
	assert_int_equal(pp_read_header(pair.server, &origin, 0), -ETIMEDOUT);
	send_all(pair.client, LINE + 20, LINE_LEN - 20);
	await_arrival(pair.client);
	assert_int_equal(pp_read_header(pair.server, &origin, 0), 0);
	close_pair(&pair);
}

static void half_a_header_does_not_spin(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	size_t i;

	(void)state;
	for (i = 1; i < LINE_LEN; i += 20) {
		connect_pair(&pair);
		send_all(pair.client, LINE, i);
		await_arrival(pair.client);
		calls = 0;
		assert_int_equal(pp_read_header(pair.server, &origin, 300), -ETIMEDOUT);
		assert_true(calls < 30);
		close_pair(&pair);
	}
	connect_pair(&pair);
	set_option(pair.server, SO_RCVLOWAT, 500);
	send_all(pair.client, LINE, 20);
	calls = 0;
	assert_int_equal(pp_read_header(pair.server, &origin, 300), -ETIMEDOUT);
	assert_true(calls < 100);
	close_pair(&pair);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A signal every 10 ms, to this thread only. */
static void alarms(int on)
{
	const struct itimerval every = {.it_interval = {0, on ? 10000 : 0},
					.it_value = {0, on ? 10000 : 0}};
	const struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void a_signal_ends_the_wait_only_while_nothing_is_taken(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	struct slow slow;
	pthread_t thread;
	sigset_t alarm;

	(void)state;
	connect_pair(&pair);
	alarms(1);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EINTR);
	alarms(0);

	slow = (struct slow){pair.client, (const uint8_t *)LINE, LINE_LEN, 1};
	send_all(pair.client, LINE, 1);
	await_arrival(pair.client);
	slow.bytes++;
	slow.len--;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	assert_int_equal(pthread_create(&thread, NULL, send_slowly, &slow), 0);
	alarms(1);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
	alarms(0);
	pthread_join(thread, NULL);
	close_pair(&pair);
}

static void a_peer_that_closes_early_is_an_error_at_once(void **state)
{
	struct pp_origin origin;
	struct pair pair;
	size_t sent;

	(void)state;
	for (sent = 0; sent < LINE_LEN; sent += 20) {
		connect_pair(&pair);
		if (sent)
			send_all(pair.client, LINE, sent);
		shutdown(pair.client, SHUT_WR);
		assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_CLOSED);
		close_pair(&pair);
	}
	connect_pair(&pair);
	send_all(pair.client, LINE, LINE_LEN);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(pp_read_header(pair.server, &origin, WAIT_MS), 0);
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
		cmocka_unit_test(a_header_that_is_there_takes_four_calls),
		cmocka_unit_test(a_header_in_many_segments_takes_no_more_calls),
		cmocka_unit_test(a_slow_header_is_waited_for),
		cmocka_unit_test(a_header_larger_than_the_receive_buffer_is_read),
		cmocka_unit_test(a_large_low_water_mark_does_not_hold_a_header_back),
		cmocka_unit_test(a_peek_offset_moves_as_by_reading),
		cmocka_unit_test(a_peek_offset_never_shows_the_clients_header),
		cmocka_unit_test(tlvs_that_do_not_fit_are_left_out),
		cmocka_unit_test(an_urgent_byte_anywhere_in_a_header_is_one_of_it),
		cmocka_unit_test(an_urgent_byte_of_the_payload_stays_the_payloads),
		cmocka_unit_test(a_bad_header_is_refused_and_nothing_is_taken),
		cmocka_unit_test(no_header_is_a_timeout),
		cmocka_unit_test(half_a_header_does_not_spin),
		cmocka_unit_test(a_signal_ends_the_wait_only_while_nothing_is_taken),
		cmocka_unit_test(a_peer_that_closes_early_is_an_error_at_once),
		cmocka_unit_test(without_programs_a_lookup_says_so),
	};

	return cmocka_run_group_tests_name("read_header", tests, NULL, NULL);
}
