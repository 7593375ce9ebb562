// SPDX-License-Identifier: BSD-2-Clause
/*
 * A server that listens for Multipath TCP (Go's do, and whatever mptcpize starts). Proxies get
 * plain TCP: the one that asks for more gets no answer until it falls back; with a split it gets it
 * at once.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

#include "../lib/address.h"
#include "../lib/name.h"
#include "../lib/proxy.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define TRANSPARENT 2532
#define LATER	    "127.0.0.4" /* becomes a marked proxy */
#define LATER6	    "fd00:5050::3"
#define BLACKHOLE   "net/mptcp/blackhole_timeout"
#define FALLBACK_MS 120000 /* Linux falls back with its second or third SYN, after 3 or 7 s */

static const unsigned int ports[] = {PORT, OPEN, TRANSPARENT};
static int listeners[3], quick_listener, listener6, no_mptcp, falls_back;

static int listen_multipath(const char *address, unsigned int port)
{
	struct sockaddr_storage where;
	socklen_t len = address_fill(&where, address, port);
	int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&where, len) || listen(fd, 128))
		fail_msg("%s:%u: %s", address, port, strerror(errno));
	return fd;
}

static int setup(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), i;

	net_setup(state);
	if (fd < 0) {
		no_mptcp = errno;
		return 0;
	}
	close(fd);
	/* since 6.12 a client falls back, and after that asks for no multipath for an hour */
	falls_back = access("/proc/sys/" BLACKHOLE, W_OK) == 0;
	if (falls_back)
		sysctl_set(BLACKHOLE, "0");
	run(0, "build/bin/ppctl port add %d --transparent --gate 120000", TRANSPARENT);
	for (i = 0; i < 3; i++)
		listeners[i] = listen_multipath(SERVER, ports[i]);
	quick_listener = listen_multipath(SERVER, QUICK);
	listener6 = listen_multipath(SERVER6, PORT);
	return 0;
}

static void need_mptcp(void)
{
	if (no_mptcp)
		skip_because("this kernel has no Multipath TCP: %s", strerror(no_mptcp));
}

/* Starts a connection that asks for Multipath TCP. */
static int connect_multipath(const char *source, const char *address, unsigned int port)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, address, port);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_MPTCP);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	if (connect(fd, (struct sockaddr *)&to, to_len) && errno != EINPROGRESS)
		fail_msg("connect to %s:%u: %s", address, port, strerror(errno));
	return fd;
}

static void await_connected(int fd)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int failed = 0;

	assert_int_equal(poll(&out, 1, FALLBACK_MS), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len), 0);
	assert_int_equal(failed, 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/* Return: IPPROTO_TCP or IPPROTO_MPTCP. */
static int protocol_of(int fd)
{
	socklen_t len = sizeof(int);
	int protocol = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len), 0);
	return protocol;
}

