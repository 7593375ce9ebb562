// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split under attack, and in odd circumstances: what was found wrong once.
 *
 * check: both long
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../lib/netns.h"
#include "../lib/proxy.h"
#include "../lib/way.h"
#include "../lib/wire.h"

#define BOTH_WAYS 2550 /* split ports that are the source of connections, too */
#define LATER	  2551
#define CLOSING	  2552
#define CROWDED	  2553
#define FULL	  2554

static int setup(void **state)
{
	ways_setup(state);
	run(0, "build/bin/ppctl port add %d,%d --split yes --gate 30000", BOTH_WAYS, CLOSING);
	return 0;
}

/* A piece of the header from somebody who does not know the acknowledgement. */
static void forge_piece(struct peer *peer, struct wire *wire, uint32_t ack)
{
	const struct segment_out forged = {
		.seq = peer->first + 17, .ack = ack, .bytes = "9.7 198.", .len = 8};
	struct peer forger = *peer;

	forger.wire = wire;
	forger.port = peer->port;
	peer_send(&forger, &forged);
}

static void goes_on_with(struct way *way, struct wire *wire, uint32_t off)
{
	static struct segment_in in;
	struct peer peer = {0};
	int server;

	way_open(&peer, way);
	peer_write(&peer, LINE, 17);
	peer_expect(&peer, TH_ACK, 17);
	forge_piece(&peer, wire ? wire : peer.wire, peer.theirs + off);
	/* under cookies the kernel resets it, by the number that it has */
	while (!peer_read(&peer, &in, A_WHILE_MS))
		assert_true(in.flags == TH_RST && in.seq != peer.theirs);
	peer_write(&peer, &(LINE "EHLO x\r\n")[17], LINE_LEN + 8 - 17);
	peer_expect(&peer, TH_ACK, LINE_LEN + 8);
	server = way_accept(&peer, way, LINE_ORIGIN);
	way_check(&peer, server, "EHLO x\r\n", LINE_LEN);
	way_end(&peer, server);
}

static void a_forged_piece_under_cookies(void **state)
{
	size_t i;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	for (i = 0; i < WAYS; i++)
		goes_on_with(&ways[i], NULL, 12345);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

/* IPv4 in the guise of IPv6: the kernel drops it, and after pp_in. */
static void a_forged_piece_with_mapped_addresses(void **state)
{
	struct wire mapped = wires[WIRE_VETH];

	(void)state;
	mapped.family = AF_INET6;
	mapped.server = "::ffff:10.77.0.1";
	mapped.proxy = "::ffff:10.77.0.2";
	goes_on_with(&ways[2], &mapped, 12345);
}

/* As the kernel of a proxy sends it that has lost the connection. */
static void a_reset_without_an_acknowledgement_ends_a_request(void **state)
{
	struct segment_out reset = {.flags = TH_RST};
	struct peer peer = {0};
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		way_open(&peer, &ways[i]);
		reset.seq = peer.next;
		peer_send(&peer, &reset);
		peer_expect_nothing(&peer, 1500);
	}
}

static void a_proxy_whose_port_has_the_number_of_a_split_port(void **state)
{
	int listener = listen_on(SERVER, SPLIT_BOTH + 20), client, server;

	(void)state;
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT_BOTH + 20);
	client = connect_from(PROXY, BOTH_WAYS, SERVER, SPLIT_BOTH + 20);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, 2000);
	if (server < 0)
		fail_msg("no connection; guarded %ld", counter("guarded"));
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
	close(listener);
}

static void a_port_is_added_that_a_proxy_connects_from(void **state)
{
	int listener = listen_on(SERVER, SPLIT_BOTH + 21), client, server, i;
	uint8_t bytes[1000];

	(void)state;
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT_BOTH + 21);
	client = connect_from(PROXY, LATER, SERVER, SPLIT_BOTH + 21);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", LATER);
	for (i = 0; i < 20; i++) {
		fill_pattern(bytes, sizeof(bytes), i);
		send_all(client, bytes, sizeof(bytes));
		assert_reads(server, bytes, sizeof(bytes));
	}
	run(0, "build/bin/ppctl port del %d", LATER);
	close_both(client, server);
	close(listener);
}

/* A server ends while a proxy is in the midst of a header. */
static void the_listener_goes_in_the_midst_of_a_header(void **state)
{
	int listener = listen_on("0.0.0.0", CLOSING);
	struct peer peer = {0};

	(void)state;
	peer_open(&peer, &wires[WIRE_VETH], CLOSING, way_isn, 0);
	peer_say(&peer, 0);
	peer_write(&peer, LINE, 20);
	peer_expect(&peer, TH_ACK, 20);
	close(listener);
	peer_write(&peer, LINE + 20, LINE_LEN - 20);
	peer_expect_reset(&peer, 2000);
}

