// SPDX-License-Identifier: BSD-2-Clause
/*
 * What pp_lookup() answers where there is no origin: the rule that a bad header breaks, and that a
 * listening socket is no connection; and --v1-mixed.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "../lib/listeners.h"
#include "../lib/lookups.h"
#include "../unit/headers.h"

static void a_large_header_with_a_broken_rule_is_bad(void **state)
{
	static uint8_t bytes[LARGE];
	struct pp_origin origin;
	struct link link;

	(void)state;
	make_v2(bytes, LARGE);
	bytes[30]--; /* the TLV ends a byte before the header: that byte is no TLV */
	open_link(open_listener, &link);
	send_all(link.client, bytes, LARGE);
	assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_TLV);
	close_link(&link);
}

static void check_reason(const char *bytes, size_t len, int reason)
{
	struct pp_origin origin = {.reason = 99};
	struct link link;

	open_link(open_listener, &link);
	assert_int_equal(pp_lookup(link.server, &origin), -EAGAIN);
	assert_int_equal(origin.reason, 0);
	send_all(link.client, bytes, len);
	if (reason == PP_BAD_CLOSED)
		shutdown(link.client, SHUT_WR);
	assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBADMSG);
	if (origin.reason != reason)
		fail_msg("%s, not %s", pp_reason_text(origin.reason), pp_reason_text(reason));
	assert_int_equal(pp_lookup(link.server, &origin), -EBADMSG);
	assert_int_equal(origin.reason, reason);
	close_link(&link);
}

#define CHECK_REASON(text, reason) check_reason(text, sizeof(text) - 1, reason)
#define V2_START		   "\r\n\r\n\0\r\nQUIT\n"

static void a_bad_header_comes_with_the_rule_that_it_breaks(void **state)
{
	(void)state;
	CHECK_REASON("EHLO client.example\r\n", PP_BAD_SIGNATURE);
	CHECK_REASON(V2_START "\x31", PP_BAD_VERSION);
	CHECK_REASON(V2_START "\x22", PP_BAD_COMMAND);
	CHECK_REASON(V2_START "\x21\x41", PP_BAD_FAMILY);
	CHECK_REASON("PROXY TCP5 ", PP_BAD_FAMILY);
	CHECK_REASON("PROXY TCP4 1.2.3.256 ", PP_BAD_ADDRESS);
	CHECK_REASON("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", PP_BAD_PORT);
	CHECK_REASON("PROXY UNKNOWN\r\r\n", PP_BAD_LINE);
	CHECK_REASON(V2_START "\x21\x11\0\x0b", PP_BAD_LENGTH);
	CHECK_REASON(V2_START "\x21\x11\xff\xff", PP_BAD_TOO_LARGE);
	CHECK_REASON(V2_START "\x21\x11\0\x0d"
			      "aaaabbbbccddX",
		     PP_BAD_TLV);
	CHECK_REASON(V2_START "\x21\x11\0\x13"
			      "aaaabbbbccdd\x03\0\x04XXXX",
		     PP_BAD_CHECKSUM);
	CHECK_REASON("PROXY TCP4 1.2.3.4 ", PP_BAD_CLOSED);
}

static void two_families_in_a_line_are_taken_where_they_are_allowed(void **state)
{
	int here = listen_on(SERVER, MIXED), client, server, result;
	struct pp_origin origin;
	size_t i;

	(void)state;
	for (i = 0; i < mixed_case_count; i++) {
		client = connect_to(PROXY, SERVER, MIXED);
		send_text(client, mixed_cases[i].line);
		server = accept_within(here, SOON_MS);
		result = pp_lookup_wait(server, &origin, SOON_MS);
		if (result != (mixed_cases[i].origin ? 0 : -EBADMSG))
			fail_msg("%s: %s", mixed_cases[i].line, pp_strerror(result));
		if (!result)
			assert_origin_is(&origin, mixed_cases[i].origin);
		close_both(client, server);
	}
	close(here);
}

static void a_listening_socket_is_no_connection(void **state)
{
	struct pp_origin origin;

	(void)state;
	assert_int_equal(pp_lookup(open_listener, &origin), -ENOTCONN);
	assert_int_equal(pp_lookup_wait(open_listener, &origin, SOON_MS), -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_header_with_a_broken_rule_is_bad),
		cmocka_unit_test(a_bad_header_comes_with_the_rule_that_it_breaks),
		cmocka_unit_test(two_families_in_a_line_are_taken_where_they_are_allowed),
		cmocka_unit_test(a_listening_socket_is_no_connection),
	};

	return cmocka_run_group_tests_name("lookup_answers", tests, listeners_setup, NULL);
}
