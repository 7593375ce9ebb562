// SPDX-License-Identifier: BSD-2-Clause
/*
 * A port that has a policy of its own on some local addresses: each connection is served as its own
 * local address says, and on an address that has none as the port says without one, or not at all.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "../lib/forwarded.h"
#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define PPCTL  "build/bin/ppctl "
#define HERE   2560
#define SECOND "127.0.0.8"
#define THIRD  "127.0.0.9"
#define ALONE  "127.0.0.10"

static int listeners[4];
static const char *const addresses[4] = {SERVER, SECOND, THIRD, SERVER6};

/* Test set-up: listeners on all addresses; the port is not served. */
static int addresses_up(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		listeners[i] = listen_on(addresses[i], HERE);
	return 0;
}

static int addresses_down(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		close(listeners[i]);
	run(0,
	    "for port in $(" PPCTL "port list | grep -o '^[^ ]*%d'); do " PPCTL
	    "port del \"$port\" || exit 1; done",
	    HERE);
	return 0;
}

static const char *list(void)
{
	return run(0, PPCTL "port list | grep '%d'; true", HERE);
}

/* Each of these makes a connection of the proxy's to the address of listener @i. */

static void is_transparent(int i)
{
	int client = connect_to(i == 3 ? PROXY6 : PROXY, addresses[i], HERE), server;

	send_text(client, i == 3 ? LINE6 : LINE);
	send_text(client, PAYLOAD);
	server = accept_within(listeners[i], SOON_MS);
	assert_peer_address(server, i == 3 ? "2001:db8::7" : "192.0.2.7");
	assert_reads_text(server, PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	close_both(client, server);
}

static void is_peeked(int i)
{
	int client = connect_to(i == 3 ? PROXY6 : PROXY, addresses[i], HERE), server;

	send_text(client, i == 3 ? LINE6 : LINE);
	send_text(client, PAYLOAD);
	server = accept_within(listeners[i], SOON_MS);
	assert_peer_address(server, i == 3 ? PROXY6 : PROXY);
	assert_origin(server, i == 3 ? LINE6_ORIGIN : LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

static void is_unserved(int i)
{
	int client = connect_to(i == 3 ? PROXY6 : PROXY, addresses[i], HERE);
	int server = accept_within(listeners[i], SOON_MS);
	struct pp_origin origin;

	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	send_text(client, i == 3 ? LINE6 : LINE);
	assert_reads_text(server, i == 3 ? LINE6 : LINE);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close_both(client, server);
}

static void each_address_has_its_own_policy(void **state)
{
	(void)state;
	run(0, PPCTL "port add " SERVER ":%d '[" SERVER6 "]:%d' --transparent", HERE, HERE);
	run(0, PPCTL "port add " SECOND ":%d", HERE);
	assert_says(list(), SERVER ":2560 split yes, transparent");
	assert_says(list(), "[" SERVER6 "]:2560 split yes, transparent");
	assert_says(list(), SECOND ":2560 split no");
	is_transparent(0);
	is_peeked(1);
	is_unserved(2);
	is_transparent(3);
}

static void the_port_itself_is_for_the_other_addresses(void **state)
{
	(void)state;
	run(0, PPCTL "port add %d", HERE);
	is_peeked(0);
	run(0, PPCTL "port add " SECOND ":%d --transparent", HERE);
	is_peeked(0);
	is_transparent(1);
	is_peeked(3);
	run(0, PPCTL "port del %d", HERE);
	is_unserved(0);
	is_transparent(1);
	is_unserved(3);
	run(0, PPCTL "port add %d --transparent", HERE);
	is_transparent(0);
	is_transparent(1);
	run(0, PPCTL "port del " SECOND ":%d", HERE);
	is_transparent(1);
	run(0, PPCTL "port del %d", HERE);
	is_unserved(1);
	assert_string_equal(list(), "");
}

static void a_listener_on_any_address_is_served_by_each(void **state)
{
	struct pp_origin origin;
	int listener, client, server;

	(void)state;
	for (int i = 0; i < 4; i++)
		close(listeners[i]);
	listener = listen_on("::", HERE);
	run(0, PPCTL "port add " SERVER ":%d --transparent", HERE);
	client = connect_to(PROXY, SERVER, HERE);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_peer_address(server, "::ffff:192.0.2.7");
	close_both(client, server);
	client = connect_to(PROXY, SECOND, HERE);
	server = accept_within(listener, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close_both(client, server);
	close(listener);
	addresses_up(state);
}

static void one_address_drains_and_the_others_serve(void **state)
{
	int client, server;

	(void)state;
	run(0, PPCTL "port add " SERVER ":%d " SECOND ":%d --transparent", HERE, HERE);
	client = connect_to(PROXY, SERVER, HERE);
	send_text(client, LINE);
	server = accept_within(listeners[0], SOON_MS);
	run(0, PPCTL "port del " SERVER ":%d", HERE);
	assert_says(list(), SERVER ":2560 split yes, transparent");
	assert_says(list(), "draining");
	is_unserved(0);
	is_transparent(1);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	close_both(client, server);
	is_transparent(1);
	run(0, PPCTL "port add " THIRD ":%d", HERE); /* finishes what drained */
	assert_null(strstr(list(), "draining"));
	is_peeked(2);
	is_unserved(0);
}

/* The old connection of an address goes on, and new ones are served by the port itself at once. */
static void assert_goes_on(int client, int server)
{
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
}

static void an_address_that_goes_is_served_by_the_port_at_once(void **state)
{
	static const char *const policies[] = {"--transparent", "--split no"};
	int client, server;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		run(0, PPCTL "port add %d %s", HERE, policies[i]);
		run(0, PPCTL "port add " SERVER ":%d --transparent", HERE);
		client = connect_to(PROXY, SERVER, HERE);
		send_text(client, LINE);
		server = accept_within(listeners[0], SOON_MS);
		run(0, PPCTL "port del " SERVER ":%d", HERE);
		if (i)
			is_peeked(0);
		else
			is_transparent(0);
		assert_goes_on(client, server);
		close_both(client, server);
	}
}

static void an_address_that_comes_keeps_the_connections_of_the_port(void **state)
{
	int client, server;

	(void)state;
	run(0, PPCTL "port add %d --transparent", HERE);
	client = connect_to(PROXY, SERVER, HERE);
	send_text(client, LINE);
	server = accept_within(listeners[0], SOON_MS);
	run(0, PPCTL "port add " SERVER ":%d --split no", HERE);
	run(0, PPCTL "port del %d", HERE);
	is_peeked(0);
	assert_goes_on(client, server);
	close_both(client, server);
}

static void status_names_the_address(void **state)
{
	(void)state;
	run(0, PPCTL "port add %d && " PPCTL "port add " ALONE ":%d", HERE, HERE);
	assert_says(status_text(""), "nothing listens on port " ALONE ":2560");
	assert_null(strstr(status_text(""), "nothing listens on port 2560"));
	assert_says(run(0, PPCTL "metrics"), "port=\"" ALONE ":2560\"");
	run(0, PPCTL "port del %d", HERE);
	run(0, PPCTL "port add " SECOND ":%d --transparent", HERE);
	is_transparent(1);
	assert_null(strstr(status_text(""), "listens on port " SECOND));
	run(1, PPCTL "port del " THIRD ":%d", HERE);
	run(2, PPCTL "port add 0.0.0.0:%d", HERE);
	run(2, PPCTL "port add ::1:%d", HERE);
}

/* The header is decoded in the proxy's own send(). */
static void a_proxy_of_this_host(void **state)
{
	int client, server;

	(void)state;
	run(0, PPCTL "proxy-cgroup add $LAB_OUTSIDE");
	run(0, PPCTL "port add " SERVER ":%d", HERE);
	client = proxy_connects(LOCAL, SERVER, HERE);
	send_text(client, LINE);
	server = accept_within(listeners[0], SOON_MS);
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	assert_origin(server, LINE_ORIGIN);
	close_both(client, server);
	client = proxy_connects(LOCAL, SECOND, HERE);
	send_text(client, LINE);
	server = accept_within(listeners[1], SOON_MS);
	assert_reads_text(server, LINE);
	close_both(client, server);
	run(0, PPCTL "proxy-cgroup del $LAB_OUTSIDE");
}

/* DNAT: the policy is that of the address that the proxy connected to. */
static void a_published_address(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	run(0, PPCTL "port del %d && " PPCTL "port add " UPLINK ":%d --transparent", PUBLISHED,
	    PUBLISHED);
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_peer_address(server, "192.0.2.7");
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	transfer(client, server, NULL);
	close_both(client, server);
	close(listener);
	run(0, PPCTL "port del " UPLINK ":%d && " PPCTL "port add %d --transparent", PUBLISHED,
	    PUBLISHED);
}

static void write_file(const char *name, const char *ports)
{
	run(0,
	    "printf '[serve one]\\ncgroup = %%s\\ntransparent = yes\\n%s\\nproxy = " PROXY
	    "\\n' $LAB_CGROUP >/tmp/%s.conf",
	    ports, name);
}

/* 'ppctl apply' puts one in the other's place, while proxies connect: one of them always serves. */
static void one_takes_the_others_place(void **state)
{
	int client, server, status, count = 0;
	pid_t child;

	(void)state;
	run(0, PPCTL "down --now");
	write_file("any", "port = 2560");
	write_file("own", "port = 127.0.0.1:2560");
	run(0, PPCTL "apply /tmp/any.conf");
	child = fork();
	if (!child) {
		run(0, "for i in 1 2 3 4 5 6; do " PPCTL "apply /tmp/own.conf && " PPCTL
		       "apply /tmp/any.conf || exit 1; done");
		_exit(0);
	}
	while (!waitpid(child, &status, WNOHANG)) {
		client = connect_to(PROXY, SERVER, HERE);
		send_text(client, LINE);
		server = accept_within(listeners[0], SOON_MS);
		assert_peer_address(server, "192.0.2.7");
		assert_nothing_to_read(server);
		close_both(client, server);
		count++;
	}
	assert_int_equal(status, 0);
	assert_true(count > 6);
	run(0, ": >/tmp/none.conf; " PPCTL "apply /tmp/none.conf");
	for (size_t i = 0; i < 4; i++)
		close(listeners[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, addresses_up, addresses_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_address_has_its_own_policy),
		TEST(the_port_itself_is_for_the_other_addresses),
		TEST(a_listener_on_any_address_is_served_by_each),
		TEST(one_address_drains_and_the_others_serve),
		TEST(an_address_that_goes_is_served_by_the_port_at_once),
		TEST(an_address_that_comes_keeps_the_connections_of_the_port),
		TEST(status_names_the_address),
		TEST(a_proxy_of_this_host),
		cmocka_unit_test(a_published_address),
		cmocka_unit_test_setup(one_takes_the_others_place, addresses_up),
	};

	return cmocka_run_group_tests_name("addresses", tests, forwarded_setup, NULL);
}
