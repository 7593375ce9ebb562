// SPDX-License-Identifier: BSD-2-Clause
/*
 * The accept queue is full when the header comes, so TCP drops it; then there is room, and what
 * follows the header overtakes it and ends the handshake. Who the peer is does not depend on the
 * order: a proxy's origin comes, an outsider is never believed, a stranger stays one.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>

#include "../lib/proxy.h"
#include "../lib/raw.h"

#define FILLERS	   3	/* fill a listener whose backlog is one less */
#define NEVER_MS   1500 /* an outsider need not be connected at all */
#define FIRST_PORT 42000

static const unsigned int ports[] = {OPEN, USUAL, PORT, DROPPING};
#define PORTS (sizeof(ports) / sizeof(ports[0]))

static int setup(void **state)
{
	proxy_setup(state);
	raw_mute();
	return 0;
}

enum peer { PROXY_OF_THE_CGROUP, OUTSIDER, STRANGER, PEERS };
enum follower { TEXT, FIN, TEXT_AND_FIN, FOLLOWERS };

static const char *const sources[] = {LOCAL, PROXY, OTHER};

static int listen_narrowly(unsigned int port)
{
	int listener = listen_on(SERVER, port);

	assert_int_equal(listen(listener, FILLERS - 1), 0);
	return listener;
}

static void fill_queue(int *fillers, unsigned int port)
{
	int i;

	for (i = 0; i < FILLERS; i++)
		fillers[i] = connect_to(OTHER, SERVER, port);
}

/* Where the machine is slow, the connection that all this is about, from port @client, may have
 * come before the queue was full. Return: its socket, or -1. */
static int make_room(int listener, int *fillers, unsigned int client)
{
	struct sockaddr_in peer;
	int i, server, early = -1;
	socklen_t len;

	for (i = 0; i < FILLERS; i++) {
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		len = sizeof(peer);
		if (!getpeername(server, (struct sockaddr *)&peer, &len) &&
		    ntohs(peer.sin_port) == client) {
			early = server;
			i--;
		} else {
			close(server);
		}
	}
	for (i = 0; i < FILLERS; i++)
		close(fillers[i]);
	return early;
}

/* What the server may be told of each of them, and then reads. */
static void check(int server, enum peer peer, enum follower follower, unsigned int port)
{
	struct pp_origin origin = {0};
	int result;

	if (server < 0) {
		if (peer == OUTSIDER)
			return;
		fail_msg("peer %d, follower %d, port %u: not connected", peer, follower, port);
	}
	result = lookup_settled(server, &origin);
	if (result != (peer == OUTSIDER ? -EBADMSG : peer == STRANGER ? -ENOENT : 0))
		fail_msg("peer %d, follower %d, port %u: %s: %s", peer, follower, port,
			 pp_strerror(result), pp_reason_text(origin.reason));
	if (peer == OUTSIDER) {
		assert_int_equal(origin.reason, PP_BAD_SENDER);
	} else {
		if (peer == STRANGER)
			assert_reads_text(server, LINE);
		else
			assert_origin(server, LINE_ORIGIN);
		if (follower != FIN)
			assert_reads_text(server, PAYLOAD);
		if (follower != TEXT)
			assert_reads_eof(server);
	}
	assert_int_equal(pp_lookup(server, &origin), result);
	close(server);
}

/* The client's kernel holds its ACK back until there is something to send with it, as
 * TCP_DEFER_ACCEPT has it do. Where the machine is slow, it comes by itself, and the answers are
 * the same. */
static int connect_without_ack(enum peer peer, unsigned int port)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd, one = 1;

	if (peer == PROXY_OF_THE_CGROUP)
		become_proxy();
	else
		become_bystander();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	become_server();
	inet_pton(AF_INET, sources[peer], &from.sin_addr);
	inet_pton(AF_INET, SERVER, &to.sin_addr);
	to.sin_port = htons(port);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail_msg("peer %d, port %u: connect: %s", peer, port, strerror(errno));
	return fd;
}

/* @told: whom the server is to take @peer for. */
static void overtake(enum peer peer, enum peer told, enum follower follower, unsigned int port)
{
	int listener = listen_narrowly(port), client, server, fillers[FILLERS];

	client = connect_without_ack(peer, port);
	fill_queue(fillers, port);
	send_text(client, LINE);
	server = make_room(listener, fillers, port_of(client));
	if (follower != FIN)
		send_text(client, PAYLOAD);
	if (follower != TEXT)
		shutdown(client, SHUT_WR);
	if (server < 0)
		server = accept_within(listener, told == OUTSIDER ? NEVER_MS : SOON_MS);
	check(server, told, follower, port);
	reset(client);
	close(listener);
}