static int connect_at(int netns, const char *source, unsigned int from, const char *to,
		      unsigned int port)
{
	int here = netns_here(), fd;

	netns_enter(netns);
	fd = connect_from(source, from, to, port);
	netns_enter(here);
	close(here);
	return fd;
}

/* Who was a proxy once is a client like any other now, from a port that it has used before. */
static void hooks_come_back_to_a_connection_from_an_old_tuple(void **state)
{
	int listener = listen_on("0.0.0.0", SPLIT_BOTH + 22), client, server, here = netns_here();
	int there = netns_make();
	uint8_t bytes[1000];

	(void)state;
	netns_connect("old", here, "10.78.0.1", there, "10.78.0.2");
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT_BOTH + 22);
	run(0, "build/bin/ppctl proxy add 10.78.0.2");
	client = connect_at(there, "10.78.0.2", 4000, "10.78.0.1", SPLIT_BOTH + 22);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	reset(client);
	close(server);
	run(0, "build/bin/ppctl proxy del 10.78.0.2");
	run(0, "ip link del old");
	netns_connect("old", here, "10.78.0.1", there, "10.78.0.2");
	client = connect_at(there, "10.78.0.2", 4000, "10.78.0.1", SPLIT_BOTH + 22);
	server = accept_within(listener, SOON_MS);
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP");
	fill_pattern(bytes, sizeof(bytes), 1);
	send_all(client, bytes, sizeof(bytes));
	assert_reads(server, bytes, sizeof(bytes));
	close_both(client, server);
	close(listener);
}

/* The kernel had no room for the connection when pp_in handed it over, and when the header comes
 * again, the hooks are gone: it must not pass as what is left of it. */
static void a_header_comes_again_past_the_hooks(void **state)
{
	int listener = listen_on("0.0.0.0", CROWDED), first, second, server;
	struct peer peer = {0};

	(void)state;
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", CROWDED);
	assert_int_equal(listen(listener, 0), 0);
	peer_open(&peer, &wires[WIRE_VETH], CROWDED, way_isn, 0);
	peer_say(&peer, 0);
	first = connect_to(OTHER, SERVER, CROWDED);
	assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, SOON_MS), 1);
	peer_write(&peer, LINE "EHLO x\r\n", LINE_LEN + 8);
	peer_expect_nothing(&peer, A_WHILE_MS);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000 --interface lo", CROWDED);
	second = accept_within(listener, SOON_MS);
	peer.next -= LINE_LEN + 8;
	peer_write(&peer, LINE "EHLO x\r\n", LINE_LEN + 8);
	server = accept_within(listener, 1000);
	if (server >= 0)
		assert_reads_text(server, "EHLO x\r\n");
	close_both(first, second);
	close(listener);
}

/* Under cookies no SYN-ACK comes again: what the kernel had no room for has to be sent again by the
 * proxy. */
static void a_header_alone_under_cookies_and_no_room(void **state)
{
	int listener = listen_on("0.0.0.0", FULL), first, second, server;
	struct peer peer = {0};

	(void)state;
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", FULL);
	assert_int_equal(listen(listener, 0), 0);
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	peer_open(&peer, &wires[WIRE_VETH], FULL, way_isn, 0);
	peer_say(&peer, 0);
	first = connect_to(OTHER, SERVER, FULL);
	assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, SOON_MS), 1);
	peer_write(&peer, LINE, LINE_LEN);
	peer_expect_nothing(&peer, A_WHILE_MS);
	second = accept_within(listener, SOON_MS);
	peer.next -= LINE_LEN;
	peer_write(&peer, LINE, LINE_LEN);
	server = accept_within(listener, SOON_MS);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
	assert_origin(server, LINE_ORIGIN);
	send_text(server, "220 hi\r\n");
	peer_expect(&peer, TH_ACK | TH_PUSH, LINE_LEN);
	close(server);
	close_both(first, second);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forged_piece_under_cookies),
		cmocka_unit_test(a_forged_piece_with_mapped_addresses),
		cmocka_unit_test(a_reset_without_an_acknowledgement_ends_a_request),
		cmocka_unit_test(a_proxy_whose_port_has_the_number_of_a_split_port),
		cmocka_unit_test(a_port_is_added_that_a_proxy_connects_from),
		cmocka_unit_test(the_listener_goes_in_the_midst_of_a_header),
		cmocka_unit_test(hooks_come_back_to_a_connection_from_an_old_tuple),
		cmocka_unit_test(a_header_alone_under_cookies_and_no_room),
		cmocka_unit_test(a_header_comes_again_past_the_hooks),
	};

	return cmocka_run_group_tests_name("attack", tests, setup, NULL);
}
