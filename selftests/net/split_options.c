// SPDX-License-Identifier: BSD-2-Clause
/*
 * What else a segment to a split port can carry: TCP options, IP options and extension headers,
 * urgent bytes, SACK blocks; and that a header alone is acknowledged once.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../lib/way.h"
#include "../lib/wire.h"

static void options_and_extension_headers(void **state)
{
	struct segment_out segment = {0};
	struct peer peer;
	int server;
	size_t i, n;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (n = 0; n < 8; n++) {
			way_open(&peer, &ways[i]);
			segment.ack = peer.theirs;
			segment.seq = peer.next;
			segment.extensions = n;
			if (n % 2) {
				segment.bytes = LINE PAYLOAD;
				segment.len = LINE_LEN + PAYLOAD_LEN;
			} else {
				segment.bytes = LINE;
				segment.len = LINE_LEN;
			}
			/* the headers are at most 127 bytes */
			if (n == 7 && ways[i].stamps && wires[ways[i].wire].family == AF_INET6)
				segment.extensions = 6;
			peer.next += segment.len;
			peer_send(&peer, &segment);
			peer_expect(&peer, TH_ACK, segment.len);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			if (n % 2 == 0) {
				segment.bytes = PAYLOAD;
				segment.len = PAYLOAD_LEN;
				segment.seq = peer.next;
				segment.extensions = n;
				peer.next += segment.len;
				peer_send(&peer, &segment);
			}
			way_check(&peer, server, PAYLOAD, LINE_LEN);
			way_end(&peer, server);
		}
	}
}

/* The pointer counts from the segment's first byte. Where it points into the header, there is
 * nothing urgent in what is left. */
static void urgent_bytes_in_the_header_and_after_it(void **state)
{
	static const uint32_t pointers[] = {
		1, 20, LINE_LEN - 1, LINE_LEN, LINE_LEN + 1, LINE_LEN + 4, LINE_LEN + PAYLOAD_LEN};
	struct segment_out segment = {.flags = TH_ACK | TH_PUSH | TH_URG,
				      .bytes = LINE PAYLOAD,
				      .len = LINE_LEN + PAYLOAD_LEN};
	char stream[32];
	struct peer peer;
	struct pollfd in = {.events = POLLIN | POLLPRI};
	int server, one = 1;
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(pointers) / sizeof(pointers[0]); k++) {
			way_open(&peer, &ways[i]);
			segment.seq = peer.next;
			segment.ack = peer.theirs;
			segment.urgent = pointers[k];
			peer.next += segment.len;
			peer_send(&peer, &segment);
			peer_expect(&peer, TH_ACK, segment.len);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			in.fd = server;
			assert_int_equal(poll(&in, 1, 1000), 1);
			if (in.revents & POLLPRI && pointers[k] <= LINE_LEN)
				fail_msg("%s: urgent pointer %u: a byte of the payload is urgent",
					 peer.wire->name, pointers[k]);
			setsockopt(server, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
			assert_int_equal(recv(server, stream, sizeof(stream),
					      MSG_PEEK | MSG_DONTWAIT) > 0,
					 1);
			assert_reads_text(server, PAYLOAD);
			way_end(&peer, server);

			/* a segment of its own */
			way_open(&peer, &ways[i]);
			peer_write(&peer, LINE, LINE_LEN);
			peer_expect(&peer, TH_ACK, LINE_LEN);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			setsockopt(server, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
			{
				struct segment_out urgent = {.seq = peer.next,
							     .ack = peer.theirs,
							     .flags = segment.flags,
							     .bytes = PAYLOAD,
							     .len = PAYLOAD_LEN,
							     .urgent = 1 + k};

				peer.next += PAYLOAD_LEN;
				peer_send(&peer, &urgent);
			}
			in.fd = server;
			in.events = POLLPRI;
			assert_int_equal(poll(&in, 1, 1000), 1);
			in.events = POLLIN | POLLPRI;
			way_check(&peer, server, PAYLOAD, LINE_LEN);
			way_end(&peer, server);
		}
	}
}

