// SPDX-License-Identifier: BSD-2-Clause
/*
 * A split port and headers in pieces, segment by segment: pp_in acknowledges each piece itself, in
 * the proxy's numbers, and what it has acknowledged it keeps. Acknowledgements are lost, pieces
 * come again, whole, overlapping, and with more.
 *
 * check: both
 */
#define _GNU_SOURCE

#include "../lib/way.h"
#include "../lib/wire.h"

#define SMALL 536 /* bytes in a segment, where the MTU is 576 */

static void split_at(struct way *way, const uint8_t *bytes, uint32_t len, uint32_t at,
		     const char *origin, const char *payload)
{
	uint8_t rest[256];
	struct peer peer = {0};
	int server;

	way_open(&peer, way);
	peer_write(&peer, bytes, at);
	peer_expect(&peer, TH_ACK, at);
	memcpy(rest, bytes + at, len - at);
	memcpy(rest + len - at, payload, strlen(payload));
	peer_write(&peer, rest, len - at + strlen(payload));
	peer_expect(&peer, TH_ACK, len + strlen(payload));
	server = way_accept(&peer, way, origin);
	way_check(&peer, server, payload, len);
	way_end(&peer, server);
}

static void every_point_of_a_header(const uint8_t *bytes, uint32_t len, const char *origin)
{
	uint32_t at;
	size_t i;

	for (i = 0; i < WAYS; i++) {
		for (at = 1; at < len; at++) {
			if (is_my_share())
				split_at(&ways[i], bytes, len, at, origin, at % 2 ? PAYLOAD : "");
		}
	}
}

static void a_v1_header_in_two_at_every_point(void **state)
{
	(void)state;
	every_point_of_a_header((const uint8_t *)LINE, LINE_LEN, LINE_ORIGIN);
}

static void a_v2_header_in_two_at_every_point(void **state)
{
	uint8_t bytes[40];

	(void)state;
	every_point_of_a_header(bytes, make_v2(bytes, sizeof(bytes)), V2_ORIGIN);
}

static void in_pieces(struct way *way, const uint8_t *bytes, uint32_t len, uint32_t piece,
		      const char *origin)
{
	struct peer peer = {0};
	uint32_t at, now;
	int server;

	way_open(&peer, way);
	for (at = 0; at < len; at += now) {
		now = len - at < piece ? len - at : piece;
		peer_write(&peer, bytes + at, now);
		peer_expect(&peer, TH_ACK, at + now);
	}
	server = way_accept(&peer, way, origin);
	way_check(&peer, server, "", len);
	way_end(&peer, server);
}

static void a_header_byte_by_byte(void **state)
{
	uint8_t bytes[40];
	size_t i;

	(void)state;
	make_v2(bytes, sizeof(bytes));
	for (i = 0; i < WAYS; i++) {
		in_pieces(&ways[i], (const uint8_t *)LINE, LINE_LEN, 1, LINE_ORIGIN);
		in_pieces(&ways[i], bytes, sizeof(bytes), 1, V2_ORIGIN);
	}
}

static void large_headers_over_a_small_mtu(void **state)
{
	static const uint32_t lens[] = {1023,	      1024, 1025, 4000, 4096, PP_HEADER_MAX - 1,
					PP_HEADER_MAX};
	static uint8_t bytes[PP_HEADER_MAX];
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			make_v2(bytes, lens[k]);
			in_pieces(&ways[i], bytes, lens[k], SMALL, V2_ORIGIN);
		}
	}
}

/* In one packet, as GRO makes them, too. */
static void large_headers_with_payload(void **state)
{
	static const uint32_t lens[] = {1025, 4000, 4095, 4096, 8190, 8191, PP_HEADER_MAX};
	static uint8_t bytes[WIRE_BYTES];
	struct peer peer = {0};
	size_t i, k;
	int server;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		if (ways[i].wire != WIRE_LO && ways[i].wire != WIRE_LO6)
			continue; /* their frames can be larger */
		for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			make_v2(bytes, lens[k]);
			memcpy(bytes + lens[k], PAYLOAD, 8);
			way_open(&peer, &ways[i]);
			peer_write(&peer, bytes, lens[k] + 8);
			peer_expect(&peer, TH_ACK, lens[k] + 8);
			server = way_accept(&peer, &ways[i], V2_ORIGIN);
			way_check(&peer, server, PAYLOAD, lens[k]);
			way_end(&peer, server);
		}
	}
}

static void send_part(struct peer *peer, const char *stream, uint32_t from, uint32_t to)
{
	const struct segment_out segment = {.seq = peer->first + from,
					    .ack = peer->theirs,
					    .bytes = stream + from,
					    .len = to - from};

	if (peer->first + to - peer->next < 0x80000000)
		peer->next = peer->first + to;
	peer_send(peer, &segment);
}

/* What the proxy sends again, because acknowledgements were lost: where each segment begins and
 * ends, and what is to be acknowledged then. */
