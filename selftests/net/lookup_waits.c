// SPDX-License-Identifier: BSD-2-Clause
/*
 * A server that waits for a header, by epoll or in pp_lookup_wait(), is woken once for each segment
 * and sleeps in between; it is woken at once by an end, and what dies while it waits leaves the
 * socket as it was.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/listeners.h"
#include "../lib/lookups.h"
#include "../unit/headers.h"

#define QUIET_MS 30 /* no event in this time: there is none */

/* A server with epoll: asks after each wake-up, until it has an answer or, unless @last, nothing
 * happens any more. */
static int serve(int epoll, int fd, struct pp_origin *origin, int last, unsigned int *wakes)
{
	struct epoll_event event;
	int result = -EAGAIN;

	while (result == -EAGAIN) {
		if (epoll_wait(epoll, &event, 1, last ? SOON_MS : QUIET_MS) != 1)
			break;
		if (++*wakes > 1000)
			fail_msg("the server spins");
		result = pp_lookup(fd, origin);
	}
	return result;
}

static void check_epoll(int which, size_t pieces, uint32_t events)
{
	static uint8_t bytes[LARGE];
	size_t len = make_header(which, bytes), i, from, to;
	struct epoll_event event = {.events = events};
	int epoll = epoll_create1(EPOLL_CLOEXEC), result;
	struct pp_origin origin;
	unsigned int wakes = 0;
	struct link link;

	open_link(open_listener, &link);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, link.server, &event), 0);
	for (i = 0; i < pieces; i++) {
		from = len * i / pieces;
		to = len * (i + 1) / pieces;
		send_all(link.client, bytes + from, to - from);
		result = serve(epoll, link.server, &origin, i == pieces - 1, &wakes);
		assert_int_equal(result, i == pieces - 1 ? 0 : -EAGAIN);
	}
	if (wakes > pieces + 1)
		fail_msg("header %d, %zu pieces: %u wake-ups", which, pieces, wakes);
	assert_origin_is(&origin, origin_of(which));
	assert_nothing_to_read(link.server);
	send_text(link.client, PAYLOAD);
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
	close(epoll);
}

static void a_server_with_epoll_is_woken_once_a_segment(void **state)
{
	static const size_t pieces[] = {1, 2, 10};
	size_t i;
	int which;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			check_epoll(which, pieces[i], EPOLLIN);
			check_epoll(which, pieces[i], EPOLLIN | EPOLLET);
		}
	}
}

static double thread_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec + used.tv_nsec / 1e9;
}

static long thread_waits(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void a_waiting_look_up_is_woken_once_a_segment(void **state)
{
	static uint8_t bytes[LARGE + 8];
	struct pp_origin origin;
	struct pieces pieces;
	struct link link;
	pthread_t thread;
	long waits;
	int which;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		pieces = (struct pieces){0, bytes, make_header(which, bytes), 10, 5000};
		memcpy(bytes + pieces.len, PAYLOAD, 8);
		pieces.len += 8;
		open_link(open_listener, &link);
		pieces.fd = link.client;
		waits = thread_waits();
		assert_int_equal(pthread_create(&thread, NULL, send_pieces, &pieces), 0);
		assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), 0);
		waits = thread_waits() - waits;
		if (waits > 2 * 10) /* one each, and what the kernel does besides */
			fail_msg("header %d: %ld waits", which, waits);
		pthread_join(thread, NULL);
		assert_reads_text(link.server, PAYLOAD);
		close_link(&link);
	}
}

static void a_look_up_that_waits_for_half_a_header_sleeps(void **state)
{
	struct pp_origin origin;
	struct link link;
	double used;
	long waits;
	int low_water;

	(void)state;
	for (low_water = 1; low_water <= 500; low_water += 499) {
		open_link(open_listener, &link);
		assert_int_equal(set_option(link.server, SO_RCVLOWAT, low_water), 0);
		send_all(link.client, LINE, 20);
		used = thread_seconds();
		waits = thread_waits();
		assert_int_equal(pp_lookup_wait(link.server, &origin, 1000), -ETIMEDOUT);
		used = thread_seconds() - used;
		waits = thread_waits() - waits;
		if (used > 0.25 || waits > 60)
			fail_msg("%g s of processor time, %ld waits", used, waits);
		send_text(link.client, LINE + 20);
		assert_origin(link.server, LINE_ORIGIN);
		close_link(&link);
	}
}

static void a_low_water_mark_does_not_hold_a_header_back(void **state)
{
	struct link link;

	(void)state;
	open_link(open_listener, &link);
	assert_int_equal(set_option(link.server, SO_RCVLOWAT, 500), 0);
	send_text(link.client, LINE);
	assert_origin(link.server, LINE_ORIGIN);
	assert_int_equal(option_of(link.server, SO_RCVLOWAT), 500);
	close_link(&link);
}

