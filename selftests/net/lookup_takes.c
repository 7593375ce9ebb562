// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_lookup() takes the header and no more out of the receive queue: of any size, with an urgent
 * byte, with SO_PEEK_OFF, beside a taker that dies; and tells a server that has read of it before.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include "../lib/listeners.h"
#include "../lib/lookups.h"
#include "../lib/urgent.h"
#include "../unit/headers.h"

static void a_peek_offset_moves_as_by_reading(void **state)
{
	static const int offsets[] = {0, 20, 43, 60};
	struct link link;
	size_t i;
	int left;

	(void)state;
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		open_link(open_listener, &link);
		if (set_option(link.server, SO_PEEK_OFF, offsets[i])) {
			close_link(&link);
			return; /* Linux before 6.9 */
		}
		send_text(link.client, LINE);
		assert_origin(link.server, LINE_ORIGIN);
		left = offsets[i] - (int)LINE_LEN;
		assert_int_equal(option_of(link.server, SO_PEEK_OFF), left < 0 ? 0 : left);
		close_link(&link);
	}
}

static void lookup_once(int fd)
{
	struct pp_origin origin;

	pp_lookup(fd, &origin);
}

/* PP_TAKE, and nothing is discarded: the process died. */
static void die_taking(int fd)
{
	struct pp_record record;
	socklen_t len = sizeof(record);

	assert_int_equal(getsockopt(fd, SOL_PP, PP_TAKE, &record, &len), 0);
	assert_true(record.take > 0);
}

static void a_taker_that_dies_between_its_two_calls_does_no_harm(void **state)
{
	static uint8_t bytes[LARGE];
	size_t len, i, pieces;
	struct link link;
	int which;

	(void)state;
	for (which = 0; which < HEADERS; which++) {
		for (pieces = 1; pieces <= 4; pieces++) {
			len = make_header(which, bytes);
			open_link(open_listener, &link);
			send_all(link.client, bytes, len / pieces);
			await_acknowledged(link.client);
			die_taking(link.server);
			for (i = 1; i < pieces; i++) {
				lookup_once(link.server);
				send_all(link.client, bytes + len / pieces * i,
					 i == pieces - 1 ? len - len / pieces * i : len / pieces);
				await_acknowledged(link.client);
			}
			send_text(link.client, PAYLOAD);
			assert_origin(link.server, origin_of(which));
			assert_reads_text(link.server, PAYLOAD);
			assert_nothing_to_read(link.server);
			close_link(&link);
		}
	}
}

static void a_header_larger_than_the_receive_buffer_is_taken(void **state)
{
	static const int sizes[] = {1, 2048, 4096, 16384};
	static uint8_t bytes[LARGE + 8], tlvs[LARGE];
	struct pp_origin origin;
	struct pieces pieces;
	pthread_t thread;
	struct link link;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make_v2(bytes, LARGE);
		fill_pattern(bytes + 31, LARGE - 31, 7);
		memcpy(bytes + LARGE, PAYLOAD, 8);
		open_link(open_listener, &link);
		assert_int_equal(set_option(link.server, SO_RCVBUF, sizes[i]), 0);
		pieces = (struct pieces){link.client, bytes, LARGE + 8, 1, 0};
		assert_int_equal(pthread_create(&thread, NULL, send_pieces, &pieces), 0);
		assert_int_equal(pp_lookup_wait(link.server, &origin, 3 * SOON_MS), 0);
		assert_origin_is(&origin, V2_ORIGIN);
		assert_reads_text(link.server, PAYLOAD);
		pthread_join(thread, NULL);
		assert_int_equal(pp_tlvs(link.server, tlvs, sizeof(tlvs)), LARGE - 28);
		assert_memory_equal(tlvs, bytes + 28, LARGE - 28);
		close_link(&link);
	}
}

static void a_server_that_has_read_of_the_header_is_told(void **state)
{
	static const size_t amounts[] = {1, LINE_LEN - 1, LINE_LEN, LINE_LEN + 3};
	struct pp_record record;
	struct pp_origin origin;
	struct link link;
	char bytes[64];
	size_t i;
	socklen_t len;

	(void)state;
	for (i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		open_link(open_listener, &link);
		send_text(link.client, LINE PAYLOAD);
		await_acknowledged(link.client);
		assert_int_equal(recv(link.server, bytes, amounts[i], 0), amounts[i]);
		assert_int_equal(pp_lookup(link.server, &origin), -EBUSY);
		assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBUSY);
		len = sizeof(record);
		assert_int_equal(getsockopt(link.server, SOL_PP, PP_ORIGIN, &record, &len), 0);
		assert_int_equal(record.state, PP_STATE_VALID);
		assert_reads_text(link.server, LINE PAYLOAD + amounts[i]);
		close_link(&link);
	}
}

