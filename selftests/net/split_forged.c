// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments on a split connection that the proxy did not send, or a RST that it did: data, FINs and
 * RSTs with a wrong sequence number or acknowledgement change nothing, before the header and after
 * it; the proxy's own RST ends it.
 */
#define _GNU_SOURCE

#include "../lib/way.h"
#include "../lib/wire.h"

static void send_with(struct peer *peer, uint32_t seq, uint32_t ack, uint32_t flags,
		      const char *text)
{
	const struct segment_out segment = {
		.seq = seq, .ack = ack, .flags = flags, .bytes = text, .len = strlen(text)};

	peer_send(peer, &segment);
}

/* A handshake, and the first @len bytes of the header. */
static void open_after(struct peer *peer, struct way *way, uint32_t len)
{
	way_open(peer, way);
	if (!len)
		return;
	peer_write(peer, LINE, len);
	peer_expect(peer, TH_ACK, len);
}

/* All of them are known to the proxy only: where the stream is, and what the server's SYN-ACK said.
 */
static void a_forged_segment_before_the_header_changes_nothing(void **state)
{
	static const int32_t off[] = {-70000, -1000, -43,   -1,	   1,	      20,
				      43,     1000,  30000, 70000, 0x7fffffff};
	static const uint32_t after[] = {0, 20};
	struct peer peer;
	size_t i, k, n;
	int server;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (n = 0; n < 2; n++) {
			open_after(&peer, &ways[i], after[n]);
			for (k = 0; k < sizeof(off) / sizeof(off[0]); k++) {
				uint32_t next = peer.first + after[n];

				send_with(&peer, next, peer.theirs + off[k], 0, FORGED);
				send_with(&peer, next, peer.theirs + off[k], TH_RST | TH_ACK, "");
				send_with(&peer, next, peer.theirs + off[k], TH_FIN | TH_ACK, "");
				send_with(&peer, next + off[k], peer.theirs, TH_RST | TH_ACK, "");
				send_with(&peer, next + off[k], 0, TH_RST, "");
				if (off[k] > 0)
					send_with(&peer, next + off[k], peer.theirs, 0, FORGED);
			}
			peer.edge_count = 0;
			peer_write(&peer, LINE PAYLOAD + after[n],
				   LINE_LEN + PAYLOAD_LEN - after[n]);
			peer_expect(&peer, TH_ACK, LINE_LEN + PAYLOAD_LEN);
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
			open_after(&peer, &ways[i], after[n]);
			peer_say(&peer, TH_RST);
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
		peer_expect(&peer, TH_ACK, LINE_LEN + PAYLOAD_LEN);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		way_check(&peer, server, PAYLOAD, LINE_LEN);
		send_with(&peer, peer.next + 1000, peer.theirs, TH_RST, "");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_int_equal(in.flags, TH_ACK);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next - LINE_LEN, peer.theirs, TH_RST,
			  ""); /* the socket's own number */
		peer_expect_nothing(&peer, 5);
		send_with(&peer, peer.next + 5000, 0, TH_SYN, "");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_int_equal(in.flags, TH_ACK);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next - 3, peer.theirs, 0, "old");
		assert_int_equal(peer_read(&peer, &in, 1000), 0);
		assert_true(in.ack == peer.next);
		send_with(&peer, peer.next, peer.theirs + 100000, 0, "not yet said");
		if (!peer_read(&peer, &in, 20)) /* 6.1 says nothing to that */
			assert_true(in.ack == peer.next);
		peer_write(&peer, "NOOP\r\n", 6);
		assert_reads_text(server, "NOOP\r\n");
		peer_say(&peer, TH_RST);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forged_segment_before_the_header_changes_nothing),
		cmocka_unit_test(a_reset_before_the_header_ends_it),
		cmocka_unit_test(forged_segments_on_a_live_connection),
	};

	return run_share("split_forged", tests, ways_setup, NULL);
}
