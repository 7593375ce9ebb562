// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two sets beside one another: hooks on the same interfaces, the same port number with a split, the
 * same proxies, and each with cgroups and a policy of its own. Each takes its own connections, in
 * whichever order the hooks are; what neither serves is treated as with one set.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "../lib/forwarded.h"
#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define SECOND	 "build/bin/ppctl up --pin /sys/fs/bpf/second --cgroup $LAB_CGROUP/../second"
#define UPLINK_2 "10.70.0.3"
#define UPLINK_3 "10.70.0.4"
#define UPLINK_4 "10.70.0.5" /* not forwarded */
#define INSIDE_2 "10.71.0.3"
#define INSIDE_3 "10.71.0.4"
#define SERVER_2 "127.0.0.8"
#define SERVER_3 "127.0.0.9"
#define SERVER_4 "127.0.0.10"
#define THIRD	 "build/bin/ppctl up --pin /sys/fs/bpf/third --cgroup $LAB_CGROUP/../third"

static void enter(const char *name)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/../%s/cgroup.procs", getenv("LAB_CGROUP"), name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static int setup(void **state)
{
	char path[600];

	forwarded_setup(state);
	snprintf(path, sizeof(path), "%s/../second", getenv("LAB_CGROUP"));
	assert_int_equal(mkdir(path, 0755), 0);
	run(0, "ip addr add " UPLINK_2 "/24 dev up0 && ip addr add " UPLINK_3
	       "/24 dev up0 && ip addr add " UPLINK_4 "/24 dev up0");
	run(0,
	    "nft add rule inet nat pre iifname up0 ip daddr " UPLINK_2
	    " tcp dport %d dnat ip to " INSIDE_2 " && "
	    "nft add rule inet nat pre iifname up0 ip daddr " UPLINK_3
	    " tcp dport %d dnat ip to " INSIDE_3,
	    PUBLISHED, PUBLISHED);
	netns_enter(container);
	run(0, "ip addr add " INSIDE_2 "/24 dev down0 && ip addr add " INSIDE_3 "/24 dev down0");
	netns_enter(host);
	run(0, SECOND " --port %d --transparent --gate 30000 --proxy " PROXY_HOST "," PROXY,
	    PUBLISHED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run(0, "build/bin/ppctl down --now --pin /sys/fs/bpf/second");
	return 0;
}

/* A listener whose process is in the cgroup of that name. */
static int serve_in(const char *name, const char *address)
{
	int listener;

	enter(name);
	listener = serve(address, PUBLISHED);
	become_server();
	return listener;
}

static int local_in(const char *name, const char *address)
{
	int listener;

	enter(name);
	listener = listen_on(address, PUBLISHED);
	become_server();
	return listener;
}

/* A whole connection, its header in pieces of @piece bytes. */
static void converse(int listener, int client, size_t piece)
{
	size_t at;
	int server;

	for (at = 0; at < LINE_LEN; at += piece) {
		send_all(client, LINE + at, LINE_LEN - at < piece ? LINE_LEN - at : piece);
		if (piece < LINE_LEN)
			await_acknowledged(client);
	}
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	transfer(client, server, NULL);
	transfer(server, client, NULL);
	shutdown(client, SHUT_WR);
	assert_reads_eof(server);
	close_both(client, server);
}

static void assert_reset(int listener, int client)
{
	char byte;

	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, SOON_MS), 1);
	send(client, LINE, LINE_LEN, MSG_NOSIGNAL);
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS), 1);
	assert_true(recv(client, &byte, 1, 0) <= 0);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close(client);
}

static void published_ports(void **state)
{
	int one = serve_in("inside", CONTAINER), two = serve_in("second", INSIDE_2), i;

	(void)state;
	for (i = 0; i < 3; i++) {
		converse(one, call(PROXY_HOST, UPLINK, PUBLISHED), i ? LINE_LEN : 7);
		converse(two, call(PROXY_HOST, UPLINK_2, PUBLISHED), i ? LINE_LEN : 7);
	}
	close_both(one, two);
}

/* As engines have them, so that nothing else takes the port. */
static void published_ports_with_placeholders(void **state)
{
	int all = local_in("outside", "0.0.0.0");

	published_ports(state);
	close(all);
}

