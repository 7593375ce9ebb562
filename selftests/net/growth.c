// SPDX-License-Identifier: BSD-2-Clause
/*
 * The answer of PP_ORIGIN and PP_TAKE: as much of it as the caller has room for, and in it the
 * proxy's own address and the one that it connected to, in each mode and family.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <pthread.h>

#include "../lib/lookups.h"
#include "../lib/name.h"
#include "../lib/proxy.h"
#include "../lib/transparent.h"

#define FIRST  sizeof(struct pp_record)
#define WHOLE  sizeof(struct pp_answer)
#define CANARY 0xc5
#define ROUNDS 2000

static int growth_setup(void **state)
{
	transparent_setup(state);
	close(listener); /* the tests listen in several families */
	return 0;
}

/* A caller with @room bytes. Return: the bytes answered, or a negative errno; it wrote no others.
 */
static int ask(int fd, int option, uint8_t *buf, size_t room)
{
	socklen_t len = room;
	size_t i, answered;
	int error;

	memset(buf, CANARY, room + 16);
	error = getsockopt(fd, SOL_PP, option, buf, &len) ? -errno : 0;
	answered = error ? 0 : len;
	assert_true(answered <= room);
	for (i = answered; i < room + 16; i++)
		assert_int_equal(buf[i], CANARY);
	return error ? error : (int)len;
}

static struct pp_answer answer_of(int fd)
{
	struct pp_answer answer;
	socklen_t len = sizeof(answer);

	assert_int_equal(getsockopt(fd, SOL_PP, PP_ORIGIN, &answer, &len), 0);
	assert_int_equal(len, sizeof(answer));
	return answer;
}

static void a_caller_gets_as_much_as_it_has_room_for(void **state)
{
	static const size_t more[] = {WHOLE + 1, 4095, 4096, 4097, 65536};
	static uint8_t buf[65536 + 16];
	int here = listen_on(SERVER, OPEN);
	struct pp_answer whole;
	struct link link;
	size_t room, i;

	(void)state;
	open_link(here, &link);
	send_text(link.client, LINE);
	assert_origin(link.server, LINE_ORIGIN);
	whole = answer_of(link.server);
	assert_int_equal(whole.record.state, PP_STATE_VALID);
	for (room = 0; room <= WHOLE; room++) {
		assert_int_equal(ask(link.server, PP_ORIGIN, buf, room),
				 room < FIRST ? -ENOBUFS : (int)room);
		if (room >= FIRST)
			assert_memory_equal(buf, &whole, room);
		assert_int_equal(ask(link.server, PP_TAKE, buf, room),
				 room < FIRST ? -ENOBUFS : (int)room);
	}
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		assert_int_equal(ask(link.server, PP_ORIGIN, buf, more[i]), WHOLE);
		assert_memory_equal(buf, &whole, WHOLE);
	}
	close_link(&link);
	close(here);
}

static void too_small_a_buffer_takes_nothing(void **state)
{
	int here = listen_on(SERVER, OPEN);
	struct pp_answer answer;
	uint8_t buf[WHOLE + 16];
	struct link link;

	(void)state;
	open_link(here, &link);
	send_text(link.client, LINE PAYLOAD);
	await_acknowledged(link.client);
	assert_int_equal(ask(link.server, PP_TAKE, buf, 0), -ENOBUFS);
	assert_int_equal(ask(link.server, PP_TAKE, buf, 1), -ENOBUFS);
	assert_int_equal(ask(link.server, PP_TAKE, buf, FIRST - 1), -ENOBUFS);
	/* a program of the first version */
	assert_int_equal(ask(link.server, PP_TAKE, buf, FIRST), FIRST);
	memcpy(&answer, buf, FIRST);
	assert_int_equal(answer.record.take, LINE_LEN);
	assert_int_equal(recv(link.server, buf, LINE_LEN, 0), LINE_LEN);
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
	close(here);
}

/* The names that the client's own end has, which no program changes. */
static void assert_ends(int client, const struct pp_origin *origin)
{
	struct sockaddr_storage own, peer;
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	memset(&own, 0, sizeof(own));
	memset(&peer, 0, sizeof(peer));
	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &own_len), 0);
	assert_int_equal(getpeername(client, (struct sockaddr *)&peer, &peer_len), 0);
	assert_memory_equal(&origin->proxy, &own, sizeof(own));
	assert_memory_equal(&origin->proxy_dst, &peer, sizeof(peer));
}

struct ends {
	const char *listens, *proxy, *server;
};

