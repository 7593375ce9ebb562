// SPDX-License-Identifier: BSD-2-Clause
/*
 * What accept(), getpeername() and getsockname() answer on a transparent port: the origin's
 * address, the proxy's where the header names none, and 192.0.0.8 where no answer would be true.
 *
 * check: both
 */
#define _GNU_SOURCE

#include "../lib/name.h"
#include "../lib/transparent.h"

static void local_and_unknown_come_with_the_proxys_address(void **state)
{
	static const char *const headers[] = {
		"PROXY UNKNOWN\r\n",
		"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00"};
	static const size_t lens[] = {15, 16};
	char own[64];
	int client, server, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		snprintf(own, sizeof(own), "%s:%u", PROXY, port_of(client));
		send_all(client, headers[i], lens[i]);
		send_text(client, "QUIT\r\n");
		server = accept_from(listener, own);
		assert_peer(server, own);
		assert_reads_text(server, "QUIT\r\n");
		close_both(client, server);
	}
}

static void mapped_addresses_and_origins_of_another_family(void **state)
{
	int both = listen_on("::", BOTH_NAMES), client, server;

	(void)state;
	/* IPv6 socket: every origin fits */
	client = connect_to(PROXY6, SERVER6, BOTH_NAMES);
	send_text(client, LINE6);
	server = accept_from(both, ORIGIN6);
	assert_peer(server, ORIGIN6);
	close_both(client, server);
	client = connect_to(PROXY6, SERVER6, BOTH_NAMES);
	send_text(client, LINE);
	server = accept_from(both, "[::ffff:192.0.2.7]:4711");
	close_both(client, server);
	/* IPv4 connection to it */
	client = connect_to(PROXY, SERVER, BOTH_NAMES);
	send_text(client, LINE);
	server = accept_from(both, "[::ffff:192.0.2.7]:4711");
	close_both(client, server);
	client = connect_to(PROXY, SERVER, BOTH_NAMES);
	send_text(client, LINE6);
	server = accept_from(both, ORIGIN6);
	close_both(client, server);
	close(both);
}

static void an_origin_that_does_not_fit_is_nobodys_address(void **state)
{
	long foreign = counter("foreign");
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;
	struct pp_origin origin;
	char text[PP_ORIGIN_PRINT_MAX];

	(void)state;
	send_text(client, LINE6 "EHLO x\r\n");
	server = accept_from(listener, "192.0.0.8:0");
	assert_true(counter("foreign") > foreign);
	assert_int_equal(pp_lookup(server, &origin), 0); /* who asks, gets it all */
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, "PROXY v1 TCP " ORIGIN6 " -> [2001:db8::1]:25");
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

/* As one whose handshake was under way when the port became a served one. */
static void a_connection_without_a_record_is_nobodys_either(void **state)
{
	int here = listen_on(SERVER, 2544), client = connect_to(PROXY, SERVER, 2544), server;
	int other = connect_to(OTHER, SERVER, 2544), ordinary;
	char own[64];

	(void)state;
	server = accept_within(here, SOON_MS);
	ordinary = accept_within(here, SOON_MS);
	run(0, "build/bin/ppctl port add 2544 --transparent");
	assert_peer(server, "192.0.0.8:0");
	snprintf(own, sizeof(own), "%s:%u", OTHER, port_of(other));
	assert_peer(ordinary, own);
	close_both(client, server);
	close_both(other, ordinary);
	close(here);
}

static void getsockname_answers_the_destination_where_it_is_asked_for(void **state)
{
	int here = listen_on(SERVER, BOTH_NAMES), client, server;

	(void)state;
	client = connect_to(PROXY, SERVER, BOTH_NAMES);
	send_text(client, LINE);
	server = accept_from(here, ORIGIN);
	assert_own_name(server, "198.51.100.1:25");
	close_both(client, server);
	close(here);

	open_pair(&client, &server);
	assert_own_name(server, "127.0.0.1:2541");
	close_both(client, server);
}

static void split_without_transparency_answers_pp_lookup_only(void **state)
{
	int here = listen_on(SERVER, SPLIT), client = connect_to(PROXY, SERVER, SPLIT), server;
	struct pp_origin origin;
	char own[64];

	(void)state;
	snprintf(own, sizeof(own), "%s:%u", PROXY, port_of(client));
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(here, own);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_readable(server, 0);
	close_both(client, server);
	close(here);
}

/* As where all ports have lookup = no. */
static void the_names_need_no_pp_getsockopt(void **state)
{
	struct pp_origin origin;
	int client, server, tries;

	(void)state;
	run(0, "rm $LAB_BPFFS/pp/links/pp_getsockopt");
	/* the kernel detaches it some time after that */
	for (tries = 0; tries < SOON_MS / 10 && pp_lookup(listener, &origin) != -ENOPROTOOPT;
	     tries++)
		usleep(10000);
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_peer(server, ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_int_equal(pp_lookup(server, &origin), -ENOPROTOOPT);
	close_both(client, server);
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_and_unknown_come_with_the_proxys_address),
		cmocka_unit_test(mapped_addresses_and_origins_of_another_family),
		cmocka_unit_test(an_origin_that_does_not_fit_is_nobodys_address),
		cmocka_unit_test(a_connection_without_a_record_is_nobodys_either),
		cmocka_unit_test(getsockname_answers_the_destination_where_it_is_asked_for),
		cmocka_unit_test(split_without_transparency_answers_pp_lookup_only),
		cmocka_unit_test(the_names_need_no_pp_getsockopt),
	};

	return cmocka_run_group_tests_name("transparent_names", tests, transparent_setup, NULL);
}
