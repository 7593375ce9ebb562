// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_lookup() and pp_lookup_wait() of servers that wait in every way, on sockets with every option.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/net.h"
#include "../unit/headers.h"

#define PAYLOAD	 "EHLO x\r\n"
#define LARGE	 PP_HEADER_MAX
#define QUIET_MS 30 /* no event in this time: there is none */

static int open_listener;

static int setup(void **state)
{
	net_setup(state);
	open_listener = listen_on(SERVER, OPEN);
	return 0;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, option, &value, &len);
	return value;
}

static int set_option(int fd, int option, int value)
{
	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

/* The headers that the tests below send, by number. */
#define HEADERS 3

static size_t make_header(int which, uint8_t *bytes)
{
	if (which == 0) {
		memcpy(bytes, LINE, LINE_LEN);
		return LINE_LEN;
	}
	return make_v2(bytes, which == 1 ? 100 : LARGE);
}

static const char *origin_of(int which)
{
	return which == 0 ? LINE_ORIGIN : V2_ORIGIN;
}

static void assert_origin_is(const struct pp_origin *origin, const char *wanted)
{
	char text[PP_ORIGIN_PRINT_MAX];

	pp_origin_print(origin, text, sizeof(text));
	assert_string_equal(text, wanted);
}

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

struct pieces {
	int fd;
	const uint8_t *bytes;
	size_t len, count;
	unsigned int pause_us;
};

static void *send_pieces(void *argument)
{
	struct pieces *pieces = argument;
	size_t i, from, to;

	for (i = 0; i < pieces->count; i++) {
		usleep(pieces->pause_us);
		from = pieces->len * i / pieces->count;
		to = pieces->len * (i + 1) / pieces->count;
		send_all(pieces->fd, pieces->bytes + from, to - from);
	}
	return NULL;
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

static void a_peek_offset_moves_as_by_reading(void **state)
{
	static const int offsets[] = {0, 20, 43, 60};
	struct link link;
	size_t i;
	int left;

	(void)state;
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		open_link(open_listener, &link);
		if (set_option(link.server, SO_PEEK_OFF, offsets[i])) {
			close_link(&link);
			return; /* Linux before 6.9 */
		}
		send_text(link.client, LINE);
		assert_origin(link.server, LINE_ORIGIN);
		left = offsets[i] - (int)LINE_LEN;
		assert_int_equal(option_of(link.server, SO_PEEK_OFF), left < 0 ? 0 : left);
		close_link(&link);
	}
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

static void lookup_once(int fd)
{
	struct pp_origin origin;

	pp_lookup(fd, &origin);
}

/* PP_TAKE, and nothing is discarded: the process died. */
static void die_taking(int fd)
{
	struct pp_record record;
	socklen_t len = sizeof(record);

	assert_int_equal(getsockopt(fd, SOL_PP, PP_TAKE, &record, &len), 0);
	assert_true(record.take > 0);
}

static void a_taker_that_dies_between_its_two_calls_does_no_harm(void **state)
{
	static uint8_t bytes[LARGE];
	size_t len, i, pieces;
	struct link link;
	int which;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		for (pieces = 1; pieces <= 4; pieces++) {
			len = make_header(which, bytes);
			open_link(open_listener, &link);
			send_all(link.client, bytes, len / pieces);
			await_acknowledged(link.client);
			die_taking(link.server);
			for (i = 1; i < pieces; i++) {
				lookup_once(link.server);
				send_all(link.client, bytes + len / pieces * i,
					 i == pieces - 1 ? len - len / pieces * i : len / pieces);
				await_acknowledged(link.client);
			}
			send_text(link.client, PAYLOAD);
			assert_origin(link.server, origin_of(which));
			assert_reads_text(link.server, PAYLOAD);
			assert_nothing_to_read(link.server);
			close_link(&link);
		}
	}
}

static void a_header_larger_than_the_receive_buffer_is_taken(void **state)
{
	static const int sizes[] = {1, 2048, 4096, 16384};
	static uint8_t bytes[LARGE + 8], tlvs[LARGE];
	struct pp_origin origin;
	struct pieces pieces;
	pthread_t thread;
	struct link link;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make_v2(bytes, LARGE);
		fill_pattern(bytes + 31, LARGE - 31, 7);
		memcpy(bytes + LARGE, PAYLOAD, 8);
		open_link(open_listener, &link);
		assert_int_equal(set_option(link.server, SO_RCVBUF, sizes[i]), 0);
		pieces = (struct pieces){link.client, bytes, LARGE + 8, 1, 0};
		assert_int_equal(pthread_create(&thread, NULL, send_pieces, &pieces), 0);
		assert_int_equal(pp_lookup_wait(link.server, &origin, 3 * SOON_MS), 0);
		assert_origin_is(&origin, V2_ORIGIN);
		assert_reads_text(link.server, PAYLOAD);
		pthread_join(thread, NULL);
		assert_int_equal(pp_tlvs(link.server, tlvs, sizeof(tlvs)), LARGE - 28);
		assert_memory_equal(tlvs, bytes + 28, LARGE - 28);
		close_link(&link);
	}
}

