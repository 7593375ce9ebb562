// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ports and sets that are removed while connections live whose header was taken out: these go on,
 * exact to the byte, until they are gone; nobody else is served meanwhile.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "../lib/bulk.h"
#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"
#include "../lib/served.h"

#define DRAINING 3 /* exit status of 'ppctl down' */
#define KILLS	 6

static int teardown(void **state)
{
	(void)state;
	close(served_listener);
	run(0, "[ ! -e " PIN " ] || build/bin/ppctl down --now");
	return 0;
}

/* The port is as one that nobody has added: the header is in the stream, the name is the proxy's.
 */
static void assert_not_served(void)
{
	struct link link;

	link.client = connect_to(PROXY, SERVER, TRANSPARENT);
	link.server = accept_within(served_listener, SOON_MS);
	assert_true(link.server >= 0);
	assert_peer_address(link.server, PROXY);
	assert_int_equal(record_of(link.server).state, PP_STATE_NONE);
	send_text(link.client, LINE "payload");
	assert_reads_text(link.server, LINE "payload");
	send_text(link.server, "220 hello\r\n");
	assert_reads_text(link.client, "220 hello\r\n");
	close_link(&link);
}

static void assert_is_down(void)
{
	assert_int_equal(access(PIN, F_OK), -1);
}

static void a_port_drains_and_is_added_again(void **state)
{
	struct bulk *bulk;
	struct link link;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	bulk_go_on(bulk, SOME);
	assert_says(run(0, "build/bin/ppctl port del %d", TRANSPARENT), "drains");
	assert_says(status_text(""),
		    "draining: new connections have no split, 1 with a split left");
	bulk_go_on(bulk, SOME);
	assert_not_served();
	assert_peer_address(link.server, "192.0.2.7");
	assert_origin(link.server, LINE_ORIGIN);
	bulk_go_on(bulk, SOME);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	assert_served();
	bulk_go_on(bulk, SOME);
	run(0, "build/bin/ppctl port del %d", TRANSPARENT);
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
	run(0, "build/bin/ppctl proxy add %s", PROXY); /* any command */
	run(1, "build/bin/ppctl port list | grep %d", TRANSPARENT);
	assert_not_served();
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	assert_served();
	run(0, "build/bin/ppctl port del %d", TRANSPARENT);
	run(1, "build/bin/ppctl port list | grep %d", TRANSPARENT);
}

/* Of a client that closes: the reader of the stream's rest is served still. */
static void a_half_closed_connection_keeps_its_port_draining(void **state)
{
	struct link link;

	(void)state;
	open_transparent(&link);
	send_text(link.client, "payload");
	shutdown(link.client, SHUT_WR);
	assert_reads_text(link.server, "payload");
	assert_reads_eof(link.server);
	assert_says(run(0, "build/bin/ppctl port del %d", TRANSPARENT), "drains");
	send_text(link.server, "answer");
	assert_reads_text(link.client, "answer");
	await_acknowledged(link.server);
	close_link(&link);
	run(0, "build/bin/ppctl port add %d", OPEN);
	run(1, "build/bin/ppctl port list | grep %d", TRANSPARENT);
}

static void a_header_of_which_pieces_came_is_served_to_its_end(void **state)
{
	struct link other, link;

	(void)state;
	open_transparent(&other);
	link.client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_all(link.client, LINE, 10);
	await_acknowledged(link.client);
	run(0, "build/bin/ppctl port del %d", TRANSPARENT);
	send_all(link.client, LINE "payload" + 10, LINE_LEN + 7 - 10);
	link.server = accept_within(served_listener, SOON_MS);
	assert_true(link.server >= 0);
	assert_peer_address(link.server, "192.0.2.7");
	assert_reads_text(link.server, "payload");
	close_link(&link);
	close_link(&other);
}

