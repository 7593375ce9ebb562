// SPDX-License-Identifier: BSD-2-Clause
/*
 * Other tools' sock_ops programs on the same cgroups (selftests/lib/others.bpf.c): one that or-s
 * its callback flags to ours, and one that overwrites them. They keep working, and so do ours.
 */
#include <signal.h>

#include <bpf/bpf.h>

#include "../lib/map.h"
#include "../lib/others.h"
#include "../lib/proxy.h"

#define SPLIT	    2541
#define CONNECTIONS 10

static uint64_t hits(uint32_t what)
{
	int map = bpf_obj_get(OTHERS "/hits");
	uint64_t value = 0;

	assert_true(map >= 0);
	assert_int_equal(bpf_map_lookup_elem(map, &what, &value), 0);
	close(map);
	return value;
}

static void others_attach(const char *program, const char *cgroup)
{
	run(0, "bpftool cgroup attach %s cgroup_sock_ops pinned " OTHERS "/%s multi", cgroup,
	    program);
}

static void programs_up(void)
{
	run(0,
	    "build/bin/ppctl up --cgroup $LAB_CGROUP --port %d --proxy %s --proxy-cgroup "
	    "$LAB_OUTSIDE",
	    PORT, PROXY);
	run(0, "build/bin/ppctl port add %d --gate 0", OPEN);
	run(0, "build/bin/ppctl port add %d --split yes", SPLIT);
}

static int down(void **state)
{
	(void)state;
	run(0, "build/bin/ppctl down >/dev/null 2>&1; "
	       "for cgroup in $LAB_CGROUP $LAB_OUTSIDE; do for program in other rude; do "
	       "bpftool cgroup detach $cgroup cgroup_sock_ops pinned " OTHERS "/$program "
	       ">/dev/null 2>&1; done; done; rm -rf " OTHERS);
	return 0;
}

/* One of the proxy's, which serves mail and ends; the server sends first when it has a split, as
 * mail servers do. */
static void session(unsigned int port)
{
	int listener = listen_on(SERVER, port), client, server;

	become_proxy();
	client = connect_to(LOCAL, SERVER, port);
	send_text(client, LINE);
	become_server();
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	close(listener);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, "QUIT\r\n");
	assert_reads_text(server, "QUIT\r\n");
	close(client);
	assert_reads_eof(server);
	close(server);
}

static void assert_hits(uint32_t what, uint64_t wanted)
{
	int tries;

	for (tries = 0; tries < SOON_MS / 10 && hits(what) < wanted; tries++)
		usleep(10000);
	assert_int_equal(hits(what), wanted);
}

/* @program on the cgroups of server and proxy, attached before ours or after. */
static void beside(const char *program, int before, const unsigned int *ports, size_t count)
{
	size_t sessions = 0, i, k;

	print_message("%s %s ours\n", program, before ? "before" : "after");
	run(0, "bpftool prog loadall build/selftests/others.bpf.o " OTHERS " pinmaps " OTHERS);
	if (!before)
		programs_up();
	others_attach(program, "$LAB_CGROUP");
	others_attach(program, "$LAB_OUTSIDE");
	if (before)
		programs_up();
	for (i = 0; i < count; i++) {
		for (k = 0; k < CONNECTIONS; k++, sessions++)
			session(ports[i]);
	}
	/* at both ends of each connection */
	assert_hits(HIT_ESTABLISHED, 2 * sessions);
	if (!strcmp(program, "other"))
		assert_hits(HIT_CLOSED, 2 * sessions);
	assert_true(hits(HIT_RTT) >= 2 * sessions);
	assert_empties("pp_senders");
	assert_empties("pp_outgoing");
	down(NULL);
}

static void one_that_shares_the_flags(void **state)
{
	static const unsigned int ports[] = {PORT, OPEN, SPLIT};

	(void)state;
	beside("other", 0, ports, 3);
	beside("other", 1, ports, 3);
}

static void one_that_overwrites_the_flags(void **state)
{
	static const unsigned int ports[] = {PORT, OPEN, SPLIT};

	(void)state;
	beside("rude", 0, ports, 3);
	beside("rude", 1, ports, 3);
}

/* Callbacks are lost, so the entries of connections without a header stay: until there is need of
 * their room. */
static void what_lost_callbacks_leave_is_swept(void **state)
{
	int listener, client, i;

	(void)state;
	run(0, "bpftool prog loadall build/selftests/others.bpf.o " OTHERS " pinmaps " OTHERS);
	programs_up();
	others_attach("rude", "$LAB_OUTSIDE");
	listener = listen_on(SERVER, PORT);
	for (i = 0; i < CONNECTIONS; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		reset(client);
	}
	close(listener);
	assert_true(entries("pp_outgoing") <= CONNECTIONS);
	outgoing_fill(600);
	session(PORT);
	assert_true(entries("pp_outgoing") <= CONNECTIONS + 1);
	assert_empties("pp_senders");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_that_shares_the_flags, down),
		cmocka_unit_test_teardown(one_that_overwrites_the_flags, down),
		cmocka_unit_test_teardown(what_lost_callbacks_leave_is_swept, down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
