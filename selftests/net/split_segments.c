// SPDX-License-Identifier: BSD-2-Clause
/*
 * A split port and segments that are not those of an honest proxy on a good day: forged, reset,
 * bad, late, with options and extension headers, urgent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <time.h>

#include "../lib/way.h"

#define PAYLOAD	    "EHLO x\r\n"
#define PAYLOAD_LEN 8
#define DROPS	    2545 /* bad headers are dropped */
#define SHORT	    2546 /* a gate of 900 ms: opens when the SYN-ACK is sent again, after about 1 s */
#define TELLS_SHORT 2547 /* the same, and the server is told */
#define AT_ONCE_MS  50	 /* on a slow machine */

static int drops, shorts, tells;

static int setup(void **state)
{
	(void)state;
	ways_setup("--split yes --gate 30000");
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000 --on-bad drop", DROPS);
	run(0, "build/bin/ppctl port add %d --split yes --gate 900 --on-bad drop", SHORT);
	run(0, "build/bin/ppctl port add %d --split yes --gate 900", TELLS_SHORT);
	drops = listen_on("::", DROPS);
	shorts = listen_on("::", SHORT);
	tells = listen_on("::", TELLS_SHORT);
	return 0;
}

/* A handshake with another of the ports above. */
static void open_port(struct peer *peer, struct way *way, unsigned int port)
{
	memset(peer, 0, sizeof(*peer));
	wires[way->wire].name = way->name;
	wires[way->wire].partial = way->partial;
	peer_open(peer, &wires[way->wire], port, way_isn, way->stamps);
	way_isn += 100000007;
	peer_say(peer, 0);
}

static void send_with(struct peer *peer, uint32_t seq, uint32_t ack, uint32_t flags,
		      const char *text)
{
	const struct segment_out segment = {
		.seq = seq, .ack = ack, .flags = flags, .bytes = text, .len = strlen(text)};

	peer_send(peer, &segment);
}

/* All of them are known to the proxy only: where the stream is, and what the server's SYN-ACK said.
 */
static void a_forged_segment_before_the_header_changes_nothing(void **state)
{
	static const char forged[] = "PROXY TCP4 203.0.113.6 198.51.100.1 66 25\r\n";
	static const int32_t off[] = {-70000, -1000, -43,   -1,	   1,	      20,
				      43,     1000,  30000, 70000, 0x7fffffff};
	static const uint32_t after[] = {0, 20};
	struct peer peer;
	size_t i, k, n;
	int server;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (n = 0; n < 2; n++) {
			way_open(&peer, &ways[i]);
			if (after[n]) {
				peer_write(&peer, LINE, after[n]);
				peer_expect(&peer, WIRE_ACK, after[n]);
			}
			for (k = 0; k < sizeof(off) / sizeof(off[0]); k++) {
				uint32_t next = peer.first + after[n];

				send_with(&peer, next, peer.theirs + off[k], 0, forged);
				send_with(&peer, next, peer.theirs + off[k], WIRE_RST | WIRE_ACK,
					  "");
				send_with(&peer, next, peer.theirs + off[k], WIRE_FIN | WIRE_ACK,
					  "");
				send_with(&peer, next + off[k], peer.theirs, WIRE_RST | WIRE_ACK,
					  "");
				send_with(&peer, next + off[k], 0, WIRE_RST, "");
				if (off[k] > 0)
					send_with(&peer, next + off[k], peer.theirs, 0, forged);
			}
			peer.edge_count = 0;
			peer_write(&peer, LINE PAYLOAD + after[n],
				   LINE_LEN + PAYLOAD_LEN - after[n]);
			peer_expect(&peer, WIRE_ACK, LINE_LEN + PAYLOAD_LEN);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			way_check(&peer, server, PAYLOAD, LINE_LEN);
			way_end(&peer, server);
		}
	}
}

