// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection of the proxy's to a split port: accept() returns once its header has come, complete
 * and valid, with the origin's address and without the header. Until then the server sees nothing.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

#include "../lib/map.h"
#include "../lib/name.h"
#include "../lib/raw.h"
#include "../lib/transparent.h"

static void header_alone_is_gone_when_accept_returns(void **state)
{
	int client, server;

	(void)state;
	open_pair(&client, &server);
	assert_peer(server, ORIGIN);
	assert_nothing_to_read(server);
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void payload_in_the_next_segment_before_accept(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_text(client, LINE);
	send_text(client, "EHLO x\r\n");
	send_text(client, "NOOP\r\n");
	await_acknowledged(client);
	server = accept_from(listener, ORIGIN);
	assert_readable(server, 1);
	assert_reads_text(server, "EHLO x\r\nNOOP\r\n");
	assert_readable(server, 0);
	close_both(client, server);
}

/* A TLS port: the client speaks first, at once, and the server waits for its ClientHello. */
static void a_client_hello_behind_the_header(void **state)
{
	uint8_t hello[517];
	int client, server, together;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hello); i++)
		hello[i] = i * 7;
	memcpy(hello, "\x16\x03\x01\x02\x00", 5);
	for (together = 0; together < 2; together++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		if (together) {
			struct iovec parts[2] = {{LINE, LINE_LEN}, {hello, sizeof(hello)}};

			assert_int_equal(writev(client, parts, 2), LINE_LEN + sizeof(hello));
		} else {
			send_text(client, LINE);
			send_all(client, hello, sizeof(hello));
		}
		server = accept_from(listener, ORIGIN);
		assert_reads(server, hello, sizeof(hello));
		send_all(server, hello, sizeof(hello));
		assert_reads(client, hello, sizeof(hello));
		close_both(client, server);
	}
}

static void accept_waits_for_the_header(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	assert_int_equal(accept_within(listener, 3500), -ETIMEDOUT);
	send_text(client, LINE);
	server = accept_from(listener, ORIGIN);
	close_both(client, server);
}

/* The proxy is told by a RST, and so is the kernel's request: nothing is left that could be
 * accepted. */
static void a_header_that_comes_after_the_gates_time_is_refused(void **state)
{
	int here = listen_on(SERVER, SHORT), client, failed = 0;
	struct pollfd in = {.events = POLLIN};
	long expired = counter("gates_expired");
	socklen_t len = sizeof(failed);

	(void)state;
	client = connect_to(PROXY, SERVER, SHORT);
	in.fd = client;
	assert_int_equal(poll(&in, 1, SOON_MS), 1);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &failed, &len);
	assert_int_equal(failed, ECONNRESET);
	assert_int_equal(counter("gates_expired"), expired + 1);
	assert_int_equal(accept_within(here, A_WHILE_MS), -ETIMEDOUT);
	close_both(client, here);
}

static void a_client_that_never_speaks_never_reaches_the_server(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), i;

	(void)state;
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	shutdown(client, SHUT_WR);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close(client);
	for (i = 0; i < 20; i++)
		reset(connect_to(PROXY, SERVER, TRANSPARENT)); /* health checks */
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
}

static void check_refused(const void *bytes, size_t len, const char *stat)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT);
	long before = counter(stat);

	send_all(client, bytes, len);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_true(counter(stat) > before);
	reset(client);
}

static void without_a_complete_valid_header_nothing_reaches_the_server(void **state)
{
	(void)state;
	check_refused("EHLO client.example\r\n", 21, "bad_signature");
	check_refused("EHLO client.example\r\n", 21, "dropped_bad");
	check_refused("PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", 34, "bad_address");
	check_refused("PROXY TCP4 192.0.2.7 198.5", 26, "pieces");
}

static void a_large_header_is_taken_out(void **state)
{
	static const size_t lens[] = {1024, 1025, 4095, 4096, 4097, 8192, 12289, PP_HEADER_MAX};
	static uint8_t bytes[PP_HEADER_MAX + 8], tlvs[PP_HEADER_MAX];
	int client, server;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		make_v2(bytes, lens[i]);
		memcpy(bytes + lens[i], "EHLO x\r\n", 8);
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_all(client, bytes, lens[i] + (i % 2 ? 8 : 0));
		server = accept_from(listener, ORIGIN);
		if (i % 2)
			assert_reads_text(server, "EHLO x\r\n");
		assert_nothing_to_read(server);
		assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), lens[i] - 28);
		assert_memory_equal(tlvs, bytes + 28, lens[i] - 28);
		send_text(client, "QUIT\r\n");
		assert_reads_text(server, "QUIT\r\n");
		close_both(client, server);
	}
}

