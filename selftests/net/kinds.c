// SPDX-License-Identifier: BSD-2-Clause
/*
 * Kinds of connections: IPv6, dual-stack, IP options, SYN cookies, TCP Fast Open, segments as large
 * as they get, several network namespaces.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/wait.h>

#include "../lib/net.h"

/* One connection from @source to @address, with a header of its own. */
static void check(const char *source, const char *address, int listener, unsigned int port)
{
	int client = connect_to(source, address, port), server;

	send_text(client, LINE6 "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE6_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void check_stranger(const char *source, const char *address, int listener)
{
	int client = connect_to(source, address, PORT), server = accept_within(listener, SOON_MS);
	struct pp_origin origin;

	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close_both(client, server);
}

static void ipv6(void **state)
{
	int listener = listen_on(SERVER6, PORT);

	(void)state;
	check(PROXY6, SERVER6, listener, PORT);
	check_stranger(OTHER6, SERVER6, listener);
	close(listener);
}

static void a_dual_stack_listener_serves_mapped_addresses(void **state)
{
	int listener = listen_on("::", PORT);

	(void)state;
	check(PROXY, SERVER, listener, PORT);
	check(PROXY6, SERVER6, listener, PORT);
	check_stranger(OTHER, SERVER, listener);
	close(listener);
}

static void ipv4_options(void **state)
{
	/* record route, three places; RFC 791 section 3.1 */
	static const uint8_t route[16] = {7, 15, 4, [15] = 0};
	int listener = listen_on(SERVER, PORT), client, server, one = 1;
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(PROXY)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr.s_addr = inet_addr(SERVER)};

	(void)state;
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(setsockopt(client, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)), 0);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
	close(listener);
}

static void syn_cookies(void **state)
{
	int listener = listen_on(SERVER, PORT), listener6, i;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2"); /* always */
	for (i = 0; i < 20; i++)
		check(PROXY, SERVER, listener, PORT);
	check_stranger(OTHER, SERVER, listener);
	close(listener);
	listener6 = listen_on(SERVER6, PORT);
	check(PROXY6, SERVER6, listener6, PORT);
	close(listener6);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

/* Data in a SYN proves no return path, and a SYN alone makes a socket: the gate drops both. The
 * client sends a plain SYN after that, 1 s later. */
static void tcp_fast_open_falls_back_to_a_handshake(void **state)
{
	int listener, client, server, sent, i;
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(PROXY)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr.s_addr = inet_addr(SERVER)};
	struct tcp_info info;
	socklen_t len = sizeof(info);

	(void)state;
	sysctl_set("net/ipv4/tcp_fastopen", "1543"); /* 0x607: both sides, no cookie wanted */
	listener = listen_on(SERVER, PORT);
	for (i = 0; i < 5; i++) {
		client = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
		sent = sendto(client, LINE "EHLO x\r\n", LINE_LEN + 8, MSG_FASTOPEN,
			      (struct sockaddr *)&to, sizeof(to));
		assert_int_equal(sent, LINE_LEN + 8);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, "EHLO x\r\n");
		assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
		assert_false(info.tcpi_options & TCPI_OPT_SYN_DATA);
		close_both(client, server);
	}
	assert_true(counter("dropped_fastopen") > 0);
	sysctl_set("net/ipv4/tcp_fastopen", "0");
	close(listener);
}

static void a_header_in_front_of_segments_as_large_as_they_get(void **state)
{
	enum { BULK = 300000 };
	static uint8_t bytes[BULK + LINE_LEN];
	int listener = listen_on(SERVER, PORT), client, server, i;

	(void)state;
	memcpy(bytes, LINE, LINE_LEN);
	for (i = 0; i < 20; i++) {
		fill_pattern(bytes + LINE_LEN, BULK, i);
		client = connect_to(PROXY, SERVER, PORT);
		if (fork() == 0) {
			send_all(client, bytes, sizeof(bytes));
			_exit(0);
		}
		close(client);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		assert_reads(server, bytes + LINE_LEN, BULK);
		assert_reads_eof(server);
		wait(NULL);
		close(server);
	}
	close(listener);
}