/* The proxy's own RST ends it: what comes after it finds nothing. */
static void a_reset_before_the_header_ends_it(void **state)
{
	static const uint32_t after[] = {0, 20};
	struct peer peer;
	size_t i, n;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (n = 0; n < 2; n++) {
			way_open(&peer, &ways[i]);
			if (after[n]) {
				peer_write(&peer, LINE, after[n]);
				peer_expect(&peer, WIRE_ACK, after[n]);
			}
			peer_say(&peer, WIRE_RST);
			peer_expect_nothing(&peer, 5);
			peer_write(&peer, LINE PAYLOAD + after[n],
				   LINE_LEN + PAYLOAD_LEN - after[n]);
			peer_expect_reset(&peer, 1000);
		}
		assert_int_equal(accept_within(ways[i].listener, 0), -ETIMEDOUT);
	}
}

/* On a connection that lives, the kernel answers a SYN, or a RST beside the point, by an
 * acknowledgement: one in the proxy's numbers, which an honest proxy would answer by a right RST.
 */
static void forged_segments_on_a_live_connection(void **state)
{
	struct segment_in in;
	struct peer peer;
	char byte;
	size_t i;
	int server;

	(void)state;
	sysctl_set("net/ipv4/tcp_challenge_ack_limit", "100000");
	sysctl_set("net/ipv4/tcp_invalid_ratelimit", "0");
	for (i = 0; i < WAYS; i++) {
		way_open(&peer, &ways[i]);
		peer_write(&peer, LINE PAYLOAD, LINE_LEN + PAYLOAD_LEN);
		peer_expect(&peer, WIRE_ACK, LINE_LEN + PAYLOAD_LEN);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		way_check(&peer, server, PAYLOAD, LINE_LEN);
		send_with(&peer, peer.next + 1000, peer.theirs, WIRE_RST, "");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_int_equal(in.flags, WIRE_ACK);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next - LINE_LEN, peer.theirs, WIRE_RST,
			  ""); /* the socket's own number */
		peer_expect_nothing(&peer, 5);
		send_with(&peer, peer.next + 5000, 0, WIRE_SYN, "");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_int_equal(in.flags, WIRE_ACK);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next - 3, peer.theirs, 0, "old");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next, peer.theirs + 100000, 0, "not yet said");
		if (!peer_read(&peer, &in, 20)) /* 6.1 says nothing to that */
			assert_true(in.ack == peer.next);
		peer_write(&peer, "NOOP\r\n", 6);
		assert_reads_text(server, "NOOP\r\n");
		peer_say(&peer, WIRE_RST);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(server);
	}
}

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
			peer_expect(&peer, WIRE_ACK, segment.len);
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
	struct segment_out segment = {.flags = WIRE_ACK | WIRE_PSH | WIRE_URG,
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
			peer_expect(&peer, WIRE_ACK, segment.len);
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
			peer_expect(&peer, WIRE_ACK, LINE_LEN);
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

/* Who sends what is no header is told at once, and so is the kernel's request. */
static void a_bad_header_is_answered_by_a_reset(void **state)
{
	static const struct {
		const char *bytes, *counter;
		int pieces;
	} bads[] = {
		{"EHLO client.example\r\n", "bad_signature", 1},
		{"EHLO client.example\r\n", "bad_signature", 0},
		{"PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", "bad_address", 1},
		{"PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", "bad_address", 0},
		{"PROXY TCP4 1.1.1.1 1.2.3.4 1 70000\r\n", "bad_port", 0},
		{"PROXY TCP5 1.1.1.1 1.2.3.4 1 2\r\n", "bad_family", 1},
	};
	struct peer peer;
	size_t i, k, len;
	long before;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(bads) / sizeof(bads[0]); k++) {
			before = counter(bads[k].counter);
			open_port(&peer, &ways[i], DROPS);
			len = strlen(bads[k].bytes);
			if (bads[k].pieces) { /* the second makes it bad, where the first does not
					       */
				if (bads[k].bytes[0] == 'P') {
					peer_write(&peer, bads[k].bytes, 8);
					peer_expect(&peer, WIRE_ACK, 8);
					peer_write(&peer, bads[k].bytes + 8, len - 8);
				} else {
					peer_write(&peer, bads[k].bytes, 1);
				}
			} else {
				peer_write(&peer, bads[k].bytes, len);
			}
			peer_expect_reset(&peer, AT_ONCE_MS);
			assert_int_equal(counter(bads[k].counter), before + 1);
			peer_say(&peer, 0); /* nothing is there any more */
			peer_expect_reset(&peer, 1000);
		}
	}
	assert_int_equal(accept_within(drops, 0), -ETIMEDOUT);
}