static void try_all(enum peer peer, enum peer told)
{
	enum follower follower;
	size_t i;

	for (i = 0; i < PORTS; i++) {
		for (follower = 0; follower < FOLLOWERS; follower++)
			overtake(peer, told, follower, ports[i]);
	}
}

static void a_proxys_origin_comes(void **state)
{
	(void)state;
	try_all(PROXY_OF_THE_CGROUP, PROXY_OF_THE_CGROUP);
}

static void an_outsider_is_not_believed(void **state)
{
	long outsiders = counter("outsiders");

	(void)state;
	try_all(OUTSIDER, OUTSIDER);
	assert_true(counter("outsiders") > outsiders);
}

static void a_stranger_stays_one(void **state)
{
	(void)state;
	try_all(STRANGER, STRANGER);
}

/* Without a proxy cgroup the address decides, also from this host. */
static void a_marked_addresss_origin_comes_where_there_is_no_proxy_cgroup(void **state)
{
	(void)state;
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
	try_all(OUTSIDER, PROXY_OF_THE_CGROUP);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
}

static void send_piece(const struct handshake *handshake, size_t at, const char *text, int flags)
{
	const struct raw_segment segment = {.seq = handshake->seq + at,
					    .ack = handshake->ack,
					    .flags = TH_ACK | TH_PUSH | flags,
					    .bytes = text,
					    .len = strlen(text)};

	raw_send(handshake, &segment);
}

/* The same segment for segment, whatever the client's kernel would do. The header is sent before,
 * and @times after, the follower. */
static void overtake_raw(enum peer peer, enum follower follower, unsigned int port, int times)
{
	static unsigned int from = FIRST_PORT;
	int listener = listen_narrowly(port), fillers[FILLERS], server;
	struct handshake handshake = {.from = sources[peer]};
	const char *text = follower == FIN ? "" : PAYLOAD;
	struct pp_origin origin = {0};
	int tries, i, early;

	raw_open();
	assert_int_equal(raw_connect(&handshake, from++, port, SOON_MS), 0);
	fill_queue(fillers, port);
	send_piece(&handshake, 0, LINE, 0);
	early = make_room(listener, fillers, from - 1);
	send_piece(&handshake, LINE_LEN, text, follower == TEXT ? 0 : TH_FIN);
	if (!times) { /* it never comes again: the answer is -EAGAIN at best */
		server = early >= 0 ? early : accept_within(listener, A_WHILE_MS);
		if (server >= 0) {
			int result = pp_lookup(server, &origin);

			if (result != (peer == OUTSIDER ? -EBADMSG : -ENOENT))
				fail_msg("peer %d, port %u, alone: %s", peer, port,
					 pp_strerror(result));
			close(server);
		}
		close(listener);
		return;
	}
	/* as TCP does it, until it is taken: a busy machine may not have made room yet */
	server = early;
	for (tries = 0; server < 0 && tries < 60; tries++) {
		for (i = 0; i < times; i++)
			send_piece(&handshake, 0, LINE, 0);
		send_piece(&handshake, LINE_LEN, text, follower == TEXT ? 0 : TH_FIN);
		server = accept_within(listener, peer == OUTSIDER ? NEVER_MS : 1000);
		if (server >= 0 || peer == OUTSIDER)
			break;
	}
	check(server, peer, follower, port);
	close(listener);
}

static void the_same_segment_for_segment(void **state)
{
	enum follower follower;
	enum peer peer;
	size_t i;
	int times;

	(void)state;
	for (peer = OUTSIDER; peer <= STRANGER; peer++) {
		for (i = 0; i < 3; i++) {
			for (follower = 0; follower < FOLLOWERS; follower++) {
				for (times = 0; times <= 2; times++) {
					if (is_my_share())
						overtake_raw(peer, follower, ports[i], times);
				}
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxys_origin_comes),
		cmocka_unit_test(an_outsider_is_not_believed),
		cmocka_unit_test(a_stranger_stays_one),
		cmocka_unit_test(a_marked_addresss_origin_comes_where_there_is_no_proxy_cgroup),
		cmocka_unit_test(the_same_segment_for_segment),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("overtaken", tests, setup, NULL);
}
