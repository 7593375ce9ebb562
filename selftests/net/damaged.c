// SPDX-License-Identifier: BSD-2-Clause
/*
 * A header's second piece that was damaged on its way so that the header would be bad, before the
 * right one: TCP refuses the damaged one after the gate has seen it. And pieces that overtake the
 * first one at the handshake, and look like a header's beginning, or like a whole header.
 *
 * TCP checks what is shorter than some 76 bytes before the gate sees it: damaged pieces go on into
 * the payload.
 *
 * check: both
 */

#include "../lib/stream.h"

#define PATTERN_LEN 200
#define LARGE	    3000

static const unsigned int ports[] = {PORT, OPEN, DROPPING};
static int listeners[3];

static int setup(void **state)
{
	int i;

	net_setup(state);
	for (i = 0; i < 3; i++)
		listeners[i] = listen_on(SERVER, ports[i]);
	return 0;
}

static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = ~0U;
	int bit;

	while (len--) {
		crc ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* A checksum in front of a filler TLV. */
static void make_v2_with_checksum(uint8_t *bytes, size_t len)
{
	uint32_t crc;

	make_v2(bytes, len);
	memcpy(bytes + 28, "\x03\x00\x04\x00\x00\x00\x00\xe5", 8);
	bytes[36] = (len - 38) >> 8;
	bytes[37] = len - 38;
	crc = crc32c(bytes, len);
	bytes[31] = crc >> 24;
	bytes[32] = crc >> 16;
	bytes[33] = crc >> 8;
	bytes[34] = crc;
}

static void assert_no_answer(int server, const struct stream *stream, const char *what, size_t cut)
{
	static uint8_t tlvs[PP_HEADER_MAX];
	struct pp_origin origin;
	int result = pp_lookup(server, &origin);

	if (result != -EAGAIN)
		fail_msg("%s, cut at %zu, header of %zu bytes, from a damaged piece: %s: %s", what,
			 cut, stream->header_len, pp_strerror(result),
			 pp_reason_text(origin.reason));
	result = pp_tlvs(server, tlvs, sizeof(tlvs));
	if (result != -ENODATA)
		fail_msg("%s, cut at %zu, header of %zu bytes: TLVs from a damaged piece: %d", what,
			 cut, stream->header_len, result);
}

/* The first @cut bytes are right, @damaged has the rest as it came first. */
static void try_cut(const struct stream *stream, const struct stream *damaged, const char *what,
		    size_t cut)
{
	struct handshake handshake;
	int client, server, i, asked;
	size_t end;

	if (!is_my_share())
		return;
	for (i = 0; i < 3; i++) {
		for (asked = 0; asked <= 1; asked++) {
			client = stream_begin(&handshake, ports[i]);
			stream_send(&handshake, stream, 0, cut, 0);
			server = accept_within(listeners[i], SOON_MS);
			assert_true(server >= 0);
			if (asked)
				assert_no_answer(server, stream, "the first piece", cut);
			stream_send(&handshake, damaged, cut, stream->len, 1);
			if (asked)
				assert_no_answer(server, stream, what, cut);
			stream_send(&handshake, damaged, 0, stream->len, 1);
			if (asked)
				assert_no_answer(server, stream, what, cut);
			/* with other boundaries */
			end = (cut + stream->header_len) / 2;
			if (end > cut) {
				stream_send(&handshake, stream, cut, end, 0);
				stream_send(&handshake, damaged, end, stream->len, 1);
				assert_no_answer(server, stream, what, cut);
			}
			stream_send(&handshake, stream, cut, stream->len, 0);
			stream_check(server, stream, what, cut, i);
			stream_end(client, server);
		}
	}
}

static void a_damaged_rest_of_a_line(void **state)
{
	static const size_t cuts[] = {1, 5, 12, 20, 30, LINE_LEN - 2, LINE_LEN - 1};
	struct stream stream, damaged;
	size_t i;

	(void)state;
	raw_open();
	stream_make(&stream, 0, PATTERN_LEN);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		damaged = stream;
		memset(stream_at(&damaged, cuts[i]), '#', LINE_LEN - cuts[i]);
		try_cut(&stream, &damaged, "no line", cuts[i]);
		damaged = stream; /* goes on, and on: a line that is too long */
		memset(stream_at(&damaged, cuts[i]), '1', damaged.len - cuts[i]);
		try_cut(&stream, &damaged, "no end of the line", cuts[i]);
	}
}

static void a_damaged_rest_whose_tlv_is_longer_than_the_header(void **state)
{
	static const size_t lens[] = {60, 300, 1024, LARGE};
	static const size_t cuts[] = {1, 12, 14, 16, 28, 29};
	struct stream stream, damaged;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		damaged = stream;
		++*stream_at(&damaged, 30);
		for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
			try_cut(&stream, &damaged, "a TLV overrun", cuts[i]);
	}
}