static void a_server_that_has_read_of_the_header_is_told(void **state)
{
	static const size_t amounts[] = {1, LINE_LEN - 1, LINE_LEN, LINE_LEN + 3};
	struct pp_record record;
	struct pp_origin origin;
	struct link link;
	char bytes[64];
	size_t i;
	socklen_t len;

	(void)state;
	for (i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		open_link(open_listener, &link);
		send_text(link.client, LINE PAYLOAD);
		await_acknowledged(link.client);
		assert_int_equal(recv(link.server, bytes, amounts[i], 0), amounts[i]);
		assert_int_equal(pp_lookup(link.server, &origin), -EBUSY);
		assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBUSY);
		len = sizeof(record);
		assert_int_equal(getsockopt(link.server, SOL_PP, PP_ORIGIN, &record, &len), 0);
		assert_int_equal(record.state, PP_STATE_VALID);
		assert_reads_text(link.server, LINE PAYLOAD + amounts[i]);
		close_link(&link);
	}
}

enum arrival {
	TOGETHER, /* in one segment */
	APART,	  /* the urgent byte ends the first of two segments */
	LATE,	  /* the server waits already, for each of them */
	ARRIVALS
};

struct urgent {
	int fd;
	const uint8_t *bytes;
	size_t len, position;
	enum arrival arrival;
};

static void cork(int fd, int on)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* Sends a header whose byte @position is urgent, and the payload. */
static void *send_urgent(void *argument)
{
	struct urgent *urgent = argument;
	const uint8_t *bytes = urgent->bytes;
	size_t first = urgent->position + 1;

	if (urgent->arrival == TOGETHER)
		cork(urgent->fd, 1);
	if (urgent->arrival == LATE) {
		send_all(urgent->fd, bytes, first - 1);
		usleep(1000);
		assert_int_equal(send(urgent->fd, bytes + first - 1, 1, MSG_OOB), 1);
		usleep(1000);
	} else {
		assert_int_equal(send(urgent->fd, bytes, first, MSG_OOB), first);
	}
	send_all(urgent->fd, bytes + first, urgent->len - first);
	if (urgent->arrival == LATE)
		usleep(1000);
	send_text(urgent->fd, PAYLOAD);
	cork(urgent->fd, 0);
	return NULL;
}

static void check_urgent(struct urgent *urgent, int was_inline)
{
	struct pp_origin origin;
	pthread_t thread;
	struct link link;
	int result;

	open_link(open_listener, &link);
	assert_int_equal(set_option(link.server, SO_OOBINLINE, was_inline), 0);
	urgent->fd = link.client;
	assert_int_equal(pthread_create(&thread, NULL, send_urgent, urgent), 0);
	if (urgent->arrival != LATE) {
		pthread_join(thread, NULL);
		await_acknowledged(link.client);
	}
	result = pp_lookup_wait(link.server, &origin, SOON_MS);
	if (urgent->arrival == LATE)
		pthread_join(thread, NULL);
	if (result)
		fail_msg("byte %zu, arrival %d, inline %d: %s (%s)", urgent->position,
			 urgent->arrival, was_inline, pp_strerror(result),
			 pp_reason_text(origin.reason));
	assert_int_equal(option_of(link.server, SO_OOBINLINE), was_inline);
	assert_reads_text(link.server, PAYLOAD);
	assert_nothing_to_read(link.server);
	close_link(&link);
}