/* A process that waits for the header of @fd, and exits with 0 when it has it. */
static pid_t start_waiter(int fd)
{
	struct pp_origin origin;
	pid_t pid = fork();

	if (pid == 0)
		_exit(pp_lookup_wait(fd, &origin, SOON_MS) ? 1 : 0);
	return pid;
}

static void assert_exits_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_killed_waiter_leaves_options_and_header_as_they_were(void **state)
{
	int offset, status;
	struct link link;
	pid_t waiter;

	(void)state;
	open_link(open_listener, &link);
	assert_int_equal(set_option(link.server, SO_RCVLOWAT, 7), 0);
	offset = set_option(link.server, SO_PEEK_OFF, 3) ? -1 : 3; /* Linux 6.9 */
	waiter = start_waiter(link.server);
	send_all(link.client, LINE, 2);
	usleep(A_WHILE_MS * 1000);
	send_all(link.client, LINE + 2, 18);
	usleep(A_WHILE_MS * 1000);
	kill(waiter, SIGKILL);
	waitpid(waiter, &status, 0);
	assert_int_equal(option_of(link.server, SO_RCVLOWAT), 7);
	assert_int_equal(option_of(link.server, SO_OOBINLINE), 0);
	/* what reading does to a peek offset has been done */
	assert_int_equal(option_of(link.server, SO_PEEK_OFF), offset < 0 ? -1 : 0);
	send_text(link.client, LINE + 20);
	assert_origin(link.server, LINE_ORIGIN);
	assert_int_equal(set_option(link.server, SO_RCVLOWAT, 1), 0);
	send_text(link.client, PAYLOAD);
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
}

static void two_processes_wait_for_one_header(void **state)
{
	static uint8_t bytes[LARGE + 8];
	pid_t waiters[2];
	struct link link;
	int which, round;
	size_t len;

	(void)state;
	for (round = 0; round < 10; round++) {
		for (which = 0; which < HEADERS; which++) {
			struct pieces pieces = {.bytes = bytes, .count = 1 + round % 4};

			len = make_header(which, bytes);
			memcpy(bytes + len, PAYLOAD, 8);
			open_link(open_listener, &link);
			waiters[0] = start_waiter(link.server);
			waiters[1] = start_waiter(link.server);
			pieces.fd = link.client;
			pieces.len = len + 8;
			pieces.pause_us = round < 5 ? 2000 : 0;
			send_pieces(&pieces);
			assert_exits_well(waiters[0]);
			assert_exits_well(waiters[1]);
			assert_origin(link.server, origin_of(which));
			assert_reads_text(link.server, PAYLOAD);
			assert_nothing_to_read(link.server);
			assert_int_equal(option_of(link.server, SO_RCVLOWAT), 1);
			close_link(&link);
		}
	}
}

/* 0: closes in order; else with a RST. */
static void check_gone(const char *bytes, int with_reset, int wanted)
{
	struct timespec from, to;
	struct pp_origin origin;
	struct link link;
	int result;

	open_link(open_listener, &link);
	send_text(link.client, bytes);
	await_acknowledged(link.client);
	if (with_reset)
		reset(link.client);
	else
		close(link.client);
	clock_gettime(CLOCK_MONOTONIC, &from);
	result = pp_lookup_wait(link.server, &origin, 3 * SOON_MS);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (result != wanted)
		fail_msg("'%s', reset %d: %s", bytes, with_reset, pp_strerror(result));
	assert_int_equal(pp_lookup(link.server, &origin), wanted);
	assert_true(to.tv_sec - from.tv_sec <= SOON_MS / 1000);
	close(link.server);
}

static void a_connection_that_is_gone_is_answered_at_once(void **state)
{
	int with_reset;

	(void)state;
	for (with_reset = 0; with_reset <= 1; with_reset++) {
		check_gone(LINE, with_reset, 0);
		check_gone(LINE PAYLOAD, with_reset, 0);
		check_gone("PROXY TCP4 192.0.2.7 ", with_reset, -EBADMSG);
		check_gone("", with_reset, -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_with_epoll_is_woken_once_a_segment),
		cmocka_unit_test(a_waiting_look_up_is_woken_once_a_segment),
		cmocka_unit_test(a_look_up_that_waits_for_half_a_header_sleeps),
		cmocka_unit_test(a_low_water_mark_does_not_hold_a_header_back),
		cmocka_unit_test(a_killed_waiter_leaves_options_and_header_as_they_were),
		cmocka_unit_test(two_processes_wait_for_one_header),
		cmocka_unit_test(a_connection_that_is_gone_is_answered_at_once),
	};

	return cmocka_run_group_tests_name("lookup_waits", tests, listeners_setup, NULL);
}
