// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peek mode: pp_lookup() knows the origin, and the stream is exactly the payload.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>

#include "../lib/listeners.h"
#include "../lib/net.h"

#define OPEN_DROPPING 2532 /* no gate, and bad headers are dropped */

static void header_alone_is_there_when_accept_returns(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct pp_origin origin;

	(void)state;
	send_text(client, LINE);
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_int_equal(origin.version, 1);
	assert_int_equal(origin.header_len, LINE_LEN);
	assert_origin(server, LINE_ORIGIN);
	assert_nothing_to_read(server);
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void header_and_payload_in_one_segment(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;

	(void)state;
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(gated_listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void payload_in_the_next_segment_before_accept(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;

	(void)state;
	send_text(client, LINE);
	send_text(client, "EHLO x\r\n");
	await_acknowledged(client);
	server = accept_within(gated_listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void header_after_accept_on_a_port_without_gate(void **state)
{
	int client = connect_to(PROXY, SERVER, OPEN);
	int server = accept_within(open_listener, SOON_MS);
	struct pp_origin origin;

	(void)state;
	assert_int_equal(pp_lookup(server, &origin), -EAGAIN);
	assert_int_equal(pp_lookup_wait(server, &origin, 30), -ETIMEDOUT);
	send_text(client, LINE "EHLO x\r\n");
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void header_byte_by_byte(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	size_t i;

	(void)state;
	for (i = 0; i < LINE_LEN; i++)
		send_all(client, LINE + i, 1);
	send_text(client, "EHLO x\r\n");
	server = accept_within(gated_listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

struct sender {
	int fd;
	const uint8_t *bytes;
	size_t len, part;
};

static void *send_in_parts(void *argument)
{
	struct sender *sender = argument;
	size_t sent, now;

	for (sent = 0; sent < sender->len; sent += now) {
		usleep(3000);
		now = sender->len - sent < sender->part ? sender->len - sent : sender->part;
		if (send(sender->fd, sender->bytes + sent, now, MSG_NOSIGNAL) != (ssize_t)now)
			break;
	}
	return NULL;
}

/* Sends a header of @len bytes and "QUIT" in parts of @part, while the server waits in the look-up.
 */
static void check_parts(size_t len, size_t part)
{
	static uint8_t bytes[20000], tlvs[20000];
	int client = connect_to(PROXY, SERVER, OPEN);
	int server = accept_within(open_listener, SOON_MS);
	struct sender sender = {client, bytes, make_v2(bytes, len) + 6, part};
	struct pp_origin origin;
	pthread_t thread;

	memcpy(bytes + len, "QUIT\r\n", 6);
	assert_int_equal(pthread_create(&thread, NULL, send_in_parts, &sender), 0);
	assert_origin(server, V2_ORIGIN);
	pthread_join(thread, NULL);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_int_equal(origin.header_len, len);
	assert_reads_text(server, "QUIT\r\n");
	assert_nothing_to_read(server);
	if (len > 28) {
		assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), len - 28);
		assert_memory_equal(tlvs, bytes + 28, len - 28);
	}
	close_both(client, server);
}

static void headers_of_all_sizes_in_parts_of_all_sizes(void **state)
{
	static const size_t lens[] = {28, 31, 100, 600, 1023, 1024, 1025, 2000, 4096, 8193, 16384};
	static const size_t parts[] = {7, 16, 27, 28, 29, 500, 1024, 100000};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			if (lens[i] / parts[k] < 60)
				check_parts(lens[i], parts[k]);
		}
	}
}

static void a_large_header_and_its_tlvs_say_the_same_before_and_after(void **state)
{
	static uint8_t bytes[4096], tlvs[5000];
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct pp_origin origin;

	(void)state;
	send_all(client, bytes, make_v2(bytes, 4096));
	send_text(client, "EHLO x\r\n");
	await_acknowledged(client);
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_tlvs(server, tlvs, 100), -ENOBUFS);
	assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), 4096 - 28);
	assert_memory_equal(tlvs, bytes + 28, 4096 - 28);
	assert_origin(server, V2_ORIGIN);
	assert_origin(server, V2_ORIGIN);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_int_equal(origin.tlv_len, 4096 - 28);
	memset(tlvs, 0, sizeof(tlvs));
	assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), 4096 - 28);
	assert_memory_equal(tlvs, bytes + 28, 4096 - 28);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void what_only_a_look_up_finds_is_counted_once(void **state)
{
	long before = counter("bad_closed");
	int client = connect_to(PROXY, SERVER, PORT), server, i;
	struct pp_origin origin;

	(void)state;
	send_all(client, LINE, 20);
	await_acknowledged(client);
	server = accept_within(gated_listener, SOON_MS);
	close(client);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	for (i = 0; i < 3; i++) {
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_CLOSED);
	}
	assert_int_equal(counter("bad_closed"), before + 1);
	close(server);
}