/* The balancer's own connections to it, too. */
static void a_container_of_neither(void **state)
{
	int listener = serve_in("outside", INSIDE_3), client, server;

	(void)state;
	client = call(PROXY_HOST, UPLINK_3, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_peer_address(server, PROXY_HOST);
	assert_reads_text(server, LINE PAYLOAD);
	close_both(client, server);
	close(listener);
}

static void in_one_network_namespace(void **state)
{
	int one = local_in("inside", SERVER), two = local_in("second", SERVER_2), i;

	(void)state;
	for (i = 0; i < 3; i++) {
		converse(one, connect_to(PROXY, SERVER, PUBLISHED), i ? LINE_LEN : 7);
		converse(two, connect_to(PROXY, SERVER_2, PUBLISHED), i ? LINE_LEN : 7);
	}
	close_both(one, two);
}

static void under_syn_cookies(void **state)
{
	int one, two;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	one = local_in("inside", SERVER);
	two = local_in("second", SERVER_2);
	converse(one, connect_to(PROXY, SERVER, PUBLISHED), LINE_LEN);
	converse(two, connect_to(PROXY, SERVER_2, PUBLISHED), LINE_LEN);
	close_both(one, two);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

static void a_service_of_neither_gets_no_proxy(void **state)
{
	int one = local_in("inside", SERVER), three = local_in("outside", SERVER_3);

	(void)state;
	converse(one, connect_to(PROXY, SERVER, PUBLISHED), LINE_LEN);
	assert_reset(three, connect_start(PROXY, SERVER_3, PUBLISHED));
	close_both(one, three);
}

/* What the server of a set without this port gets: the same as without ppsplit. */
static void assert_untouched(int listener, int client)
{
	struct pp_origin origin;
	int server;

	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_peer_address(server, PROXY_HOST);
	assert_reads_text(server, LINE PAYLOAD);
	transfer(client, server, NULL);
	transfer(server, client, NULL);
	close_both(client, server);
}

/* In a cgroup of a set that serves another port alone, with each of its policies: no origin, and no
 * reset. */
static void a_port_that_the_listeners_own_set_does_not_serve(void **state)
{
	static const char *const policies[] = {"--split no", "--split yes", "--transparent"};
	int contained, local, one = local_in("inside", SERVER);
	char path[600];
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s/../third", getenv("LAB_CGROUP"));
	assert_int_equal(mkdir(path, 0755), 0);
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		run(0, THIRD " --port 587 %s --proxy " PROXY_HOST, policies[i]);
		contained = serve_in("third", INSIDE_3);
		local = local_in("third", UPLINK_4);
		assert_untouched(contained, call(PROXY_HOST, UPLINK_3, PUBLISHED));
		assert_untouched(local, call(PROXY_HOST, UPLINK_4, PUBLISHED));
		converse(one, connect_to(PROXY, SERVER, PUBLISHED), LINE_LEN);
		close_both(contained, local);
		run(0, "build/bin/ppctl down --now --pin /sys/fs/bpf/third");
	}
	close(one);
}

static void assert_status(const char *line, int finding)
{
	const char *text = run(1, "build/bin/ppctl status"); /* of other ports, at least */

	if (!strstr(text, line))
		fail_msg("no '%s' in: %s", line, text);
	assert_int_equal(strstr(text, " is not served: ") != NULL, finding);
}

/* And says where a port is missing. */
static void status_tells_another_sets_listeners_apart(void **state)
{
	int one = local_in("inside", SERVER), two = local_in("second", SERVER_2), three;

	(void)state;
	assert_status(SERVER_2 ":2540  served by the set /sys/fs/bpf/second\n", 0);
	run(0, THIRD " --port 587 --proxy " PROXY_HOST);
	three = local_in("third", SERVER_4);
	assert_status("the listener " SERVER_4 ":2540 is not served: the set /sys/fs/bpf/third, "
		      "which has its cgroup, has not this port",
		      1);
	assert_status(SERVER_4 ":2540  NOT SERVED: the set /sys/fs/bpf/third, ", 1);
	run(0, "build/bin/ppctl port add --pin /sys/fs/bpf/third %d", PUBLISHED);
	assert_status(SERVER_4 ":2540  served by the set /sys/fs/bpf/third\n", 0);
	run(0, "build/bin/ppctl down --now --pin /sys/fs/bpf/third");
	close_both(one, two);
	close(three);
}

/* A late segment of a connection that both have forgotten is still reset. */
static void a_listener_that_is_new(void **state)
{
	int two = local_in("second", SERVER_2), client, server;

	(void)state;
	client = connect_to(PROXY, SERVER_2, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(two, SOON_MS);
	assert_reads_text(server, PAYLOAD);
	reset(server);
	close(two);
	two = local_in("second", SERVER_2);
	assert_true(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS) == 1);
	converse(two, connect_to(PROXY, SERVER_2, PUBLISHED), LINE_LEN);
	close_both(client, two);
}

/* Whoever is an outsider for one of them may be the other's proxy. */
static void with_a_proxy_cgroup(void **state)
{
	int one = local_in("inside", SERVER), two = local_in("second", SERVER_2);

	(void)state;
	run(0, SECOND " --proxy-cgroup $LAB_OUTSIDE");
	converse(one, connect_to(PROXY, SERVER, PUBLISHED), LINE_LEN);
	converse(two, proxy_connects(LOCAL, SERVER_2, PUBLISHED), LINE_LEN);
	run(0, "build/bin/ppctl proxy-cgroup del --pin /sys/fs/bpf/second $LAB_OUTSIDE");
	close_both(one, two);
}

/* The first one's hooks go, and come back after the other's. */
static void in_the_other_order(void **state)
{
	run(0, "build/bin/ppctl down --now");
	run(0,
	    "build/bin/ppctl up --cgroup $LAB_CGROUP --port %d --transparent --proxy " PROXY_HOST
	    "," PROXY,
	    PUBLISHED);
	published_ports(state);
	in_one_network_namespace(state);
	with_a_proxy_cgroup(state);
	a_service_of_neither_gets_no_proxy(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_ports),
		cmocka_unit_test(published_ports_with_placeholders),
		cmocka_unit_test(a_container_of_neither),
		cmocka_unit_test(in_one_network_namespace),
		cmocka_unit_test(under_syn_cookies),
		cmocka_unit_test(a_service_of_neither_gets_no_proxy),
		cmocka_unit_test(a_port_that_the_listeners_own_set_does_not_serve),
		cmocka_unit_test(status_tells_another_sets_listeners_apart),
		cmocka_unit_test(a_listener_that_is_new),
		cmocka_unit_test(with_a_proxy_cgroup),
		cmocka_unit_test(in_the_other_order),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("beside", tests, setup, teardown);
}
