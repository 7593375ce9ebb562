// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments that begin before what TCP has taken and end after it, as they come when an ACK was lost
 * and the proxy sends again with other boundaries; segments that come twice, too early, or damaged.
 * The header is decoded from where the socket stands, and the payload is whole.
 */
#include <arpa/inet.h>

#include "../lib/locked.h"
#include "../lib/net.h"
#include "../lib/raw.h"

#define PAYLOAD	    "EHLO x\r\n"
#define PAYLOAD_LEN (sizeof(PAYLOAD) - 1)
#define BEFORE	    200	 /* room for bytes in front of the stream */
#define LARGE	    3000 /* bytes of a header */

/* What the proxy sends, with other bytes in front of it. */
struct stream {
	uint8_t room[BEFORE + LARGE + PAYLOAD_LEN];
	size_t header_len, len;
	const char *origin;
};

static int listener, open_listener;

static int setup(void **state)
{
	net_setup(state);
	listener = listen_on(SERVER, PORT);
	open_listener = listen_on(SERVER, OPEN);
	return 0;
}

/* @header_len: of a v2 header; 0: the v1 one */
static void make_stream(struct stream *stream, size_t header_len)
{
	memset(stream->room, '.', BEFORE);
	if (header_len) {
		make_v2(stream->room + BEFORE, header_len);
		stream->origin = V2_ORIGIN;
	} else {
		header_len = LINE_LEN;
		memcpy(stream->room + BEFORE, LINE, LINE_LEN);
		stream->origin = LINE_ORIGIN;
	}
	memcpy(stream->room + BEFORE + header_len, PAYLOAD, PAYLOAD_LEN);
	stream->header_len = header_len;
	stream->len = header_len + PAYLOAD_LEN;
}

/* Sends the stream's bytes from @from, which may be before it, to @to. */
static void send_part(const struct handshake *handshake, const struct stream *stream, int from,
		      int to, int damaged)
{
	struct raw_segment segment = {.seq = handshake->seq + from,
				      .ack = handshake->ack,
				      .bytes = stream->room + BEFORE + from,
				      .len = to - from,
				      .damaged = damaged};

	raw_send(handshake, &segment);
}

static void check(int server, const struct stream *stream, const char *what, int one, int other)
{
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin;
	int result;

	result = pp_lookup_wait(server, &origin, SOON_MS);
	if (result)
		fail_msg("%s (%d, %d; header of %zu bytes): %s: %s", what, one, other,
			 stream->header_len, pp_strerror(result), pp_reason_text(origin.reason));
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, stream->origin);
	assert_reads(server, stream->room + BEFORE + stream->header_len,
		     stream->len - stream->header_len);
	assert_nothing_to_read(server);
	assert_int_equal(pp_lookup(server, &origin), 0);
}

/* A connection of which the client sends nothing itself, but by raw segments. */
static int begin(struct handshake *handshake, unsigned int port)
{
	int client = connect_to(PROXY, SERVER, port);

	sniff(handshake, port_of(client));
	return client;
}

/* The first @cut bytes have been taken; the next segment begins at @from. */
static void try_established(const struct stream *stream, int cut, int from, int asked)
{
	struct handshake handshake;
	int client = begin(&handshake, OPEN), server = accept_within(open_listener, SOON_MS);
	struct pp_origin origin;

	send_all(client, stream->room + BEFORE, cut);
	await_acknowledged(client);
	if (asked && pp_lookup(server, &origin) != -EAGAIN)
		fail_msg("an answer after %d bytes", cut);
	send_part(&handshake, stream, from, stream->len, 0);
	check(server, stream, "established", cut, from);
	reset(client);
	close(server);
}

static void every_beginning_in_an_established_header(void **state)
{
	static const int cuts[] = {1, 20, LINE_LEN - 1};
	struct stream stream;
	int from;
	size_t i;

	(void)state;
	raw_open();
	make_stream(&stream, 0);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (from = 0; from <= cuts[i]; from++)
			try_established(&stream, cuts[i], from, from % 2);
	}
}

