// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments that begin before what TCP has taken and end after it, as they come when an ACK was lost
 * and the proxy sends again with other boundaries; segments that come twice, too early, or damaged.
 * The header is decoded from where the socket stands, and the payload is whole.
 */
#include <arpa/inet.h>

#include "../lib/listeners.h"
#include "../lib/locked.h"
#include "../lib/raw.h"
#include "../lib/stream.h"

#define LARGE 3000

/* The first @cut bytes have been taken; the next segment begins at @from. */
static void try_established(const struct stream *stream, int cut, int from, int asked)
{
	struct handshake handshake;
	int client = stream_begin(&handshake, OPEN), server = accept_within(open_listener, SOON_MS);
	struct pp_origin origin;

	send_all(client, stream->room + STREAM_BEFORE, cut);
	await_acknowledged(client);
	if (asked && pp_lookup(server, &origin) != -EAGAIN)
		fail_msg("an answer after %d bytes", cut);
	stream_send(&handshake, stream, from, stream->len, 0);
	stream_check(server, stream, "established", cut, from);
	stream_end(client, server);
}

static void every_beginning_in_an_established_header(void **state)
{
	static const int cuts[] = {1, 20, LINE_LEN - 1};
	struct stream stream;
	int from;
	size_t i;

	(void)state;
	raw_open();
	stream_make(&stream, 0, PAYLOAD_LEN);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (from = 0; from <= cuts[i]; from++)
			try_established(&stream, cuts[i], from, from % 2);
	}
}

static void beginnings_before_the_stream_of_an_established_header(void **state)
{
	static const int early[] = {-1, -2, -20, -STREAM_BEFORE};
	struct stream stream;
	size_t i;

	(void)state;
	raw_open();
	stream_make(&stream, 0, PAYLOAD_LEN);
	for (i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		try_established(&stream, 20, early[i], 0);
		try_established(&stream, 20, early[i], 1);
	}
}

static void beginnings_in_large_headers(void **state)
{
	static const int cuts[] = {1, 15, 16, 28, 1000, 1024, 1025, 2000, 2999};
	static const int starts[] = {-1, 0, 1, 14, 16, 500, 1023, 1024, 1025, 1999, 2999};
	struct stream stream;
	size_t i, k;

	(void)state;
	raw_open();
	stream_make(&stream, LARGE, PAYLOAD_LEN);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (k = 0; k < sizeof(starts) / sizeof(starts[0]) && starts[k] <= cuts[i]; k++)
			try_established(&stream, cuts[i], starts[k], (i + k) % 2);
	}
}

/* The segment that ends the handshake begins before the stream does: at the SYN's own number, or
 * earlier. TCP takes what comes after that. */
static void beginnings_before_the_stream_at_the_handshake(void **state)
{
	static const int early[] = {0, -1, -2, -20, -STREAM_BEFORE};
	static const size_t lens[] = {0, 28, 300, LARGE};
	struct handshake handshake;
	struct stream stream;
	int client, server;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PAYLOAD_LEN);
		for (i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
			client = stream_begin(&handshake, PORT);
			stream_send(&handshake, &stream, early[i], stream.len, 0);
			server = accept_within(gated_listener, SOON_MS);
			assert_true(server >= 0);
			stream_check(server, &stream, "handshake", early[i], 0);
			stream_end(client, server);
		}
	}
}

/* And ends in the header; the next one overlaps it. */
static void overlapping_pieces_from_the_handshake_on(void **state)
{
	static const size_t lens[] = {0, 300, LARGE};
	struct handshake handshake;
	struct stream stream;
	int client, server, half;
	size_t k, early;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PAYLOAD_LEN);
		half = stream.header_len / 2;
		for (early = 0; early < 3; early++) {
			client = stream_begin(&handshake, PORT);
			stream_send(&handshake, &stream, -(int)early, half, 0);
			server = accept_within(gated_listener, SOON_MS);
			assert_true(server >= 0);
			stream_send(&handshake, &stream, 0, half, 0);
			stream_send(&handshake, &stream, half - 7, half + 7, 0);
			stream_send(&handshake, &stream, -(int)early, half + 9, 0);
			stream_send(&handshake, &stream, half - 1, stream.len, 0);
			stream_check(server, &stream, "pieces", half, early);
			stream_end(client, server);
		}
	}
}