/* A client in a network namespace of its own, which then sends @bytes of pattern behind the header.
 */
static void remote_client(int ready, size_t bulk)
{
	static uint8_t bytes[1000000];
	int client;
	char byte;

	if (unshare(CLONE_NEWNET) || write(ready, "r", 1) != 1 || read(ready, &byte, 1) != 1)
		_exit(1);
	run(0, "ip link set lo up; ip addr add 10.50.50.2/24 dev v1; ip link set v1 up; "
	       "ip -6 addr add fd00:5051::2/64 dev v1 nodad");
	client = connect_to("10.50.50.2", "10.50.50.1", PORT);
	memcpy(bytes, LINE, LINE_LEN);
	fill_pattern(bytes + LINE_LEN, bulk, 1);
	send_all(client, bytes, LINE_LEN + bulk);
	close(client);
	client = connect_to("fd00:5051::2", "fd00:5051::1", PORT);
	send_all(client, bytes, LINE_LEN + bulk);
	_exit(0);
}

static void a_proxy_on_another_host(void **state)
{
	enum { BULK = 900000 };
	static uint8_t bytes[BULK];
	int ready[2], listener, server, i;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	fill_pattern(bytes, BULK, 1);
	child = fork();
	if (child == 0)
		remote_client(ready[1], BULK);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run(0,
	    "ip link add v0 type veth peer name v1 && ip link set v1 netns %d && "
	    "ip addr add 10.50.50.1/24 dev v0 && ip link set v0 up && "
	    "ip -6 addr add fd00:5051::1/64 dev v0 nodad",
	    child);
	run(0, "build/bin/ppctl proxy add 10.50.50.2 fd00:5051::/64");
	listener = listen_on("::", PORT);
	assert_int_equal(write(ready[0], "g", 1), 1);
	for (i = 0; i < 2; i++) {
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, LINE_ORIGIN);
		assert_reads(server, bytes, BULK);
		assert_reads_eof(server);
		close(server);
	}
	waitpid(child, NULL, 0);
	run(0, "build/bin/ppctl proxy del 10.50.50.2,fd00:5051::/64");
	close(listener);
	close_both(ready[0], ready[1]);
}

static int connect_from_port(unsigned int port)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = inet_addr(PROXY)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr.s_addr = inet_addr(SERVER)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void the_same_addresses_in_two_network_namespaces(void **state)
{
	int here, there, client, other, server, ours, theirs;

	(void)state;
	ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	here = listen_on(SERVER, PORT);
	client = connect_from_port(33333);

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	theirs = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	run(0, "ip link set lo up");
	there = listen_on(SERVER, PORT);
	other = connect_from_port(33333);
	assert_int_equal(setns(ours, CLONE_NEWNET), 0);

	send_text(client, LINE);
	send_text(other, "PROXY TCP4 203.0.113.9 198.51.100.1 9 25\r\n");
	server = accept_within(here, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	close_both(client, server);
	server = accept_within(there, SOON_MS);
	assert_origin(server, "PROXY v1 TCP 203.0.113.9:9 -> 198.51.100.1:25");
	close_both(other, server);
	close_both(here, there);
	close_both(ours, theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6),
		cmocka_unit_test(a_dual_stack_listener_serves_mapped_addresses),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(syn_cookies),
		cmocka_unit_test(tcp_fast_open_falls_back_to_a_handshake),
		cmocka_unit_test(a_header_in_front_of_segments_as_large_as_they_get),
		cmocka_unit_test(a_proxy_on_another_host),
		cmocka_unit_test(the_same_addresses_in_two_network_namespaces),
	};

	return cmocka_run_group_tests_name("kinds", tests, net_setup, NULL);
}
