// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables of names of user/common/name.h: what is found, and what is suggested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/name.h"

static const char *const words[] = {"accept", "deny", "defer", "require", "a"};

static const struct {
	const char *name;
	int number;
} table[] = {
	{"dns_timeout", 1},
	{"delivery_timeout", 2},
	{"user", 3},
};

static void a_name_is_found_at_its_place(void **state)
{
	(void)state;
	assert_int_equal(NAME_FIND("accept", words), 0);
	assert_int_equal(NAME_FIND("a", words), 4);
	assert_int_equal(NAME_FIND("user", table), 2);
	assert_int_equal(NAME_FIND("delivery_timeout", table), 1);
	assert_int_equal(NAME_FIND("Accept", words), -1);
	assert_int_equal(NAME_FIND("accep", words), -1);
	assert_int_equal(NAME_FIND("acceptt", words), -1);
	assert_int_equal(NAME_FIND("", words), -1);
	assert_int_equal(name_find("accept", words, 0, sizeof(words[0])), -1);
}

static void the_nearest_name_is_suggested(void **state)
{
	static const struct {
		const char *name, *nearest;
	} cases[] = {
		{"acept", "accept"},
		{"acccept", "accept"},
		{"axcept", "accept"},
		{"denies", "deny"},
		{"defre", "defer"},
		{"accept", "accept"},
		{"xyz", NULL},
		{"", NULL},
		{"require_all_of_them", NULL},
		{"requires", "require"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *nearest = NAME_NEAREST(cases[i].name, words);

		if (!cases[i].nearest)
			assert_null(nearest);
		else
			assert_string_equal(nearest, cases[i].nearest);
	}
	assert_string_equal(NAME_NEAREST("dns_time", table), "dns_timeout");
}

static void a_name_of_64_letters_is_still_compared(void **state)
{
	char longest[65], longer[66], far_longer[201];
	const char *const names[] = {longest, longer};

	(void)state;
	memset(longest, 'x', 64);
	longest[64] = 0;
	memset(longer, 'x', 65);
	longer[65] = 0;
	assert_ptr_equal(NAME_NEAREST(longest, names), longest);
	assert_null(NAME_NEAREST(longer, names));
	memset(far_longer, 'x', 200);
	far_longer[200] = 0;
	assert_null(NAME_NEAREST(far_longer, names));
}

static void a_suggestion_ends_an_error_message(void **state)
{
	char text[SUGGESTION_MAX];

	(void)state;
	assert_string_equal(name_suggestion(text, "", "deny"), " (did you mean deny?)");
	assert_string_equal(name_suggestion(text, "$", "value"), " (did you mean $value?)");
	assert_string_equal(name_suggestion(text, "$", NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_found_at_its_place),
		cmocka_unit_test(the_nearest_name_is_suggested),
		cmocka_unit_test(a_name_of_64_letters_is_still_compared),
		cmocka_unit_test(a_suggestion_ends_an_error_message),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