static void a_damaged_rest_with_another_family_or_length(void **state)
{
	static const size_t lens[] = {28, 60, 300, LARGE};
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {{11, 'x'}, {12, 0x31}, {13, 0x41}, {14, 0xff}, {15, 1}};
	struct stream stream, damaged;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			damaged = stream;
			*stream_at(&damaged, wrong[i].at) = wrong[i].value;
			try_cut(&stream, &damaged, "another fixed part", wrong[i].at);
			try_cut(&stream, &damaged, "another fixed part", 1);
		}
	}
}

static void a_damaged_rest_that_the_headers_own_checksum_tells(void **state)
{
	static const size_t lens[] = {60, 300, LARGE};
	static const size_t cuts[] = {1, 16, 28, 31, 33, 40, 1023, 1024, 1025, 2000, LARGE - 1};
	struct stream stream, damaged;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		make_v2_with_checksum(stream_at(&stream, 0), lens[k]);
		damaged = stream;
		*stream_at(&damaged, lens[k] - 1) ^= 0x10;
		for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]) && cuts[i] < lens[k]; i++)
			try_cut(&stream, &damaged, "a wrong CRC", cuts[i]);
	}
}

static void a_damaged_rest_that_makes_a_good_header(void **state)
{
	static const size_t lens[] = {60, 300, 1024, 1025, LARGE, STREAM_HEADER_MAX};
	static const size_t cuts[] = {1, 16, 28, 40, 1023, 1024, 1025, 4095, 4096, 4097};
	struct stream stream, damaged;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		damaged = stream;
		*stream_at(&damaged, lens[k] - 1) ^= 0x10;
		for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]) && cuts[i] < lens[k]; i++)
			try_cut(&stream, &damaged, "another TLV", cuts[i]);
	}
}

/* The piece from @cut to @end is damaged, and those after it are right: TCP would keep these until
 * that one comes again, and then have more than was decoded. */
static void try_followed(const struct stream *stream, const struct stream *damaged, size_t cut,
			 size_t end)
{
	size_t more = (end + stream->header_len) / 2;
	struct handshake handshake;
	int client, server, i;

	if (!is_my_share())
		return;
	for (i = 0; i < 3; i++) {
		client = stream_begin(&handshake, ports[i]);
		if (cut)
			stream_send(&handshake, stream, 0, cut, 0);
		stream_send(&handshake, damaged, cut, end, 1);
		stream_send(&handshake, stream, end, more, 0);
		stream_send(&handshake, stream, more, stream->len, 0);
		stream_send(&handshake, stream, cut, end, 0);
		stream_send(&handshake, stream, end, more, 0);
		stream_send(&handshake, stream, more, stream->len, 0);
		server = accept_within(listeners[i], SOON_MS);
		assert_true(server >= 0);
		stream_check(server, stream, "followed", cut, end);
		stream_end(client, server);
	}
}

static void right_pieces_after_a_damaged_one(void **state)
{
	static const size_t lens[] = {300, 1024, 1025, LARGE, STREAM_HEADER_MAX};
	static const size_t cuts[] = {0, 1, 20, 100, 1000, 1024, 2000, 4095, 4096};
	struct stream stream, damaged;
	size_t i, k, wrong;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
			if (cuts[i] + 100 >= lens[k])
				continue;
			/* a byte of a TLV; or a header that is shorter, or none */
			for (wrong = 0; wrong < 3; wrong++) {
				damaged = stream;
				*stream_at(&damaged, wrong == 0 ? cuts[i] + 99 : 16 - wrong) ^= 1;
				try_followed(&stream, &damaged, cuts[i], cuts[i] + 100);
			}
		}
	}
}

/* All of it, in the three pieces that end at @cut, at @end and at the end of the stream. */
static void send_pieces_in_order(const struct handshake *handshake, const struct stream *stream,
				 size_t cut, size_t end)
{
	stream_send(handshake, stream, 0, cut, 0);
	stream_send(handshake, stream, cut, end, 0);
	stream_send(handshake, stream, end, stream->len, 0);
}

/* The piece from @cut on comes before all others, ends no handshake, and is dropped. */
static void try_overtaking(const struct stream *stream, size_t cut, size_t end)
{
	struct handshake handshake;
	int client, server, i;
	long holes;

	if (!is_my_share())
		return;
	for (i = 0; i < 3; i += 2) { /* a gate is shut */
		client = stream_begin(&handshake, ports[i]);
		holes = counter("dropped_hole");
		stream_send(&handshake, stream, cut, end, 0);
		server = accept_within(listeners[i], 0);
		if (server >= 0)
			fail_msg("the piece from %zu to %zu made a connection", cut, end);
		if (counter("dropped_hole") <= holes)
			fail_msg("the piece from %zu to %zu is no hole", cut, end);
		send_pieces_in_order(&handshake, stream, cut, end);
		server = accept_within(listeners[i], SOON_MS);
		assert_true(server >= 0);
		stream_check(server, stream, "overtaken", cut, i);
		stream_end(client, server);
	}
}

