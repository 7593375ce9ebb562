// SPDX-License-Identifier: BSD-2-Clause
/*
 * A split port and connections that end, in every order, looked at on the proxy's side: each FIN is
 * acknowledged, in the proxy's numbers, also by what is left of a connection after it (TIME_WAIT);
 * and the same ports may be used again at once, by a header of another length.
 */
#define _GNU_SOURCE

#include "../lib/way.h"
#include "../lib/wire.h"

#define ALL (LINE_LEN + PAYLOAD_LEN)

static int open_with_payload(struct peer *peer, struct way *way)
{
	int server;

	way_open(peer, way);
	peer_write(peer, LINE PAYLOAD, ALL);
	peer_expect(peer, TH_ACK, ALL);
	server = way_accept(peer, way, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	return server;
}

/* Everything has been said: what the proxy sends now finds nobody, or TIME_WAIT. */
static void assert_silent(struct peer *peer)
{
	peer_expect_nothing(peer, 2);
}

static void the_proxy_closes_first(void **state)
{
	struct peer peer;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		server = open_with_payload(&peer, &ways[i]);
		peer_say(&peer, TH_FIN);
		peer_expect(&peer, TH_ACK, ALL + 1);
		assert_reads_eof(server);
		send_text(server, "221 bye\r\n"); /* half closed */
		peer_expect(&peer, TH_PUSH, ALL + 1);
		peer_say(&peer, 0);
		close(server);
		peer_expect(&peer, TH_FIN, ALL + 1);
		peer_say(&peer, 0);
		assert_silent(&peer);
		peer_say(&peer, 0); /* nothing is there any more */
		peer_expect_reset(&peer, 1000);
	}
}

/* With the header, with payload behind it, or in a segment of its own. */
static void a_fin_with_the_header_or_soon_after(void **state)
{
	static const struct {
		uint32_t first, with_fin;
	} ends[] = {{0, LINE_LEN},	  {0, ALL},  {20, LINE_LEN}, {20, ALL}, {LINE_LEN, ALL},
		    {LINE_LEN, LINE_LEN}, {ALL, ALL}};
	struct segment_out segment = {.flags = TH_ACK | TH_PUSH | TH_FIN};
	struct peer peer;
	int server;
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			way_open(&peer, &ways[i]);
			if (ends[k].first) {
				peer_write(&peer, LINE PAYLOAD, ends[k].first);
				peer_expect(&peer, TH_ACK, ends[k].first);
			}
			segment.seq = peer.next;
			segment.ack = peer.theirs;
			segment.bytes = LINE PAYLOAD + ends[k].first;
			segment.len = ends[k].with_fin - ends[k].first;
			peer.next += segment.len + 1;
			peer_send(&peer, &segment);
			peer_expect(&peer, TH_ACK, ends[k].with_fin + 1);
			peer_send(&peer, &segment); /* and again */
			peer_expect(&peer, TH_ACK, ends[k].with_fin + 1);
			server = way_accept(&peer, &ways[i], LINE_ORIGIN);
			if (ends[k].with_fin == ALL)
				assert_reads_text(server, PAYLOAD);
			assert_reads_eof(server);
			send_text(server, "221 bye\r\n");
			close(server);
			peer_expect(&peer, TH_FIN, ends[k].with_fin + 1);
			peer_say(&peer, 0);
			assert_silent(&peer);
		}
	}
}

/* The server keeps TIME_WAIT, which answers in the proxy's numbers; and a new connection on the
 * same ports takes its place, whose header has another length. */
