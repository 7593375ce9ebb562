// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two callers look up one connection: whoever was told to discard the header has a while for it, in
 * which nobody else is told. If it dies, another is told later. No byte of payload is lost.
 */
#include <signal.h>
#include <sys/wait.h>

#include "../lib/listeners.h"
#include "../lib/lookups.h"

#define TRIES	  5
#define STOP_MS	  1000
#define MARGIN_MS 1800 /* the taker has 2 s */

static uint32_t take(int fd)
{
	struct pp_record record;
	socklen_t len = sizeof(record);

	if (getsockopt(fd, SOL_PP, PP_TAKE, &record, &len))
		return 0;
	return record.take;
}

enum end {
	STOPS, /* between the two calls, then goes on */
	DIES,  /* there */
};

/* A process that is told to take the header of @fd; when this returns, it has been told. Exits with
 * 0 when it was told to take @len bytes, and has. */
static pid_t start_taker(int fd, size_t len, enum end end)
{
	static uint8_t bytes[LARGE];
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (take(fd) != len)
			_exit(1);
		if (end == DIES)
			_exit(0);
		raise(SIGSTOP);
		_exit(recv(fd, bytes, len, MSG_DONTWAIT) == (ssize_t)len ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (end == STOPS)
		assert_true(WIFSTOPPED(status));
	else
		assert_int_equal(status, 0);
	return pid;
}

/* A connection of whose header the first @len bytes have come. */
static void open_with_half(struct link *link, const uint8_t *bytes, size_t len)
{
	open_link(open_listener, link);
	send_all(link->client, bytes, len);
	await_acknowledged(link->client);
}

/* What is left of the header has come, and the payload. */
static void send_rest(const struct link *link, const uint8_t *bytes, size_t len)
{
	send_all(link->client, bytes, len);
	send_text(link->client, PAYLOAD);
	await_acknowledged(link->client);
}

static void open_with_header(struct link *link, const uint8_t *bytes, size_t len)
{
	open_link(open_listener, link);
	send_rest(link, bytes, len);
}

/* The header is gone, and no byte of the payload. */
static void assert_taken(const struct link *link, int which)
{
	assert_origin(link->server, origin_of(which));
	assert_reads_text(link->server, PAYLOAD);
	assert_nothing_to_read(link->server);
}

/* Return: 0, or -1 when this machine was too slow to tell. */
static int try_stopped(int which, const uint8_t *bytes, size_t len)
{
	int64_t start;
	struct pp_origin origin;
	struct link link;
	int result = -EAGAIN, status;
	long asked_ms;
	pid_t taker;

	open_with_header(&link, bytes, len);
	start = now_ms();
	taker = start_taker(link.server, len, STOPS);
	do {
		result = pp_lookup(link.server, &origin);
		asked_ms = now_ms() - start;
		usleep(1000);
	} while (result == -EAGAIN && asked_ms < STOP_MS);
	kill(taker, SIGCONT);
	assert_int_equal(waitpid(taker, &status, 0), taker);
	if (asked_ms >= MARGIN_MS || now_ms() - start >= MARGIN_MS) {
		close_link(&link);
		return -1;
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(status, 0);
	assert_taken(&link, which);
	close_link(&link);
	return 0;
}

static void while_a_taker_is_stopped_another_caller_waits(void **state)
{
	static uint8_t bytes[LARGE];
	int which, i, result;
	size_t len;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		len = make_header(which, bytes);
		for (i = 0, result = -1; result && i < TRIES; i++)
			result = try_stopped(which, bytes, len);
		if (result)
			skip_because("this machine is too slow to see that");
	}
}

static void a_caller_that_waits_gets_the_origin_from_a_taker_that_goes_on(void **state)
{
	static uint8_t bytes[LARGE];
	struct pp_origin origin;
	int64_t start;
	struct link link;
	int which, status, result;
	pid_t taker, waker;
	size_t len;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		len = make_header(which, bytes);
		open_with_header(&link, bytes, len);
		start = now_ms();
		taker = start_taker(link.server, len, STOPS);
		waker = fork();
		if (waker == 0) {
			usleep(A_WHILE_MS * 1000);
			_exit(kill(taker, SIGCONT));
		}
		result = pp_lookup_wait(link.server, &origin, SOON_MS);
		waitpid(waker, &status, 0);
		waitpid(taker, &status, 0);
		if (now_ms() - start < MARGIN_MS) {
			assert_int_equal(result, 0);
			assert_int_equal(status, 0);
			assert_reads_text(link.server, PAYLOAD);
			assert_nothing_to_read(link.server);
		}
		close_link(&link);
	}
}

static void a_taker_that_died_is_another_ones_turn(void **state)
{
	static uint8_t bytes[LARGE];
	struct link link;
	int which, i;
	size_t len;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		len = make_header(which, bytes);
		open_with_header(&link, bytes, len);
		start_taker(link.server, len, DIES);
		assert_taken(&link, which);
		for (i = 0; i < 3; i++) /* and nobody is told any more */
			assert_int_equal(take(link.server), 0);
		close_link(&link);
	}
}

/* The first dies with a piece of the header, the second with the next. */
static void takers_that_die_one_after_the_other(void **state)
{
	static uint8_t bytes[LARGE];
	struct link link;
	int which;
	size_t len, half;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		len = make_header(which, bytes);
		half = len / 2;
		open_with_half(&link, bytes, half);
		start_taker(link.server, half, DIES);
		send_rest(&link, bytes + half, len - half);
		sleep(3);
		start_taker(link.server, len, DIES);
		assert_taken(&link, which);
		close_link(&link);
	}
}

static void who_asks_again_is_told_again_at_once(void **state)
{
	static uint8_t bytes[LARGE];
	struct link link;
	int which, i;
	size_t len, half;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		len = make_header(which, bytes);
		half = len / 2;
		open_with_half(&link, bytes, half);
		for (i = 0; i < 3; i++)
			assert_int_equal(take(link.server), half);
		assert_reads(link.server, bytes, 3); /* of what it was told */
		for (i = 0; i < 3; i++)
			assert_int_equal(take(link.server), half - 3);
		send_rest(&link, bytes + half, len - half);
		for (i = 0; i < 3; i++)
			assert_int_equal(take(link.server), len - 3);
		assert_taken(&link, which);
		close_link(&link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_a_taker_is_stopped_another_caller_waits),
		cmocka_unit_test(a_caller_that_waits_gets_the_origin_from_a_taker_that_goes_on),
		cmocka_unit_test(a_taker_that_died_is_another_ones_turn),
		cmocka_unit_test(takers_that_die_one_after_the_other),
		cmocka_unit_test(who_asks_again_is_told_again_at_once),
	};

	return cmocka_run_group_tests_name("taker", tests, listeners_setup, NULL);
}