static void an_urgent_byte_anywhere_in_a_header_is_one_of_it(void **state)
{
	struct urgent urgent = {0};
	uint8_t v2[40];
	int version;

	(void)state;
	make_v2(v2, sizeof(v2));
	for (version = 1; version <= 2; version++) {
		urgent.bytes = version == 1 ? (const uint8_t *)LINE : v2;
		urgent.len = version == 1 ? LINE_LEN : sizeof(v2);
		for (urgent.arrival = 0; urgent.arrival < ARRIVALS; urgent.arrival++) {
			for (urgent.position = 0; urgent.position < urgent.len; urgent.position++) {
				check_urgent(&urgent, 0);
				if (urgent.position % 8 == 7)
					check_urgent(&urgent, 1);
			}
		}
	}
}

static void tlvs_of_every_size_are_readable_before_and_after(void **state)
{
	static const size_t lens[] = {31,	 1024,	    1025,	28 + 4095,  28 + 4096,
				      28 + 4097, 28 + 8192, 28 + 12288, 28 + 12289, LARGE};
	static uint8_t bytes[LARGE], tlvs[LARGE + 100];
	struct pp_origin origin;
	struct link link;
	size_t i, tlv_len;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		tlv_len = lens[i] - 28;
		make_v2(bytes, lens[i]);
		fill_pattern(bytes + 31, lens[i] - 31, i);
		open_link(open_listener, &link);
		send_all(link.client, bytes, lens[i]);
		await_acknowledged(link.client);
		assert_int_equal(pp_tlvs(link.server, tlvs, sizeof(tlvs)), tlv_len);
		assert_memory_equal(tlvs, bytes + 28, tlv_len);
		assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), 0);
		assert_int_equal(origin.tlv_len, tlv_len);
		memset(tlvs, 0, sizeof(tlvs));
		assert_int_equal(pp_tlvs(link.server, tlvs, tlv_len), tlv_len);
		assert_memory_equal(tlvs, bytes + 28, tlv_len);
		assert_int_equal(pp_tlvs(link.server, tlvs, tlv_len - 1), -ENOBUFS);
		close_link(&link);
	}
}

static void a_large_header_with_a_broken_rule_is_bad(void **state)
{
	static uint8_t bytes[LARGE];
	struct pp_origin origin;
	struct link link;

	(void)state;
	make_v2(bytes, LARGE);
	bytes[30]--; /* the TLV ends a byte before the header: that byte is no TLV */
	open_link(open_listener, &link);
	send_all(link.client, bytes, LARGE);
	assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_TLV);
	close_link(&link);
}

static void check_reason(const char *bytes, size_t len, int reason)
{
	struct pp_origin origin = {.reason = 99};
	struct link link;

	open_link(open_listener, &link);
	assert_int_equal(pp_lookup(link.server, &origin), -EAGAIN);
	assert_int_equal(origin.reason, 0);
	send_all(link.client, bytes, len);
	if (reason == PP_BAD_CLOSED)
		shutdown(link.client, SHUT_WR);
	assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBADMSG);
	if (origin.reason != reason)
		fail_msg("%s, not %s", pp_reason_text(origin.reason), pp_reason_text(reason));
	assert_int_equal(pp_lookup(link.server, &origin), -EBADMSG);
	assert_int_equal(origin.reason, reason);
	close_link(&link);
}

#define CHECK_REASON(text, reason) check_reason(text, sizeof(text) - 1, reason)
#define V2_START		   "\r\n\r\n\0\r\nQUIT\n"

