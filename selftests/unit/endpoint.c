// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses with ports of user/common/endpoint.h, to text and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/common/endpoint.h"

#define DEFAULT_PORT 2525

static void an_address_with_a_port_is_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int family;
		unsigned int port;
		const char *address, *again;
	} cases[] = {
		{"192.0.2.7", AF_INET, DEFAULT_PORT, "192.0.2.7", "192.0.2.7:2525"},
		{"192.0.2.7:25", AF_INET, 25, "192.0.2.7", "192.0.2.7:25"},
		{"192.0.2.7:0", AF_INET, 0, "192.0.2.7", "192.0.2.7:0"},
		{"192.0.2.7:65535", AF_INET, 65535, "192.0.2.7", "192.0.2.7:65535"},
		{"[192.0.2.7]", AF_INET, DEFAULT_PORT, "192.0.2.7", "192.0.2.7:2525"},
		{"[192.0.2.7]:25", AF_INET, 25, "192.0.2.7", "192.0.2.7:25"},
		{"0.0.0.0", AF_INET, DEFAULT_PORT, "0.0.0.0", "0.0.0.0:2525"},
		{"::", AF_INET6, DEFAULT_PORT, "::", "[::]:2525"},
		{"::0", AF_INET6, DEFAULT_PORT, "::", "[::]:2525"},
		{"::1", AF_INET6, DEFAULT_PORT, "::1", "[::1]:2525"},
		{"[::1]", AF_INET6, DEFAULT_PORT, "::1", "[::1]:2525"},
		{"[::1]:25", AF_INET6, 25, "::1", "[::1]:25"},
		{"[::1]:0", AF_INET6, 0, "::1", "[::1]:0"},
		{"[::1]:65535", AF_INET6, 65535, "::1", "[::1]:65535"},
		{"[2001:DB8::7]:25", AF_INET6, 25, "2001:db8::7", "[2001:db8::7]:25"},
		{"2001::1:25", AF_INET6, DEFAULT_PORT, "2001::1:25", "[2001::1:25]:2525"},
		{"[::ffff:192.0.2.7]:25", AF_INET6, 25, "192.0.2.7", "[::ffff:192.0.2.7]:25"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", AF_INET6, DEFAULT_PORT,
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:2525"},
	};
	char text[ENDPOINT_TEXT_MAX], address[INET6_ADDRSTRLEN];
	struct sockaddr_storage endpoint;
	socklen_t len;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (endpoint_parse(cases[i].text, DEFAULT_PORT, &endpoint, &len))
			fail_msg("'%s' is refused", cases[i].text);
		assert_int_equal(endpoint.ss_family, cases[i].family);
		assert_int_equal(len, cases[i].family == AF_INET ? sizeof(struct sockaddr_in)
								 : sizeof(struct sockaddr_in6));
		assert_int_equal(endpoint_port(&endpoint), cases[i].port);
		endpoint_address(&endpoint, address);
		assert_string_equal(address, cases[i].address);
		endpoint_text(&endpoint, text);
		assert_string_equal(text, cases[i].again);
	}
}

static void anything_else_is_refused_and_changes_nothing(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		":25",
		"25",
		"1.2.3",
		"1.2.3.256",
		"1.2.3.4.5",
		"192.0.2.7:",
		"192.0.2.7:65536",
		"192.0.2.7:18446744073709551616",
		"192.0.2.7:-1",
		"192.0.2.7: 1",
		"192.0.2.7:1x",
		" 192.0.2.7",
		"192.0.2.7 ",
		"192.0.2.7/24",
		"[]",
		"[]:25",
		"[",
		"[::1",
		"[::1]25",
		"[::1]:",
		"[::1]:65536",
		"[::1]:-1",
		"[::1]:25x",
		"[[::1]]:25",
		"::1]:25",
		":::",
		"fe80::1%lo",
		"localhost:25",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
	};
	struct sockaddr_storage endpoint, before;
	socklen_t len = 7;
	size_t i;

	(void)state;
	memset(&endpoint, 0xee, sizeof(endpoint));
	before = endpoint;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (endpoint_parse(cases[i], DEFAULT_PORT, &endpoint, &len) != -EINVAL)
			fail_msg("'%s' is accepted", cases[i]);
		assert_memory_equal(&endpoint, &before, sizeof(before));
		assert_int_equal(len, 7);
	}
}

static void an_endpoint_is_made_of_bytes(void **state)
{
	static const uint8_t ip4[4] = {192, 0, 2, 7}, ip6[16] = {0x20, 0x01, [15] = 7};
	const struct sockaddr_in6 *as_ip6;
	char text[ENDPOINT_TEXT_MAX];
	struct sockaddr_storage endpoint;

	(void)state;
	memset(&endpoint, 0xee, sizeof(endpoint));
	assert_int_equal(endpoint_make(&endpoint, AF_INET, ip4, 25), sizeof(struct sockaddr_in));
	endpoint_text(&endpoint, text);
	assert_string_equal(text, "192.0.2.7:25");
	memset(&endpoint, 0xee, sizeof(endpoint));
	assert_int_equal(endpoint_make(&endpoint, AF_INET6, ip6, 65535),
			 sizeof(struct sockaddr_in6));
	as_ip6 = (const struct sockaddr_in6 *)&endpoint;
	assert_int_equal(as_ip6->sin6_scope_id, 0);
	assert_int_equal(as_ip6->sin6_flowinfo, 0);
	endpoint_set_port(&endpoint, 0x1234);
	assert_int_equal(endpoint_port(&endpoint), 0x1234);
	endpoint_text(&endpoint, text);
	assert_string_equal(text, "[2001::7]:4660");
}

static void another_family_has_no_text_and_no_port(void **state)
{
	static const sa_family_t families[] = {AF_UNSPEC, AF_UNIX};
	char text[ENDPOINT_TEXT_MAX] = "x", address[INET6_ADDRSTRLEN] = "x";
	struct sockaddr_storage endpoint = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		endpoint.ss_family = families[i];
		endpoint_set_port(&endpoint, 25);
		endpoint_text(&endpoint, text);
		endpoint_address(&endpoint, address);
		assert_string_equal(text, "");
		assert_string_equal(address, "");
		assert_int_equal(endpoint_port(&endpoint), 0);
	}
}

static void an_address_is_of_the_family_that_was_asked_for(void **state)
{
	static const struct {
		const char *text;
		int family, result;
	} cases[] = {
		{"192.0.2.7", AF_UNSPEC, AF_INET},
		{"192.0.2.7", AF_INET, AF_INET},
		{"192.0.2.7", AF_INET6, 0},
		{"::1", AF_UNSPEC, AF_INET6},
		{"::1", AF_INET, 0},
		{"::1", AF_INET6, AF_INET6},
		{"", AF_UNSPEC, 0},
		{"192.0.2", AF_UNSPEC, 0},
		{"::ffff:192.0.2.7", AF_INET, 0},
		{"::ffff:192.0.2.7", AF_INET6, AF_INET6},
	};
	uint8_t bytes[16];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(address_parse(cases[i].text, cases[i].family, bytes),
				 cases[i].result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_with_a_port_is_read_and_written),
		cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
		cmocka_unit_test(an_endpoint_is_made_of_bytes),
		cmocka_unit_test(another_family_has_no_text_and_no_port),
		cmocka_unit_test(an_address_is_of_the_family_that_was_asked_for),
	};

	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
