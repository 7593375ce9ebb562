// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sequence numbers have 32 bits. They begin anew within a header, or after it; and behind 4 GiB of
 * payload there comes a byte with the number of the header's first one. Whoever the proxy serves
 * may send a PROXY line there: the origin stays.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "../lib/address.h"
#include "../lib/listeners.h"
#include "../lib/net.h"

#define TRANSPARENT 2532
#define WRAP	    (1ULL << 32)
#define LARGE	    2000 /* bytes of a header */

static int transparent_listener;

static int setup(void **state)
{
	listeners_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	transparent_listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

/* A connection whose stream's byte @at has the sequence number 0. */
static int connect_before_wrap(uint32_t at, unsigned int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	int repair = TCP_REPAIR_ON, queue = TCP_SEND_QUEUE;
	struct sockaddr_storage address;
	socklen_t len;
	uint32_t isn = -1 - at;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &repair, sizeof(repair)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &isn, sizeof(isn)), 0);
	repair = TCP_REPAIR_OFF_NO_WP;
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &repair, sizeof(repair)), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	len = address_fill(&address, PROXY, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	len = address_fill(&address, SERVER, port);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

/* Where numbers begin anew: around both ends of a header of @len bytes, and inside. */
static size_t wraps_of(size_t len, uint32_t *at)
{
	const uint32_t all[] = {0, 1, 2, 12, 15, 16, 20, len / 2, len - 1, len, len + 1, len + 7};

	memcpy(at, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static void check_peer(int server)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(server, (struct sockaddr *)&peer, &len), 0);
	assert_string_equal(inet_ntoa(peer.sin_addr), "192.0.2.7");
	assert_int_equal(ntohs(peer.sin_port), 4711);
}

static void check_line(uint32_t at, unsigned int port, int where)
{
	int client = connect_before_wrap(at, port), server;

	send_text(client, LINE PAYLOAD);
	server = accept_within(where, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	if (port == TRANSPARENT)
		check_peer(server);
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void numbers_that_begin_anew_in_or_near_a_header(void **state)
{
	uint32_t at[16];
	size_t count = wraps_of(LINE_LEN, at), i;

	(void)state;
	for (i = 0; i < count; i++) {
		check_line(at[i], PORT, gated_listener);
		check_line(at[i], OPEN, open_listener);
		check_line(at[i], TRANSPARENT, transparent_listener);
	}
}

/* In three pieces, and looked up after each of them, or only at the end. */
static void check_pieces(uint32_t at, const uint8_t *bytes, size_t len, const char *origin,
			 unsigned int port, int asking)
{
	int client = connect_before_wrap(at, port), server;
	struct pp_origin answer;
	size_t piece = len / 3;

	send_all(client, bytes, piece);
	server = accept_within(port == OPEN ? open_listener : gated_listener, SOON_MS);
	await_acknowledged(client);
	if (asking)
		assert_int_equal(pp_lookup(server, &answer), -EAGAIN);
	send_all(client, bytes + piece, piece);
	await_acknowledged(client);
	if (asking)
		assert_int_equal(pp_lookup(server, &answer), -EAGAIN);
	send_all(client, bytes + 2 * piece, len - 2 * piece);
	send_text(client, PAYLOAD);
	assert_origin(server, origin);
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void numbers_that_begin_anew_in_a_header_in_pieces(void **state)
{
	static const size_t lens[] = {LINE_LEN, 300, LARGE};
	uint8_t bytes[LARGE];
	uint32_t at[16];
	size_t k, i, count;
	int asking;

	(void)state;
	for (k = 0; k < 3; k++) {
		memcpy(bytes, LINE, LINE_LEN);
		if (k)
			make_v2(bytes, lens[k]);
		count = wraps_of(lens[k], at);
		for (i = 0; i < count; i++) {
			for (asking = 0; asking < 2; asking++) {
				check_pieces(at[i], bytes, lens[k], k ? V2_ORIGIN : LINE_ORIGIN,
					     PORT, asking);
				check_pieces(at[i], bytes, lens[k], k ? V2_ORIGIN : LINE_ORIGIN,
					     OPEN, asking);
			}
		}
	}
}

/* The server sends back more than its own numbers have left, too. */
static void a_stream_goes_on_where_numbers_begin_anew(void **state)
{
	enum { BULK = 300000 };
	static uint8_t bytes[BULK];
	int client = connect_before_wrap(LINE_LEN + BULK / 2, PORT), server;

	(void)state;
	fill_pattern(bytes, BULK, 1);
	server = accept_line(gated_listener, client);
	if (fork() == 0) {
		send_all(client, bytes, BULK);
		_exit(0);
	}
	assert_reads(server, bytes, BULK);
	assert_origin(server, LINE_ORIGIN);
	close_both(client, server);
}

/* Bulk that costs next to nothing: pages of a file in memory, which the server throws away. */
struct bulk {
	int to;
	uint64_t len;
	pthread_t sender;
};

static void *send_bulk(void *argument)
{
	enum { FILE_LEN = 4 << 20 };
	struct bulk *bulk = argument;
	int file = memfd_create("bulk", MFD_CLOEXEC);
	uint64_t left = bulk->len;
	ssize_t sent;
	off_t from;

	if (file < 0 || ftruncate(file, FILE_LEN))
		return "no file in memory";
	while (left) {
		from = 0;
		sent = sendfile(bulk->to, file, &from, left < FILE_LEN ? left : FILE_LEN);
		if (sent <= 0)
			return "sendfile";
		left -= sent;
	}
	close(file);
	return NULL;
}

/* Sends @len bytes from @client, and takes them out of @server's stream. */
static void pump(int client, int server, uint64_t len)
{
	struct bulk bulk = {.to = client, .len = len};
	void *failed;
	ssize_t got;

	assert_int_equal(pthread_create(&bulk.sender, NULL, send_bulk, &bulk), 0);
	while (len) {
		got = recv(server, NULL, len < 1 << 30 ? len : 1 << 30, MSG_TRUNC);
		if (got <= 0)
			fail_msg("%llu bytes are missing: %s", (unsigned long long)len,
				 strerror(errno));
		len -= got;
	}
	pthread_join(bulk.sender, &failed);
	assert_null(failed);
	await_acknowledged(client);
}

static void check_forged(int client, int server, int transparent)
{
	struct pp_origin origin;

	send_text(client, FORGED);
	await_acknowledged(client);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_origin(server, LINE_ORIGIN);
	if (transparent)
		check_peer(server);
	assert_reads_text(server, FORGED);
	assert_origin(server, LINE_ORIGIN);
}

/* Lines at those bytes of the stream, counted from the header's first one; so the first of them has
 * that one's number. */
static void try_forging(unsigned int port, int where, uint64_t first, uint64_t second)
{
	int client, server;

	client = connect_to(PROXY, SERVER, port);
	server = accept_line(where, client);
	send_text(server, "220\r\n");
	pump(client, server, first - LINE_LEN);
	check_forged(client, server, port == TRANSPARENT);
	pump(client, server, second - first - FORGED_LEN);
	check_forged(client, server, port == TRANSPARENT);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	if (port != TRANSPARENT)
		assert_nothing_to_read(server);
	close_both(client, server);
}

static void after_4_gib_a_header_is_payload(void **state)
{
	(void)state;
	try_forging(PORT, gated_listener, WRAP, WRAP + LINE_LEN);
}

static void after_4_gib_a_header_is_payload_on_a_port_without_gate(void **state)
{
	(void)state;
	try_forging(OPEN, open_listener, WRAP, WRAP + LINE_LEN + 1);
}

static void after_4_gib_a_header_is_payload_in_transparent_mode(void **state)
{
	(void)state;
	try_forging(TRANSPARENT, transparent_listener, WRAP, WRAP + LINE_LEN);
}

/* As many bytes as there are numbers have been read, so it looks as if none had been. */
static void who_asks_after_4_gib_is_told_that_the_header_is_gone(void **state)
{
	int client, server, early;
	struct pp_origin origin;

	(void)state;
	client = connect_to(PROXY, SERVER, PORT);
	send_text(client, LINE);
	server = accept_within(gated_listener, SOON_MS);
	pump(client, server, WRAP - LINE_LEN);
	assert_int_equal(recv(server, NULL, LINE_LEN, MSG_TRUNC | MSG_WAITALL), LINE_LEN);
	for (early = 0; early < 2; early++) {
		send_text(client, PAYLOAD);
		await_acknowledged(client);
		assert_int_equal(pp_lookup(server, &origin), -EBUSY);
		assert_reads_text(server, PAYLOAD);
	}
	close_both(client, server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_begin_anew_in_or_near_a_header),
		cmocka_unit_test(numbers_that_begin_anew_in_a_header_in_pieces),
		cmocka_unit_test(a_stream_goes_on_where_numbers_begin_anew),
		cmocka_unit_test(after_4_gib_a_header_is_payload),
		cmocka_unit_test(after_4_gib_a_header_is_payload_on_a_port_without_gate),
		cmocka_unit_test(after_4_gib_a_header_is_payload_in_transparent_mode),
		cmocka_unit_test(who_asks_after_4_gib_is_told_that_the_header_is_gone),
	};
	static const char *const always[] = {"numbers_that_begin_anew_in_or_near_a_header",
					     "numbers_that_begin_anew_in_a_header_in_pieces",
					     "a_stream_goes_on_where_numbers_begin_anew", NULL};

	/* 4 GiB take half a minute each on an emulated processor */
	return run_share("wrap", tests, setup, always);
}