/* In front of the stream there are bytes that would be a header. They are not the stream's. */
static void a_header_in_front_of_the_stream_is_none(void **state)
{
	struct handshake handshake;
	struct stream stream;
	struct pp_origin origin;
	int client, server;

	(void)state;
	raw_open();
	stream_make(&stream, 0, PAYLOAD_LEN);
	memcpy(stream_at(&stream, -(int)(FORGED_LEN)), FORGED, FORGED_LEN);
	client = stream_begin(&handshake, PORT);
	stream_send(&handshake, &stream, -(int)(FORGED_LEN), stream.len, 0);
	server = accept_within(gated_listener, SOON_MS);
	if (server >= 0 && pp_lookup_wait(server, &origin, SOON_MS) == 0)
		assert_int_equal(ntohs(((struct sockaddr_in *)&origin.src)->sin_port), 4711);
	stream_end(client, server);

	client = stream_begin(&handshake, OPEN);
	server = accept_within(open_listener, SOON_MS);
	stream_send(&handshake, &stream, -(int)(FORGED_LEN), stream.len, 0);
	stream_check(server, &stream, "after a forged one", 0, 0);
	stream_end(client, server);
}

/* Plays @send for headers of all sizes, at a handshake and on an established connection. */
static void on_both_ports(const char *what, void (*send)(const struct handshake *handshake,
							 const struct stream *stream, int half))
{
	static const size_t lens[] = {0, 300, LARGE};
	unsigned int ports[] = {PORT, OPEN};
	struct handshake handshake;
	struct stream stream;
	int client, server, half;
	size_t k, p;

	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PAYLOAD_LEN);
		half = stream.header_len / 2;
		for (p = 0; p < 2; p++) {
			client = stream_begin(&handshake, ports[p]);
			send(&handshake, &stream, half);
			server = accept_within(p ? open_listener : gated_listener, SOON_MS);
			assert_true(server >= 0);
			stream_check(server, &stream, what, half, p);
			stream_send(&handshake, &stream, 0, stream.len, 0);
			assert_nothing_to_read(server);
			stream_end(client, server);
		}
	}
}

static void send_twice(const struct handshake *handshake, const struct stream *stream, int half)
{
	int i;

	for (i = 0; i < 3; i++)
		stream_send(handshake, stream, 0, half, 0);
	for (i = 0; i < 3; i++)
		stream_send(handshake, stream, half, stream->header_len, 0);
	for (i = 0; i < 3; i++)
		stream_send(handshake, stream, stream->header_len, stream->len, 0);
	stream_send(handshake, stream, 0, stream->len, 0);
}

static void segments_that_come_twice(void **state)
{
	(void)state;
	on_both_ports("twice", send_twice);
}

/* A segment that leaves a hole is dropped, and comes again. */
static void send_overtaken(const struct handshake *handshake, const struct stream *stream, int half)
{
	int header_len = stream->header_len, len = stream->len;

	stream_send(handshake, stream, header_len, len, 0);
	stream_send(handshake, stream, half, header_len, 0);
	stream_send(handshake, stream, 0, half, 0);
	stream_send(handshake, stream, header_len, len, 0);
	stream_send(handshake, stream, half + 3, len, 0);
	stream_send(handshake, stream, half - 3, header_len - 1, 0);
	stream_send(handshake, stream, half, len, 0);
}

static void segments_that_overtook_the_header_or_a_piece_of_it(void **state)
{
	(void)state;
	on_both_ports("overtaken", send_overtaken);
}

/* Damaged on its way, so TCP refuses it; then it comes again, with other boundaries. What the
 * damaged one said is forgotten. */
static void a_damaged_segment_before_the_right_ones(void **state)
{
	static const size_t lens[] = {0, 300, LARGE};
	static const int ends[] = {20, 40, 44, 200, 299, 300, 306, 1024, 2500, LARGE};
	unsigned int ports[] = {PORT, OPEN};
	struct stream stream, other;
	struct handshake handshake;
	int client, server, end;
	size_t k, p, e;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PAYLOAD_LEN);
		stream_make(&other, lens[k], PAYLOAD_LEN);
		/* another address: 193.0.2.7, 192.0.2.8 */
		++*stream_at(&other, lens[k] ? 16 : 19);
		for (e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
			end = ends[e];
			if ((size_t)end > stream.len)
				continue;
			for (p = 0; p < 2; p++) {
				client = stream_begin(&handshake, ports[p]);
				stream_send(&handshake, &other, 0, end, 1);
				stream_send(&handshake, &stream, 0, 17, 0);
				stream_send(&handshake, &other, 17, end, 1);
				stream_send(&handshake, &stream, 10, 18, 0);
				stream_send(&handshake, &other, 0, stream.len, 1);
				stream_send(&handshake, &stream, 0, 19, 0);
				stream_send(&handshake, &stream, 18, stream.len, 0);
				server = accept_within(p ? open_listener : gated_listener, SOON_MS);
				assert_true(server >= 0);
				stream_check(server, &stream, "damaged", end, p);
				stream_end(client, server);
			}
		}
	}
}

