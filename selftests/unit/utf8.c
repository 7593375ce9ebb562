// SPDX-License-Identifier: BSD-2-Clause
/*
 * user/common/utf8.c: what is UTF-8, and what is put in the place of what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/common/utf8.h"

static void what_is_ascii(void **state)
{
	char text[] = "a\t\x7f\x1f ~\xc3\xbc";

	(void)state;
	assert_true(utf8_is_ascii("a\x7f"));
	assert_true(utf8_is_ascii(""));
	assert_false(utf8_is_ascii("a\xc3\xbc"));
	ascii_printable(text, sizeof(text) - 1);
	assert_string_equal(text, "a??? ~??");
}

static void characters_of_each_length_are_valid(void **state)
{
	(void)state;
	assert_int_equal(utf8_character("a", 1), 1);
	assert_int_equal(utf8_character("\0", 1), 1);
	assert_int_equal(utf8_character("\xc2\x80", 2), 2);
	assert_int_equal(utf8_character("\xdf\xbf", 2), 2);
	assert_int_equal(utf8_character("\xe0\xa0\x80", 3), 3);
	assert_int_equal(utf8_character("\xef\xbf\xbf", 3), 3);
	assert_int_equal(utf8_character("\xf0\x90\x80\x80", 4), 4);
	assert_int_equal(utf8_character("\xf4\x8f\xbf\xbf", 4), 4);
	assert_true(utf8_is_valid("stra\xc3\x9f"
				  "e",
				  7));
	assert_true(utf8_is_valid("", 0));
}

static void what_is_no_character_is_refused(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80",
		"\xff",
		"\xc3"
		"a",
		"\xe2\x82"
		"a",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (utf8_character(bad[i], strlen(bad[i])))
			fail_msg("bad[%zu] is taken for a character", i);
	}
	assert_int_equal(utf8_character("", 0), 0);
}

static void a_character_that_is_cut_off_is_refused(void **state)
{
	(void)state;
	assert_int_equal(utf8_character("\xc3\x9f", 1), 0);
	assert_int_equal(utf8_character("\xe2\x82\xac", 2), 0);
	assert_int_equal(utf8_character("\xf0\x9f\x98\x80", 3), 0);
	assert_false(utf8_is_valid("ab\xe2\x82", 4));
}

static void each_bad_byte_is_replaced_and_the_rest_kept(void **state)
{
	static const char text[] = "a\xff\xc3\x9f\xed\xa0\x80z\xe2\x82";
	static const char clean[] =
		"a" UTF8_REPLACEMENT "\xc3\x9f" UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT
		"z" UTF8_REPLACEMENT UTF8_REPLACEMENT;
	char to[3 * sizeof(text)];
	size_t used = utf8_clean(text, sizeof(text) - 1, to);

	(void)state;
	assert_int_equal(used, sizeof(clean) - 1);
	assert_memory_equal(to, clean, used);
	assert_true(utf8_is_valid(to, used));
	assert_int_equal(utf8_clean("plain", 5, to), 5);
	assert_memory_equal(to, "plain", 5);
}

static void what_is_printed_has_no_control_characters(void **state)
{
	static const struct {
		const char *text, *printed;
	} cases[] = {
		{"plain, with 'quotes' and \\x2d", "plain, with 'quotes' and \\x2d"},
		{"\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		 "\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\033[31m\nb\r\tc\177", "a?[31m?b??c?"},
		{"\xc2\x9b"
		 "31m \xc2\xa0",
		 "?31m \xc2\xa0"},
		{"\xe2\x80\xa8 \xe2\x80\x8f \xe2\x80\x93", "? ? \xe2\x80\x93"},
		/* an override that ends, and an isolate */
		{"\xe2\x80\xae-\xe2\x80\xac \xe2\x81\xa6-\xe2\x81\xa9", "?-? ?-?"},
		{"\xff\xe2\x82z", "???z"},
	};
	char to[64];
	size_t i, used;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		used = utf8_printable(cases[i].text, strlen(cases[i].text), to);
		assert_int_equal(used, strlen(cases[i].printed));
		assert_memory_equal(to, cases[i].printed, used);
	}
	/* in its own place, and a byte that is 0 */
	memcpy(to, "\xff\xc3\x9f\0z", 5);
	assert_int_equal(utf8_printable(to, 5, to), 5);
	assert_memory_equal(to, "?\xc3\x9f?z", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_ascii),
		cmocka_unit_test(characters_of_each_length_are_valid),
		cmocka_unit_test(what_is_no_character_is_refused),
		cmocka_unit_test(a_character_that_is_cut_off_is_refused),
		cmocka_unit_test(each_bad_byte_is_replaced_and_the_rest_kept),
		cmocka_unit_test(what_is_printed_has_no_control_characters),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