static void beginnings_before_the_stream_of_an_established_header(void **state)
{
	static const int early[] = {-1, -2, -20, -BEFORE};
	struct stream stream;
	size_t i;

	(void)state;
	raw_open();
	make_stream(&stream, 0);
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
	make_stream(&stream, LARGE);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (k = 0; k < sizeof(starts) / sizeof(starts[0]) && starts[k] <= cuts[i]; k++)
			try_established(&stream, cuts[i], starts[k], (i + k) % 2);
	}
}

/* The segment that ends the handshake begins before the stream does: at the SYN's own number, or
 * earlier. TCP takes what comes after that. */
static void beginnings_before_the_stream_at_the_handshake(void **state)
{
	static const int early[] = {0, -1, -2, -20, -BEFORE};
	static const size_t lens[] = {0, 28, 300, LARGE};
	struct handshake handshake;
	struct stream stream;
	int client, server;
	size_t i, k;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		make_stream(&stream, lens[k]);
		for (i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
			client = begin(&handshake, PORT);
			send_part(&handshake, &stream, early[i], stream.len, 0);
			server = accept_within(listener, SOON_MS);
			assert_true(server >= 0);
			check(server, &stream, "handshake", early[i], 0);
			reset(client);
			close(server);
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
		make_stream(&stream, lens[k]);
		half = stream.header_len / 2;
		for (early = 0; early < 3; early++) {
			client = begin(&handshake, PORT);
			send_part(&handshake, &stream, -(int)early, half, 0);
			server = accept_within(listener, SOON_MS);
			assert_true(server >= 0);
			send_part(&handshake, &stream, 0, half, 0);
			send_part(&handshake, &stream, half - 7, half + 7, 0);
			send_part(&handshake, &stream, -(int)early, half + 9, 0);
			send_part(&handshake, &stream, half - 1, stream.len, 0);
			check(server, &stream, "pieces", half, early);
			reset(client);
			close(server);
		}
	}
}

/* In front of the stream there are bytes that would be a header. They are not the stream's. */
static void a_header_in_front_of_the_stream_is_none(void **state)
{
	static const char forged[] = "PROXY TCP4 203.0.113.6 198.51.100.1 66 25\r\n";
	struct handshake handshake;
	struct stream stream;
	struct pp_origin origin;
	int client, server;

	(void)state;
	raw_open();
	make_stream(&stream, 0);
	memcpy(stream.room + BEFORE - (sizeof(forged) - 1), forged, sizeof(forged) - 1);
	client = begin(&handshake, PORT);
	send_part(&handshake, &stream, -(int)(sizeof(forged) - 1), stream.len, 0);
	server = accept_within(listener, SOON_MS);
	if (server >= 0 && pp_lookup_wait(server, &origin, SOON_MS) == 0)
		assert_int_equal(ntohs(((struct sockaddr_in *)&origin.src)->sin_port), 4711);
	reset(client);
	close(server);

	client = begin(&handshake, OPEN);
	server = accept_within(open_listener, SOON_MS);
	send_part(&handshake, &stream, -(int)(sizeof(forged) - 1), stream.len, 0);
	check(server, &stream, "after a forged one", 0, 0);
	reset(client);
	close(server);
}

static void segments_that_come_twice(void **state)
{
	static const size_t lens[] = {0, 300, LARGE};
	unsigned int ports[] = {PORT, OPEN};
	struct handshake handshake;
	struct stream stream;
	int client, server, half;
	size_t k, p, i;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		make_stream(&stream, lens[k]);
		half = stream.header_len / 2;
		for (p = 0; p < 2; p++) {
			client = begin(&handshake, ports[p]);
			for (i = 0; i < 3; i++)
				send_part(&handshake, &stream, 0, half, 0);
			for (i = 0; i < 3; i++)
				send_part(&handshake, &stream, half, stream.header_len, 0);
			for (i = 0; i < 3; i++)
				send_part(&handshake, &stream, stream.header_len, stream.len, 0);
			send_part(&handshake, &stream, 0, stream.len, 0);
			server = accept_within(p ? open_listener : listener, SOON_MS);
			check(server, &stream, "twice", half, p);
			send_part(&handshake, &stream, 0, stream.len, 0);
			assert_nothing_to_read(server);
			reset(client);
			close(server);
		}
	}
}