static void check_urgent(struct urgent *urgent, int was_inline)
{
	struct pp_origin origin;
	pthread_t thread;
	struct link link;
	int result;

	open_link(open_listener, &link);
	assert_int_equal(set_option(link.server, SO_OOBINLINE, was_inline), 0);
	urgent->fd = link.client;
	assert_int_equal(pthread_create(&thread, NULL, send_urgent, urgent), 0);
	if (urgent->arrival != LATE) {
		pthread_join(thread, NULL);
		await_acknowledged(link.client);
	}
	result = pp_lookup_wait(link.server, &origin, SOON_MS);
	if (urgent->arrival == LATE)
		pthread_join(thread, NULL);
	if (result)
		fail_msg("byte %zu, arrival %d, inline %d: %s (%s)", urgent->position,
			 urgent->arrival, was_inline, pp_strerror(result),
			 pp_reason_text(origin.reason));
	assert_int_equal(option_of(link.server, SO_OOBINLINE), was_inline);
	assert_reads_text(link.server, PAYLOAD);
	assert_nothing_to_read(link.server);
	close_link(&link);
}

static void an_urgent_byte_anywhere_in_a_header_is_one_of_it(void **state)
{
	struct urgent urgent = {.payload = PAYLOAD};
	uint8_t v2[40];
	int version;

	(void)state;
	make_v2(v2, sizeof(v2));
	for (version = 1; version <= 2; version++) {
		urgent.bytes = version == 1 ? (const uint8_t *)LINE : v2;
		urgent.len = version == 1 ? LINE_LEN : sizeof(v2);
		for (urgent.arrival = 0; urgent.arrival < ARRIVALS; urgent.arrival++) {
			for (urgent.position = 0; urgent.position < urgent.len; urgent.position++) {
				check_urgent(&urgent, 0);
				if (urgent.position % 8 == 7)
					check_urgent(&urgent, 1);
			}
		}
	}
}

static void tlvs_of_every_size_are_readable_before_and_after(void **state)
{
	static const size_t lens[] = {31,	 1024,	    1025,	28 + 4095,  28 + 4096,
				      28 + 4097, 28 + 8192, 28 + 12288, 28 + 12289, LARGE};
	static uint8_t bytes[LARGE], tlvs[LARGE + 100];
	struct pp_origin origin;
	struct link link;
	size_t i, tlv_len;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		tlv_len = lens[i] - 28;
		make_v2(bytes, lens[i]);
		fill_pattern(bytes + 31, lens[i] - 31, i);
		open_link(open_listener, &link);
		send_all(link.client, bytes, lens[i]);
		await_acknowledged(link.client);
		assert_int_equal(pp_tlvs(link.server, tlvs, sizeof(tlvs)), tlv_len);
		assert_memory_equal(tlvs, bytes + 28, tlv_len);
		assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), 0);
		assert_int_equal(origin.tlv_len, tlv_len);
		memset(tlvs, 0, sizeof(tlvs));
		assert_int_equal(pp_tlvs(link.server, tlvs, tlv_len), tlv_len);
		assert_memory_equal(tlvs, bytes + 28, tlv_len);
		assert_int_equal(pp_tlvs(link.server, tlvs, tlv_len - 1), -ENOBUFS);
		close_link(&link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peek_offset_moves_as_by_reading),
		cmocka_unit_test(a_taker_that_dies_between_its_two_calls_does_no_harm),
		cmocka_unit_test(a_header_larger_than_the_receive_buffer_is_taken),
		cmocka_unit_test(a_server_that_has_read_of_the_header_is_told),
		cmocka_unit_test(an_urgent_byte_anywhere_in_a_header_is_one_of_it),
		cmocka_unit_test(tlvs_of_every_size_are_readable_before_and_after),
	};

	return cmocka_run_group_tests_name("lookup_takes", tests, listeners_setup, NULL);
}
