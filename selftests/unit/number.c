// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers, sizes and times of user/common/number.h: what is one, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/common/number.h"

#define UNTOUCHED 4711

struct number_case {
	const char *text;
	int result;
	uint64_t value;
};

static void check(const struct number_case *wanted, int result, uint64_t value)
{
	if (result != wanted->result)
		fail_msg("'%s': %d, not %d", wanted->text, result, wanted->result);
	if (value != (result ? UNTOUCHED : wanted->value))
		fail_msg("'%s': %llu", wanted->text, (unsigned long long)value);
}

static void a_number_is_digits_within_its_range(void **state)
{
	static const struct number_case cases[] = {
		{"1", 0, 1},
		{"65535", 0, 65535},
		{"00000000000000000000025", 0, 25},
		{"0", -ERANGE, 0},
		{"65536", -ERANGE, 0},
		{"18446744073709551615", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"18446744073709551616x", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"\t1", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"0x19", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"1K", -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		int result = number_parse(cases[i].text, 1, 65535, &value);

		check(&cases[i], result, value);
	}
}

static void the_widest_range_holds_all_of_64_bits(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"-1", -EINVAL, 0},
		{"-18446744073709551615", -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		int result = number_parse(cases[i].text, 0, UINT64_MAX, &value);

		check(&cases[i], result, value);
	}
}

static void a_size_may_have_a_unit(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"10", 0, 10},
		{"10K", 0, 10240},
		{"10k", 0, 10240},
		{"10M", 0, 10485760},
		{"10m", 0, 10485760},
		{"3G", 0, 3221225472},
		{"0G", 0, 0},
		{"8589934591G", 0, 8589934591ULL << 30},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"8589934592G", -ERANGE, 0},
		{"17179869184G", -ERANGE, 0}, /* 2^64 */
		{"18446744073709551615K", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"-1K", -EINVAL, 0},
		{" 1K", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"1KK", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1T", -EINVAL, 0},
		{"1.5M", -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		int result = size_parse(cases[i].text, INT64_MAX, &value);

		check(&cases[i], result, value);
	}
}

static void a_time_is_a_sum_of_parts(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"0s", 0, 0},
		{"3s", 0, 3000},
		{"90", 0, 90000},
		{"5m", 0, 300000},
		{"1h30m", 0, 5400000},
		{"1d", 0, 86400000},
		{"1w", 0, 604800000},
		{"1w2d3h4m5s", 0, 788645000},
		{"30m1h", 0, 5400000},
		{"0.1s", 0, 100},
		{"0.5", 0, 500},
		{"1.5h", 0, 5400000},
		{"1.25m0.5s", 0, 75500},
		{"0.0019999999999999999999999999s", 0, 1},
		{"0.999999999999999999999999w", 0, 604799999},
		{"2147483s", 0, 2147483000},
		{"2147484s", -ERANGE, 0},
		{"30000000000000000w", -ERANGE, 0},
		{"18446744073709551s1s", -ERANGE, 0}, /* 384 ms more than 64 bits can say */
		{"18446744073709552s", -ERANGE, 0},   /* so is this */
		{"18446744073709551.9s", -ERANGE, 0},
		{"18446744073709551615s", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"soon", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1h-30m", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1h 30m", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1hx", -EINVAL, 0},
		{"1h30", -EINVAL, 0}, /* of what? */
		{"1ms", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1..5s", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"0x10s", -EINVAL, 0},
		{"infs", -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		int result = time_parse(cases[i].text, INT32_MAX, &value);

		check(&cases[i], result, value);
	}
}

static void a_reader_stops_after_the_number(void **state)
{
	static const struct {
		const char *text;
		int base, result;
		uint64_t value;
		const char *rest;
	} cases[] = {
		{"250 OK", 10, 0, 250, " OK"},
		{"16K", 10, 0, 16384, ""},
		{"0x10", 0, 0, 16, ""},
		{"0x10M)", 0, 0, 16 << 20, ")"},
		{"0x10", 10, 0, 0, "x10"},
		{"0x", 0, 0, 0, "x"},
		{"1KK", 10, 0, 1024, "K"},
		{"x", 10, -EINVAL, UNTOUCHED, "x"},
		{"-1", 0, -EINVAL, UNTOUCHED, "-1"},
		{"18446744073709551616K", 10, -ERANGE, UNTOUCHED, "18446744073709551616K"},
		{"18446744073709551615K", 10, -ERANGE, UNTOUCHED, "18446744073709551615K"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		uint64_t value = UNTOUCHED;

		assert_int_equal(size_read(&text, cases[i].base, &value), cases[i].result);
		assert_int_equal(value, cases[i].value);
		assert_string_equal(text, cases[i].rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_digits_within_its_range),
		cmocka_unit_test(the_widest_range_holds_all_of_64_bits),
		cmocka_unit_test(a_size_may_have_a_unit),
		cmocka_unit_test(a_time_is_a_sum_of_parts),
		cmocka_unit_test(a_reader_stops_after_the_number),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
