// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets of the server's whose local port has a served port's number, and which are no connections
 * to it: UDP, and TCP connections that the server makes. They have their peer's own name, and a
 * stream that nobody touches, whoever the peer is.
 */
#include <netdb.h>

#include "../lib/address.h"
#include "../lib/proxy.h"

#define TRANSPARENT 2532
#define ELSEWHERE   2600 /* where the server connects to */
#define GREETING    "220 hello\r\n"

static const unsigned int ports[] = {TRANSPARENT, PORT, OPEN};

/* Where the server binds, and where it connects to: a marked address, and one that is not. */
struct family {
	const char *server, *client, *peers[2];
};

static const struct family families[] = {
	{SERVER, OTHER, {PROXY, "127.0.0.9"}},
	{SERVER6, OTHER6, {PROXY6, OTHER6}},
};

static int setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent --local", TRANSPARENT);
	return 0;
}

/* Runs @check for each, without a proxy cgroup and with one. */
static void for_each(void (*check)(const struct family *family, unsigned int port,
				   const char *peer))
{
	int senders;
	size_t f, p, k;

	for (senders = 0; senders <= 1; senders++) {
		if (senders)
			run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
		for (f = 0; f < 2; f++) {
			for (p = 0; p < 3; p++) {
				for (k = 0; k < 2; k++)
					check(&families[f], ports[p], families[f].peers[k]);
			}
		}
	}
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
}

static void assert_peer(int fd, const char *address, unsigned int port)
{
	struct sockaddr_storage peer, wanted;
	socklen_t len = sizeof(peer), wanted_len = address_fill(&wanted, address, port);
	char text[INET6_ADDRSTRLEN] = "";

	memset(&peer, 0, sizeof(peer));
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	if (len == wanted_len && memcmp(&peer, &wanted, len) == 0)
		return;
	getnameinfo((struct sockaddr *)&peer, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
	fail_msg("the peer is %s, not %s:%u", text, address, port);
}

static void assert_own_name(int fd, const char *address, unsigned int port)
{
	struct sockaddr_storage own, wanted;
	socklen_t len = sizeof(own), wanted_len = address_fill(&wanted, address, port);

	memset(&own, 0, sizeof(own));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	assert_int_equal(len, wanted_len);
	assert_memory_equal(&own, &wanted, len);
}

static void assert_no_connection_of_a_proxys(int fd)
{
	struct pp_origin origin;

	assert_int_equal(pp_lookup(fd, &origin), -ENOENT);
	assert_int_equal(pp_lookup_wait(fd, &origin, SOON_MS), -ENOENT);
}

static void connect_away(int fd, const char *address)
{
	struct sockaddr_storage to;
	socklen_t len = address_fill(&to, address, ELSEWHERE);

	if (connect(fd, (struct sockaddr *)&to, len))
		fail_msg("%s:%d: %s", address, ELSEWHERE, strerror(errno));
}

static void check_udp(const struct family *family, unsigned int port, const char *peer)
{
	struct sockaddr_storage here;
	socklen_t len = address_fill(&here, family->server, port);
	int fd = socket(here.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0);
	connect_away(fd, peer);
	assert_peer(fd, peer, ELSEWHERE);
	assert_own_name(fd, family->server, port);
	close(fd);
}

static void a_udp_socket_has_its_peers_name(void **state)
{
	(void)state;
	for_each(check_udp);
}

/* @fd is connected to ELSEWHERE: its peer sends what looks like a header. */
static void check_stream(int fd, int listener, const char *peer)
{
	int other = accept_within(listener, SOON_MS);

	assert_true(other >= 0);
	assert_peer(fd, peer, ELSEWHERE);
	assert_no_connection_of_a_proxys(fd);
	send_text(other, LINE GREETING);
	await_acknowledged(other);
	assert_no_connection_of_a_proxys(fd);
	assert_reads_text(fd, LINE GREETING);
	send_text(fd, GREETING);
	assert_reads_text(other, GREETING);
	assert_peer(fd, peer, ELSEWHERE);
	assert_no_connection_of_a_proxys(fd);
	reset(other);
}

static void check_outgoing(const struct family *family, unsigned int port, const char *peer)
{
	int listener = listen_on(peer, ELSEWHERE), fd;

	fd = connect_from(family->server, port, peer, ELSEWHERE);
	assert_own_name(fd, family->server, port);
	check_stream(fd, listener, peer);
	close_both(fd, listener);
}

static void an_outgoing_connection_from_a_served_number_has_its_peers_name(void **state)
{
	(void)state;
	for_each(check_outgoing);
}

enum before {
	HEADER_TAKEN,
	HEADER_UNREAD,
	HALF_A_HEADER,
	NO_HEADER,
	BAD_HEADER,
	NO_PROXY,
	BEFORES
};

/* The server's socket of a connection, in each state that it can be in. */
static int accept_before(const struct family *family, unsigned int port, enum before before,
			 int *client)
{
	int listener = listen_on(family->server, port), fd;
	const char *text = before == HALF_A_HEADER		 ? "PROXY TCP4 "
			   : before == BAD_HEADER		 ? "EHLO x\r\n"
			   : before == NO_HEADER && port == OPEN ? ""
								 : LINE GREETING;

	if (before != NO_PROXY)
		become_proxy();
	*client = connect_to(before == NO_PROXY ? family->client : family->peers[0], family->server,
			     port);
	if (before != NO_PROXY)
		become_server();
	send_text(*client, text);
	fd = accept_within(listener, SOON_MS);
	assert_true(fd >= 0);
	if (before == HEADER_TAKEN)
		lookup_settled(fd, &(struct pp_origin){0});
	close(listener);
	return fd;
}

static void check_reused(const struct family *family, unsigned int port, const char *peer)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	int listener = listen_on(peer, ELSEWHERE), fd, client;
	enum before before;

	for (before = 0; before < BEFORES; before++) {
		/* a transparent server sees no connection without a header */
		if (port == TRANSPARENT && (before == HALF_A_HEADER || before == BAD_HEADER))
			continue;
		fd = accept_before(family, port, before, &client);
		assert_int_equal(connect(fd, &nowhere, sizeof(nowhere)), 0);
		connect_away(fd, peer);
		check_stream(fd, listener, peer);
		close_both(fd, client);
	}
	close(listener);
}

static void an_accepted_socket_that_connects_elsewhere_is_another(void **state)
{
	(void)state;
	for_each(check_reused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_udp_socket_has_its_peers_name),
		cmocka_unit_test(an_outgoing_connection_from_a_served_number_has_its_peers_name),
		cmocka_unit_test(an_accepted_socket_that_connects_elsewhere_is_another),
	};

	return cmocka_run_group_tests_name("names", tests, setup, NULL);
}
