// SPDX-License-Identifier: BSD-2-Clause
/*
 * Proxies in containers, in a network namespace of their own: they are known by their cgroup, and
 * by their address where it is translated; and beside them proxies on other hosts.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "../lib/proxy.h"

static void mixed_with_remote_proxies(void **state)
{
	int listener = listen_on("::", PORT), client, server, ready[2], i;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	child = fork();
	if (child == 0) { /* another host */
		if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1 ||
		    read(ready[1], &byte, 1) != 1)
			_exit(1);
		run(0, "ip addr add 10.50.50.2/24 dev v1; ip link set v1 up");
		for (i = 0; i < 20; i++) {
			client = connect_to("10.50.50.2", "10.50.50.1", PORT);
			send_text(client, LINE6);
			close(client);
		}
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run(0,
	    "ip link add v0 type veth peer name v1 && ip link set v1 netns %d && "
	    "ip addr add 10.50.50.1/24 dev v0 && ip link set v0 up && "
	    "build/bin/ppctl proxy add 10.50.50.2",
	    child);
	assert_int_equal(write(ready[0], "g", 1), 1);
	for (i = 0; i < 20; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		send_text(client, LINE);
		close(client);
	}
	for (i = 0; i < 40; i++) {
		struct pp_record record;
		struct pp_origin origin;

		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
		record = record_of(server);
		/* IPv6 came from the other host */
		assert_int_equal(origin.family == AF_INET, record.path == PP_PATH_SENDER);
		assert_int_equal(origin.family == AF_INET, record.sender_cgroup != 0);
		close(server);
	}
	waitpid(child, NULL, 0);
	run(0, "build/bin/ppctl proxy del 10.50.50.2; ip link del v0 2>/dev/null || true");
	close_both(ready[0], ready[1]);
	close(listener);
}

/* A proxy's container: its own network namespace, connected by veth. Each connection's header says
 * which port it is for. */
static void in_a_container(int ready, const char *address, unsigned int port)
{
	int client;
	char byte;

	if (unshare(CLONE_NEWNET) || write(ready, "r", 1) != 1 || read(ready, &byte, 1) != 1)
		_exit(1);
	become_proxy();
	run(0, "ip addr add 10.50.51.2/24 dev v1; ip link set v1 up; ip link set lo up; "
	       "ip route add 10.60.0.1 via 10.50.51.1");
	client = connect_to("10.50.51.2", address, port);
	send_text(client, LINE "EHLO x\r\n");
	if (read(ready, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

static int container(pid_t *child, int *control, const char *address, unsigned int port,
		     const char *before, int listener)
{
	int ready[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	*child = fork();
	if (*child == 0) {
		close(ready[0]);
		in_a_container(ready[1], address, port);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run(0,
	    "ip link add v0 type veth peer name v1 && ip link set v1 netns %d && "
	    "ip addr add 10.50.51.1/24 dev v0 && ip link set v0 up && %s",
	    *child, before);
	assert_int_equal(write(ready[0], "g", 1), 1);
	*control = ready[0];
	return accept_within(listener, SOON_MS);
}

static void container_ends(pid_t child, int control)
{
	close(control);
	waitpid(child, NULL, 0);
	run(0, "ip link del v0 2>/dev/null || true");
}

static void across_network_namespaces(void **state)
{
	int listener = listen_on("::", PORT), server, control;
	pid_t child;

	(void)state;
	server = container(&child, &control, "10.50.51.1", PORT, "true", listener);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN); /* by its cgroup: the address is not marked */
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	assert_int_equal(record_of(server).sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
	assert_reads_text(server, "EHLO x\r\n");
	close(server);
	container_ends(child, control);
	close(listener);
}

static void behind_address_translation_the_address_counts(void **state)
{
	int listener = listen_on("::", PORT), server, control;
	struct pp_origin origin;
	pid_t child;

	(void)state;
	/* the container connects to 10.60.0.1, and the tuples of the two ends differ */
	run(0,
	    "nft 'add table ip t; add chain ip t pre { type nat hook prerouting priority -100 ; }; "
	    "add rule ip t pre ip daddr 10.60.0.1 dnat to 10.50.51.1'");
	server = container(&child, &control, "10.60.0.1", PORT,
			   "build/bin/ppctl proxy add 10.50.51.2", listener);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).path, PP_PATH_HANDSHAKE);
	assert_int_equal(record_of(server).sender_cgroup, 0);
	assert_reads_text(server, "EHLO x\r\n");
	close(server);
	container_ends(child, control);

	run(0, "build/bin/ppctl proxy del 10.50.51.2"); /* and unmarked, it is a stranger */
	server = container(&child, &control, "10.60.0.1", PORT, "true", listener);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close(server);
	container_ends(child, control);
	run(0, "nft delete table ip t");
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_with_remote_proxies),
		cmocka_unit_test(across_network_namespaces),
		cmocka_unit_test(behind_address_translation_the_address_counts),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender_namespaces", tests, proxy_setup, NULL);
}