static const struct again {
	const char *what;
	struct {
		uint8_t from, to, acknowledged;
	} segments[6];
} agains[] = {
	{"a piece comes again", {{0, 20, 20}, {0, 20, 20}, {20, 51, 51}}},
	{"all pieces come again",
	 {{0, 10, 10}, {10, 20, 20}, {0, 10, 20}, {10, 20, 20}, {20, 51, 51}}},
	{"with more", {{0, 20, 20}, {0, 30, 30}, {0, 51, 51}}},
	{"with all of it", {{0, 1, 1}, {0, 51, 51}}},
	{"overlapping", {{0, 20, 20}, {10, 30, 30}, {29, 42, 42}, {40, 51, 51}}},
	{"a piece of one that has gone", {{0, 20, 20}, {5, 15, 20}, {20, 51, 51}}},
	{"the end overtakes", {{0, 20, 20}, {30, 43, 0}, {20, 30, 30}, {30, 51, 51}}},
	{"the header comes again after it", {{0, 43, 43}, {0, 43, 43}, {43, 51, 51}}},
	{"and with payload", {{0, 43, 43}, {0, 51, 51}}},
	{"and from its middle", {{0, 43, 43}, {10, 47, 47}, {20, 51, 51}}},
	{"header and payload come again", {{0, 51, 51}, {0, 51, 51}, {0, 43, 51}, {43, 51, 51}}},
	{"payload overtakes the header", {{43, 51, 0}, {0, 43, 43}, {43, 51, 51}}},
	{"payload overtakes a piece", {{0, 20, 20}, {43, 51, 0}, {20, 43, 43}, {43, 51, 51}}},
};

static void sent_again(struct way *way, const struct again *again)
{
	char stream[] = LINE PAYLOAD;
	struct peer peer = {0};
	int server, i;

	assert_int_equal(LINE_LEN, 43);
	way_open(&peer, way);
	for (i = 0; i < 6 && again->segments[i].to; i++) {
		send_part(&peer, stream, again->segments[i].from, again->segments[i].to);
		if (!again->segments[i].acknowledged) {
			peer_expect_nothing(&peer, 20);
			continue;
		}
		peer_expect(&peer, TH_ACK, again->segments[i].acknowledged);
	}
	server = way_accept(&peer, way, LINE_ORIGIN);
	way_check(&peer, server, PAYLOAD, LINE_LEN);
	way_end(&peer, server);
}

static void pieces_that_come_again(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(agains) / sizeof(agains[0]); k++)
			sent_again(&ways[i], &agains[k]);
	}
}

/* What nobody has checked is not believed, nor acknowledged. */
static void a_wrong_checksum_counts_for_nothing(void **state)
{
	static const uint32_t ends[][3] = {
		{43, 0, 0}, {51, 0, 0}, {20, 43, 0}, {20, 51, 0}, {43, 51, 0}};
	char stream[] = LINE PAYLOAD, other[] = "PROXY TCP4 203.0.113.6 198.51.100.1 66 2525\r\n";
	uint32_t from, to;
	struct peer peer = {0};
	size_t i, k, n;
	int server;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			way_open(&peer, &ways[i]);
			for (n = 0, from = 0; ends[k][n]; n++, from = to) {
				struct segment_out damaged = {.seq = peer.first + from,
							      .ack = peer.theirs,
							      .bytes = other,
							      .damaged = 1};

				to = ends[k][n];
				damaged.len = to - from;
				peer_send(&peer, &damaged);
				damaged.len = 45; /* bad by what is in it, too */
				peer_send(&peer, &damaged);
				peer_expect_nothing(&peer, 10);
				send_part(&peer, stream, from, to);
				peer_expect(&peer, TH_ACK, to);
			}
			if (from < 51) {
				send_part(&peer, stream, from, 51);
				peer_expect(&peer, TH_ACK, 51);
			}
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			way_check(&peer, server, PAYLOAD, LINE_LEN);
			way_end(&peer, server);
		}
	}
}

/* Each SYN is answered by a cookie: there is no request to ask. */
static void syn_cookies(void **state)
{
	char stream[] = LINE PAYLOAD;
	uint8_t bytes[300];
	struct peer peer = {0};
	int server;
	size_t i;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	make_v2(bytes, sizeof(bytes));
	for (i = 0; i < WAYS; i++) {
		way_open(&peer, &ways[i]);
		send_part(&peer, stream, 0, 51);
		peer_expect(&peer, TH_ACK, 51);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		way_check(&peer, server, PAYLOAD, LINE_LEN);
		way_end(&peer, server);
		sent_again(&ways[i], &agains[0]);
		sent_again(&ways[i], &agains[2]);
		sent_again(&ways[i], &agains[4]);
		sent_again(&ways[i], &agains[10]);
		/* not a header alone: that is acknowledged by what the server says */
		split_at(&ways[i], bytes, sizeof(bytes), 100, V2_ORIGIN, PAYLOAD);
	}
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

/* The header begins at sequence number 0, ends there, or crosses it; in pieces or not. */
static void numbers_that_begin_anew(void **state)
{
	char stream[] = LINE PAYLOAD;
	struct peer peer = {0};
	uint32_t at, saved = way_isn;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (at = 0; at <= 51; at++) {
			if (!is_my_share())
				continue;
			way_isn = -1 - at;
			way_open(&peer, &ways[i]);
			if (at % 3) {
				send_part(&peer, stream, 0, 20);
				peer_expect(&peer, TH_ACK, 20);
			}
			send_part(&peer, stream, at % 3 ? 20 : 0, at % 2 ? 43 : 51);
			peer_expect(&peer, TH_ACK, at % 2 ? 43 : 51);
			send_part(&peer, stream, 43, 51);
			peer_expect(&peer, TH_ACK, 51);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			way_check(&peer, server, PAYLOAD, LINE_LEN);
			way_end(&peer, server);
		}
	}
	way_isn = saved;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_v1_header_in_two_at_every_point),
		cmocka_unit_test(a_v2_header_in_two_at_every_point),
		cmocka_unit_test(a_header_byte_by_byte),
		cmocka_unit_test(large_headers_over_a_small_mtu),
		cmocka_unit_test(large_headers_with_payload),
		cmocka_unit_test(pieces_that_come_again),
		cmocka_unit_test(a_wrong_checksum_counts_for_nothing),
		cmocka_unit_test(syn_cookies),
		cmocka_unit_test(numbers_that_begin_anew),
	};

	return cmocka_run_group_tests_name("split_pieces", tests, ways_setup, NULL);
}