static void a_header_in_pieces(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_all(client, LINE, 20);
	send_text(client, LINE + 20);
	send_text(client, "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void an_unmarked_host_is_an_ordinary_client(void **state)
{
	int client = connect_to(OTHER, SERVER, TRANSPARENT), server;
	char own[64];

	(void)state;
	snprintf(own, sizeof(own), "%s:%u", OTHER, port_of(client));
	server = accept_from(listener, own);
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	close_both(client, server);
}

static void a_segment_that_comes_again_in_a_larger_one_doubles_nothing(void **state)
{
	int client, server, first;
	struct handshake handshake;

	(void)state;
	for (first = 0; first < 2; first++) {
		raw_open();
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		sniff(&handshake, port_of(client));
		send_text(client, first ? LINE : LINE "EHLO x\r\n");
		server = accept_from(listener, ORIGIN);
		/* as the proxy would send it again, had the acknowledgement been lost */
		forge(&handshake, handshake.seq, handshake.ack, LINE "EHLO x\r\nNOOP\r\n");
		assert_readable(server, 1);
		assert_reads_text(server, "EHLO x\r\nNOOP\r\n");
		assert_readable(server, 0);
		reset(client);
		close(server);
	}
}

static void a_forged_header_makes_no_connection(void **state)
{
	/* not -1: who knows the acknowledgement and sends a header from there is on the path */
	static const int32_t off[] = {-1000, 1, 44, 1000, 30000, 0x7fffffff};
	struct handshake handshake;
	int client, server;
	size_t i;

	(void)state;
	raw_open();
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	sniff(&handshake, port_of(client));
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		forge(&handshake, handshake.seq + off[i], handshake.ack, FORGED);
		forge(&handshake, handshake.seq, handshake.ack + off[i], FORGED);
	}
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	send_text(client, LINE);
	server = accept_from(listener, ORIGIN);
	close_both(client, server);
}

static void syn_cookies(void **state)
{
	int client, server, i;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	for (i = 0; i < 20; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, i % 2 ? LINE : LINE "EHLO x\r\n");
		server = accept_from(listener, ORIGIN);
		if (!(i % 2))
			assert_reads_text(server, "EHLO x\r\n");
		send_text(server, "220\r\n");
		assert_reads_text(client, "220\r\n");
		close_both(client, server);
	}
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

static void closed_connections_leave_nothing_behind(void **state)
{
	int i, client, server, tries;

	(void)state;
	for (i = 0; i < 300; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, i % 2 ? LINE : LINE "EHLO x\r\n");
		if (i % 3 == 0)
			reset(client);
		server = accept_within(listener, i % 3 ? SOON_MS : 5);
		if (server >= 0 && i % 5 == 0)
			send(server, "220\r\n", 5, MSG_NOSIGNAL);
		if (i % 3)
			close(client);
		if (server >= 0)
			close(server);
	}
	for (tries = 0; tries < SOON_MS / 100 && entries("pp_handovers"); tries++) {
		while ((server = accept_within(listener, 0)) >= 0)
			close(server);
		usleep(100000);
	}
	assert_int_equal(entries("pp_handovers"), 0);
	/* the next test is not to accept one of these */
	while ((server = accept_within(listener, 300)) >= 0)
		close(server);
}

/* Over lo both programs see each packet, each as one of its own. */
static void from_a_port_that_is_split_too(void **state)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(SPLIT)},
			   to = {.sin_family = AF_INET, .sin_port = htons(TRANSPARENT)};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server, one = 1;

	(void)state;
	inet_pton(AF_INET, PROXY, &from.sin_addr);
	inet_pton(AF_INET, SERVER, &to.sin_addr);
	setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	send_text(server, "250 x\r\n");
	assert_reads_text(client, "250 x\r\n");
	send_text(client, "QUIT\r\n");
	assert_reads_text(server, "QUIT\r\n");
	close_both(client, server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_alone_is_gone_when_accept_returns),
		cmocka_unit_test(payload_in_the_next_segment_before_accept),
		cmocka_unit_test(a_client_hello_behind_the_header),
		cmocka_unit_test(accept_waits_for_the_header),
		cmocka_unit_test(a_header_that_comes_after_the_gates_time_is_refused),
		cmocka_unit_test(a_client_that_never_speaks_never_reaches_the_server),
		cmocka_unit_test(without_a_complete_valid_header_nothing_reaches_the_server),
		cmocka_unit_test(a_large_header_is_taken_out),
		cmocka_unit_test(a_header_in_pieces),
		cmocka_unit_test(an_unmarked_host_is_an_ordinary_client),
		cmocka_unit_test(a_segment_that_comes_again_in_a_larger_one_doubles_nothing),
		cmocka_unit_test(a_forged_header_makes_no_connection),
		cmocka_unit_test(syn_cookies),
		cmocka_unit_test(closed_connections_leave_nothing_behind),
		cmocka_unit_test(from_a_port_that_is_split_too),
	};

	return cmocka_run_group_tests_name("split_accept", tests, transparent_setup, NULL);
}