static void check_proxy(int client, int listener, unsigned int port)
{
	int server;

	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(protocol_of(server), IPPROTO_TCP);
	if (port == TRANSPARENT)
		assert_peer_address(server, "192.0.2.7");
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void a_proxy_that_speaks_plain_tcp(void **state)
{
	long dropped;
	int i;

	(void)state;
	need_mptcp();
	dropped = counter("dropped_mptcp");
	for (i = 0; i < 3; i++)
		check_proxy(connect_to(PROXY, SERVER, ports[i]), listeners[i], ports[i]);
	check_proxy(connect_to(PROXY6, SERVER6, PORT), listener6, PORT);
	assert_int_equal(counter("dropped_mptcp"), dropped);
}

/* Before Linux 6.12, each SYN of a client asks again, so its connect() times out. */
static void no_connection_without_fallback(void)
{
	int i;

	if (falls_back)
		return;
	for (i = 0; i < 3; i++)
		assert_int_equal(accept_within(listeners[i], A_WHILE_MS), -ETIMEDOUT);
	skip_because("this kernel's clients never fall back to plain TCP (before Linux 6.12)");
}

/* Its SYNs are dropped until one comes without the option. */
static void a_proxy_that_asks_for_multipath_falls_back(void **state)
{
	int64_t start = now_ms();
	int clients[4], i;
	long dropped;

	(void)state;
	need_mptcp();
	dropped = counter("dropped_mptcp");
	for (i = 0; i < 3; i++)
		clients[i] = connect_multipath(PROXY, SERVER, ports[i]);
	clients[3] = connect_multipath(PROXY6, SERVER6, PORT);
	no_connection_without_fallback();
	for (i = 0; i < 4; i++)
		await_connected(clients[i]);
	print_message("# fell back after %lld ms\n", (long long)(now_ms() - start));
	assert_true(counter("dropped_mptcp") >= dropped + 3);
	for (i = 0; i < 3; i++)
		check_proxy(clients[i], listeners[i], ports[i]);
	check_proxy(clients[3], listener6, PORT);
}

/* It says nothing, and there is no request that the usual way leads to. */
static void the_gates_time_runs_out_for_a_silent_proxy(void **state)
{
	struct pp_origin origin;
	int client, server;
	long expired;

	(void)state;
	need_mptcp();
	expired = counter("gates_expired");
	client = connect_to(PROXY, SERVER, QUICK);
	assert_int_equal(accept_within(quick_listener, A_WHILE_MS), -ETIMEDOUT);
	server = accept_within(quick_listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ETIMEDOUT);
	assert_int_equal(counter("gates_expired"), expired + 1);
	close_both(client, server);
}

static void check_stranger(int client, int listener, int protocol)
{
	struct pp_origin origin;
	int server;

	await_connected(client);
	send_text(client, PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(protocol_of(server), protocol);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_peer_address(server, OTHER);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

static void who_is_not_marked_gets_multipath(void **state)
{
	long dropped;
	int i;

	(void)state;
	need_mptcp();
	dropped = counter("dropped_mptcp");
	for (i = 0; i < 3; i++) {
		check_stranger(connect_multipath(OTHER, SERVER, ports[i]), listeners[i],
			       IPPROTO_MPTCP);
		check_stranger(connect_to(OTHER, SERVER, ports[i]), listeners[i], IPPROTO_TCP);
	}
	assert_int_equal(counter("dropped_mptcp"), dropped);
}

/* Multipath was agreed on before the peer became a proxy: what it sends passed no program. */
static void a_connection_older_than_the_mark_is_bad(void **state)
{
	int clients[4], servers[4], i;
	struct pp_origin origin;

	(void)state;
	need_mptcp();
	for (i = 0; i < 3; i++)
		clients[i] = connect_multipath(LATER, SERVER, ports[i]);
	clients[3] = connect_multipath(LATER6, SERVER6, PORT);
	for (i = 0; i < 4; i++) {
		await_connected(clients[i]);
		send_text(clients[i], LINE PAYLOAD);
		servers[i] = accept_within(i < 3 ? listeners[i] : listener6, SOON_MS);
		assert_true(servers[i] >= 0);
		assert_int_equal(protocol_of(servers[i]), IPPROTO_MPTCP);
		assert_int_equal(pp_lookup(servers[i], &origin), -ENOENT);
	}
	run(0, "build/bin/ppctl proxy add %s %s", LATER, LATER6);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pp_lookup(servers[i], &origin), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_MPTCP);
		assert_int_equal(pp_lookup_wait(servers[i], &origin, -1), -EBADMSG);
		assert_int_equal(origin.reason, PP_BAD_MPTCP);
		assert_int_equal(pp_tlvs(servers[i], &origin, sizeof(origin)), -ENODATA);
		if (i < 3 && ports[i] == TRANSPARENT)
			assert_peer_address(servers[i], "192.0.0.8");
		assert_reads_text(servers[i], LINE PAYLOAD);
	}
	run(0, "build/bin/ppctl proxy del %s %s", LATER, LATER6);
	for (i = 0; i < 4; i++)
		close_both(clients[i], servers[i]);
}

/* With a proxy cgroup nobody gets multipath, since an MPTCP socket has no record that would tell
 * a stranger from a proxy. */
static void with_a_proxy_cgroup_everybody_falls_back(void **state)
{
	int proxies[3], strangers[3], outsiders[2], server, i;
	int64_t start = now_ms();
	struct pp_origin origin;
	long dropped;

	(void)state;
	need_mptcp();
	dropped = counter("dropped_mptcp");
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	become_proxy();
	for (i = 0; i < 3; i++)
		proxies[i] = connect_multipath(LOCAL, SERVER, ports[i]);
	become_server();
	for (i = 0; i < 3; i++)
		strangers[i] = connect_multipath(OTHER, SERVER, ports[i]);
	for (i = 0; i < 2; i++) /* a marked address, but not in the cgroup */
		outsiders[i] = connect_multipath(PROXY, SERVER, ports[i]);
	no_connection_without_fallback();
	for (i = 0; i < 3; i++)
		await_connected(proxies[i]);
	print_message("# fell back after %lld ms\n", (long long)(now_ms() - start));
	assert_true(counter("dropped_mptcp") >= dropped + 2);
	for (i = 0; i < 2; i++) {
		await_connected(outsiders[i]);
		send_text(outsiders[i], LINE);
	}
	/* what has been accepted so far, and what comes, in any order */
	for (i = 0; i < 3; i++) {
		int left = i < 2 ? 3 : 2, seen = 0;

		send_text(proxies[i], LINE PAYLOAD);
		await_connected(strangers[i]);
		send_text(strangers[i], PAYLOAD);
		while (left--) {
			server = accept_within(listeners[i], SOON_MS);
			assert_true(server >= 0);
			assert_int_equal(protocol_of(server), IPPROTO_TCP);
			switch (lookup_settled(server, &origin)) {
			case 0:
				seen |= 1;
				assert_origin(server, LINE_ORIGIN);
				assert_int_equal(origin.sender_cgroup,
						 cgroup_id(getenv("LAB_OUTSIDE")));
				if (ports[i] == TRANSPARENT)
					assert_peer_address(server, "192.0.2.7");
				break;
			case -ENOENT:
				seen |= 2;
				assert_peer_address(server, OTHER);
				break;
			case -EBADMSG:
				seen |= 4;
				assert_int_equal(origin.reason, PP_BAD_SENDER);
				break;
			}
			if (origin.reason != PP_BAD_SENDER)
				assert_reads_text(server, PAYLOAD);
			close(server);
		}
		assert_int_equal(seen, i < 2 ? 7 : 3);
	}
	for (i = 0; i < 3; i++)
		close_both(proxies[i], strangers[i]);
	close_both(outsiders[0], outsiders[1]);
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxy_that_speaks_plain_tcp),
		cmocka_unit_test(the_gates_time_runs_out_for_a_silent_proxy),
		cmocka_unit_test(who_is_not_marked_gets_multipath),
		cmocka_unit_test(a_connection_older_than_the_mark_is_bad),
		/* these may leave SYNs behind that come again and are counted */
		cmocka_unit_test(a_proxy_that_asks_for_multipath_falls_back),
		cmocka_unit_test(with_a_proxy_cgroup_everybody_falls_back),
	};

	return cmocka_run_group_tests_name("mptcp", tests, setup, NULL);
}