static void a_port_that_has_no_split_any_more_keeps_its_connections(void **state)
{
	struct link link, peek;
	struct bulk *bulk;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	bulk_go_on(bulk, SOME);
	run(0, "build/bin/ppctl port add %d --split no", TRANSPARENT);
	assert_says(run(0, "build/bin/ppctl port list"), "1 with a split left");
	peek.client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(peek.client, LINE "payload");
	peek.server = accept_within(served_listener, SOON_MS);
	assert_true(peek.server >= 0);
	assert_peer_address(peek.server, PROXY);
	assert_origin(peek.server, LINE_ORIGIN);
	assert_reads_text(peek.server, "payload");
	close_link(&peek);
	bulk_go_on(bulk, SOME);
	assert_peer_address(link.server, "192.0.2.7");
	bulk_end(bulk);
	close_link(&link);
	run(0, "build/bin/ppctl proxy add %s", PROXY);
	run(1, "build/bin/ppctl port list | grep left");
}

static void down_drains_and_up_takes_it_back(void **state)
{
	struct bulk *bulk;
	struct link link;
	char before[4096];

	(void)state;
	snprintf(before, sizeof(before), "%s", run(0, "build/bin/ppctl port list"));
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	bulk_go_on(bulk, SOME);
	assert_says(run(DRAINING, "build/bin/ppctl down"), "left whose header was taken out: 1");
	assert_says(status_text(""), "going down");
	assert_says(run(1, "build/bin/ppctl port add %d", OPEN), "going down");
	bulk_go_on(bulk, SOME);
	assert_not_served();
	run(DRAINING, "build/bin/ppctl down --wait=1");
	bulk_go_on(bulk, SOME);
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP");
	assert_string_equal(run(0, "build/bin/ppctl port list"), before);
	assert_served();
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
}

static void the_next_command_ends_what_has_drained(void **state)
{
	struct link link;

	(void)state;
	open_transparent(&link);
	run(DRAINING, "build/bin/ppctl down");
	run(DRAINING, "build/bin/ppctl down");
	send_text(link.client, "payload");
	assert_reads_text(link.server, "payload");
	close_link(&link);
	run(1, "build/bin/ppctl port del %d", PORT);
	assert_is_down();
	served_up();
	open_transparent(&link);
	run(DRAINING, "build/bin/ppctl down");
	close_link(&link);
	run(0, "build/bin/ppctl down");
	assert_is_down();
}

static void down_waits_for_the_last_connection(void **state)
{
	char said[256];
	struct link link;
	FILE *down;

	(void)state;
	open_transparent(&link);
	down = popen("build/bin/ppctl down --wait 2>&1", "r");
	assert_non_null(down);
	assert_non_null(fgets(said, sizeof(said), down));
	assert_string_equal(said, "going down, connections to wait for: 1\n");
	usleep(A_WHILE_MS * 1000);
	send_text(link.client, "payload");
	assert_reads_text(link.server, "payload");
	assert_int_equal(access(PIN, F_OK), 0);
	close_link(&link);
	said[fread(said, 1, sizeof(said) - 1, down)] = 0;
	assert_string_equal(said, "down\n");
	assert_int_equal(pclose(down), 0);
	assert_is_down();
}

