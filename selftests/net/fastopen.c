// SPDX-License-Identifier: BSD-2-Clause
/*
 * TCP Fast Open, with cookies off (net.ipv4.tcp_fastopen has 0x200): data in a SYN proves nothing
 * about who sent it, and a SYN alone makes a socket. A marked proxy gets neither: its SYN is
 * dropped, or with a split becomes an ordinary one; everybody else gets both, as without ppsplit.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "../lib/address.h"
#include "../lib/net.h"
#include "../lib/raw.h"

#define TRANSPARENT 2532
#define PLAIN	    2533 /* its listener has no TCP_FASTOPEN */

#define ON	  "519" /* 0x207: client, server, and neither wants a cookie */
#define ON_ASKING "515" /* 0x203: the client asks for one, in a SYN without data */

static const unsigned int ports[] = {PORT, OPEN, TRANSPARENT};
static int listeners[3], listeners6[3], plain_listener;

static int listen_fast(const char *address, unsigned int port)
{
	int fd = listen_on(address, port), waiting = 64;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &waiting, sizeof(waiting)), 0);
	return fd;
}

static int setup(void **state)
{
	size_t i;

	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	run(0, "build/bin/ppctl port add %d", PLAIN);
	sysctl_set("net/ipv4/tcp_fastopen", ON);
	for (i = 0; i < 3; i++) {
		listeners[i] = listen_fast(SERVER, ports[i]);
		listeners6[i] = listen_fast(SERVER6, ports[i]);
	}
	plain_listener = listen_on(SERVER, PLAIN);
	raw_mute();
	return 0;
}