static void a_fin_before_the_end_of_the_header_is_answered_by_a_reset(void **state)
{
	static const uint32_t sent[] = {0, 1, 20, LINE_LEN - 1};
	struct segment_out segment = {.flags = WIRE_ACK | WIRE_FIN, .bytes = LINE};
	long before = counter("bad_closed"), count = 0;
	struct peer peer;
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(sent) / sizeof(sent[0]); k++) {
			open_port(&peer, &ways[i], DROPS);
			peer_write(&peer, LINE, sent[k]);
			if (sent[k])
				peer_expect(&peer, WIRE_ACK, sent[k]);
			peer_say(&peer, WIRE_FIN);
			peer_expect_reset(&peer, AT_ONCE_MS);
			/* with the last bytes */
			open_port(&peer, &ways[i], DROPS);
			segment.seq = peer.next;
			segment.ack = peer.theirs;
			segment.len = sent[k];
			peer.next += sent[k] + 1;
			peer_send(&peer, &segment);
			peer_expect_reset(&peer, AT_ONCE_MS);
			count += 2;
		}
	}
	assert_int_equal(counter("bad_closed"), before + count);
	assert_int_equal(accept_within(drops, 0), -ETIMEDOUT);
}

/* --on-bad tell: the server gets the connection, what it was sent, and the reason. */
static void a_server_that_is_told_of_a_bad_header(void **state)
{
	struct pp_origin origin;
	struct peer peer;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		way_open(&peer, &ways[i]);
		peer_write(&peer, "EHLO client.example\r\n", 21);
		peer_expect(&peer, WIRE_ACK, 21);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_SIGNATURE);
		way_check(&peer, server, "EHLO client.example\r\n", 0);
		way_end(&peer, server);

		/* a piece has been acknowledged: that is gone */
		way_open(&peer, &ways[i]);
		peer_write(&peer, "PROXY TCP4 ", 11);
		peer_expect(&peer, WIRE_ACK, 11);
		peer_write(&peer, "256.1.1.1 1.2.3.4 1 2\r\n", 23);
		peer_expect(&peer, WIRE_ACK, 34);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_ADDRESS);
		assert_reads_text(server, "256.1.1.1 1.2.3.4 1 2\r\n");
		way_check(&peer, server, "", 34);
		way_end(&peer, server);

		/* it closed before the end */
		way_open(&peer, &ways[i]);
		peer_write(&peer, "PROXY TCP4 ", 11);
		peer_expect(&peer, WIRE_ACK, 11);
		peer_say(&peer, WIRE_FIN);
		peer_expect(&peer, WIRE_ACK, 12);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_CLOSED);
		assert_reads_eof(server);
		send_text(server, "503\r\n");
		peer_expect(&peer, WIRE_ACK | WIRE_PSH, 12);
		way_end(&peer, server);
	}
}

/* Answers the SYN-ACK that the kernel sends again, as any proxy does. */
static void await_synack(struct peer *peer)
{
	struct segment_in in;

	do {
		if (peer_read(peer, &in, 5000))
			fail_msg("%s: no second SYN-ACK", peer->wire->name);
	} while (!(in.flags & WIRE_SYN));
	peer_say(peer, 0);
}

