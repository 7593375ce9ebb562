// SPDX-License-Identifier: BSD-2-Clause
/*
 * Announcements of a proxy on this host that are lost, or cannot be stored: its connections are
 * refused, and are never taken for an ordinary client's.
 */
#include <poll.h>
#include <signal.h>

#include "../lib/map.h"
#include "../lib/proxy.h"

#define TRANSPARENT 2542
#define GATE_MS	    1600 /* after it, QUICK's gate has opened */
#define LONG_MS	    60000

static int setup(void **state)
{
	proxy_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	return 0;
}

static void served(unsigned int port)
{
	int listener = listen_on(SERVER, port), client, server;

	client = proxy_connects(LOCAL, SERVER, port);
	server = accept_line(listener, client);
	close_both(client, server);
	close(listener);
}

/* The announcement goes between connect() and header. With a gate, the server does not even see the
 * connection. */
static void without_its_announcement_no_connection_is_accepted(void **state)
{
	unsigned int ports[] = {QUICK, DROPPING, TRANSPARENT};
	int listener, client;
	long count;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		count = counter("unannounced");
		listener = listen_on(SERVER, ports[i]);
		client = proxy_connects(LOCAL, SERVER, ports[i]);
		assert_int_equal(entries("pp_outgoing"), 1);
		outgoing_clear();
		send_text(client, LINE "EHLO x\r\n");
		assert_int_equal(accept_within(listener, GATE_MS), -ETIMEDOUT);
		assert_true(counter("unannounced") > count);
		close_both(client, listener);
		served(ports[i]);
	}
}

/* Nor when the header never comes, and the gate's time is up. */
static void nor_is_one_without_a_header(void **state)
{
	int listener = listen_on(SERVER, QUICK), client;

	(void)state;
	client = proxy_connects(LOCAL, SERVER, QUICK);
	outgoing_clear();
	assert_int_equal(accept_within(listener, GATE_MS), -ETIMEDOUT);
	close_both(client, listener);
	served(QUICK);
}

/* Without a gate the server has its socket, and that its record, before the announcement goes. */
static void without_a_gate_it_is_no_strangers(void **state)
{
	int listener = listen_on(SERVER, OPEN), client, server, result;
	struct pp_origin origin;

	(void)state;
	client = proxy_connects(LOCAL, SERVER, OPEN);
	server = accept_within(listener, SOON_MS);
	outgoing_clear();
	send_text(client, LINE "EHLO x\r\n");
	result = pp_lookup_wait(server, &origin, SOON_MS);
	assert_true(result == 0 || result == -EBADMSG);
	close_both(client, server);
	close(listener);
	served(OPEN);
}

static int failure_of(int fd, int timeout_ms)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int failed = 0;

	if (!poll(&out, 1, timeout_ms))
		return EINPROGRESS;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
	return failed;
}

/* An announcement that finds no room. For as long as that connection may send its SYN, nobody can
 * tell it from a stranger's. */
static void a_full_map_refuses(void **state)
{
	int listener = listen_on(SERVER, PORT), proxy, client, server;
	long no_memory = counter("no_memory"), unannounced = counter("unannounced");
	struct pp_origin origin;

	(void)state;
	outgoing_fill(0);
	become_proxy();
	proxy = connect_start(LOCAL, SERVER, PORT);
	become_server();
	client = connect_start(OTHER, SERVER, PORT); /* an ordinary client */
	assert_int_equal(failure_of(client, A_WHILE_MS), EINPROGRESS);
	assert_true(counter("no_memory") > no_memory);
	assert_true(counter("unannounced") >= unannounced + 2);
	assert_int_equal(failure_of(proxy, LONG_MS), ETIMEDOUT);
	assert_int_equal(accept_within(listener, 0), -ETIMEDOUT);
	outgoing_clear();
	close(proxy);
	/* its kernel sends the SYN again */
	assert_int_equal(failure_of(client, LONG_MS), 0);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_reads_text(server, LINE "EHLO x\r\n");
	close_both(client, server);
	close(listener);
	served(PORT);
	served(TRANSPARENT);
}

/* A transparent server must never see the proxy's own address. */
static void a_full_map_refuses_in_transparent_mode_too(void **state)
{
	int listener = listen_on(SERVER, TRANSPARENT), proxy;

	(void)state;
	outgoing_fill(0);
	become_proxy();
	proxy = connect_start(SERVER, SERVER, TRANSPARENT);
	become_server();
	assert_int_equal(failure_of(proxy, LONG_MS), ETIMEDOUT);
	assert_int_equal(accept_within(listener, 0), -ETIMEDOUT);
	close_both(proxy, listener);
	outgoing_clear();
	served(TRANSPARENT);
}

static void what_is_left_behind_makes_room(void **state)
{
	int i;

	(void)state;
	outgoing_fill(600);
	for (i = 0; i < 20; i++) {
		served(PORT);
		served(TRANSPARENT);
	}
	assert_true(entries("pp_outgoing") <= 1);
}