static void the_server_closes_first(void **state)
{
	static const uint32_t lens[] = {28, 300, 4000};
	static uint8_t bytes[4000 + PAYLOAD_LEN];
	struct segment_out fin = {.flags = TH_ACK | TH_FIN}, old = {.bytes = "old", .len = 3};
	struct peer peer, again;
	int server;
	size_t i, k;

	(void)state;
	sysctl_set("net/ipv4/tcp_invalid_ratelimit", "0");
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < 3; k++) {
			server = open_with_payload(&peer, &ways[i]);
			close(server);
			peer_expect(&peer, TH_FIN, ALL);
			peer_say(&peer, 0);
			assert_silent(&peer);
			fin.seq = peer.next;
			fin.ack = peer.theirs;
			peer_say(&peer, TH_FIN);
			peer_expect(&peer, TH_ACK, ALL + 1);
			peer_send(&peer, &fin);
			peer_expect(&peer, TH_ACK, ALL + 1);
			old.seq = peer.next - 2;
			old.ack = peer.theirs;
			peer_send(&peer, &old);
			peer_expect(&peer, TH_ACK, ALL + 1);

			memset(&again, 0, sizeof(again));
			again.port = peer.port;
			again.now = peer.now + 5000;
			make_v2(bytes, lens[k]);
			memcpy(bytes + lens[k], PAYLOAD, PAYLOAD_LEN);
			peer_open(&again, peer.wire, peer.to, peer.next + 100000, ways[i].stamps);
			peer_say(&again, 0);
			peer_write(&again, bytes, 20);
			peer_expect(&again, TH_ACK, 20);
			peer_write(&again, bytes + 20,
				   1400 < lens[k] ? 1400 : lens[k] + PAYLOAD_LEN - 20);
			if (lens[k] > 1400) {
				peer_expect(&again, TH_ACK, 1420);
				peer_write(&again, bytes + 1420, 1300);
				peer_expect(&again, TH_ACK, 2720);
				peer_write(&again, bytes + 2720, lens[k] + PAYLOAD_LEN - 2720);
			}
			peer_expect(&again, TH_ACK, lens[k] + PAYLOAD_LEN);
			server = way_accept(&again, &ways[i], V2_ORIGIN);
			way_check(&again, server, PAYLOAD, lens[k]);
			way_end(&again, server);
		}
	}
}

/* Each FIN is on its way before the other comes. */
static void both_close_at_once(void **state)
{
	struct segment_out fin = {.flags = TH_ACK | TH_FIN};
	struct peer peer;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		server = open_with_payload(&peer, &ways[i]);
		peer_say(&peer, 0);
		fin.seq = peer.next;
		fin.ack = peer.theirs;
		close(server);
		peer_expect(&peer, TH_FIN, ALL);
		peer.next++;
		peer_send(&peer, &fin); /* has not seen the server's */
		peer_expect(&peer, TH_ACK, ALL + 1);
		peer_say(&peer, 0);
		peer_send(&peer, &fin); /* TIME_WAIT */
		peer_expect(&peer, TH_ACK, ALL + 1);
	}
}

/* Half closed by the server: the client goes on. */
static void the_server_says_no_more(void **state)
{
	struct peer peer;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		server = open_with_payload(&peer, &ways[i]);
		assert_int_equal(shutdown(server, SHUT_WR), 0);
		peer_expect(&peer, TH_FIN, ALL);
		peer_say(&peer, 0);
		peer_write(&peer, "DATA\r\n", 6);
		assert_reads_text(server, "DATA\r\n");
		peer_expect(&peer, TH_ACK, ALL + 6);
		peer_say(&peer, TH_FIN);
		peer_expect(&peer, TH_ACK, ALL + 7);
		assert_reads_eof(server);
		close(server);
	}
}

