// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clock of user/common/clock.h: it goes forward, in milliseconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "../../user/common/clock.h"

#define SLEEP_MS 30

static void a_sleep_takes_the_milliseconds_that_it_takes(void **state)
{
	const struct timespec pause = {.tv_nsec = SLEEP_MS * 1000000L};
	int64_t start = clock_ms(), elapsed;

	(void)state;
	nanosleep(&pause, NULL);
	elapsed = clock_elapsed_ms(start);
	assert_true(elapsed >= SLEEP_MS);
	assert_true(elapsed < 100 * SLEEP_MS); /* of a machine that has much else to do */
}

static void the_clock_never_goes_back(void **state)
{
	int64_t before = clock_ms(), now;
	int i;

	(void)state;
	assert_true(before > 0);
	for (i = 0; i < 100000; i++) {
		now = clock_ms();
		assert_true(now >= before);
		before = now;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleep_takes_the_milliseconds_that_it_takes),
		cmocka_unit_test(the_clock_never_goes_back),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