/* How often an accept queue of this network namespace was full: the line of names, then that of
 * numbers. */
static long overflows(void)
{
	static char names[8192], numbers[8192];
	char *name, *number, *rest_names = NULL, *rest_numbers = NULL;
	FILE *file = fopen("/proc/net/netstat", "re");
	long count = -1;

	assert_non_null(file);
	while (count < 0 && fgets(names, sizeof(names), file) &&
	       fgets(numbers, sizeof(numbers), file)) {
		name = strtok_r(names, " ", &rest_names);
		number = strtok_r(numbers, " ", &rest_numbers);
		while (name && number && strcmp(name, "ListenOverflows") != 0) {
			name = strtok_r(NULL, " ", &rest_names);
			number = strtok_r(NULL, " ", &rest_numbers);
		}
		count = name && number ? strtol(number, NULL, 10) : -1;
	}
	fclose(file);
	assert_true(count >= 0);
	return count;
}

/* The receiving side's accept queue is full when the header comes, and the proxy resets: its header
 * may be on its way still, as far as anybody knows. */
static void leave_behind(int listener, int fillers[2])
{
	int client, i, tries;
	long before;

	become_proxy();
	client = connect_start(LOCAL, SERVER, PORT);
	become_server();
	assert_int_equal(failure_of(client, SOON_MS), 0);
	for (i = 0; i < 2; i++)
		fillers[i] = connect_to(OTHER, SERVER, PORT);
	before = overflows();
	send_text(client, LINE);
	/* a busy machine may look at it later, and there must be no room before */
	for (tries = 0; tries < SOON_MS && overflows() == before; tries++)
		usleep(1000);
	assert_true(overflows() > before);
	reset(client);
	for (i = 0; i < 2; i++)
		close_both(accept_within(listener, SOON_MS), fillers[i]);
}

static void a_reset_connections_announcement_stays_until_there_is_need_of_room(void **state)
{
	int listener = listen_on(SERVER, PORT), fillers[2], i, closed;

	(void)state;
	outgoing_clear();
	assert_int_equal(listen(listener, 1), 0);
	for (i = 0; i < 5; i++) {
		leave_behind(listener, fillers);
		assert_int_equal(entries("pp_outgoing"), i + 1);
	}
	closed = outgoing_closed();
	assert_int_equal(closed, 5);
	assert_int_equal(accept_within(listener, 0), -ETIMEDOUT);
	close(listener);
	served(PORT);
	served(TRANSPARENT);
	assert_true(outgoing_closed() == closed);
	outgoing_clear();
}

#define OLD   20000
#define FRESH 1000

static void closed_ones_that_are_old_are_swept_and_no_others(void **state)
{
	int i;

	(void)state;
	outgoing_clear();
	sleep(1); /* it is swept once a second */
	outgoing_put_closed(OLD, 11);
	outgoing_put_closed(FRESH, 0);
	outgoing_fill(11); /* these are not closed, and may be somebody's */
	assert_int_equal(entries("pp_outgoing"), OUTGOING_MAX);
	for (i = 0; i < 20; i++) {
		served(PORT);
		served(TRANSPARENT);
	}
	assert_int_equal(outgoing_closed(), FRESH);
	assert_true(entries("pp_outgoing") >= OUTGOING_MAX - OLD);
	assert_true(entries("pp_outgoing") <= OUTGOING_MAX - OLD + 1);
	outgoing_clear();
}

/* And where there are none but fresh ones, the next connection is refused until they are old. */
static void closed_ones_that_are_fresh_stay(void **state)
{
	int listener = listen_on(SERVER, PORT), proxy;

	(void)state;
	outgoing_clear();
	sleep(1);
	outgoing_put_closed(OUTGOING_MAX, 0);
	become_proxy();
	proxy = connect_start(LOCAL, SERVER, PORT);
	become_server();
	assert_int_equal(failure_of(proxy, LONG_MS), ETIMEDOUT);
	assert_int_equal(accept_within(listener, 0), -ETIMEDOUT);
	assert_int_equal(outgoing_closed(), OUTGOING_MAX);
	close_both(proxy, listener);
	sleep(10);
	served(PORT);
	assert_int_equal(outgoing_closed(), 0);
	outgoing_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_its_announcement_no_connection_is_accepted),
		cmocka_unit_test(nor_is_one_without_a_header),
		cmocka_unit_test(without_a_gate_it_is_no_strangers),
		cmocka_unit_test(a_full_map_refuses),
		cmocka_unit_test(a_full_map_refuses_in_transparent_mode_too),
		cmocka_unit_test(what_is_left_behind_makes_room),
		cmocka_unit_test(
			a_reset_connections_announcement_stays_until_there_is_need_of_room),
		cmocka_unit_test(closed_ones_that_are_old_are_swept_and_no_others),
		cmocka_unit_test(closed_ones_that_are_fresh_stay),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender_lost", tests, setup, NULL);
}