static void a_bad_header_comes_with_the_rule_that_it_breaks(void **state)
{
	(void)state;
	CHECK_REASON("EHLO client.example\r\n", PP_BAD_SIGNATURE);
	CHECK_REASON(V2_START "\x31", PP_BAD_VERSION);
	CHECK_REASON(V2_START "\x22", PP_BAD_COMMAND);
	CHECK_REASON(V2_START "\x21\x41", PP_BAD_FAMILY);
	CHECK_REASON("PROXY TCP5 ", PP_BAD_FAMILY);
	CHECK_REASON("PROXY TCP4 1.2.3.256 ", PP_BAD_ADDRESS);
	CHECK_REASON("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", PP_BAD_PORT);
	CHECK_REASON("PROXY UNKNOWN\r\r\n", PP_BAD_LINE);
	CHECK_REASON(V2_START "\x21\x11\0\x0b", PP_BAD_LENGTH);
	CHECK_REASON(V2_START "\x21\x11\xff\xff", PP_BAD_TOO_LARGE);
	CHECK_REASON(V2_START "\x21\x11\0\x0d"
			      "aaaabbbbccddX",
		     PP_BAD_TLV);
	CHECK_REASON(V2_START "\x21\x11\0\x13"
			      "aaaabbbbccdd\x03\0\x04XXXX",
		     PP_BAD_CHECKSUM);
	CHECK_REASON("PROXY TCP4 1.2.3.4 ", PP_BAD_CLOSED);
}

static void two_families_in_a_line_are_taken_where_they_are_allowed(void **state)
{
	int here = listen_on(SERVER, MIXED), client, server, result;
	struct pp_origin origin;
	size_t i;

	(void)state;
	for (i = 0; i < mixed_case_count; i++) {
		client = connect_to(PROXY, SERVER, MIXED);
		send_text(client, mixed_cases[i].line);
		server = accept_within(here, SOON_MS);
		result = pp_lookup_wait(server, &origin, SOON_MS);
		if (result != (mixed_cases[i].origin ? 0 : -EBADMSG))
			fail_msg("%s: %s", mixed_cases[i].line, pp_strerror(result));
		if (!result)
			assert_origin_is(&origin, mixed_cases[i].origin);
		close_both(client, server);
	}
	close(here);
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

static void a_listening_socket_is_no_connection(void **state)
{
	struct pp_origin origin;

	(void)state;
	assert_int_equal(pp_lookup(open_listener, &origin), -ENOTCONN);
	assert_int_equal(pp_lookup_wait(open_listener, &origin, SOON_MS), -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_with_epoll_is_woken_once_a_segment),
		cmocka_unit_test(a_waiting_look_up_is_woken_once_a_segment),
		cmocka_unit_test(a_look_up_that_waits_for_half_a_header_sleeps),
		cmocka_unit_test(a_low_water_mark_does_not_hold_a_header_back),
		cmocka_unit_test(a_killed_waiter_leaves_options_and_header_as_they_were),
		cmocka_unit_test(a_peek_offset_moves_as_by_reading),
		cmocka_unit_test(two_processes_wait_for_one_header),
		cmocka_unit_test(a_taker_that_dies_between_its_two_calls_does_no_harm),
		cmocka_unit_test(a_header_larger_than_the_receive_buffer_is_taken),
		cmocka_unit_test(a_server_that_has_read_of_the_header_is_told),
		cmocka_unit_test(an_urgent_byte_anywhere_in_a_header_is_one_of_it),
		cmocka_unit_test(tlvs_of_every_size_are_readable_before_and_after),
		cmocka_unit_test(a_large_header_with_a_broken_rule_is_bad),
		cmocka_unit_test(a_bad_header_comes_with_the_rule_that_it_breaks),
		cmocka_unit_test(two_families_in_a_line_are_taken_where_they_are_allowed),
		cmocka_unit_test(a_connection_that_is_gone_is_answered_at_once),
		cmocka_unit_test(a_listening_socket_is_no_connection),
	};

	return cmocka_run_group_tests_name("lookup", tests, setup, NULL);
}
