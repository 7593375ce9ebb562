// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl connections, and ppctl lookup by the two ends: which connections live, whose they are, and
 * which process has them.
 */
#include <unistd.h>

#include "../lib/name.h"
#include "../lib/proxy.h"

#define PPCTL "build/bin/ppctl "
#define SPLIT 2540

static const char with_tlv[] = "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x14"
			       "\xcb\x00\x71\x07\xc6\x33\x64\x01\x12\x67\x00\x19"
			       "\x05\x00\x05"
			       "abcde";

static int setup(void **state)
{
	net_setup(state);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	return 0;
}

/* One line of 'ppctl connections' with @options, or all; after its heading. */
static const char *lines(const char *options)
{
	const char *text = run(0, PPCTL "connections %s", options);

	return *text ? strchr(text, '\n') + 1 : text;
}

static int count_lines(const char *options)
{
	const char *text = lines(options);
	int count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* A connection to OPEN that has sent @text, accepted. */
static struct link sent(int listener, const char *text)
{
	struct link link;

	open_link(listener, &link);
	send_text(link.client, text);
	await_acknowledged(link.client);
	return link;
}

static void each_connection_is_shown_with_its_state(void **state)
{
	int listener = listen_on(SERVER, OPEN);
	struct link links[] = {sent(listener, ""), sent(listener, LINE),
			       sent(listener, "PROXY TCP4 19"), sent(listener, "PROXY UNKNOWN\r\n"),
			       sent(listener, "EHLO x\r\n")};
	char wanted[128];
	size_t i;

	(void)state;
	assert_int_equal(count_lines(""), 5);
	assert_int_equal(count_lines("--state pending"), 1);
	assert_int_equal(count_lines("--state fragmented"), 1);
	assert_int_equal(count_lines("--state local"), 1);
	assert_int_equal(count_lines("--state bad"), 1);
	assert_says(lines("--state bad"), "  neither PROXY nor v2 signature\n");
	assert_int_equal(count_lines("--state valid,local"), 2);
	assert_int_equal(count_lines("--state none"), 0);
	snprintf(wanted, sizeof(wanted), "%s:%u", PROXY, port_of(links[1].client));
	assert_says(lines("--state valid"), wanted);
	assert_says(lines("--state valid"), "192.0.2.7:4711 ");
	snprintf(wanted, sizeof(wanted), " connections[%d]\n", getpid());
	assert_says(lines("--state valid"), wanted);
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		close_link(&links[i]);
	assert_int_equal(count_lines(""), 0);
	close(listener);
}

static void filters_are_by_port_proxy_and_client(void **state)
{
	int listener = listen_on(SERVER, OPEN), split = listen_on(SERVER, SPLIT);
	struct link one = sent(listener, LINE);
	int client = connect_to(PROXY, SERVER, SPLIT), server;

	(void)state;
	send_all(client, with_tlv, sizeof(with_tlv) - 1);
	server = accept_within(split, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(count_lines(""), 2);
	assert_int_equal(count_lines("--port 2526"), 1);
	assert_int_equal(count_lines("--port 2526,2540"), 2);
	assert_int_equal(count_lines("--port 2527"), 0);
	assert_int_equal(count_lines("--port " SERVER ":2526"), 1);
	assert_int_equal(count_lines("--port [::ffff:" SERVER "]:2526," SERVER ":2540"), 2);
	assert_int_equal(count_lines("--port 127.0.0.9:2526,[::1]:2540"), 0);
	assert_int_equal(count_lines("--port 127.0.0.9:2526,2540"), 1);
	assert_int_equal(count_lines("--proxy 127.0.0.2"), 2);
	assert_int_equal(count_lines("--proxy 127.0.0.0/8 --port 2540"), 1);
	assert_int_equal(count_lines("--proxy ::/0"), 0);
	assert_int_equal(count_lines("--proxy 192.0.2.7"), 0);
	assert_int_equal(count_lines("--client 192.0.2.0/24"), 1);
	assert_int_equal(count_lines("--client 192.0.2.0/24,203.0.113.7"), 2);
	assert_says(lines("--client 203.0.113.7"), "  unique_id=abcde\n");
	run(2, PPCTL "connections --client 192.0.2.7/8");
	assert_says(run(2, PPCTL "connections --port x"), "alone or as 192.0.2.1:25 or");
	assert_says(run(2, PPCTL "connections --port 0.0.0.0:25"), "is every address: say port 25");
	assert_says(run(2, PPCTL "connections --state vaild"), "did you mean valid?");
	close_link(&one);
	close_both(client, server);
	close_both(listener, split);
}

static void a_connection_is_looked_up_by_its_ends(void **state)
{
	int listener = listen_on(SERVER6, OPEN), client, server;
	const char *text;

	(void)state;
	client = connect_to(PROXY6, SERVER6, OPEN);
	send_text(client, LINE6);
	await_acknowledged(client);
	text = run(0, PPCTL "lookup [%s]:%d [%s]:%u", SERVER6, OPEN, PROXY6, port_of(client));
	assert_says(text, "state        valid\n");
	assert_says(text, "origin       " LINE6_ORIGIN "\n");
	assert_says(text, "taken        false\n");
	/* in the accept queue: no process has it */
	assert_says(lines(""), " -\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE6_ORIGIN);
	text = run(0, PPCTL "lookup [%s]:%d [%s]:%u", SERVER6, OPEN, PROXY6, port_of(client));
	assert_says(text, "taken        true\n");
	assert_says(run(1, PPCTL "lookup [%s]:%d [%s]:1", SERVER6, OPEN, PROXY6),
		    "no connection of");
	run(2, PPCTL "lookup 192.0.2.1:25 192.0.2.2");
	run(2, PPCTL "lookup x 12");
	close_both(client, server);
	close(listener);
}

static void headers_of_all_sizes_are_listed(void **state)
{
	static const size_t sizes[] = {40, 1000, 1025, 4096, 5000, 8193, PP_HEADER_MAX};
	static uint8_t header[PP_HEADER_MAX];
	static char hex[2 * PP_HEADER_MAX + 1];
	int listener = listen_on(SERVER, SPLIT), client, server;
	char wanted[64];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		client = connect_to(PROXY, SERVER, SPLIT);
		send_all(client, header, make_v2(header, sizes[i]));
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		snprintf(wanted, sizeof(wanted), " valid      %6zu ", sizes[i]);
		assert_says(lines(""), wanted);
		snprintf(wanted, sizeof(wanted), "\"tlv_len\":%zu,", sizes[i] - 28);
		assert_says(run(0, PPCTL "connections --json"), wanted);
		for (k = 31; k < sizes[i]; k++)
			sprintf(hex + 2 * (k - 31), "%02x", header[k]);
		assert_says(run(0, PPCTL "connections --json"), hex);
		close_both(client, server);
	}
	close(listener);
}

#define MANY 300

static void many_connections_are_all_listed(void **state)
{
	int listener = listen_on(SERVER, OPEN);
	static struct link links[MANY];
	size_t i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		open_link(listener, &links[i]);
		send_all(links[i].client, with_tlv, sizeof(with_tlv) - 1);
	}
	await_acknowledged(links[MANY - 1].client);
	assert_int_equal(count_lines("--state valid"), MANY);
	for (i = 0; i < MANY; i++)
		close_link(&links[i]);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_connection_is_shown_with_its_state),
		cmocka_unit_test(filters_are_by_port_proxy_and_client),
		cmocka_unit_test(a_connection_is_looked_up_by_its_ends),
		cmocka_unit_test(headers_of_all_sizes_are_listed),
		cmocka_unit_test(many_connections_are_all_listed),
	};

	return cmocka_run_group_tests_name("connections", tests, setup, NULL);
}
