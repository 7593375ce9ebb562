// SPDX-License-Identifier: BSD-2-Clause
/*
 * The header waits in TCP's backlog, since the server has its socket locked, and payload follows it
 * there, segment behind segment. It has been decoded, but TCP has not taken it: the payload is not
 * a hole, nothing is to come twice, and the payload is no header either, whatever it looks like.
 *
 * check: both long
 */

#include "../lib/listeners.h"
#include "../lib/locked.h"
#include "../lib/proxy.h"
#include "../lib/raw.h"
#include "../lib/stream.h"

#define LARGE	   3000
#define PIECE	   1000 /* bytes of payload in a segment */
#define PIECES	   5
#define PIECES_LEN (PIECE * PIECES)
#define BULK_LEN   40000 /* in one segment, as GSO has it */

/* Bytes of a v2 header; 0: the v1 one. */
static const size_t lens[] = {0, 28, 60, 300, LARGE};
#define LENS (sizeof(lens) / sizeof(lens[0]))

/* A stream whose payload begins with a header. */
static void make_stream(struct stream *stream, size_t header_len, size_t payload_len)
{
	stream_make(stream, header_len, payload_len);
	memcpy(stream_at(stream, stream->header_len), FORGED, FORGED_LEN);
}

/* The header is cut at @cuts[0], @cuts[1], up to a 0; its last part comes with @together bytes of
 * payload. */
static void try_raw(struct absent_page *page, const struct stream *stream, const size_t *cuts,
		    size_t together, int gated)
{
	size_t at = 0, end = stream->len, next;
	long holes = counter("dropped_hole");
	struct handshake handshake;
	int client, server;

	if (!is_my_share())
		return;
	client = stream_begin(&handshake, gated ? PORT : OPEN);
	if (gated) { /* the first piece is the handshake's */
		stream_send(&handshake, stream, 0, cuts[0], 0);
		at = *cuts++;
	}
	server = accept_within(gated ? gated_listener : open_listener, SOON_MS);
	assert_true(server >= 0);
	lock_socket(page, server);
	for (; *cuts; cuts++) {
		stream_send(&handshake, stream, at, *cuts, 0);
		at = *cuts;
	}
	stream_send(&handshake, stream, at, stream->header_len + together, 0);
	for (at = stream->header_len + together; at < end; at = next) {
		next = at + PIECE < end ? at + PIECE : end;
		stream_send(&handshake, stream, at, next, 0);
	}
	unlock_socket(page);
	stream_check(server, stream, "segments", together, gated);
	if (counter("dropped_hole") != holes)
		fail_msg("header of %zu bytes: %ld segments were dropped", stream->header_len,
			 counter("dropped_hole") - holes);
	stream_end(client, server);
}

static void payload_behind_a_header_that_waits(void **state)
{
	static const size_t togethers[] = {0, 1, FORGED_LEN, PIECE};
	const size_t whole[] = {0};
	struct absent_page page;
	struct stream stream;
	size_t i, k;

	(void)state;
	absent_page_make(&page);
	raw_open();
	for (i = 0; i < LENS; i++) {
		make_stream(&stream, lens[i], PIECES_LEN);
		for (k = 0; k < sizeof(togethers) / sizeof(togethers[0]); k++)
			try_raw(&page, &stream, whole, togethers[k], 0);
	}
	absent_page_free(&page);
}

static void payload_behind_a_header_that_waits_in_pieces(void **state)
{
	struct absent_page page;
	struct stream stream;
	size_t i;
	int gated;

	(void)state;
	absent_page_make(&page);
	raw_open();
	for (i = 0; i < LENS; i++) {
		make_stream(&stream, lens[i], PIECES_LEN);
		for (gated = 0; gated <= 1; gated++) {
			const size_t last = stream.header_len - 1, half = stream.header_len / 2;
			const size_t cuts[][4] = {{1, 0}, {last, 0}, {half, 0}, {5, half, last, 0}};
			size_t c;

			for (c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
				try_raw(&page, &stream, cuts[c], 0, gated);
				try_raw(&page, &stream, cuts[c], 1, gated);
			}
		}
	}
	absent_page_free(&page);
}

enum bulk { APART, TOGETHER, IN_PIECES, BULKS };

/* The proxy's own kernel sends: the payload, and in one case the header with it, is one segment of
 * many times the usual size. */
static void try_bulk(struct absent_page *page, const struct stream *stream, enum bulk bulk,
		     const char *source)
{
	const uint8_t *bytes = stream->room + STREAM_BEFORE;
	size_t half = stream->header_len / 2;
	long holes = counter("dropped_hole");
	int client, server;

	if (!is_my_share())
		return;
	if (strcmp(source, LOCAL) == 0)
		client = proxy_connects(source, SERVER, OPEN);
	else
		client = connect_to(source, SERVER, OPEN);
	server = accept_within(open_listener, SOON_MS);
	assert_true(server >= 0);
	lock_socket(page, server);
	switch (bulk) {
	case APART:
		send_all(client, bytes, stream->header_len);
		send_all(client, bytes + stream->header_len, BULK_LEN);
		break;
	case TOGETHER:
		send_all(client, bytes, stream->header_len + BULK_LEN);
		break;
	default:
		send_all(client, bytes, half);
		send_all(client, bytes + half, stream->header_len - half);
		send_all(client, bytes + stream->header_len, 1);
		send_all(client, bytes + stream->header_len + 1, BULK_LEN - 1);
	}
	unlock_socket(page);
	stream_check(server, stream, source, bulk, 0);
	if (counter("dropped_hole") != holes)
		fail_msg("%s, bulk %d, header of %zu bytes: %ld segments were dropped", source,
			 bulk, stream->header_len, counter("dropped_hole") - holes);
	assert_int_equal(recv(client, &(char){1}, 1, 0), 1);
	close_both(client, server);
}

static void large_segments_behind_a_header_that_waits(void **state)
{
	struct absent_page page;
	struct stream stream;
	enum bulk bulk;
	size_t i;

	(void)state;
	absent_page_make(&page);
	for (i = 0; i < LENS; i++) {
		make_stream(&stream, lens[i], BULK_LEN);
		for (bulk = 0; bulk < BULKS; bulk++)
			try_bulk(&page, &stream, bulk, PROXY);
	}
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	for (i = 0; i < LENS; i++) {
		make_stream(&stream, lens[i], BULK_LEN);
		for (bulk = 0; bulk < BULKS; bulk++)
			try_bulk(&page, &stream, bulk, LOCAL);
	}
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
	absent_page_free(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_behind_a_header_that_waits),
		cmocka_unit_test(payload_behind_a_header_that_waits_in_pieces),
		cmocka_unit_test(large_segments_behind_a_header_that_waits),
	};

	return run_share("backlog", tests, listeners_setup, NULL);
}