static void tlvs_are_kept_as_long_as_the_socket_lives(void **state)
{
	static uint8_t bytes[600], tlvs[PP_WINDOW];
	int client = connect_to(PROXY, SERVER, PORT), server;

	(void)state;
	send_all(client, bytes, make_v2(bytes, 600));
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), 600 - 28);
	assert_origin(server, V2_ORIGIN);
	assert_int_equal(pp_tlvs(server, tlvs, 571), -ENOBUFS);
	assert_int_equal(pp_tlvs(server, tlvs, 572), 572);
	assert_memory_equal(tlvs, bytes + 28, 572);
	close_both(client, server);

	client = connect_to(PROXY, SERVER, PORT);
	send_text(client, LINE);
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), 0);
	close_both(client, server);
}

static void an_unmarked_host_is_an_ordinary_client(void **state)
{
	int client = connect_to(OTHER, SERVER, PORT),
	    server = accept_within(gated_listener, SOON_MS);
	struct pp_origin origin;
	uint8_t tlvs[16];

	(void)state;
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), -ENODATA);
	close_both(client, server);
}

static void a_port_that_is_not_served_is_left_alone(void **state)
{
	int here = listen_on(SERVER, UNSERVED), client = connect_to(PROXY, SERVER, UNSERVED);
	int server = accept_within(here, SOON_MS);
	struct pp_origin origin;

	(void)state;
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close_both(client, server);
	close(here);
}

static void check_local(const char *header, size_t len, int version)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct pp_origin origin;

	send_all(client, header, len);
	send_text(client, "QUIT\r\n");
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
	assert_int_equal(origin.command, PP_LOCAL);
	assert_int_equal(origin.version, version);
	assert_int_equal(origin.family, AF_UNSPEC);
	assert_int_equal(origin.src.ss_family, AF_UNSPEC);
	assert_reads_text(server, "QUIT\r\n");
	close_both(client, server);
}

static void local_and_unknown_name_the_proxy_itself(void **state)
{
	(void)state;
	check_local("\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00", 16, 2);
	check_local("PROXY UNKNOWN\r\n", 15, 1);
}

