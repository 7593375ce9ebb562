// SPDX-License-Identifier: BSD-2-Clause
/*
 * Without a gate, the handshake's ACK makes the server's socket, and the header may arrive on
 * another CPU while it does: TCP can be found to have the socket before pp_sockops has run for it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "../lib/address.h"
#include "../lib/proxy.h"

static volatile int to_send = -1, ended;

/* Sends the header the moment that the connection takes it: the ACK has only just left. */
static void *send_at_once(void *unused)
{
	int fd;

	stay_on(1);
	while (!ended) {
		fd = to_send;
		if (fd < 0)
			continue;
		while (send(fd, LINE, LINE_LEN, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && !ended)
			;
		to_send = -1;
	}
	return unused;
}

static int connect_and_send(const char *source)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, SERVER, OPEN);
	int fd = socket(from.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	to_send = fd;
	assert_true(!connect(fd, (struct sockaddr *)&to, to_len) || errno == EINPROGRESS);
	return fd;
}

static void headers_arrive(int listener, const char *source)
{
	int rounds = getenv("PP_SOAK") ? 20000 : 300, client, server, i;

	for (i = 0; i < rounds; i++) {
		client = connect_and_send(source);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, LINE_ORIGIN);
		while (to_send >= 0)
			usleep(10);
		close_both(client, server);
	}
}

static void a_header_beside_the_handshakes_ack(void **state)
{
	int listener = listen_on(SERVER, OPEN);
	pthread_t sender;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	ended = 0;
	assert_int_equal(pthread_create(&sender, NULL, send_at_once, NULL), 0);
	stay_on(0);
	headers_arrive(listener, PROXY);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	become_proxy();
	headers_arrive(listener, LOCAL);
	become_server();
	ended = 1;
	pthread_join(sender, NULL);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_beside_the_handshakes_ack),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("two_cpus", tests, net_setup, NULL);
}