/* A segment that leaves a hole is dropped, and comes again. */
static void segments_that_overtook_the_header_or_a_piece_of_it(void **state)
{
	static const size_t lens[] = {0, 300, LARGE};
	unsigned int ports[] = {PORT, OPEN};
	struct handshake handshake;
	struct stream stream;
	int client, server, half;
	size_t k, p;

	(void)state;
	raw_open();
	for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		make_stream(&stream, lens[k]);
		half = stream.header_len / 2;
		for (p = 0; p < 2; p++) {
			client = begin(&handshake, ports[p]);
			send_part(&handshake, &stream, stream.header_len, stream.len, 0);
			send_part(&handshake, &stream, half, stream.header_len, 0);
			send_part(&handshake, &stream, 0, half, 0);
			send_part(&handshake, &stream, stream.header_len, stream.len, 0);
			send_part(&handshake, &stream, half + 3, stream.len, 0);
			send_part(&handshake, &stream, half - 3, stream.header_len - 1, 0);
			send_part(&handshake, &stream, half, stream.len, 0);
			server = accept_within(p ? open_listener : listener, SOON_MS);
			assert_true(server >= 0);
			check(server, &stream, "overtaken", half, p);
			reset(client);
			close(server);
		}
	}
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
		make_stream(&stream, lens[k]);
		make_stream(&other, lens[k]);
		/* another address: 193.0.2.7, 192.0.2.8 */
		other.room[BEFORE + (lens[k] ? 16 : 19)]++;
		for (e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
			end = ends[e];
			if ((size_t)end > stream.len)
				continue;
			for (p = 0; p < 2; p++) {
				client = begin(&handshake, ports[p]);
				send_part(&handshake, &other, 0, end, 1);
				send_part(&handshake, &stream, 0, 17, 0);
				send_part(&handshake, &other, 17, end, 1);
				send_part(&handshake, &stream, 10, 18, 0);
				send_part(&handshake, &other, 0, stream.len, 1);
				send_part(&handshake, &stream, 0, 19, 0);
				send_part(&handshake, &stream, 18, stream.len, 0);
				server = accept_within(p ? open_listener : listener, SOON_MS);
				assert_true(server >= 0);
				check(server, &stream, "damaged", end, p);
				reset(client);
				close(server);
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
		send_part(handshake, stream, 0, half, 0);
		send_part(handshake, stream, half, end, 0);
		break;
	case TWICE:
		send_part(handshake, stream, 0, half, 0);
		send_part(handshake, stream, 0, half, 0);
		send_part(handshake, stream, half, end, 0);
		send_part(handshake, stream, 0, end, 0);
		break;
	case OVERLAPPING:
	case BEGUN:
		send_part(handshake, stream, 0, half, 0);
		send_part(handshake, stream, half - 5, half + 5, 0);
		send_part(handshake, stream, -1, half + 6, 0);
		send_part(handshake, stream, 3, end, 0);
		break;
	case OVERTAKEN:
		send_part(handshake, stream, half, end, 0);
		send_part(handshake, stream, 0, half, 0);
		send_part(handshake, stream, half + 1, end, 0);
		send_part(handshake, stream, half, end, 0);
		break;
	case DAMAGED:
		send_part(handshake, other, 0, half, 1);
		send_part(handshake, stream, 0, half - 1, 0);
		send_part(handshake, other, half - 1, end, 1);
		send_part(handshake, stream, half - 1, end, 0);
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
		make_stream(&stream, lens[k]);
		make_stream(&other, lens[k]);
		other.room[BEFORE + (lens[k] ? 16 : 19)]++;
		for (scene = 0; scene < SCENES; scene++) {
			client = begin(&handshake, OPEN);
			server = accept_within(open_listener, SOON_MS);
			if (scene == BEGUN) {
				send_all(client, stream.room + BEFORE, 9);
				await_acknowledged(client);
			}
			lock_socket(&page, server);
			play_scene(scene, &handshake, &stream, &other);
			unlock_socket(&page);
			/* what the backlog lost, for whatever reason, comes again */
			send_part(&handshake, &stream, 0, stream.len, 0);
			check(server, &stream, "locked", scene, 0);
			reset(client);
			close(server);
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

	return cmocka_run_group_tests_name("overlap", tests, setup, NULL);
}
