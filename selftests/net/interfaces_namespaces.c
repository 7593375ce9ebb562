// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split's hooks in several network namespaces: each has its own, and its pins end with it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>

#include "../lib/interfaces.h"
#include "../lib/map.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define LONG_HEADER "PROXY TCP4 192.0.2.107 198.51.100.101 47110 2525\r\n"
#define LONG_ORIGIN "PROXY v1 TCP 192.0.2.107:47110 -> 198.51.100.101:2525"

/* A process in this network namespace: by it ppctl finds the way there. */
static pid_t stay_here(void)
{
	pid_t child = fork();

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pause();
	_exit(0);
}

/* Without the namespace in the key the second connection's header length would go for the first
 * one. */
static void the_same_loopback_connection_in_two_namespaces(void **state)
{
	static const char *const headers[] = {LINE, LONG_HEADER}, *const origins[] = {LINE_ORIGIN,
										      LONG_ORIGIN};
	int netns[2], listener[2], client[2], server[2], round, i;
	pid_t inside[2];

	(void)state;
	for (i = 0; i < 2; i++) {
		netns[i] = netns_make();
		netns_enter(netns[i]);
		inside[i] = stay_here();
		run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
		listener[i] = listen_on(SERVER, SPLIT);
		client[i] = connect_from(PROXY, 40000, SERVER, SPLIT);
	}
	for (i = 0; i < 2; i++)
		send_text(client[i], headers[i]);
	for (i = 0; i < 2; i++) {
		server[i] = accept_within(listener[i], SOON_MS);
		assert_true(server[i] >= 0);
		assert_origin(server[i], origins[i]);
	}
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 2; i++)
			exchange(client[i], server[i], 10 * round + i);
	}
	assert_int_equal(entries("pp_flows"), 2);
	for (i = 0; i < 2; i++) {
		shutdown(client[i], SHUT_WR);
		assert_reads_eof(server[i]);
		close_both(client[i], server[i]);
		close(listener[i]);
	}
	/* from outside: what is elsewhere is told, and goes from there, too */
	netns_enter(home);
	assert_says(status_text(""), "other network namespaces\n  cookie ");
	assert_says(status_text(""), "NO HOOKS"); /* this process is served, and is here */
	assert_says(status_text("--json"), "\"loaded\":true");
	run(0, PPCTL "port del %d", SPLIT);
	for (i = 0; i < 2; i++) {
		netns_enter(netns[i]);
		assert_bare("lo");
		if (!has_tcx())
			assert_null(strstr(run(0, "tc qdisc show dev lo"), "clsact"));
		end(inside[i]);
		close(netns[i]);
	}
}

/* A namespace ends with all that is in it: so do its pins, at the next look. */
static void a_namespace_that_ends_leaves_no_pins(void **state)
{
	int gone = netns_make(), tries;

	(void)state;
	netns_enter(gone);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	netns_enter(home);
	close(gone);
	for (tries = 0; tries < SOON_MS / 100; tries++) { /* it takes a while */
		run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
		if (!strstr(status_text(""), "other network namespaces"))
			break;
		usleep(100000);
	}
	assert_true(tries < SOON_MS / 100);
	run(0, "test $(ls $LAB_BPFFS/pp/progs | grep -cE '^pp_(in|out)_') = 2");
	run(0, "test $(ls $LAB_BPFFS/pp/links | grep -cE '^pp_(tcx|clsact)_') = %d",
	    has_tcx() ? 2 : 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_loopback_connection_in_two_namespaces),
		TEST(a_namespace_that_ends_leaves_no_pins),
	};

	return run_share("interfaces_namespaces", tests, interfaces_setup, NULL);
}
