// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections of a proxy on this host with the same addresses and ports, at the same time or one
 * after the other: each has an announcement of its own.
 */
#include <signal.h>

#include "../lib/map.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define PROXY_ADDRESS  "10.9.1.2"
#define SERVER_ADDRESS "10.9.1.1"
#define SOURCE_PORT    40001

static const char *const lines[] = {"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
				    "PROXY TCP4 192.0.2.8 198.51.100.1 4712 25\r\n"};
static const char *const origins[] = {"PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25",
				      "PROXY v1 TCP 192.0.2.8:4712 -> 198.51.100.1:25"};

/* A server's host and a proxy's. */
struct pair {
	int server_netns, proxy_netns;
	int listener, client, server;
};

static void pair_make(struct pair *pair, const char *proxy, const char *server)
{
	int here = netns_here();

	pair->server_netns = netns_make();
	pair->proxy_netns = netns_make();
	netns_connect("v0", pair->server_netns, server, pair->proxy_netns, proxy);
	netns_enter(pair->server_netns);
	pair->listener = listen_on(server, PORT);
	netns_enter(here);
	close(here);
}

static void pair_connect(struct pair *pair, const char *proxy, const char *server)
{
	int here = netns_here();

	netns_enter(pair->proxy_netns);
	become_proxy();
	pair->client = connect_from(proxy, SOURCE_PORT, server, PORT);
	become_server();
	netns_enter(here);
	close(here);
}

static void pair_serve(struct pair *pair, int which)
{
	send_text(pair->client, lines[which]);
	pair->server = accept_within(pair->listener, SOON_MS);
	assert_true(pair->server >= 0);
	assert_origin(pair->server, origins[which]);
	assert_int_equal(record_of(pair->server).path, PP_PATH_SENDER);
	send_text(pair->client, "EHLO x\r\n");
	assert_reads_text(pair->server, "EHLO x\r\n");
}

static void pair_close(struct pair *pair)
{
	close_both(pair->client, pair->server);
	close(pair->listener);
	close_both(pair->server_netns, pair->proxy_netns);
}

static void the_same_tuple_in_two_namespaces(void **state)
{
	struct pair pairs[2];
	int first, i;

	(void)state;
	for (first = 0; first < 2; first++) {
		for (i = 0; i < 2; i++)
			pair_make(&pairs[i], PROXY_ADDRESS, SERVER_ADDRESS);
		/* at once, before the gate opens */
		for (i = 0; i < 2; i++)
			pair_connect(&pairs[i], PROXY_ADDRESS, SERVER_ADDRESS);
		assert_int_equal(entries("pp_outgoing"), 2);
		assert_int_equal(entries("pp_senders"), 2);
		pair_serve(&pairs[first], first);
		pair_serve(&pairs[!first], !first);
		pair_close(&pairs[0]);
		pair_close(&pairs[1]);
		assert_empties("pp_outgoing");
		assert_empties("pp_senders");
	}
}

/* Loopback addresses mean something else in each namespace. */
static void the_same_loopback_tuple_in_two_namespaces(void **state)
{
	int here = netns_here(), i, first, netns[2], listeners[2], clients[2], server;

	(void)state;
	for (first = 0; first < 2; first++) {
		for (i = 0; i < 2; i++) {
			netns[i] = netns_make();
			netns_enter(netns[i]);
			listeners[i] = listen_on(SERVER, PORT);
		}
		for (i = 0; i < 2; i++) {
			netns_enter(netns[i]);
			become_proxy();
			clients[i] = connect_from(LOCAL, SOURCE_PORT, SERVER, PORT);
			become_server();
		}
		netns_enter(here);
		assert_int_equal(entries("pp_outgoing"), 2);
		for (i = 0; i < 2; i++) {
			int which = i ^ first;

			send_text(clients[which], lines[which]);
			server = accept_within(listeners[which], SOON_MS);
			assert_origin(server, origins[which]);
			close(server);
		}
		for (i = 0; i < 2; i++) {
			close_both(clients[i], listeners[i]);
			close(netns[i]);
		}
		assert_empties("pp_outgoing");
	}
	close(here);
}

static void an_older_connection_on_the_same_tuple(void **state)
{
	struct pp_connection_key key = {
		.remote = {[10] = 0xff, 0xff, 127, 0, 0, 5},
		.local = {[10] = 0xff, 0xff, 127, 0, 0, 1},
		.remote_port = SOURCE_PORT,
		.local_port = PORT,
		.first_seq = 12345,
	};
	struct pp_outgoing older = {.confirmed = 1,
				    .record = {.state = PP_STATE_VALID,
					       .version = 1,
					       .command = PP_PROXY,
					       .family = AF_INET,
					       .src = {192, 0, 2, 66},
					       .header_len = LINE_LEN}};
	int listener = listen_on(SERVER, PORT), client, server, i;
	socklen_t len = sizeof(key.netns_cookie);

	(void)state;
	assert_int_equal(getsockopt(listener, SOL_SOCKET, SO_NETNS_COOKIE, &key.netns_cookie, &len),
			 0);
	for (i = 0; i < 2; i++) {
		outgoing_put(&key, &older);
		become_proxy();
		client = connect_from(LOCAL, SOURCE_PORT, SERVER, PORT);
		become_server();
		assert_int_equal(entries("pp_outgoing"), 2);
		send_text(client, lines[i]);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, origins[i]);
		reset(client);
		close(server);
	}
	close(listener);
	outgoing_clear();
}

/* A connection that is reset before its header, and the next one on the same tuple. */
static void a_reset_connection_and_the_next_one(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server, i;

	(void)state;
	for (i = 0; i < 20; i++) {
		become_proxy();
		client = connect_from(LOCAL, SOURCE_PORT, SERVER, PORT);
		become_server();
		if (i % 2 == 0) {
			reset(client);
			continue;
		}
		send_text(client, lines[i / 2 % 2]);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, origins[i / 2 % 2]);
		reset(client);
		close(server);
	}
	close(listener);
}

/* The server closes first, so its end is in TIME_WAIT when the next SYN comes: there is no listener
 * for the gate to run on before TCP has looked one up. */
static void a_connection_that_ends_in_time_wait_and_the_next_one(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server, i;

	(void)state;
	for (i = 0; i < 10; i++) {
		become_proxy();
		client = connect_from(LOCAL, SOURCE_PORT + 1, SERVER, PORT);
		become_server();
		assert_int_equal(entries("pp_senders"), 1);
		send_text(client, lines[i % 2]);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, origins[i % 2]);
		assert_int_equal(record_of(server).path, PP_PATH_SENDER);
		close(server);
		assert_reads_eof(client);
		close(client);
		assert_empties("pp_senders");
	}
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_tuple_in_two_namespaces),
		cmocka_unit_test(the_same_loopback_tuple_in_two_namespaces),
		cmocka_unit_test(an_older_connection_on_the_same_tuple),
		cmocka_unit_test(a_reset_connection_and_the_next_one),
		cmocka_unit_test(a_connection_that_ends_in_time_wait_and_the_next_one),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("sender_tuples", tests, proxy_setup, NULL);
}
