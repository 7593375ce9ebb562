// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a split port refuses: a bad header, a FIN before its end, no header in time. The proxy gets a
 * RST, and the server nothing, or what it is to be told. And what becomes of a header for which
 * there is no room yet.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "../lib/way.h"
#include "../lib/wire.h"

#define DROPS	    2545 /* bad headers are dropped */
#define SHORT	    2546 /* a gate of 900 ms: opens when the SYN-ACK is sent again, after about 1 s */
#define TELLS_SHORT 2547 /* the same, and the server is told */
#define AT_ONCE_MS  50	 /* on a slow machine */

static int drops, shorts, tells;

static int setup(void **state)
{
	ways_setup(state);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000 --on-bad drop", DROPS);
	run(0, "build/bin/ppctl port add %d --split yes --gate 900 --on-bad drop", SHORT);
	run(0, "build/bin/ppctl port add %d --split yes --gate 900", TELLS_SHORT);
	drops = listen_on("::", DROPS);
	shorts = listen_on("::", SHORT);
	tells = listen_on("::", TELLS_SHORT);
	return 0;
}

static int drops, shorts, tells;

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
					peer_expect(&peer, TH_ACK, 8);
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
	struct segment_out segment = {.flags = TH_ACK | TH_FIN, .bytes = LINE};
	long before = counter("bad_closed"), count = 0;
	struct peer peer;
	size_t i, k;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < sizeof(sent) / sizeof(sent[0]); k++) {
			open_port(&peer, &ways[i], DROPS);
			peer_write(&peer, LINE, sent[k]);
			if (sent[k])
				peer_expect(&peer, TH_ACK, sent[k]);
			peer_say(&peer, TH_FIN);
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
		peer_expect(&peer, TH_ACK, 21);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_SIGNATURE);
		way_check(&peer, server, "EHLO client.example\r\n", 0);
		way_end(&peer, server);

		/* a piece has been acknowledged: that is gone */
		way_open(&peer, &ways[i]);
		peer_write(&peer, "PROXY TCP4 ", 11);
		peer_expect(&peer, TH_ACK, 11);
		peer_write(&peer, "256.1.1.1 1.2.3.4 1 2\r\n", 23);
		peer_expect(&peer, TH_ACK, 34);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_ADDRESS);
		assert_reads_text(server, "256.1.1.1 1.2.3.4 1 2\r\n");
		way_check(&peer, server, "", 34);
		way_end(&peer, server);

		/* it closed before the end */
		way_open(&peer, &ways[i]);
		peer_write(&peer, "PROXY TCP4 ", 11);
		peer_expect(&peer, TH_ACK, 11);
		peer_say(&peer, TH_FIN);
		peer_expect(&peer, TH_ACK, 12);
		server = accept_within(ways[i].listener, SOON_MS);
		assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_CLOSED);
		assert_reads_eof(server);
		send_text(server, "503\r\n");
		peer_expect(&peer, TH_ACK | TH_PUSH, 12);
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
	} while (!(in.flags & TH_SYN));
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
		peer_expect(&piece[i], TH_ACK, 20);
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
		peer_expect(&first, TH_ACK, LINE_LEN + PAYLOAD_LEN);
		peer_write(&second, LINE, LINE_LEN);
		peer_expect(&second, TH_ACK, LINE_LEN);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_header_is_answered_by_a_reset),
		cmocka_unit_test(a_fin_before_the_end_of_the_header_is_answered_by_a_reset),
		cmocka_unit_test(a_server_that_is_told_of_a_bad_header),
		cmocka_unit_test(no_header_in_time),
		cmocka_unit_test(a_full_accept_queue),
		cmocka_unit_test(tcp_md5_signatures_do_not_go_with_a_split),
	};

	return run_share("split_refused", tests, setup, NULL);
}
