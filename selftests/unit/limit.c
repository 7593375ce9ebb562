// SPDX-License-Identifier: BSD-2-Clause
/*
 * What ppmta counts for each origin: connections and rates, in bounded memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../user/ppmta/policy/policy.h"

#define MORE_THAN_KEPT 300000

static double event(const char *key, bool strict)
{
	return limit_rate(key, 3, 3600, 1, strict);
}

static void is_about(double rate, double expected)
{
	assert_true(rate > expected - 0.01 && rate <= expected);
}

static void a_strict_rate_counts_what_is_refused(void **state)
{
	int i;

	(void)state;
	for (i = 1; i <= 6; i++)
		is_about(event("strict", true), i);
}

static void a_leaky_rate_counts_what_is_let_by(void **state)
{
	int i;

	(void)state;
	for (i = 1; i <= 3; i++)
		is_about(event("leaky", false), i);
	for (i = 0; i < 3; i++)
		is_about(event("leaky", false), 4);
}

static void keys_are_counted_by_themselves(void **state)
{
	(void)state;
	is_about(event("one", true), 1);
	is_about(event("one/", true), 1);
	is_about(event("one", true), 2);
}

/* A flood of origins keeps nobody out, and takes nothing from one that keeps on sending. */
static void many_origins_push_out_the_ones_that_are_not_used(void **state)
{
	char key[32];
	int i;

	(void)state;
	is_about(event("quiet", true), 1);
	is_about(event("busy", true), 1);
	for (i = 0; i < MORE_THAN_KEPT; i++) {
		snprintf(key, sizeof(key), "origin %d", i);
		is_about(event(key, true), 1);
		if (i % 50000 == 0)
			event("busy", true);
	}
	is_about(event("quiet", true), 1);
	assert_true(event("busy", true) > 7);
	is_about(event(key, true), 2);
}

static void an_origin_of_ip6_is_its_64(void **state)
{
	struct pool pool = {0};

	(void)state;
	assert_string_equal(limit_origin("192.0.2.7", &pool), "192.0.2.7");
	assert_string_equal(limit_origin("2001:db8:1:2:3:4:5:6", &pool), "2001:db8:1:2::/64");
	assert_string_equal(limit_origin("2001:db8:1:2::", &pool), "2001:db8:1:2::/64");
	assert_string_equal(limit_origin("", &pool), "");
	pool_free(&pool);
}

static void connections_are_counted_until_they_end(void **state)
{
	(void)state;
	assert_true(limit_enter("192.0.2.7", 2));
	assert_true(limit_enter("192.0.2.7", 2));
	assert_false(limit_enter("192.0.2.7", 2));
	assert_true(limit_enter("192.0.2.8", 2));
	assert_true(limit_enter("192.0.2.7", 0));
	limit_leave("192.0.2.7");
	assert_false(limit_enter("192.0.2.7", 2));
	limit_leave("192.0.2.7");
	assert_true(limit_enter("192.0.2.7", 2));
	limit_leave("192.0.2.7");
	limit_leave("192.0.2.7");
	limit_leave("192.0.2.8");
	assert_true(limit_enter("192.0.2.7", 1));
	limit_leave("192.0.2.7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strict_rate_counts_what_is_refused),
		cmocka_unit_test(a_leaky_rate_counts_what_is_let_by),
		cmocka_unit_test(keys_are_counted_by_themselves),
		cmocka_unit_test(many_origins_push_out_the_ones_that_are_not_used),
		cmocka_unit_test(an_origin_of_ip6_is_its_64),
		cmocka_unit_test(connections_are_counted_until_they_end),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
