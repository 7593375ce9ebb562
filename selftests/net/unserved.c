// SPDX-License-Identifier: BSD-2-Clause
/*
 * A listener with the number of a port with a split that is in no served cgroup: another service,
 * or the unit's own after a restart, when its cgroup was made anew and has no programs. Whoever
 * would take the proxy for its client, or find the header in its stream, gets no connection of a
 * proxy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "../lib/proxy.h"

#define TRANSPARENT 2540
#define SPLIT	    2541

static const unsigned int ports[] = {TRANSPARENT, SPLIT};

static int setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	run(0, "build/bin/ppctl port add %d --split yes --on-bad tell", SPLIT);
	return 0;
}

/* The proxy's connection ends with a reset, and nobody accepts it. */
static void assert_refused(int listener, const char *from, const char *to, unsigned int port)
{
	long unserved = counter("unserved");
	int client, server, error = 0;
	socklen_t len = sizeof(error);

	client = connect_start(from, to, port);
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, SOON_MS), 1);
	send(client, LINE PAYLOAD, LINE_LEN + sizeof(PAYLOAD) - 1, MSG_NOSIGNAL);
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS), 1);
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	/* ECONNREFUSED and EPIPE: it came before the handshake, or the send, was seen to end */
	if (error && error != ECONNRESET && error != ECONNREFUSED && error != EPIPE)
		fail_msg("port %u: %s", port, strerror(error));
	assert_true(recv(client, (char[1]){0}, 1, MSG_DONTWAIT) <= 0);
	server = accept_within(listener, A_WHILE_MS);
	if (server >= 0)
		fail_msg("port %u: a connection", port);
	assert_true(counter("unserved") > unserved);
	close(client);
}

static void assert_served(int listener, const char *from, const char *to, unsigned int port)
{
	int client = connect_to(from, to, port), server;

	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

static void another_service_gets_no_proxy_for_its_client(void **state)
{
	static const char *const addresses[][2] = {{PROXY, SERVER}, {PROXY6, SERVER6}};
	int listener;
	size_t i, j;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 2; j++) {
			become_bystander();
			listener = listen_on(addresses[j][1], ports[i]);
			become_server();
			assert_refused(listener, addresses[j][0], addresses[j][1], ports[i]);
			close(listener);
		}
	}
}

static void strangers_are_its_own_business(void **state)
{
	int listener, client, server;

	(void)state;
	become_bystander();
	listener = listen_on(SERVER, TRANSPARENT);
	client = connect_to(OTHER, SERVER, TRANSPARENT);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_reads_text(server, LINE PAYLOAD);
	become_server();
	close_both(client, server);
	close(listener);
}

/* On different addresses, at the same time. */
static void each_listener_for_itself(void **state)
{
	int ours, theirs, i;

	(void)state;
	ours = listen_on(SERVER, TRANSPARENT);
	become_bystander();
	theirs = listen_on("127.0.0.9", TRANSPARENT);
	become_server();
	for (i = 0; i < 3; i++) {
		assert_served(ours, PROXY, SERVER, TRANSPARENT);
		assert_refused(theirs, PROXY, "127.0.0.9", TRANSPARENT);
	}
	close_both(ours, theirs);
}

static void under_syn_cookies(void **state)
{
	int ours, theirs;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	ours = listen_on(SERVER, TRANSPARENT);
	become_bystander();
	theirs = listen_on("127.0.0.9", TRANSPARENT);
	become_server();
	assert_served(ours, PROXY, SERVER, TRANSPARENT);
	assert_refused(theirs, PROXY, "127.0.0.9", TRANSPARENT);
	close_both(ours, theirs);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

static void enter(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

/* As systemd restarts a unit: the cgroup goes, and another one comes under its name. */
static void a_restarted_unit(void **state)
{
	char cgroup[512], procs[600];
	int listener;

	(void)state;
	run(0, "build/bin/ppctl down");
	snprintf(cgroup, sizeof(cgroup), "%s/../unit", getenv("LAB_CGROUP"));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
	assert_int_equal(mkdir(cgroup, 0755), 0);
	run(0, "build/bin/ppctl up --cgroup %s --port %d --transparent --proxy %s", cgroup,
	    TRANSPARENT, PROXY);
	enter(procs);
	listener = listen_on(SERVER, TRANSPARENT);
	assert_served(listener, PROXY, SERVER, TRANSPARENT);
	close(listener);
	become_server();
	assert_int_equal(rmdir(cgroup), 0);
	assert_int_equal(mkdir(cgroup, 0755), 0);
	enter(procs);
	listener = listen_on(SERVER, TRANSPARENT);
	assert_refused(listener, PROXY, SERVER, TRANSPARENT);
	run(0, "build/bin/ppctl up --cgroup %s", cgroup);
	assert_served(listener, PROXY, SERVER, TRANSPARENT);
	close(listener);
	become_server();
	run(0, "build/bin/ppctl down --now");
	assert_int_equal(rmdir(cgroup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_service_gets_no_proxy_for_its_client),
		cmocka_unit_test(strangers_are_its_own_business),
		cmocka_unit_test(each_listener_for_itself),
		cmocka_unit_test(under_syn_cookies),
		cmocka_unit_test(a_restarted_unit),
	};

	return cmocka_run_group_tests_name("unserved", tests, setup, NULL);
}