enum { IN_ORDER, TWICE, OVERLAPPING, OVERTAKEN, DAMAGED, BEGUN, SCENES };

static void play_scene(int scene, const struct handshake *handshake, const struct stream *stream,
		       const struct stream *other)
{
	int half = stream->header_len / 2, end = stream->len;

	switch (scene) {
	case IN_ORDER:
		stream_send(handshake, stream, 0, half, 0);
		stream_send(handshake, stream, half, end, 0);
		break;
	case TWICE:
		stream_send(handshake, stream, 0, half, 0);
		stream_send(handshake, stream, 0, half, 0);
		stream_send(handshake, stream, half, end, 0);
		stream_send(handshake, stream, 0, end, 0);
		break;
	case OVERLAPPING:
	case BEGUN:
		stream_send(handshake, stream, 0, half, 0);
		stream_send(handshake, stream, half - 5, half + 5, 0);
		stream_send(handshake, stream, -1, half + 6, 0);
		stream_send(handshake, stream, 3, end, 0);
		break;
	case OVERTAKEN:
		stream_send(handshake, stream, half, end, 0);
		stream_send(handshake, stream, 0, half, 0);
		stream_send(handshake, stream, half + 1, end, 0);
		stream_send(handshake, stream, half, end, 0);
		break;
	case DAMAGED:
		stream_send(handshake, other, 0, half, 1);
		stream_send(handshake, stream, 0, half - 1, 0);
		stream_send(handshake, other, half - 1, end, 1);
		stream_send(handshake, stream, half - 1, end, 0);
		break;
	}
}

/* Its owner keeps the socket locked, so segments pass the gate and wait in the backlog. */
static void the_same_while_the_server_has_its_socket_locked(void **state)
{
	static const size_t lens[] = {0, 300, LARGE};
	struct stream stream, other;
	struct handshake handshake;
	struct absent_page page;
	int client, server, scene;
	size_t k;

	(void)state;
	absent_page_make(&page);
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		stream_make(&stream, lens[k], PAYLOAD_LEN);
		stream_make(&other, lens[k], PAYLOAD_LEN);
		++*stream_at(&other, lens[k] ? 16 : 19);
		for (scene = 0; scene < SCENES; scene++) {
			client = stream_begin(&handshake, OPEN);
			server = accept_within(open_listener, SOON_MS);
			if (scene == BEGUN) {
				send_all(client, stream_at(&stream, 0), 9);
				await_acknowledged(client);
			}
			lock_socket(&page, server);
			play_scene(scene, &handshake, &stream, &other);
			unlock_socket(&page);
			/* what the backlog lost, for whatever reason, comes again */
			stream_send(&handshake, &stream, 0, stream.len, 0);
			stream_check(server, &stream, "locked", scene, 0);
			stream_end(client, server);
		}
	}
	absent_page_free(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_beginning_in_an_established_header),
		cmocka_unit_test(beginnings_before_the_stream_of_an_established_header),
		cmocka_unit_test(beginnings_in_large_headers),
		cmocka_unit_test(beginnings_before_the_stream_at_the_handshake),
		cmocka_unit_test(overlapping_pieces_from_the_handshake_on),
		cmocka_unit_test(a_header_in_front_of_the_stream_is_none),
		cmocka_unit_test(segments_that_come_twice),
		cmocka_unit_test(segments_that_overtook_the_header_or_a_piece_of_it),
		cmocka_unit_test(a_damaged_segment_before_the_right_ones),
		cmocka_unit_test(the_same_while_the_server_has_its_socket_locked),
	};

	return cmocka_run_group_tests_name("overlap", tests, listeners_setup, NULL);
}
