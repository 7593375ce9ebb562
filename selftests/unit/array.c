// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arrays of user/common/array.h: what is in them stays when they grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/common/array.h"

static void an_array_has_as_many_entries_as_were_written(void **state)
{
	static const char *const names[] = {"one", "two", "three"};
	const uint64_t single[] = {1};

	(void)state;
	assert_int_equal(ARRAY_SIZE(names), 3);
	assert_int_equal(ARRAY_SIZE(single), 1);
}

/* With sanitizers, an entry that has no room ends the test. */
static void entries_stay_when_others_are_added_one_by_one(void **state)
{
	uint32_t *entries = NULL, *grown;
	size_t count, i;

	(void)state;
	for (count = 0; count < 1000; count++) {
		grown = array_grow(entries, count, 1, sizeof(*entries));
		assert_non_null(grown);
		entries = grown;
		entries[count] = 3 * count;
	}
	for (i = 0; i < count; i++)
		assert_int_equal(entries[i], 3 * i);
	free(entries);
}

static void there_is_room_for_as_many_as_asked_for(void **state)
{
	static const size_t steps[] = {0, 1, 7, 8, 9, 500, 1, 0, 512, 1025};
	size_t count = 0, i, k;
	uint64_t *entries = NULL, *grown;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		grown = array_grow(entries, count, steps[i], sizeof(*entries));
		assert_non_null(grown);
		entries = grown;
		for (k = 0; k < steps[i]; k++, count++)
			entries[count] = count;
	}
	for (i = 0; i < count; i++)
		assert_int_equal(entries[i], i);
	free(entries);
}

static void an_array_is_copied_only_when_its_room_doubles(void **state)
{
	char *entries = array_grow(NULL, 0, 1, 1), *grown;
	size_t count, copies = 0;

	(void)state;
	for (count = 1; count < 4096; count++) {
		grown = array_grow(entries, count, 1, 1);
		assert_non_null(grown);
		copies += grown != entries;
		entries = grown;
		memset(entries, 0, count + 1);
	}
	assert_true(copies <= 9); /* 16, 32, ... 4096 */
	free(entries);
}

static void more_than_there_is_memory_for_is_refused(void **state)
{
	static const struct {
		size_t count, more, size;
	} cases[] = {
		{1, SIZE_MAX, 1},      {1, SIZE_MAX - 1, 1}, {1, SIZE_MAX / 2 + 1, 1},
		{1, SIZE_MAX / 8, 64}, {8, SIZE_MAX / 4, 4}, {SIZE_MAX, 1, 8},
	};
	char *entries = array_grow(NULL, 0, 1, 1);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_null(array_grow(entries, cases[i].count, cases[i].more, cases[i].size));
	entries[0] = 1; /* it is as it was */
	free(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_array_has_as_many_entries_as_were_written),
		cmocka_unit_test(entries_stay_when_others_are_added_one_by_one),
		cmocka_unit_test(there_is_room_for_as_many_as_asked_for),
		cmocka_unit_test(an_array_is_copied_only_when_its_room_doubles),
		cmocka_unit_test(more_than_there_is_memory_for_is_refused),
	};

	return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
