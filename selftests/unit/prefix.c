// SPDX-License-Identifier: BSD-2-Clause
/*
 * Address prefixes of user/common/prefix.h: reading, writing, matching.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/common/prefix.h"

static void a_prefix_is_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int family;
		unsigned int length;
		int host_bits;
		const char *again;
		unsigned int mapped_length;
	} cases[] = {
		{"192.0.2.7", AF_INET, 32, 0, "192.0.2.7/32", 128},
		{"192.0.2.7/32", AF_INET, 32, 0, "192.0.2.7/32", 128},
		{"192.0.2.0/24", AF_INET, 24, 0, "192.0.2.0/24", 120},
		{"192.0.2.7/24", AF_INET, 24, 1, "192.0.2.7/24", 120},
		{"192.0.2.128/24", AF_INET, 24, 1, "192.0.2.128/24", 120},
		{"0.0.0.0/0", AF_INET, 0, 0, "0.0.0.0/0", 96},
		{"0.0.0.1/0", AF_INET, 0, 1, "0.0.0.1/0", 96},
		{"::/0", AF_INET6, 0, 0, "::/0", 0},
		{"::1", AF_INET6, 128, 0, "::1/128", 128},
		{"::1/0", AF_INET6, 0, 1, "::1/0", 0},
		{"2001:db8::/64", AF_INET6, 64, 0, "2001:db8::/64", 64},
		{"2001:DB8::/32", AF_INET6, 32, 0, "2001:db8::/32", 32},
		{"2001:db8::/31", AF_INET6, 31, 0, "2001:db8::/31", 31},
		{"2001:db9::/31", AF_INET6, 31, 1, "2001:db9::/31", 31},
		{"::ffff:192.0.2.1/120", AF_INET, 24, 1, "192.0.2.1/24", 120},
		{"::ffff:192.0.2.0/120", AF_INET, 24, 0, "192.0.2.0/24", 120},
		{"::ffff:0:0/96", AF_INET, 0, 0, "0.0.0.0/0", 96},
		{"::ffff:0:0/95", AF_INET6, 95, 1, "::ffff:0.0.0.0/95", 95},
		{"::ffff:192.0.2.1", AF_INET, 32, 0, "192.0.2.1/32", 128},
	};
	struct prefix prefix, back;
	char text[PREFIX_TEXT_MAX];
	uint8_t mapped[16];
	uint32_t length;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (prefix_parse(cases[i].text, &prefix))
			fail_msg("'%s' is refused", cases[i].text);
		assert_int_equal(prefix.family, cases[i].family);
		assert_int_equal(prefix.length, cases[i].length);
		assert_int_equal(prefix_bits(&prefix), cases[i].family == AF_INET ? 32 : 128);
		assert_int_equal(prefix_has_host_bits(&prefix), cases[i].host_bits);
		prefix_text(&prefix, text);
		assert_string_equal(text, cases[i].again);
		prefix_to_mapped(&prefix, mapped, &length);
		assert_int_equal(length, cases[i].mapped_length);
		prefix_from_mapped(&back, mapped, length);
		assert_memory_equal(&back, &prefix, sizeof(prefix));
	}
}

static void anything_else_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"", -EINVAL},
		{"/", -EINVAL},
		{"/24", -EINVAL},
		{"nonsense", -EINVAL},
		{"192.0.2", -EINVAL},
		{"192.0.2.256/32", -EINVAL},
		{" 192.0.2.0/24", -EINVAL},
		{"192.0.2.0 /24", -EINVAL},
		{"[::1]/128", -EINVAL},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", -EINVAL},
		{"0.0.0.0/33", -ERANGE},
		{"0.0.0.0/", -ERANGE},
		{"0.0.0.0/-1", -ERANGE},
		{"0.0.0.0/ 1", -ERANGE},
		{"0.0.0.0/1x", -ERANGE},
		{"0.0.0.0/0/0", -ERANGE},
		{"0.0.0.0/18446744073709551616", -ERANGE},
		{"0.0.0.0/4294967296", -ERANGE},
		{"192.0.2.0/255.255.255.0", -ERANGE},
		{"::/129", -ERANGE},
	};
	struct prefix prefix, before;
	size_t i;

	(void)state;
	memset(&prefix, 0xee, sizeof(prefix));
	before = prefix;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (prefix_parse(cases[i].text, &prefix) != cases[i].result)
			fail_msg("'%s'", cases[i].text);
		assert_memory_equal(&prefix, &before, sizeof(before));
	}
}

static void an_address_is_in_a_prefix_whose_bits_it_has(void **state)
{
	static const struct {
		const char *prefix, *address;
		int matches;
	} cases[] = {
		{"192.0.2.7", "192.0.2.7", 1},
		{"192.0.2.7", "192.0.2.6", 0},
		{"192.0.2.0/24", "192.0.2.0", 1},
		{"192.0.2.0/24", "192.0.2.255", 1},
		{"192.0.2.0/24", "192.0.3.0", 0},
		{"192.0.2.0/24", "192.0.1.255", 0},
		{"192.0.2.7/24", "192.0.2.8", 1}, /* bits after the length do not count */
		{"192.0.2.0/25", "192.0.2.127", 1},
		{"192.0.2.0/25", "192.0.2.128", 0},
		{"128.0.0.0/1", "255.255.255.255", 1},
		{"128.0.0.0/1", "127.255.255.255", 0},
		{"0.0.0.0/0", "255.255.255.255", 1},
		{"0.0.0.0/0", "::1", 0},
		{"::/0", "2001:db8::1", 1},
		{"::/0", "192.0.2.1", 0},
		{"::/0", "::ffff:192.0.2.1", 0},
		{"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", 1},
		{"2001:db8::/64", "2001:db8:0:1::", 0},
		{"2001:db8::1", "2001:db8::1", 1},
		{"2001:db8::1", "2001:db8::2", 0},
		{"::ffff:192.0.2.1/120", "192.0.2.7", 1},
		{"::ffff:192.0.2.1/120", "192.0.3.7", 0},
		{"192.0.2.0/24", "::ffff:192.0.2.7", 1},
		{"192.0.2.0/24", "192.0.2.0/24", 0},
		{"192.0.2.0/24", "", 0},
		{"192.0.2.0/24", "nonsense", 0},
	};
	struct prefix prefix;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(prefix_parse(cases[i].prefix, &prefix), 0);
		if (prefix_matches(&prefix, cases[i].address) != cases[i].matches)
			fail_msg("%s in %s", cases[i].address, cases[i].prefix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_read_and_written),
		cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
		cmocka_unit_test(an_address_is_in_a_prefix_whose_bits_it_has),
	};

	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