/* TCP options of a SYN, each a multiple of 4 bytes. */
static const struct option {
	const char *name;
	uint8_t bytes[16];
	size_t len;
} options[] = {
	{"no option", "", 0},
	{"a cookie wanted", {34, 2, 1, 1}, 4},
	{"a cookie of 8 bytes", {34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1}, 12},
	{"a cookie of 16 bytes behind NOPs",
	 {1, 1, 34, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	 16},
	{"a cookie wanted, the old way", {254, 4, 0xf9, 0x89}, 4},
	{"a cookie of 8 bytes, the old way", {254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8}, 12},
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* One SYN from a host that never sees the answer. */
static void spoof(unsigned int from, unsigned int to, const struct option *option, const char *text)
{
	struct handshake handshake = {.port = htons(from), .to = htons(to)};
	struct raw_segment syn = {.seq = 4711,
				  .flags = TH_SYN,
				  .bytes = text,
				  .len = strlen(text),
				  .option = option->bytes,
				  .option_len = option->len};

	raw_send(&handshake, &syn);
}

static void spoof_all(const int *where)
{
	static const char *const texts[] = {"", LINE, LINE PAYLOAD, "PROXY TC", PAYLOAD};
	unsigned int from = 40000;
	size_t p, o, t;

	for (p = 0; p < 3; p++) {
		for (o = 0; o < OPTIONS; o++) {
			for (t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
				spoof(from++, ports[p], &options[o], texts[t]);
		}
		if (accept_within(where[p], A_WHILE_MS) != -ETIMEDOUT)
			fail_msg("port %u: a connection out of a SYN", ports[p]);
	}
}

static void a_spoofed_syn_makes_no_connection_and_sets_no_origin(void **state)
{
	long dropped = counter("dropped_fastopen");
	int client, server, i;

	(void)state;
	raw_open();
	spoof_all(listeners);
	assert_true(counter("dropped_fastopen") >= dropped + (long)(2 * OPTIONS * 4));
	for (i = 0; i < 3; i++) {
		client = connect_to(PROXY, SERVER, ports[i]);
		send_text(client, LINE PAYLOAD);
		server = accept_within(listeners[i], SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD);
		close_both(client, server);
	}
}

static void nor_does_one_over_ipv6(void **state)
{
	long dropped = counter("dropped_fastopen");

	(void)state;
	raw_open6();
	spoof_all(listeners6);
	assert_true(counter("dropped_fastopen") >= dropped + (long)(2 * OPTIONS * 4));
}

/* TCP does not read an option that says it is longer than the header, and what follows the header
 * is none. */
static void an_option_longer_than_the_header_is_none(void **state)
{
	static const struct option too_long[] = {
		{"a cookie of 16 bytes, two of them there", {34, 18, 1, 2}, 4},
		{"the same after NOPs", {1, 1, 1, 1, 34, 10, 1, 2}, 8},
		{"the old way", {254, 12, 0xf9, 0x89}, 4},
		{"its number in the payload", {1, 1, 254, 4}, 4},
	};
	long dropped = counter("dropped_fastopen");
	size_t i;

	(void)state;
	raw_open();
	for (i = 0; i < sizeof(too_long) / sizeof(too_long[0]); i++)
		spoof(45000 + i, OPEN, &too_long[i], "");
	assert_int_equal(accept_within(listeners[1], A_WHILE_MS), -ETIMEDOUT);
	assert_int_equal(counter("dropped_fastopen"), dropped);
}

/* Connects and sends @text in the SYN, where the kernel would. */
static int connect_fast(const char *from, unsigned int port, const char *text)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage address;
	socklen_t len;

	run(0, "ip tcp_metrics flush all"); /* a client remembers who does not do it */
	len = address_fill(&address, from, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	len = address_fill(&address, SERVER, port);
	assert_int_equal(sendto(fd, text, strlen(text), MSG_FASTOPEN, (struct sockaddr *)&address,
				len),
			 strlen(text));
	return fd;
}

static int had_data_in_syn(int server)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0;
}

/* Its SYN is dropped, and 1 s later it sends a plain one; with a split it gets a handshake at once.
 */
static void an_honest_proxy_falls_back_to_a_handshake(void **state)
{
	int clients[6], server, i;
	long dropped = counter("dropped_fastopen");

	(void)state;
	for (i = 0; i < 3; i++) {
		clients[2 * i] = connect_fast(PROXY, ports[i], LINE PAYLOAD);
		clients[2 * i + 1] = connect_fast(PROXY, ports[i], "PROXY UNKNOWN\r\n" PAYLOAD);
	}
	for (i = 0; i < 6; i++) {
		server = accept_within(listeners[i / 2], SOON_MS);
		assert_true(server >= 0);
		assert_false(had_data_in_syn(server));
		assert_int_equal(lookup_settled(server, &(struct pp_origin){0}), 0);
		assert_reads_text(server, PAYLOAD);
		close(server);
	}
	assert_true(counter("dropped_fastopen") >= dropped + 4);
	for (i = 0; i < 6; i++)
		close(clients[i]);
}

/* The application calls connect(), and sends when it is through. */
static void a_syn_without_data_makes_no_socket_before_the_header(void **state)
{
	int client, server, one = 1, i;
	struct sockaddr_storage address;
	struct sockaddr_in peer;
	socklen_t len;

	(void)state;
	sysctl_set("net/ipv4/tcp_fastopen", ON_ASKING);
	for (i = 0; i < 3; i++) {
		run(0, "ip tcp_metrics flush all");
		client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		len = address_fill(&address, PROXY, 0);
		assert_int_equal(bind(client, (struct sockaddr *)&address, len), 0);
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		len = address_fill(&address, SERVER, ports[i]);
		sendto(client, "", 0, MSG_FASTOPEN, (struct sockaddr *)&address, len);
		if (ports[i] != OPEN)
			assert_int_equal(accept_within(listeners[i], A_WHILE_MS), -ETIMEDOUT);
		while (send(client, LINE PAYLOAD, LINE_LEN + sizeof(PAYLOAD) - 1, MSG_NOSIGNAL) <
		       0) {
			assert_true(errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN);
			usleep(10000);
		}
		server = accept_within(listeners[i], SOON_MS);
		assert_true(server >= 0);
		if (ports[i] == TRANSPARENT) {
			len = sizeof(peer);
			assert_int_equal(getpeername(server, (struct sockaddr *)&peer, &len), 0);
			assert_string_equal(inet_ntoa(peer.sin_addr), "192.0.2.7");
		}
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD);
		assert_nothing_to_read(server);
		close_both(client, server);
	}
	sysctl_set("net/ipv4/tcp_fastopen", ON);
}

static void check_stranger(int i)
{
	struct sockaddr_in peer;
	struct pp_origin origin;
	int client, server;
	socklen_t len = sizeof(peer);

	client = connect_fast(OTHER, ports[i], LINE PAYLOAD);
	server = accept_within(listeners[i], SOON_MS);
	assert_true(server >= 0);
	assert_true(had_data_in_syn(server));
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_int_equal(getpeername(server, (struct sockaddr *)&peer, &len), 0);
	assert_string_equal(inet_ntoa(peer.sin_addr), OTHER);
	assert_reads_text(server, LINE PAYLOAD);
	close_both(client, server);
}

static void who_is_not_marked_may_send_data_in_a_syn(void **state)
{
	long dropped = counter("dropped_fastopen");
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		check_stranger(i);
	assert_int_equal(counter("dropped_fastopen"), dropped);
}

static void nor_does_a_proxy_cgroup_change_that(void **state)
{
	long dropped = counter("dropped_fastopen");
	int i;

	(void)state;
	run(0, "mkdir $LAB_OUTSIDE/proxy && build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE/proxy");
	for (i = 0; i < 3; i++)
		check_stranger(i);
	assert_int_equal(counter("dropped_fastopen"), dropped);
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE/proxy; rmdir $LAB_OUTSIDE/proxy");
}

/* Such a listener ignores the option and the data, and so does the gate: nobody waits for a second
 * SYN. */
static void a_listener_without_fast_open_is_not_touched(void **state)
{
	long dropped = counter("dropped_fastopen");
	int client, server, i;

	(void)state;
	raw_open();
	for (i = 0; i < (int)OPTIONS; i++)
		spoof(41000 + i, PLAIN, &options[i], LINE);
	for (i = 0; i < 3; i++) {
		client = connect_fast(PROXY, PLAIN, LINE PAYLOAD);
		server = accept_within(plain_listener, SOON_MS);
		assert_true(server >= 0);
		assert_false(had_data_in_syn(server));
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD);
		close_both(client, server);
	}
	assert_int_equal(counter("dropped_fastopen"), dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spoofed_syn_makes_no_connection_and_sets_no_origin),
		cmocka_unit_test(nor_does_one_over_ipv6),
		cmocka_unit_test(an_option_longer_than_the_header_is_none),
		cmocka_unit_test(an_honest_proxy_falls_back_to_a_handshake),
		cmocka_unit_test(a_syn_without_data_makes_no_socket_before_the_header),
		cmocka_unit_test(who_is_not_marked_may_send_data_in_a_syn),
		cmocka_unit_test(nor_does_a_proxy_cgroup_change_that),
		cmocka_unit_test(a_listener_without_fast_open_is_not_touched),
	};

	return cmocka_run_group_tests_name("fastopen", tests, setup, NULL);
}
