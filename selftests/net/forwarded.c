// SPDX-License-Identifier: BSD-2-Clause
/*
 * Published ports: a proxy on another host connects to an address of this one, and DNAT forwards
 * the connection to a server in a network namespace without hooks, as container engines do it.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#include "../lib/forwarded.h"
#include "../lib/map.h"
#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

static unsigned int retransmissions(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_total_retrans;
}

/* A whole connection, its header in pieces of @piece bytes; ends as the server's or the proxy's
 * close. Return: how often its header was sent again. */
static int converse(int listener, int client, size_t piece, int server_closes)
{
	int server, one = 1, again;
	size_t at;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (at = 0; at < LINE_LEN; at += piece) {
		send_all(client, LINE + at, LINE_LEN - at < piece ? LINE_LEN - at : piece);
		await_acknowledged(client);
	}
	again = retransmissions(client);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_peer_address(server, "192.0.2.7");
	assert_origin(server, LINE_ORIGIN);
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	transfer(client, server, NULL);
	transfer(server, client, NULL);
	shutdown(server_closes ? server : client, SHUT_WR);
	assert_reads_eof(server_closes ? client : server);
	send_text(server_closes ? client : server, "after that\r\n");
	assert_reads_text(server_closes ? server : client, "after that\r\n");
	close_both(client, server);
	return again;
}

static void a_published_port(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), whole = 0, pieces = 0, i;

	(void)state;
	for (i = 0; i < 4; i++) {
		whole += !converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, i & 1);
		pieces += !converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), 7, i & 1);
	}
	/* a busy machine sends one again now and then */
	assert_true(whole > 0);
	assert_true(pieces > 0);
	close(listener);
}

static void the_servers_own_port_is_another(void **state)
{
	int listener = serve("0.0.0.0", INNER);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, RENAMED), LINE_LEN, 0);
	close(listener);
}

static void header_and_payload_in_one_segment(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_peer_address(server, "192.0.2.7");
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	send_text(server, "250 x\r\n");
	assert_reads_text(client, "250 x\r\n");
	await_acknowledged(client);
	close_both(client, server);
	close(listener);
}

static void over_ip6(void **state)
{
	int listener = serve("::", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST6, UPLINK6, PUBLISHED);
	send_text(client, "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n" PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_peer_address(server, "2001:db8::7");
	assert_reads_text(server, PAYLOAD);
	transfer(client, server, NULL);
	transfer(server, client, NULL);
	close_both(client, server);
	close(listener);
}

static void under_syn_cookies(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED);

	(void)state;
	netns_enter(container);
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	netns_enter(host);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	netns_enter(container);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
	netns_enter(host);
	close(listener);
}

/* No other namespace, but another port. */
static void redirected_to_a_port_of_this_host(void **state)
{
	int listener = listen_on("0.0.0.0", TARGET);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, REDIRECTED), LINE_LEN, 0);
	converse(listener, call(PROXY_HOST, UPLINK, REDIRECTED), 7, 1);
	close(listener);
}

/* docker-proxy has such a one. */
static void a_listener_on_the_host_does_not_matter(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), other = listen_on("0.0.0.0", PUBLISHED);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	close_both(listener, other);
}

/* What nobody serves is left alone. */
static void a_container_outside_of_the_served_cgroup(void **state)
{
	int listener, client, server, before = entries("pp_forwarded");

	(void)state;
	become_bystander();
	listener = serve("0.0.0.0", PUBLISHED);
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	become_bystander();
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	become_server();
	assert_peer_address(server, PROXY_HOST);
	assert_reads_text(server, LINE PAYLOAD);
	assert_int_equal(entries("pp_forwarded"), before);
	close_both(client, server);
	close(listener);
}

static void a_bad_header_ends_it(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client = call(PROXY_HOST, UPLINK, PUBLISHED);
	char byte;

	(void)state;
	send_text(client, "EHLO I am no proxy\r\n");
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS), 1);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close_both(client, listener);
}

static void with_hooks_in_the_container_too(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED);

	(void)state;
	netns_enter(container);
	run(0, "build/bin/ppctl port add %d --transparent", PUBLISHED);
	netns_enter(host);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), 7, 1);
	close(listener);
}

/* Then the guard knows the port before the first connection has come. */
static void the_servers_own_port_is_served_too(void **state)
{
	int listener, client, server;

	(void)state;
	run(0, "build/bin/ppctl port add %d --transparent", INNER);
	listener = serve("0.0.0.0", INNER);
	client = call(PROXY_HOST, UPLINK, RENAMED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	close_both(client, server);
	close(listener);
	run(0, "build/bin/ppctl port del %d", INNER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_servers_own_port_is_served_too),
		cmocka_unit_test(a_published_port),
		cmocka_unit_test(the_servers_own_port_is_another),
		cmocka_unit_test(header_and_payload_in_one_segment),
		cmocka_unit_test(over_ip6),
		cmocka_unit_test(under_syn_cookies),
		cmocka_unit_test(redirected_to_a_port_of_this_host),
		cmocka_unit_test(a_listener_on_the_host_does_not_matter),
		cmocka_unit_test(a_container_outside_of_the_served_cgroup),
		cmocka_unit_test(a_bad_header_ends_it),
		cmocka_unit_test(with_hooks_in_the_container_too),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("forwarded", tests, forwarded_setup, NULL);
}