static void a_reset_after_the_header_reaches_the_other_side(void **state)
{
	struct linger linger = {.l_onoff = 1};
	struct peer peer;
	char byte;
	int server;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		server = open_with_payload(&peer, &ways[i]); /* the proxy's */
		peer_say(&peer, TH_RST);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(server);
		peer_say(&peer, 0);
		peer_expect_reset(&peer, 1000);

		server = open_with_payload(&peer,
					   &ways[i]); /* the server's: in the proxy's numbers */
		setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(server);
		peer_expect(&peer, TH_RST | TH_ACK, ALL);

		server = open_with_payload(&peer, &ways[i]); /* by input that nobody read */
		peer_write(&peer, "unread", 6);
		peer_expect(&peer, TH_ACK, ALL + 6);
		close(server);
		peer_expect_reset(&peer, 1000);

		way_open(&peer, &ways[i]); /* before accept() */
		peer_write(&peer, LINE PAYLOAD, ALL);
		peer_expect(&peer, TH_ACK, ALL);
		peer_say(&peer, TH_RST);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD); /* what came before it is there */
		close(server);

		way_open(&peer, &ways[i]); /* the header alone */
		peer_write(&peer, LINE, LINE_LEN);
		peer_expect(&peer, TH_ACK, LINE_LEN);
		peer_say(&peer, TH_RST);
		server = way_accept(&peer, &ways[i], LINE_ORIGIN);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(server);
	}
}

/* The server's segments come again until they are acknowledged, and so does its FIN. */
static void a_fin_that_is_not_acknowledged_comes_again(void **state)
{
	struct segment_in in;
	struct peer peers[WAYS];
	int server, fins;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		server = open_with_payload(&peers[i], &ways[i]);
		send_text(server, "221 bye\r\n");
		close(server);
	}
	for (i = 0; i < WAYS; i++) {
		wires[ways[i].wire].name = ways[i].name;
		wires[ways[i].wire].partial = ways[i].partial;
		for (fins = 0; fins < 2;) {
			assert_int_equal(peer_read(&peers[i], &in, 5000), 0);
			assert_true(in.ack == peers[i].first + ALL);
			fins += in.flags & TH_FIN ? 1 : 0;
		}
		peer_say(&peers[i], TH_FIN);
		peer_expect(&peers[i], TH_ACK, ALL + 1);
	}
}

/* The same ports, again and again, with headers of all lengths: nothing of one is the other's. */
static void the_same_ports_again_and_again(void **state)
{
	static const uint32_t lens[] = {28, 43, 31, 900, 100, 1200, 32, 1400, 28};
	struct segment_out segment = {.flags = TH_ACK | TH_RST};
	uint8_t bytes[1500];
	struct peer peer = {0};
	uint32_t isn = 1000;
	int server, turn;
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		memset(&peer, 0, sizeof(peer));
		for (turn = 0; turn < 3; turn++) {
			for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
				make_v2(bytes, lens[k]);
				memcpy(bytes + lens[k], PAYLOAD, PAYLOAD_LEN);
				wires[ways[i].wire].partial = ways[i].partial;
				peer_open(&peer, &wires[ways[i].wire],
					  ways[i].mapped || wires[ways[i].wire].family == AF_INET6
						  ? SPLIT_BOTH
						  : SPLIT,
					  isn, ways[i].stamps);
				isn += turn ? 1 : 100000; /* next to each other, too */
				peer_write(&peer, bytes, lens[k] + PAYLOAD_LEN);
				peer_expect(&peer, TH_ACK, lens[k] + PAYLOAD_LEN);
				server = way_accept(&peer, &ways[i], V2_ORIGIN);
				way_check(&peer, server, PAYLOAD, lens[k]);
				segment.seq = peer.next;
				segment.ack = peer.theirs;
				peer_send(&peer, &segment);
				/* or its FIN would meet the next connection */
				assert_int_equal(recv(server, bytes, 1, 0), -1);
				close(server);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_proxy_closes_first),
		cmocka_unit_test(a_fin_with_the_header_or_soon_after),
		cmocka_unit_test(the_server_closes_first),
		cmocka_unit_test(both_close_at_once),
		cmocka_unit_test(the_server_says_no_more),
		cmocka_unit_test(a_reset_after_the_header_reaches_the_other_side),
		cmocka_unit_test(a_fin_that_is_not_acknowledged_comes_again),
		cmocka_unit_test(the_same_ports_again_and_again),
	};

	return cmocka_run_group_tests_name("split_closes", tests, ways_setup, NULL);
}
