// SPDX-License-Identifier: BSD-2-Clause
/*
 * The straight-line decoder of bpf/line.h beside the decoder of pp/decoder.h: on every line that it
 * takes both say the same, and it takes every valid TCP4 line that has a port of its usual form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/types.h>
#include <pp/decoder.h>

#include "../../bpf/line.h"

#define ROUNDS 1000000

/* Numbers of our own, so that a failure comes again. */
static uint32_t next_random(uint32_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) % below;
}

static unsigned int octet(void)
{
	return next_random(8) ? next_random(256) : next_random(1200);
}

/* A line, mostly valid, with up to three characters changed, taken away or put in. Return: its
 * length. */
static int make_line(char *line, size_t size)
{
	static const char letters[] = "0123456789. \r\nPROXYTC46:a";
	int len = snprintf(line, size, "PROXY TCP4 %u.%u.%u.%u %u.%u.%u.%u %u %u\r\nEHLO x\r\n",
			   octet(), octet(), octet(), octet(), octet(), octet(), octet(), octet(),
			   next_random(70000), next_random(70000));
	uint32_t changes = next_random(4), at;
	char letter;

	while (changes--) {
		at = next_random(len);
		letter = letters[next_random(sizeof(letters) - 1)];
		switch (next_random(3)) {
		case 0:
			line[at] = letter;
			break;
		case 1:
			memmove(line + at, line + at + 1, len - at - 1);
			len--;
			break;
		default:
			memmove(line + at + 1, line + at, len - at);
			line[at] = letter;
			len++;
		}
	}
	return next_random(6) ? len : (int)next_random(len + 1);
}

static void assert_same(const struct pp_record *left, const struct pp_record *right,
			const char *text, int len)
{
	if (left->version != right->version || left->command != right->command ||
	    left->family != right->family || left->transport != right->transport ||
	    left->reason != right->reason || left->flags != right->flags ||
	    left->header_len != right->header_len || left->tlv_len != right->tlv_len ||
	    left->src_port != right->src_port || left->dst_port != right->dst_port ||
	    left->take != right->take || left->need != right->need ||
	    memcmp(left->src, right->src, 16) || memcmp(left->dst, right->dst, 16))
		fail_msg("%.*s", len, text);
}

static void the_two_decoders_agree(void **state)
{
	uint8_t bytes[PP_WINDOW];
	struct pp_record fast, slow;
	struct pp_decoder decoder;
	unsigned int valid = 0, taken = 0, round;
	int len, result, is_line;
	char text[LINE_SIZE];

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		len = make_line(text, sizeof(text));
		if (next_random(2))
			memset(bytes, 0,
			       LINE_SIZE); /* else what the line before left stays after it */
		memcpy(bytes, text, len);
		memset(&fast, 0xee, sizeof(fast));
		is_line = line_decode((const struct line *)bytes, len, &fast);
		decoder.v1_mixed = next_random(2);
		result = pp_decode(&decoder, &slow, bytes, len);
		if (result == PP_DONE && slow.family == PP_AF_INET)
			valid++;
		if (!is_line)
			continue;
		taken++;
		assert_int_equal(result, PP_DONE);
		assert_int_equal(fast.state, PP_STATE_VALID);
		assert_same(&fast, &slow, text, len);
	}
	assert_true(valid > ROUNDS / 20);
	assert_int_equal(taken, valid);
}

static void what_stands_for_what_only_the_program_knows_stays(void **state)
{
	static const char text[] = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n";
	struct pp_record record = {.netns_cookie = 7, .path = PP_PATH_SPLIT, .sender_pid = 9};
	uint8_t bytes[PP_WINDOW] = {0};

	(void)state;
	memcpy(bytes, text, sizeof(text) - 1);
	assert_true(line_decode((const struct line *)bytes, sizeof(text) - 1, &record));
	assert_int_equal(record.netns_cookie, 7);
	assert_int_equal(record.path, PP_PATH_SPLIT);
	assert_int_equal(record.sender_pid, 9);
	assert_int_equal(record.header_len, sizeof(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_two_decoders_agree),
		cmocka_unit_test(what_stands_for_what_only_the_program_knows_stays),
	};

	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