static void the_last_piece_overtakes_the_first(void **state)
{
	struct stream stream;
	size_t cut;

	(void)state;
	raw_open();
	stream_make(&stream, 0, PATTERN_LEN);
	for (cut = 1; cut < LINE_LEN; cut++)
		try_overtaking(&stream, cut, LINE_LEN);
	/* "\r\n", and payload that goes on as the v2 signature does */
	memcpy(stream_at(&stream, LINE_LEN), "\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 14);
	for (cut = LINE_LEN - 3; cut < LINE_LEN; cut++) {
		try_overtaking(&stream, cut, LINE_LEN + 2);
		try_overtaking(&stream, cut, LINE_LEN + 9);
		try_overtaking(&stream, cut, LINE_LEN + 10);
	}
}

static void a_piece_that_looks_like_a_beginning_overtakes_the_first(void **state)
{
	static const size_t lens[] = {300, LARGE};
	static const size_t ends[] = {1, 2, 5, 12, 13, 20};
	struct stream stream;
	uint8_t start[28];
	size_t i, k, cut = 100;

	(void)state;
	raw_open();
	make_v2(start, sizeof(start));
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		memcpy(stream_at(&stream, cut), start, sizeof(start));
		for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			try_overtaking(&stream, cut, cut + ends[i]);
		memcpy(stream_at(&stream, cut), FORGED, FORGED_LEN);
		for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			try_overtaking(&stream, cut, cut + ends[i]);
	}
}

/* Whole headers that somebody hides in a TLV, or sends as payload: they do not open a gate. */
static void try_forged(const struct stream *stream, size_t cut, size_t end)
{
	struct handshake handshake;
	struct pp_origin origin;
	int client, server, i;

	if (!is_my_share())
		return;
	for (i = 0; i < 3; i++) {
		client = stream_begin(&handshake, ports[i]);
		stream_send(&handshake, stream, cut, end, 0);
		stream_send(&handshake, stream, cut, stream->len, 0);
		server = accept_within(listeners[i], ports[i] == OPEN ? SOON_MS : 0);
		assert_int_equal(server >= 0, ports[i] == OPEN);
		if (server >= 0)
			assert_int_equal(pp_lookup(server, &origin), -EAGAIN);
		send_pieces_in_order(&handshake, stream, cut, end);
		if (server < 0)
			server = accept_within(listeners[i], SOON_MS);
		assert_true(server >= 0);
		stream_check(server, stream, "forged", cut, i);
		stream_end(client, server);
	}
}

static void a_whole_header_within_the_stream_overtakes_the_real_one(void **state)
{
	static const size_t lens[] = {0, 28, 300, LARGE};
	struct stream stream;
	uint8_t other[60];
	size_t k, cut;

	(void)state;
	raw_open();
	make_v2(other, sizeof(other));
	other[19]++; /* 192.0.2.8 */
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PATTERN_LEN);
		cut = stream.header_len;
		memcpy(stream_at(&stream, cut), FORGED, FORGED_LEN);
		try_forged(&stream, cut, cut + FORGED_LEN);
		memcpy(stream_at(&stream, cut), other, sizeof(other));
		try_forged(&stream, cut, cut + sizeof(other));
		if (lens[k] < 300)
			continue;
		cut = 120;
		memcpy(stream_at(&stream, cut), FORGED, FORGED_LEN);
		try_forged(&stream, cut, cut + FORGED_LEN);
		memcpy(stream_at(&stream, cut), other, sizeof(other));
		try_forged(&stream, cut, cut + sizeof(other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_rest_of_a_line),
		cmocka_unit_test(a_damaged_rest_whose_tlv_is_longer_than_the_header),
		cmocka_unit_test(a_damaged_rest_with_another_family_or_length),
		cmocka_unit_test(a_damaged_rest_that_the_headers_own_checksum_tells),
		cmocka_unit_test(a_damaged_rest_that_makes_a_good_header),
		cmocka_unit_test(right_pieces_after_a_damaged_one),
		cmocka_unit_test(the_last_piece_overtakes_the_first),
		cmocka_unit_test(a_piece_that_looks_like_a_beginning_overtakes_the_first),
		cmocka_unit_test(a_whole_header_within_the_stream_overtakes_the_real_one),
	};

	return run_share("damaged", tests, setup, NULL);
}