static void a_lookup_is_idempotent_in_every_process(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server, status, i;
	struct pp_origin origin;

	(void)state;
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(gated_listener, SOON_MS);
	for (i = 0; i < 3; i++)
		assert_int_equal(pp_lookup(server, &origin), 0);
	if (fork() == 0)
		_exit(pp_lookup(server, &origin) ? 1 : 0);
	wait(&status);
	assert_int_equal(status, 0);
	assert_reads_text(server, "EHLO x\r\n");
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void an_unprivileged_process_may_look_up(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server, status;
	struct pp_origin origin;

	(void)state;
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(gated_listener, SOON_MS);
	if (fork() == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(pp_lookup(server, &origin) ? 1 : 0);
	}
	wait(&status);
	assert_int_equal(status, 0);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void check_bad(const char *header, size_t len, const char *reason)
{
	long before = counter(reason);
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct pp_origin origin;

	send_all(client, header, len);
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	/* nothing is lost: what was sent can be read, and logged */
	assert_reads(server, header, len);
	assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
	assert_int_equal(counter(reason), before + 1);
	close_both(client, server);
}

static void a_bad_header_is_told_and_counted_by_reason(void **state)
{
	(void)state;
	check_bad("EHLO client.example\r\n", 21, "bad_signature");
	check_bad("PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", 34, "bad_address");
	check_bad("PROXY TCP4 1.1.1.1 1.2.3.4 1 99999\r\n", 36, "bad_port");
	check_bad("PROXY UDP4 1.1.1.1 1.2.3.4 1 2\r\n", 32, "bad_family");
	check_bad("PROXY TCP4 1.1.1.1 1.2.3.4 1 2\rX", 32, "bad_line");
#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
	check_bad(SIGNATURE "\x11\x11\x00\x0c", 16, "bad_version");
	check_bad(SIGNATURE "\x25\x11\x00\x0c", 16, "bad_command");
	check_bad(SIGNATURE "\x21\x11\x00\x0b", 16, "bad_length");
	check_bad(SIGNATURE "\x21\x11\xff\xff", 16, "bad_too_large");
	check_bad(SIGNATURE "\x21\x11\x00\x0d"
			    "aaaabbbbccdd\x04",
		  29, "bad_tlv");
	check_bad(SIGNATURE "\x21\x11\x00\x13"
			    "aaaabbbbccdd\x03\x00\x04\x01\x02\x03\x04",
		  35, "bad_checksum");
}

static void a_bad_header_that_is_to_be_dropped_never_reaches_the_server(void **state)
{
	int here = listen_on(SERVER, DROPPING), client = connect_to(PROXY, SERVER, DROPPING);
	long before = counter("dropped_bad");
	int server;

	(void)state;
	send_text(client, "EHLO client.example\r\n");
	assert_int_equal(accept_within(here, A_WHILE_MS), -ETIMEDOUT);
	assert_true(counter("dropped_bad") > before);
	reset(client);

	client = connect_to(PROXY, SERVER, DROPPING);
	server = accept_line(here, client);
	close_both(client, server);
	close(here);
}

/* The client sends @text, after a header's @first bytes that were sent and acknowledged, where it
 * has some. Each segment that is dropped counts twice, a retransmission, too. */
static void check_dropped(unsigned int port, const char *text, size_t first, const char *reason)
{
	int here = listen_on(SERVER, port), client = connect_to(PROXY, SERVER, port), server = -1;
	long dropped = counter("dropped_bad"), before = counter(reason), now;

	if (port == OPEN_DROPPING || first) {
		send_all(client, text, first);
		server = accept_within(here, SOON_MS);
		if (first)
			await_acknowledged(client);
	}
	send_all(client, text + first, strlen(text) - first);
	while (counter("dropped_bad") == dropped)
		usleep(10000);
	reset(client); /* no retransmission comes between the counters */
	now = counter("dropped_bad");
	assert_int_equal(counter(reason) - before, now - dropped);
	if (server >= 0)
		close(server);
	close(here);
}

static void a_bad_header_that_is_dropped_is_counted_by_reason_wherever_it_comes(void **state)
{
	(void)state;
	run(0, "build/bin/ppctl port add %d --gate 0 --on-bad drop", OPEN_DROPPING);
	check_dropped(DROPPING, "EHLO client.example\r\n", 0, "bad_signature");
	check_dropped(DROPPING, "PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", 8, "bad_address");
	check_dropped(OPEN_DROPPING, "EHLO client.example\r\n", 0, "bad_signature");
	check_dropped(OPEN_DROPPING, "PROXY TCP4 1.1.1.1 1.2.3.4 1 99999\r\n", 8, "bad_port");
	run(0, "build/bin/ppctl port del %d", OPEN_DROPPING);
}

static void an_ipv4_address_in_a_tcp6_line_is_taken_where_it_is_allowed(void **state)
{
	static const char mixed[] = "PROXY TCP6 192.0.2.7 2001:db8::1 4711 25\r\n";
	int here = listen_on(SERVER, MIXED), client = connect_to(PROXY, SERVER, MIXED), server;
	struct pp_origin origin;

	(void)state;
	send_text(client, mixed);
	server = accept_within(here, SOON_MS);
	assert_origin(server, "PROXY v1 TCP [::ffff:192.0.2.7]:4711 -> [2001:db8::1]:25");
	close_both(client, server);
	close(here);

	client = connect_to(PROXY, SERVER, PORT);
	send_text(client, mixed);
	server = accept_within(gated_listener, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
	close_both(client, server);
}

static void a_peer_that_closes_early_is_told(void **state)
{
	int client = connect_to(PROXY, SERVER, OPEN);
	int server = accept_within(open_listener, SOON_MS);
	struct pp_origin origin;

	(void)state;
	shutdown(client, SHUT_WR);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	close_both(client, server);

	client = connect_to(PROXY, SERVER, OPEN);
	server = accept_within(open_listener, SOON_MS);
	send_all(client, LINE, 20);
	shutdown(client, SHUT_WR);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	close_both(client, server);

	client = connect_to(PROXY, SERVER, OPEN);
	server = accept_within(open_listener, SOON_MS);
	send_text(client, LINE "QUIT\r\n");
	shutdown(client, SHUT_WR);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "QUIT\r\n");
	assert_reads_eof(server);
	close_both(client, server);
}

static int sockets_in_use(void)
{
	return strtol(run(0, "awk '/^TCP:/ { print $3 }' /proc/net/sockstat"), NULL, 10);
}

static void aborted_connections_leave_nothing_behind(void **state)
{
	static const char *const starts[] = {"", "PROXY TC", LINE, LINE "EHLO x\r\n", "EHLO x\r\n"};
	int before = sockets_in_use(), i, client, server, tries;

	(void)state;
	for (i = 0; i < 1000; i++) {
		client = connect_to(PROXY, SERVER, i % 2 ? OPEN : PORT);
		if (starts[i % 5][0])
			send_text(client, starts[i % 5]);
		if (i % 3)
			reset(client);
		else
			close(client);
		while ((server = accept_within(i % 2 ? open_listener : gated_listener, 0)) >= 0)
			close(server);
	}
	for (tries = 0; tries < SOON_MS / 100 && sockets_in_use() > before; tries++) {
		while ((server = accept_within(open_listener, 0)) >= 0)
			close(server);
		while ((server = accept_within(gated_listener, 0)) >= 0)
			close(server);
		usleep(100000);
	}
	assert_true(sockets_in_use() <= before);
}

static void a_listener_made_outside_of_the_cgroup_is_told(void **state)
{
	struct pp_origin origin;
	int client, server, here;

	(void)state;
	run(0, "echo %d >$LAB_OUTSIDE/cgroup.procs", getpid());
	here = listen_on(SERVER, 2531);
	run(0, "echo %d >$LAB_CGROUP/cgroup.procs", getpid());
	run(0, "build/bin/ppctl port add 2531");
	client = connect_to(PROXY, SERVER, 2531);
	server = accept_within(here, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), -ENOPROTOOPT);
	assert_non_null(strstr(status_text(""), "127.0.0.1:2531  NOT SERVED"));
	assert_null(strstr(status_text(""), "127.0.0.1:2525  NOT SERVED"));
	run(0, "build/bin/ppctl port del 2531");
	close_both(client, server);
	close(here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_alone_is_there_when_accept_returns),
		cmocka_unit_test(header_and_payload_in_one_segment),
		cmocka_unit_test(payload_in_the_next_segment_before_accept),
		cmocka_unit_test(header_after_accept_on_a_port_without_gate),
		cmocka_unit_test(header_byte_by_byte),
		cmocka_unit_test(headers_of_all_sizes_in_parts_of_all_sizes),
		cmocka_unit_test(a_large_header_and_its_tlvs_say_the_same_before_and_after),
		cmocka_unit_test(what_only_a_look_up_finds_is_counted_once),
		cmocka_unit_test(tlvs_are_kept_as_long_as_the_socket_lives),
		cmocka_unit_test(an_unmarked_host_is_an_ordinary_client),
		cmocka_unit_test(a_port_that_is_not_served_is_left_alone),
		cmocka_unit_test(local_and_unknown_name_the_proxy_itself),
		cmocka_unit_test(a_lookup_is_idempotent_in_every_process),
		cmocka_unit_test(an_unprivileged_process_may_look_up),
		cmocka_unit_test(a_bad_header_is_told_and_counted_by_reason),
		cmocka_unit_test(a_bad_header_that_is_to_be_dropped_never_reaches_the_server),
		cmocka_unit_test(
			a_bad_header_that_is_dropped_is_counted_by_reason_wherever_it_comes),
		cmocka_unit_test(an_ipv4_address_in_a_tcp6_line_is_taken_where_it_is_allowed),
		cmocka_unit_test(a_peer_that_closes_early_is_told),
		cmocka_unit_test(aborted_connections_leave_nothing_behind),
		cmocka_unit_test(a_listener_made_outside_of_the_cgroup_is_told),
	};

	return cmocka_run_group_tests_name("peek", tests, listeners_setup, NULL);
}
