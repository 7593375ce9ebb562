// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_parse() on the table of headers, on every truncation of the valid ones, and on damaged ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/lib/internal.h"
#include "headers.h"

/* A copy of exactly @len bytes on the heap, so that a sanitizer sees a read behind its end. */
static int parse_exact(const uint8_t *bytes, size_t len, struct pp_origin *origin)
{
	uint8_t *copy = malloc(len ? len : 1);
	int result;

	memcpy(copy, bytes, len);
	result = pp_parse(copy, len, origin);
	free(copy);
	return result;
}

static int wanted(const struct header_case *header, size_t len)
{
	return header->want == WHOLE ? (int)len : header->want;
}

static void every_header_of_the_table_gets_its_answer(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin;
	size_t i, len;
	int result;

	(void)state;
	assert_true(header_case_count >= 150);
	for (i = 0; i < header_case_count; i++) {
		len = header_bytes(&header_cases[i], bytes);
		result = parse_exact(bytes, len, &origin);
		if (result != wanted(&header_cases[i], len))
			fail_msg("%s: %d, not %d", header_cases[i].rule, result,
				 wanted(&header_cases[i], len));
		if (result <= 0)
			continue;
		pp_origin_print(&origin, text, sizeof(text));
		if (strcmp(text, header_cases[i].origin))
			fail_msg("%s: %s, not %s", header_cases[i].rule, text,
				 header_cases[i].origin);
		assert_int_equal(origin.header_len, result);
	}
}

static void every_truncation_of_a_valid_header_needs_more(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	size_t i, len, cut, step;
	int result;

	(void)state;
	for (i = 0; i < header_case_count; i++) {
		len = header_bytes(&header_cases[i], bytes);
		if (wanted(&header_cases[i], len) <= 0)
			continue;
		len = wanted(&header_cases[i], len);
		step = 1;
		for (cut = 0; cut < len; cut += step) {
			/* a run of equal bytes in a large TLV tells nothing new each time */
			step = cut < 2000 || cut > len - 100 ? 1 : 97;
			result = parse_exact(bytes, cut, &origin);
			if (result)
				fail_msg("%s: %d after %zu bytes", header_cases[i].rule, result,
					 cut);
		}
	}
}

/* What begins like no valid header is refused, whatever follows. */
static void a_refused_prefix_stays_refused(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	size_t i, len, cut;
	int refused, result;

	(void)state;
	for (i = 0; i < header_case_count; i++) {
		len = header_bytes(&header_cases[i], bytes);
		refused = 0;
		for (cut = 0; cut <= len && cut < 2000; cut++) {
			result = parse_exact(bytes, cut, &origin);
			if (refused && result != -EBADMSG)
				fail_msg("%s: %d after %zu bytes", header_cases[i].rule, result,
					 cut);
			refused = result == -EBADMSG;
			assert_int_equal(origin.reason != 0, refused);
		}
	}
}

/* Return: as pp_decode(). */
static int decode_line(const char *line, size_t len, uint32_t v1_mixed, char *text)
{
	struct pp_decoder decoder = {.v1_mixed = v1_mixed};
	char *copy = malloc(len ? len : 1);
	struct pp_record record;
	struct pp_origin origin;
	int result;

	memcpy(copy, line, len);
	result = pp_decode(&decoder, &record, (const uint8_t *)copy, len);
	free(copy);
	if (result == PP_DONE) {
		pp_origin_from_record(&origin, &record, NULL);
		pp_origin_print(&origin, text, PP_ORIGIN_PRINT_MAX);
		assert_int_equal(origin.header_len, len);
	}
	return result;
}

static void two_families_in_a_line_are_taken_where_they_are_allowed(void **state)
{
	char text[PP_ORIGIN_PRINT_MAX];
	int result, before;
	size_t i, len, cut;

	(void)state;
	for (i = 0; i < mixed_case_count; i++) {
		const struct mixed_case *test = &mixed_cases[i];

		len = strlen(test->line);
		before = PP_MORE;
		for (cut = 0; cut < len; cut++) {
			result = decode_line(test->line, cut, 1, text);
			if (result == PP_DONE || (before < 0 && result >= 0) ||
			    (test->origin && result < 0))
				fail_msg("%s: %d after %zu bytes", test->line, result, cut);
			before = result;
		}
		result = decode_line(test->line, len, 1, text);
		if (test->origin ? result != PP_DONE : result >= 0)
			fail_msg("%s: %d", test->line, result);
		if (test->origin)
			assert_string_equal(text, test->origin);
		result = decode_line(test->line, len, 0, text);
		if (test->strict ? result != PP_DONE : result >= 0)
			fail_msg("without the switch: %s: %d", test->line, result);
	}
}

static void what_follows_a_header_changes_nothing(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	size_t i, len;

	(void)state;
	for (i = 0; i < header_case_count; i++) {
		len = header_bytes(&header_cases[i], bytes);
		if (header_cases[i].want != WHOLE)
			continue;
		memset(bytes + len, 'P', 100);
		assert_int_equal(parse_exact(bytes, len + 100, &origin), len);
	}
}

static void damaged_headers_never_read_out_of_bounds(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	size_t i, len, round;
	int result;

	(void)state;
	srandom(20131104);
	for (i = 0; i < header_case_count; i++) {
		for (round = 0; round < 200; round++) {
			len = header_bytes(&header_cases[i], bytes);
			if (len == 0 || len > 2000)
				break;
			bytes[random() % len] = random();
			bytes[random() % len] ^= 1 << random() % 8;
			result = parse_exact(bytes, len, &origin);
			assert_true(result == -EBADMSG || (result >= 0 && result <= (int)len));
		}
	}
}

static void a_flipped_bit_under_a_checksum_is_never_valid(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	struct pp_origin origin;
	size_t i, len, bit;

	(void)state;
	for (i = 0; i < header_case_count; i++) {
		if (!strstr(header_cases[i].rule, "2.2.3") || header_cases[i].want != WHOLE)
			continue;
		len = header_bytes(&header_cases[i], bytes);
		/* from the addresses on, but for the checksum's own type and length */
		for (bit = 16 * 8; bit < len * 8; bit++) {
			if (bit / 8 >= 28 && bit / 8 < 31)
				continue;
			bytes[bit / 8] ^= 1 << bit % 8;
			assert_int_equal(parse_exact(bytes, len, &origin), -EBADMSG);
			bytes[bit / 8] ^= 1 << bit % 8;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header_of_the_table_gets_its_answer),
		cmocka_unit_test(every_truncation_of_a_valid_header_needs_more),
		cmocka_unit_test(a_refused_prefix_stays_refused),
		cmocka_unit_test(two_families_in_a_line_are_taken_where_they_are_allowed),
		cmocka_unit_test(what_follows_a_header_changes_nothing),
		cmocka_unit_test(damaged_headers_never_read_out_of_bounds),
		cmocka_unit_test(a_flipped_bit_under_a_checksum_is_never_valid),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
