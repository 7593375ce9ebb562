// SPDX-License-Identifier: BSD-2-Clause
/*
 * A marked proxy's connections to another server with a served port's number, which ppsplit does
 * not serve: they stay ordinary TCP connections.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>

#include "../lib/address.h"
#include "../lib/map.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define BANNER	    "220 hello\r\n"
#define BYSTANDER   "127.0.0.9"
#define FAR_ADDRESS "10.9.0.2"
#define ADDRESS	    "10.9.0.1"

/* Several may listen on the same port number, on all addresses and on one. */
static int listens(const char *address, unsigned int port)
{
	struct sockaddr_storage where;
	socklen_t len = address_fill(&where, address, port);
	int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&where, len) || listen(fd, 64))
		fail_msg("%s:%u: %s", address, port, strerror(errno));
	return fd;
}

static int bystander_listens(const char *address, unsigned int port)
{
	int fd;

	become_bystander();
	fd = listens(address, port);
	become_server();
	return fd;
}

/* epoll says so within time, and splice() takes what has come. */
static void assert_splices(int fd, const char *text)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC), pipes[2];
	char got[64] = "";

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, SOON_MS), 1);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(splice(fd, NULL, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK), strlen(text));
	assert_int_equal(read(pipes[0], got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
	close_both(pipes[0], pipes[1]);
	close(epoll);
}

/* The first event that epoll reports for @fd comes with what @other sends. */
static void assert_wakes(int fd, int other, const char *text)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
	send_text(other, text);
	assert_int_equal(epoll_wait(epoll, &event, 1, SOON_MS), 1);
	close(epoll);
	assert_splices(fd, text);
}

/* The proxy's @client and @server, which is not served: nobody has anything to do with them. */
static void assert_left_alone(int client, int server, int server_speaks_first)
{
	assert_int_equal(entries("pp_senders"), 0);
	assert_int_equal(entries("pp_outgoing"), 0);
	if (server_speaks_first)
		assert_wakes(client, server, BANNER);
	send_text(client, LINE);
	assert_int_equal(entries("pp_senders"), 0);
	send_text(client, LINE "EHLO x\r\n");
	assert_reads_text(server, LINE LINE "EHLO x\r\n");
	assert_wakes(client, server, BANNER);
	assert_wakes(server, client, "QUIT\r\n");
	assert_nothing_to_read(server);
	assert_nothing_to_read(client);
	close(client);
	assert_reads_eof(server);
	close(server);
}

static void left_alone(const char *source, const char *address, unsigned int port)
{
	static const struct {
		const char *name;
		long more;
	} counters[] = {
		{"senders", 10}, {"unconfirmed", 10},	{"sent", 0},
		{"unseen", 0},	 {"senders_native", 0},
	};
	enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };
	int listener = bystander_listens(address, port), client, i;
	const char *status = status_text("--json");
	long before[COUNTERS];

	for (i = 0; i < COUNTERS; i++)
		before[i] = counter_in(status, counters[i].name);
	for (i = 0; i < 10; i++) {
		client = proxy_connects(source, address, port);
		assert_left_alone(client, accept_within(listener, SOON_MS), i & 1);
	}
	close(listener);
	status = status_text("--json");
	for (i = 0; i < COUNTERS; i++)
		assert_int_equal(counter_in(status, counters[i].name) - before[i],
				 counters[i].more);
}

/* And the mail server's own connections are served in between. */
static void served(const char *source, const char *address, unsigned int port)
{
	int listener = listen_on(address, port), client, server;
	long sent = counter("sent");

	client = proxy_connects(source, address, port);
	assert_int_equal(entries("pp_senders"), 1);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	assert_reads_text(server, "EHLO x\r\n");
	assert_wakes(client, server, BANNER);
	assert_int_equal(counter("sent"), sent + 1);
	close_both(client, server);
	close(listener);
	assert_empties("pp_senders");
	assert_empties("pp_outgoing");
}

static void a_server_in_another_cgroup_is_left_alone(void **state)
{
	unsigned int ports[] = {PORT, OPEN, DROPPING};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		left_alone(LOCAL, BYSTANDER, ports[i]);
		left_alone(PROXY, BYSTANDER, ports[i]);
		left_alone(OTHER6, OTHER6, ports[i]);
		served(LOCAL, SERVER, ports[i]);
		served(OTHER6, SERVER6, ports[i]);
	}
}

static void a_server_in_another_network_namespace_is_left_alone(void **state)
{
	int here = netns_here(), far = netns_make(), listener, client, server, i;
	long unconfirmed = counter("unconfirmed");

	(void)state;
	netns_connect("v0", here, ADDRESS, far, FAR_ADDRESS);
	netns_enter(far);
	listener = bystander_listens(FAR_ADDRESS, PORT);
	netns_enter(here);
	for (i = 0; i < 10; i++) {
		client = proxy_connects(ADDRESS, FAR_ADDRESS, PORT);
		assert_left_alone(client, accept_within(listener, SOON_MS), i & 1);
	}
	assert_int_equal(counter("unconfirmed"), unconfirmed + 10);
	close(listener);
	/* the other way round, the mail server is served */
	listener = listen_on(ADDRESS, PORT);
	netns_enter(far);
	client = proxy_connects(FAR_ADDRESS, ADDRESS, PORT);
	netns_enter(here);
	assert_int_equal(entries("pp_senders"), 1);
	server = accept_line(listener, client);
	close_both(client, server);
	close(listener);
	assert_int_equal(counter("unconfirmed"), unconfirmed + 10);
	run(0, "ip link del v0");
	close_both(here, far);
}

/* The same loopback addresses, another namespace. */
static void a_server_on_the_same_address_elsewhere_is_left_alone(void **state)
{
	int here = netns_here(), far = netns_make(), served_here, listener, client, i;

	(void)state;
	served_here = listen_on(SERVER, PORT);
	netns_enter(far);
	listener = bystander_listens(SERVER, PORT);
	for (i = 0; i < 10; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		assert_left_alone(client, accept_within(listener, SOON_MS), i & 1);
	}
	netns_enter(here);
	close(served_here);
	served(LOCAL, SERVER, PORT);
	close_both(listener, far);
	close(here);
}

/* A served listener on all addresses, and another's on one of them. */
static void a_listener_on_all_addresses_does_not_confirm_for_another(void **state)
{
	int wildcard, client, server;

	(void)state;
	wildcard = listens("::", PORT);
	left_alone(LOCAL, BYSTANDER, PORT);
	client = proxy_connects(LOCAL, SERVER, PORT);
	server = accept_line(wildcard, client);
	close_both(client, server);
	close(wildcard);
}

static void a_connection_that_is_refused_leaves_nothing_in_the_way(void **state)
{
	int fd, i;

	(void)state;
	for (i = 0; i < 20; i++) {
		become_proxy();
		fd = connect_start(LOCAL, BYSTANDER, PORT); /* nobody listens */
		become_server();
		close(fd);
	}
	assert_int_equal(entries("pp_senders"), 0);
	served(LOCAL, SERVER, PORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_in_another_cgroup_is_left_alone),
		cmocka_unit_test(a_server_in_another_network_namespace_is_left_alone),
		cmocka_unit_test(a_server_on_the_same_address_elsewhere_is_left_alone),
		cmocka_unit_test(a_listener_on_all_addresses_does_not_confirm_for_another),
		cmocka_unit_test(a_connection_that_is_refused_leaves_nothing_in_the_way),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("sender_confirm", tests, proxy_setup, NULL);
}