static const struct ends families[] = {
	{SERVER, PROXY, SERVER},
	{SERVER6, PROXY6, SERVER6},
	{"::", PROXY6, SERVER6},
	{"::", PROXY, SERVER}, /* v4-mapped */
};

static void check_ends(unsigned int port, const struct ends *ends)
{
	static const char *const headers[] = {LINE, LINE6, "PROXY UNKNOWN\r\n"};
	int here = listen_on(ends->listens, port), client, server;
	struct pp_origin origin;
	size_t i;

	for (i = 0; i < 3; i++) {
		client = connect_to(ends->proxy, ends->server, port);
		send_text(client, headers[i]);
		send_text(client, PAYLOAD);
		server = accept_within(here, SOON_MS);
		assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
		assert_int_equal(origin.family, i == 0 ? AF_INET : i == 1 ? AF_INET6 : AF_UNSPEC);
		assert_ends(client, &origin);
		memset(&origin, CANARY, sizeof(origin));
		assert_int_equal(pp_lookup(server, &origin), 0);
		assert_ends(client, &origin);
		assert_reads_text(server, PAYLOAD);
		close_both(client, server);
	}
	close(here);
}

static void the_proxys_own_ends_in_each_mode_and_family(void **state)
{
	static const unsigned int ports[] = {OPEN, PORT, SPLIT, TRANSPARENT, BOTH_NAMES};
	size_t i, family;

	(void)state;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		for (family = 0; family < sizeof(families) / sizeof(families[0]); family++)
			check_ends(ports[i], &families[family]);
}

/* What accept() and getpeername() hide, ppctl shows. */
static void ppctl_shows_the_proxy_of_a_transparent_connection(void **state)
{
	int here = listen_on(SERVER, TRANSPARENT), client, server;
	char own[64], wanted[128];
	const char *said;

	(void)state;
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE);
	server = accept_from(here, ORIGIN);
	snprintf(own, sizeof(own), "%s:%u", PROXY, port_of(client));
	said = run(0, "build/bin/ppctl lookup %d %d", getpid(), server);
	assert_says(said, "peer         " ORIGIN "\n");
	snprintf(wanted, sizeof(wanted), "proxy        %s\nproxy_dst    %s:%u\n", own, SERVER,
		 TRANSPARENT);
	assert_says(said, wanted);
	said = run(0, "build/bin/ppctl lookup %d %d --json", getpid(), server);
	snprintf(wanted, sizeof(wanted), "\"proxy\":\"%s\"", own);
	assert_says(said, wanted);
	close_both(client, server);
	close(here);
}

static void an_ordinary_client_is_no_proxy(void **state)
{
	static const struct pp_answer nothing;
	int here = listen_on(SERVER, OPEN), client, server;
	struct pp_answer answer;

	(void)state;
	client = connect_to(OTHER, SERVER, OPEN);
	server = accept_within(here, SOON_MS);
	answer = answer_of(server);
	assert_int_equal(answer.record.state, PP_STATE_NONE);
	assert_memory_equal(&answer.proxy, &nothing.proxy, WHOLE - FIRST);
	assert_null(strstr(run(0, "build/bin/ppctl lookup %d %d", getpid(), server), "proxy"));
	close_both(client, server);
	close(here);
}

