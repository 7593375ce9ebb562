// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl status names the peers that were refused, those that sent no header in time, and those that
 * send one and are not marked: whoever decodes the header, and whether somebody watches or not.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include "../lib/listeners.h"
#include "../lib/map.h"
#include "../lib/net.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define PPCTL	     "build/bin/ppctl "
#define SPLIT	     2570 /* split, a bad header is dropped */
#define CROWD	     1200 /* more than pp_unmarked has room for */
#define TELLS	     2571 /* split, the server is told */
#define NEAR_ADDRESS "10.9.2.1"
#define FAR_ADDRESS  "10.9.2.2"
#define BAD	     "PROXY TCP4 192.0.2.7 198.51.100.256 4711 25\r\n"

/* Test set-up: nobody is remembered. */
static int forget(void **state)
{
	(void)state;
	map_clear("pp_refused");
	map_clear("pp_unmarked");
	assert_null(strstr(status_text(""), "refused\n"));
	return 0;
}

static int peers_setup(void **state)
{
	listeners_setup(state);
	run(0, PPCTL "port add %d --split yes --on-bad drop", SPLIT);
	run(0, PPCTL "port add %d --split yes --on-bad tell", TELLS);
	return 0;
}

/* The server asks, whatever it is told. */
static void ask(int server)
{
	struct pp_origin origin;

	pp_lookup_wait(server, &origin, SOON_MS);
}

/* A connection of @source's to @port, with @text; and no more of it. A stranger's server has its
 * answer before the text, and would close too early. */
static void says(const char *source, unsigned int port, const char *text)
{
	int listener = port == PORT || port == OPEN ? -1 : listen_on(SERVER, port);
	int client = connect_to(source, SERVER, port), server;

	send_text(client, text);
	if (strcmp(source, PROXY) != 0)
		await_acknowledged(client);
	server = accept_within(listener < 0 ? port == PORT ? gated_listener : open_listener
					    : listener,
			       port == SPLIT || port == DROPPING ? A_WHILE_MS : SOON_MS);
	if (server >= 0) {
		ask(server);
		close(server);
	}
	reset(client);
	if (listener >= 0)
		close(listener);
}

static void a_proxy_whose_headers_are_bad(void **state)
{
	static const unsigned int ports[] = {PORT, OPEN, DROPPING, SPLIT, TELLS};
	char wanted[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		forget(state);
		says(PROXY, ports[i], BAD);
		snprintf(wanted, sizeof(wanted), PROXY ": once, ");
		assert_says(status_text(""), wanted);
		snprintf(wanted, sizeof(wanted), "on port %u: address\n", ports[i]);
		assert_says(status_text(""), wanted);
		assert_says(status_text(""), PROXY " was refused once, ");
	}
	says(PROXY, PORT, BAD);
	says(PROXY, PORT, "EHLO x\r\n");
	assert_says(status_text(""), PROXY ": 3 times, the last ");
	assert_says(status_text(""), "on port 2525: ");
}

static void a_proxy_that_sends_none(void **state)
{
	int listener = listen_on(SERVER, QUICK), client = connect_to(PROXY, SERVER, QUICK);
	int server = accept_within(listener, SOON_MS);

	(void)state;
	assert_true(server >= 0);
	assert_says(status_text(""), "the proxy " PROXY " sent no header in time once, ");
	assert_says(status_text(""), ": expired\n");
	close_both(client, server);
	close(listener);
}

static void one_that_closes_before_it(void **state)
{
	int client = connect_to(PROXY, SERVER, OPEN),
	    server = accept_within(open_listener, SOON_MS);
	struct pp_origin origin;

	(void)state;
	shutdown(client, SHUT_WR);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	assert_says(status_text(""), ": closed\n");
	close_both(client, server);
}

static void one_that_is_not_marked(void **state)
{
	static const unsigned int ports[] = {PORT, OPEN, SPLIT};
	char wanted[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		forget(state);
		says(OTHER, ports[i], LINE);
		snprintf(wanted, sizeof(wanted),
			 OTHER " sends PROXY headers to port %u and is not marked: once, ",
			 ports[i]);
		assert_says(status_text(""), wanted);
		assert_says(status_text(""), "'ppctl proxy-cgroup add', if it is a proxy of yours");
		assert_null(strstr(status_text(""), OTHER " was refused"));
	}
	forget(state);
	says(OTHER, OPEN, "EHLO x\r\nPROXY TCP4 \r\n");
	says(OTHER, PORT, "PROXY");
	assert_null(strstr(status_text(""), OTHER));
}

/* Where each stranger has a record. */
static void one_that_is_not_marked_beside_a_proxy_cgroup(void **state)
{
	(void)state;
	run(0, PPCTL "proxy-cgroup add $LAB_OUTSIDE");
	says(OTHER, OPEN, LINE);
	run(0, PPCTL "proxy-cgroup del $LAB_OUTSIDE");
	assert_says(status_text(""), OTHER " sends PROXY headers to port 2526");
}

/* A container engine's relay connects from an address of the host. */
static void one_on_another_host_and_one_that_relays(void **state)
{
	int here = netns_here(), far = netns_make(), client;

	(void)state;
	netns_connect("v0", here, NEAR_ADDRESS, far, FAR_ADDRESS);
	close(open_listener);
	open_listener = listen_on("0.0.0.0", OPEN);
	netns_enter(far);
	client = connect_to(FAR_ADDRESS, NEAR_ADDRESS, OPEN);
	netns_enter(here);
	send_text(client, LINE);
	await_acknowledged(client);
	assert_says(status_text(""), "'ppctl proxy add " FAR_ADDRESS "', if it is");
	reset(client);
	forget(state);
	client = connect_to(NEAR_ADDRESS, NEAR_ADDRESS, OPEN);
	send_text(client, LINE);
	await_acknowledged(client);
	assert_says(status_text(""), "engine's relay has to go, and is never to be marked");
	reset(client);
	close(open_listener);
	open_listener = listen_on(SERVER, OPEN);
	close_both(here, far);
}

/* What strangers do does not change what a monitoring plugin says. */
static void strangers_do_not_change_the_health(void **state)
{
	char before[64], after[64];

	(void)state;
	snprintf(before, sizeof(before), "%.40s", status_text(""));
	says(OTHER, OPEN, LINE);
	snprintf(after, sizeof(after), "%.40s", status_text(""));
	assert_string_equal(before, after);
}

/* Nor do they push a proxy out of what is remembered. */
static void a_crowd_of_strangers_pushes_no_proxy_out(void **state)
{
	char source[32];
	int i;

	(void)state;
	says(PROXY, PORT, BAD);
	for (i = 0; i < CROWD; i++) {
		snprintf(source, sizeof(source), "127.2.%d.%d", i / 200, i % 200 + 1);
		says(source, OPEN, LINE);
	}
	assert_says(status_text(""), PROXY ": once, ");
	assert_says(status_text(""), source);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_proxy_whose_headers_are_bad),
		TEST(a_proxy_that_sends_none),
		TEST(one_that_closes_before_it),
		TEST(one_that_is_not_marked),
		TEST(one_that_is_not_marked_beside_a_proxy_cgroup),
		TEST(one_on_another_host_and_one_that_relays),
		TEST(a_crowd_of_strangers_pushes_no_proxy_out),
		TEST(strangers_do_not_change_the_health),
	};

	return cmocka_run_group_tests_name("peers", tests, peers_setup, NULL);
}