/* The request ends, for both sides; or, where the server is told, it gets the connection. */
static void no_header_in_time(void **state)
{
	struct peer drop[WAYS], tell[WAYS], piece[WAYS];
	long expired = counter("gates_expired");
	struct pp_origin origin;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		open_port(&drop[i], &ways[i], SHORT);
		open_port(&tell[i], &ways[i], TELLS_SHORT);
		open_port(&piece[i], &ways[i], SHORT);
		peer_write(&piece[i], LINE, 20);
		peer_expect(&piece[i], WIRE_ACK, 20);
	}
	for (i = 0; i < WAYS; i++) {
		wires[ways[i].wire].partial = ways[i].partial;
		await_synack(&drop[i]);
		peer_expect_reset(&drop[i], AT_ONCE_MS);
		peer_write(&drop[i], LINE, LINE_LEN);
		peer_expect_reset(&drop[i], 1000);
		await_synack(&piece[i]);
		peer_expect_reset(&piece[i], AT_ONCE_MS);
		peer_write(&piece[i], LINE + 20, LINE_LEN - 20);
		peer_expect_reset(&piece[i], 1000);
		await_synack(&tell[i]);
		server = accept_within(tells, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
		/* what comes now is no header any more */
		peer_write(&tell[i], LINE, LINE_LEN);
		way_check(&tell[i], server, LINE, 0);
		assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
		way_end(&tell[i], server);
	}
	assert_int_equal(accept_within(shorts, 0), -ETIMEDOUT);
	assert_int_equal(counter("gates_expired"), expired + 3 * WAYS);
}

/* It has no place for the connection, so the kernel drops the segment, but pp_in may have
 * acknowledged the header. */