static void assert_answers(int fd, uint8_t state, unsigned int port)
{
	struct pp_answer answer = answer_of(fd);

	assert_int_equal(answer.record.state, state);
	assert_int_equal(answer.proxy_family, AF_INET);
	assert_int_equal(ntohs(answer.proxy_port), port);
	assert_int_equal(ntohs(answer.proxy_dst_port), OPEN);
	assert_memory_equal(answer.proxy, "\x7f\0\0\x02\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(answer.proxy_dst, "\x7f\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", 16);
}

/* Without a header, with a bad one, and when the connection is gone. */
static void the_proxy_is_named_in_each_state(void **state)
{
	int here = listen_on(SERVER, OPEN);
	struct pp_origin origin;
	unsigned int port;
	struct link link;
	char byte;

	(void)state;
	open_link(here, &link);
	port = port_of(link.client);
	assert_answers(link.server, PP_STATE_PENDING, port);
	send_text(link.client, "PROXY TCP");
	assert_int_equal(pp_lookup_wait(link.server, &origin, 100), -ETIMEDOUT);
	assert_answers(link.server, PP_STATE_FRAGMENTED, port);
	send_text(link.client, "7");
	assert_int_equal(pp_lookup_wait(link.server, &origin, SOON_MS), -EBADMSG);
	assert_answers(link.server, PP_STATE_BAD, port);
	close_link(&link);

	open_link(here, &link);
	port = port_of(link.client);
	send_text(link.client, LINE);
	assert_origin(link.server, LINE_ORIGIN);
	reset(link.client);
	assert_int_equal(recv(link.server, &byte, 1, 0), -1); /* waits for it */
	assert_answers(link.server, PP_STATE_VALID, port);
	close(link.server);
	close(here);
}

static int connect_scoped(const char *source, unsigned int port)
{
	struct sockaddr_in6 from = {.sin6_family = AF_INET6}, to = from;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin6_scope_id = to.sin6_scope_id = if_nametoindex("lo");
	to.sin6_port = htons(port);
	inet_pton(AF_INET6, source, &from.sin6_addr);
	inet_pton(AF_INET6, "fe80::1", &to.sin6_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

static void a_link_local_proxy_comes_with_its_interface(void **state)
{
	int here = listen_on("::", OPEN), client, server;
	struct pp_origin origin;

	(void)state;
	run(0, "for n in 1 2; do ip -6 addr add fe80::$n/64 dev lo nodad; done");
	run(0, "build/bin/ppctl proxy add fe80::2");
	client = connect_scoped("fe80::2", OPEN);
	send_text(client, LINE);
	server = accept_within(here, SOON_MS);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
	assert_int_equal(((struct sockaddr_in6 *)&origin.proxy)->sin6_scope_id,
			 if_nametoindex("lo"));
	assert_ends(client, &origin);
	close_both(client, server);
	close(here);
}

struct asker {
	int fd;
	size_t room;
	struct pp_answer whole;
	pthread_t thread;
	int wrong;
};

static void *ask_again(void *argument)
{
	struct asker *asker = argument;
	uint8_t buf[4096];
	socklen_t len;
	size_t want;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		len = asker->room;
		want = asker->room < WHOLE ? asker->room : WHOLE;
		if (getsockopt(asker->fd, SOL_PP, i & 1 ? PP_TAKE : PP_ORIGIN, buf, &len) ||
		    len != want || memcmp(buf, &asker->whole, want))
			asker->wrong++;
	}
	return NULL;
}

static void callers_with_different_room_get_the_same_at_once(void **state)
{
	static const size_t rooms[] = {FIRST, FIRST + 1, WHOLE - 1, WHOLE, 4096};
	int here = listen_on(SERVER, OPEN);
	struct asker askers[5];
	struct link link;
	size_t i;

	(void)state;
	open_link(here, &link);
	send_text(link.client, LINE);
	assert_origin(link.server, LINE_ORIGIN);
	for (i = 0; i < 5; i++) {
		askers[i] = (struct asker){
			.fd = link.server, .room = rooms[i], .whole = answer_of(link.server)};
		pthread_create(&askers[i].thread, NULL, ask_again, &askers[i]);
	}
	for (i = 0; i < 5; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].wrong, 0);
	}
	close_link(&link);
	close(here);
}

/* Where the header is read inside send(), in each family. From here on over loopback only the
 * proxy's cgroup is believed. */
static void a_sender_on_this_host_has_its_own_address(void **state)
{
	size_t i;

	(void)state;
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int here = listen_on(families[i].listens, TRANSPARENT), client, server;
		struct pp_origin origin;

		client = proxy_connects(families[i].proxy, families[i].server, TRANSPARENT);
		become_proxy();
		send_text(client, LINE);
		become_server();
		server = accept_within(here, SOON_MS);
		assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
		assert_int_equal(origin.sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
		assert_ends(client, &origin);
		close_both(client, server);
		close(here);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_caller_gets_as_much_as_it_has_room_for),
		cmocka_unit_test(too_small_a_buffer_takes_nothing),
		cmocka_unit_test(the_proxys_own_ends_in_each_mode_and_family),
		cmocka_unit_test(ppctl_shows_the_proxy_of_a_transparent_connection),
		cmocka_unit_test(an_ordinary_client_is_no_proxy),
		cmocka_unit_test(the_proxy_is_named_in_each_state),
		cmocka_unit_test(a_link_local_proxy_comes_with_its_interface),
		cmocka_unit_test(callers_with_different_room_get_the_same_at_once),
		cmocka_unit_test(a_sender_on_this_host_has_its_own_address),
	};

	return cmocka_run_group_tests_name("growth", tests, growth_setup, NULL);
}
