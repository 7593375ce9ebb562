// SPDX-License-Identifier: BSD-2-Clause
/*
 * The gate: accept() waits for the header, for a while.
 *
 * check: both
 */

#include "../lib/net.h"

static int listener, quick_listener;

static int setup(void **state)
{
	net_setup(state);
	listener = listen_on(SERVER, PORT);
	quick_listener = listen_on(SERVER, QUICK);
	return 0;
}

static void accept_waits_for_the_header(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	long held = counter("acks_held");

	(void)state;
	assert_true(held > 0);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	server = accept_line(listener, client);
	close_both(client, server);
}

static void an_unmarked_host_passes_the_gate_at_once(void **state)
{
	int client = connect_to(OTHER, SERVER, PORT), server = accept_within(listener, SOON_MS);

	(void)state;
	send_text(server, "220 hello\r\n"); /* the server speaks first */
	assert_reads_text(client, "220 hello\r\n");
	close_both(client, server);
}

static void all_of_ipv6_is_no_ipv4(void **state)
{
	int listener6 = listen_on(SERVER6, OPEN), client, server;
	struct pp_origin origin;

	(void)state;
	run(0, "build/bin/ppctl proxy add ::/0");
	client = connect_to(OTHER6, SERVER6, OPEN);
	send_text(client, LINE);
	server = accept_within(listener6, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	close_both(client, server);
	client = connect_to(OTHER, SERVER, PORT);
	server = accept_within(listener, SOON_MS);
	send_text(client, LINE);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_reads_text(server, LINE);
	close_both(client, server);
	run(0, "build/bin/ppctl proxy del ::/0");
	close(listener6);
}

static void the_gate_opens_when_its_time_is_up(void **state)
{
	long expired =
		counter("gates_expired"); /* before it: a slow machine takes longer than the gate */
	int64_t start = now_ms();
	int client = connect_to(PROXY, SERVER, QUICK), server;
	struct pp_origin origin;

	(void)state;
	server = accept_within(quick_listener, SOON_MS);
	assert_true(server >= 0);
	assert_true(now_ms() - start >= 900 - 250);
	assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
	assert_int_equal(counter("gates_expired"), expired + 1);
	/* a header that comes now comes too late, and is payload */
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
	close_both(client, server);
}

static void the_default_gate_opens_after_three_seconds(void **state)
{
	int64_t start = now_ms();
	int usual = listen_on(SERVER, USUAL), client = connect_to(PROXY, SERVER, USUAL), server;
	struct pp_origin origin;

	(void)state;
	server = accept_within(usual, SOON_MS);
	assert_true(server >= 0);
	assert_true(now_ms() - start >= 2750);
	assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
	close_both(client, server);
	close(usual);
}

static void a_slow_header_within_the_gate_time_is_in_time(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;

	(void)state;
	assert_int_equal(accept_within(listener, 1500), -ETIMEDOUT);
	server = accept_line(listener, client);
	close_both(client, server);
}

static void a_health_check_that_resets_never_wakes_the_server(void **state)
{
	int client, i;

	(void)state;
	for (i = 0; i < 20; i++) {
		client = connect_to(PROXY, SERVER, PORT);
		reset(client);
	}
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
}

static void a_client_that_closes_without_a_header_is_told(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct pp_origin origin;

	(void)state;
	close(client);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	assert_reads_eof(server);
	close(server);
}

static void many_held_connections_each_get_their_origin(void **state)
{
	enum { COUNT = 200 };
	int clients[COUNT], servers[COUNT], i;
	struct pp_origin origin;
	char line[128];
	char text[PP_ORIGIN_PRINT_MAX];
	char got[16];

	(void)state;
	for (i = 0; i < COUNT; i++)
		clients[i] = connect_to(PROXY, SERVER, PORT);
	for (i = COUNT - 1; i >= 0; i--) {
		snprintf(line, sizeof(line), "PROXY TCP4 192.0.2.%d 198.51.100.1 %d 25\r\n%5d", i,
			 1000 + i, i);
		send_text(clients[i], line);
	}
	for (i = 0; i < COUNT; i++) {
		servers[i] = accept_within(listener, SOON_MS);
		assert_int_equal(pp_lookup_wait(servers[i], &origin, SOON_MS), 0);
		assert_int_equal(recv(servers[i], got, 5, MSG_WAITALL), 5);
		got[5] = 0;
		snprintf(line, sizeof(line), "PROXY v1 TCP 192.0.2.%d:%d -> 198.51.100.1:25",
			 atoi(got), 1000 + atoi(got));
		pp_origin_print(&origin, text, sizeof(text));
		assert_string_equal(text, line);
	}
	for (i = 0; i < COUNT; i++)
		close_both(clients[i], servers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_waits_for_the_header),
		cmocka_unit_test(an_unmarked_host_passes_the_gate_at_once),
		cmocka_unit_test(all_of_ipv6_is_no_ipv4),
		cmocka_unit_test(the_gate_opens_when_its_time_is_up),
		cmocka_unit_test(the_default_gate_opens_after_three_seconds),
		cmocka_unit_test(a_slow_header_within_the_gate_time_is_in_time),
		cmocka_unit_test(a_health_check_that_resets_never_wakes_the_server),
		cmocka_unit_test(a_client_that_closes_without_a_header_is_told),
		cmocka_unit_test(many_held_connections_each_get_their_origin),
	};

	return cmocka_run_group_tests_name("gate", tests, setup, NULL);
}