static void a_full_accept_queue(void **state)
{
	struct peer first, second, third;
	int here, server, port;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		port = 2600 + i;
		run(0, "build/bin/ppctl port add %d --split yes --gate 30000", port);
		here = listen_on("::", port);
		assert_int_equal(listen(here, 0), 0);
		open_port(&second, &ways[i], port);
		open_port(&third, &ways[i], port);
		open_port(&first, &ways[i], port);
		peer_write(&first, LINE PAYLOAD, LINE_LEN + PAYLOAD_LEN);
		peer_expect(&first, WIRE_ACK, LINE_LEN + PAYLOAD_LEN);
		peer_write(&second, LINE, LINE_LEN);
		peer_expect(&second, WIRE_ACK, LINE_LEN);
		peer_write(&third, LINE PAYLOAD, LINE_LEN + PAYLOAD_LEN);
		peer_expect_nothing(&third, 5);
		server = accept_within(here, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		way_check(&first, server, PAYLOAD, LINE_LEN);
		way_end(&first, server);
		assert_int_equal(accept_within(here, 10), -ETIMEDOUT);

		if (i % 2) /* the server's SYN-ACK comes again, or the client speaks */
			await_synack(&second);
		peer_write(&second, PAYLOAD, PAYLOAD_LEN);
		server = accept_within(here, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		way_check(&second, server, PAYLOAD, LINE_LEN);
		way_end(&second, server);

		third.next = third.first;
		peer_write(&third, LINE PAYLOAD, LINE_LEN + PAYLOAD_LEN);
		server = accept_within(here, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		way_check(&third, server, PAYLOAD, LINE_LEN);
		way_end(&third, server);
		close(here);
		run(0, "build/bin/ppctl port del %d", port);
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
		peer_expect(&peer, WIRE_ACK, LINE_LEN + PAYLOAD_LEN);
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
		peer_expect(&peer, WIRE_ACK, 200);
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
			peer_expect(&peer, WIRE_ACK | WIRE_PSH, LINE_LEN);
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

/* A signature is for the segment as it was sent: a split, which changes its numbers, makes it
 * wrong. No connection, then; and nothing is made of it. */
static void tcp_md5_signatures_do_not_go_with_a_split(void **state)
{
	struct tcp_md5sig key = {.tcpm_keylen = 6, .tcpm_key = "secret"};
	struct sockaddr_in *peer = (struct sockaddr_in *)&key.tcpm_addr;
	int here = listen_on(SERVER, SPLIT + 100), client, one = 1;
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct pollfd out = {.events = POLLOUT};

	(void)state;
	peer->sin_family = AF_INET;
	peer->sin_addr.s_addr = inet_addr(PROXY);
	if (setsockopt(here, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)))
		skip_because("this kernel has no TCP MD5 signatures: %s", strerror(errno));
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT + 100);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	at.sin_addr.s_addr = inet_addr(PROXY);
	assert_int_equal(bind(client, (struct sockaddr *)&at, sizeof(at)), 0);
	peer->sin_addr.s_addr = inet_addr(SERVER);
	assert_int_equal(setsockopt(client, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)), 0);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	at.sin_addr.s_addr = inet_addr(SERVER);
	at.sin_port = htons(SPLIT + 100);
	(void)connect(client, (struct sockaddr *)&at, sizeof(at));
	out.fd = client;
	assert_int_equal(poll(&out, 1, SOON_MS), 1);
	send_text(client, LINE PAYLOAD);
	assert_int_equal(accept_within(here, A_WHILE_MS), -ETIMEDOUT);
	reset(client);
	close(here);
}

/* Once a header is gone, its server sleeps: however the connection was accepted, and however the
 * header came. */
static void a_silent_client_wakes_nobody(void **state)
{
	enum { WAYS_TO_ACCEPT = 4, HEADERS = 4, COUNT = WAYS_TO_ACCEPT * HEADERS };
	int clients[COUNT], wakes[COUNT] = {0}, i, here = listen_on(SERVER, SPLIT + 101), way,
			    header;
	static uint8_t large[4000];
	struct pollfd in[COUNT];
	struct sockaddr_storage address;
	struct timespec start, now;
	socklen_t len;
	char buf[64];

	(void)state;
	make_v2(large, sizeof(large));
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", SPLIT + 101);
	for (i = 0; i < COUNT; i++) {
		way = i % WAYS_TO_ACCEPT;
		header = i / WAYS_TO_ACCEPT;
		clients[i] = connect_to(PROXY, SERVER, SPLIT + 101);
		if (header == 0) {
			send_text(clients[i], LINE);
		} else if (header == 1) {
			send_all(clients[i], LINE, 20);
			await_acknowledged(clients[i]);
			send_text(clients[i], LINE + 20);
		} else if (header == 2) {
			send_text(clients[i], LINE PAYLOAD);
		} else {
			send_all(clients[i], large, sizeof(large));
		}
		in[i].fd = here;
		in[i].events = POLLIN;
		assert_int_equal(poll(&in[i], 1, SOON_MS), 1);
		len = sizeof(address);
		in[i].fd = way == 0   ? accept(here, NULL, NULL)
			   : way == 1 ? accept(here, (struct sockaddr *)&address, &len)
			   : way == 2 ? accept4(here, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
				      : accept4(here, (struct sockaddr *)&address, &len,
						SOCK_NONBLOCK);
		assert_true(in[i].fd >= 0);
		if (header == 2) /* it spoke, and falls silent */
			assert_reads_text(in[i].fd, PAYLOAD);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		if (poll(in, COUNT, 100) > 0) {
			for (i = 0; i < COUNT; i++) {
				if (!in[i].revents)
					continue;
				wakes[i]++;
				assert_int_equal(recv(in[i].fd, buf, sizeof(buf), MSG_DONTWAIT),
						 -1);
			}
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	for (i = 0; i < COUNT; i++) {
		if (wakes[i] > 2)
			fail_msg("accepted in way %d, header %d: %d wake-ups in 3 s",
				 i % WAYS_TO_ACCEPT, i / WAYS_TO_ACCEPT, wakes[i]);
		close_both(clients[i], in[i].fd);
	}
	close(here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forged_segment_before_the_header_changes_nothing),
		cmocka_unit_test(a_reset_before_the_header_ends_it),
		cmocka_unit_test(forged_segments_on_a_live_connection),
		cmocka_unit_test(options_and_extension_headers),
		cmocka_unit_test(urgent_bytes_in_the_header_and_after_it),
		cmocka_unit_test(a_bad_header_is_answered_by_a_reset),
		cmocka_unit_test(a_fin_before_the_end_of_the_header_is_answered_by_a_reset),
		cmocka_unit_test(a_server_that_is_told_of_a_bad_header),
		cmocka_unit_test(no_header_in_time),
		cmocka_unit_test(a_full_accept_queue),
		cmocka_unit_test(blocks_of_selective_acknowledgements),
		cmocka_unit_test(a_header_alone_is_acknowledged_once),
		cmocka_unit_test(tcp_md5_signatures_do_not_go_with_a_split),
		cmocka_unit_test(a_silent_client_wakes_nobody),
	};

	return run_share("split_segments", tests, setup, NULL);
}