static void down_now_resets_what_is_left(void **state)
{
	struct link link, waiting;
	struct bulk *bulk;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	waiting.client = connect_to(PROXY, SERVER, TRANSPARENT); /* that nobody accepts */
	send_text(waiting.client, LINE);
	await_acknowledged(waiting.client);
	bulk_go_on(bulk, SOME);
	run(0, "build/bin/ppctl down --now");
	assert_is_down();
	bulk_end_reset(bulk);
	assert_int_equal(recv(waiting.client, &link, sizeof(link), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(waiting.client);
	close_link(&link);
}

/* The server has closed, and its last bytes wait for the client to read. Linux before 6.11 cannot
 * reset such a socket. */
static void down_now_does_not_wait_for_sockets_that_nobody_has(void **state)
{
	struct link link;
	char bytes[4096];
	ssize_t len, i;

	(void)state;
	open_transparent(&link);
	fcntl(link.server, F_SETFL, O_NONBLOCK);
	memset(bytes, 'x', sizeof(bytes));
	while (send(link.server, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	close(link.server);
	run(DRAINING, "build/bin/ppctl down");
	run(0, "build/bin/ppctl down --now");
	assert_is_down();
	len = recv(link.client, bytes, sizeof(bytes), 0);
	for (i = 0; i < len; i++)
		assert_int_equal(bytes[i], 'x');
	close(link.client);
}

/* The set was made in the server's network namespace, and goes from another one. */
static void down_now_finds_sockets_in_other_namespaces(void **state)
{
	int here = netns_here(), there = netns_make();
	struct link link;
	pid_t process;

	(void)state;
	run(0, "build/bin/ppctl down");
	netns_enter(there);
	close(served_listener);
	process = fork(); /* the server would be one in its namespace */
	if (!process)
		pause();
	served_up();
	served_listener = listen_on(SERVER, TRANSPARENT);
	open_transparent(&link);
	netns_enter(here);
	run(0, "build/bin/ppctl down --now");
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	assert_is_down();
	assert_int_equal(recv(link.client, &link, sizeof(link), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(here);
	close(there);
}

/* Wherever 'down' and 'port del' are killed, the connection goes on, and a next command too. */
static void killed_anywhere_a_connection_goes_on(void **state)
{
	struct bulk *bulk;
	struct link link;
	int i;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	for (i = 0; i < KILLS; i++) {
		run(0, "build/bin/ppctl down --wait & sleep 0.0%02d; kill -9 $!; wait $!; true",
		    i * 9);
		bulk_go_on(bulk, SOME);
		if (i % 3 == 0)
			run(DRAINING, "build/bin/ppctl down");
		run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP");
		bulk_go_on(bulk, SOME);
		run(0, "build/bin/ppctl port del %d & sleep 0.0%02d; kill -9 $!; wait $!; true",
		    TRANSPARENT, i * 9);
		bulk_go_on(bulk, SOME);
		run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
		assert_served();
	}
	bulk_end(bulk);
	close_link(&link);
	for (i = 0; i < KILLS; i++) {
		run(0, "build/bin/ppctl down & sleep 0.0%02d; kill -9 $!; wait $!; true", i * 9);
		run(0, "[ ! -e " PIN " ] || build/bin/ppctl down");
		assert_is_down();
		served_up();
		assert_served();
	}
}

/* A tuple may have carried other connections while its port was not served: what is remembered of
 * it from before must not touch them. */
static void a_tuple_that_was_translated_once_is_not_again(void **state)
{
	struct link link;
	unsigned int from;

	(void)state;
	open_transparent(&link);
	from = port_of(link.client);
	reset(link.client);
	close(link.server);
	run(0, "build/bin/ppctl port del %d", TRANSPARENT);
	link.client = connect_from(PROXY, from, SERVER, TRANSPARENT);
	link.server = accept_within(served_listener, SOON_MS);
	send_text(link.client, "before");
	assert_reads_text(link.server, "before");
	/* not marked any more: an ordinary client on a served port */
	run(0, "build/bin/ppctl proxy del %s", PROXY);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	send_text(link.client, "after");
	assert_reads_text(link.server, "after");
	close_link(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_port_drains_and_is_added_again, served_setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_half_closed_connection_keeps_its_port_draining,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(a_header_of_which_pieces_came_is_served_to_its_end,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_port_that_has_no_split_any_more_keeps_its_connections, served_setup,
			teardown),
		cmocka_unit_test_setup_teardown(down_drains_and_up_takes_it_back, served_setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_next_command_ends_what_has_drained,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(down_waits_for_the_last_connection, served_setup,
						teardown),
		cmocka_unit_test_setup_teardown(down_now_resets_what_is_left, served_setup,
						teardown),
		cmocka_unit_test_setup_teardown(down_now_does_not_wait_for_sockets_that_nobody_has,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(down_now_finds_sockets_in_other_namespaces,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(killed_anywhere_a_connection_goes_on, served_setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_tuple_that_was_translated_once_is_not_again,
						served_setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("drain", tests, NULL, NULL);
}