static void blocks_of_selective_acknowledgements(void **state)
{
	static const uint32_t starts[] = {60, 80, 100, 120, 140};
	uint8_t stream[200];
	struct segment_in in;
	struct peer peer;
	uint32_t most, k;
	size_t i;
	int server;

	(void)state;
	fill_pattern(stream, sizeof(stream), 7);
	for (i = 0; i < WAYS; i++) {
		most = ways[i].stamps ? 3 : 4;
		way_open(&peer, &ways[i]);
		peer_write(&peer, LINE PAYLOAD, LINE_LEN + PAYLOAD_LEN);
		peer_expect(&peer, TH_ACK, LINE_LEN + PAYLOAD_LEN);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD);
		peer.next = peer.first + 200;
		for (k = 0; k < 5; k++) {
			struct segment_out segment = {.seq = peer.first + starts[k],
						      .ack = peer.theirs,
						      .bytes = stream + starts[k],
						      .len = 10};

			peer_send(&peer, &segment);
			assert_int_equal(peer_read(&peer, &in, 1000), 0);
			assert_true(in.ack == peer.first + 51);
			assert_int_equal(in.sack_count, 2 * (k + 1 < most ? k + 1 : most));
			assert_true(in.sacks[0] == peer.first + starts[k]);
			assert_true(in.sacks[1] == peer.first + starts[k] + 10);
		}
		/* the header again: a duplicate, and told as one */
		peer.next = peer.first;
		peer_write(&peer, LINE, LINE_LEN);
		peer.next = peer.first + 200;
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_true(in.ack == peer.first + 51);
		assert_true(in.sacks[0] == peer.first && in.sacks[1] == peer.first + LINE_LEN);
		{
			struct segment_out segment = {.seq = peer.first + 51,
						      .ack = peer.theirs,
						      .bytes = stream + 51,
						      .len = 149};

			peer_send(&peer, &segment);
		}
		peer_expect(&peer, TH_ACK, 200);
		assert_reads(server, stream + 51, 149);
		way_check(&peer, server, "", 200);
		way_end(&peer, server);
	}
}

/* A server that greets acknowledges the header by its greeting: after some of these pp_in leaves
 * that to it, and does it itself again once a header came twice. */
static void a_header_alone_is_acknowledged_once(void **state)
{
	struct segment_in in;
	struct peer peer;
	int server, i, own = 0;

	(void)state;
	for (i = 0; i < 20; i++) {
		way_open(&peer, &ways[i % WAYS]);
		peer_write(&peer, LINE, LINE_LEN);
		server = way_accept(&peer, &ways[i % WAYS], LINE_ORIGIN);
		send_text(server, "220 hello\r\n");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_true(in.ack == peer.first + LINE_LEN);
		if (!in.len) {
			own++;
			peer_expect(&peer, TH_ACK | TH_PUSH, LINE_LEN);
		}
		peer_say(&peer, 0);
		peer_expect_nothing(&peer, 2);
		way_end(&peer, server);
	}
	print_message("# %d of 20 headers acknowledged in front of a greeting\n", own);
	/* the server says nothing: the proxy sends its header again, and it is acknowledged */
	for (i = 0; i < 3; i++) {
		way_open(&peer, &ways[2 * i]);
		peer_write(&peer, LINE, LINE_LEN);
		if (peer_read(&peer, &in, 50)) {
			peer.next = peer.first;
			peer_write(&peer, LINE, LINE_LEN);
		}
		server = way_accept(&peer, &ways[2 * i], LINE_ORIGIN);
		peer_write(&peer, PAYLOAD, PAYLOAD_LEN);
		way_check(&peer, server, PAYLOAD, LINE_LEN);
		way_end(&peer, server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_extension_headers),
		cmocka_unit_test(urgent_bytes_in_the_header_and_after_it),
		cmocka_unit_test(blocks_of_selective_acknowledgements),
		cmocka_unit_test(a_header_alone_is_acknowledged_once),
	};

	return run_share("split_options", tests, ways_setup, NULL);
}
