// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two versions of ppctl whose programs differ (selftests/next), and connections that live across:
 * the later one takes over, and the earlier one again; where the maps mean something else, each
 * refuses what the other has made, by name.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <signal.h>

#include <bpf/bpf.h>

#include "../lib/bulk.h"
#include "../lib/name.h"
#include "../lib/proxy.h"
#include "../lib/served.h"

#define NEXT  "build/selftests/next/next/ppctl "  /* programs that differ, on the same maps */
#define NEWER "build/selftests/next/newer/ppctl " /* another version of the maps, too */
#define MAIL  PIN "/mail"
#define CONF  "/tmp/mail.conf"
#define HALF  (LINE_LEN / 2)

/* Keys of pp_next: the programs, in the order of pp.bpf.c. */
enum { GATE, IN, OUT = 3, SOCKOPS = 5, GETSOCKOPT, GETPEER4, SENDER = 11, MSG, EGRESS = 15 };

static int peek_listener;

static int setup_with(const char *ppctl)
{
	/* what waits for a header waits while a slow machine replaces programs */
	sysctl_set("net/ipv4/tcp_synack_retries", "10");
	run(0,
	    "printf '[serve mail]\\ncgroup = %%s\\nport = %d gate=120s\\nport = %d transparent=yes "
	    "gate=120s\\nproxy = %s\\n' $LAB_CGROUP >" CONF,
	    PORT, TRANSPARENT, PROXY);
	run(0, "%s apply " CONF, ppctl);
	served_listener = listen_on(SERVER, TRANSPARENT);
	peek_listener = listen_on(SERVER, PORT);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with("build/bin/ppctl");
}

static int setup_newer(void **state)
{
	(void)state;
	return setup_with(NEWER);
}

static int teardown(void **state)
{
	(void)state;
	close_both(served_listener, peek_listener);
	run(0, "build/bin/ppctl --pin " MAIL " down --now");
	return 0;
}

/* How often a program of the later version has run; -1: there is none. */
static long runs(__u32 program)
{
	int map = bpf_obj_get(MAIL "/maps/pp_next");
	uint64_t value = 0;

	if (map < 0)
		return -1;
	assert_int_equal(bpf_map_lookup_elem(map, &program, &value), 0);
	close(map);
	return value;
}

static long runs_of_all(void)
{
	static const __u32 programs[] = {GATE, IN, OUT, SOCKOPS, GETSOCKOPT, GETPEER4, EGRESS};
	long all = 0;
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		all += runs(programs[i]);
	return all;
}

/* Connections at each of their stages. */
struct living {
	struct link link;     /* its header was taken out; and each way there is traffic */
	struct link unasked;  /* its header is in the stream, and nobody has asked */
	struct link asked;    /* somebody has */
	int waiting, partial; /* no header yet; half a header for the split port */
	struct bulk *bulk;
};

static void open_peek(struct link *link)
{
	link->client = connect_to(PROXY, SERVER, PORT);
	send_text(link->client, LINE PAYLOAD);
	link->server = accept_within(peek_listener, SOON_MS);
	assert_true(link->server >= 0);
}

static void begin(struct living *living)
{
	open_transparent(&living->link);
	living->bulk = bulk_begin(living->link.client, living->link.server);
	open_peek(&living->unasked);
	open_peek(&living->asked);
	assert_origin(living->asked.server, LINE_ORIGIN);
	living->waiting = connect_to(PROXY, SERVER, PORT);
	living->partial = connect_to(PROXY, SERVER, TRANSPARENT);
	send_all(living->partial, LINE, HALF);
	await_acknowledged(living->partial);
}

static void end(struct living *living)
{
	struct link late;

	bulk_go_on(living->bulk, SOME);
	bulk_end(living->bulk);
	close_link(&living->link);
	assert_origin(living->unasked.server, LINE_ORIGIN);
	assert_reads_text(living->unasked.server, PAYLOAD);
	close_link(&living->unasked);
	assert_origin(living->asked.server, LINE_ORIGIN);
	assert_reads_text(living->asked.server, PAYLOAD);
	close_link(&living->asked);
	late.client = living->waiting;
	late.server = accept_line(peek_listener, late.client);
	close_link(&late);
	send_all(living->partial, LINE PAYLOAD + HALF, LINE_LEN - HALF + PAYLOAD_LEN);
	late.client = living->partial;
	late.server = accept_within(served_listener, SOON_MS);
	assert_true(late.server >= 0);
	assert_reads_text(late.server, PAYLOAD);
	close_link(&late);
}

/* @ppctl replaces the programs of a set that the other version has made, or replaced last. */
static void replaces(const char *ppctl, const char *command)
{
	char before[4096], after[4096];
	struct living living;
	long connections;

	begin(&living);
	connections = counter("connections");
	hooks_ids(MAIL, before, sizeof(before));
	run(0, "%s --json %s", ppctl, command);
	hooks_ids(MAIL, after, sizeof(after));
	assert_hooks_replaced(before, after);
	bulk_go_on(living.bulk, SOME);
	assert_served();
	end(&living);
	if (counter("connections") <= connections)
		fail_msg("the counters begin anew");
	if (*run(0, "%s apply " CONF, ppctl))
		fail_msg("a difference is left");
	run(0, "%s status", ppctl);
}

static void a_later_version_takes_over_and_an_earlier_one_again(void **state)
{
	static const __u32 run_by_now[] = {GATE, IN, OUT, SOCKOPS, GETSOCKOPT, GETPEER4, EGRESS};
	long before;
	size_t i;

	(void)state;
	assert_int_equal(runs(GATE), -1);
	assert_says(run(0, NEXT "apply --dry-run " CONF), "~ programs of another build (mail)\n");
	replaces(NEXT, "apply " CONF);
	for (i = 0; i < sizeof(run_by_now) / sizeof(run_by_now[0]); i++) {
		if (runs(run_by_now[i]) <= 0)
			fail_msg("program %u of the later version has not run", run_by_now[i]);
	}
	run(0, "[ -e " MAIL "/links/pp_egress ]");

	replaces("build/bin/ppctl", "apply " CONF);
	run(0, "[ ! -e " MAIL "/links/pp_egress ]");
	before = runs_of_all();
	assert_served();
	assert_int_equal(runs_of_all(), before);
	replaces(NEXT, "--pin " MAIL " upgrade");
	if (runs_of_all() <= before)
		fail_msg("no program of the later version has run after 'ppctl upgrade'");
}

static int setup_local(void **state)
{
	setup(state);
	run(0, "echo proxy-cgroup = $LAB_OUTSIDE >>" CONF " && build/bin/ppctl apply " CONF);
	return 0;
}

static void assert_served_from_here(int client)
{
	struct link link = {.client = client};

	link.server = accept_within(served_listener, SOON_MS);
	assert_true(link.server >= 0);
	assert_peer_address(link.server, "192.0.2.7");
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
}

/* A proxy on this host: its connections are in a sockmap, to which programs are attached. */
static void a_proxys_sockets_on_this_host_live_across_versions(void **state)
{
	static const char *const ppctl[] = {NEXT, "build/bin/ppctl ", NEXT};
	long senders, sent;
	int partial;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ppctl) / sizeof(ppctl[0]); i++) {
		partial = proxy_connects(LOCAL, SERVER, TRANSPARENT);
		send_all(partial, LINE, HALF);
		assert_says(run(0, "%sapply " CONF, ppctl[i]), "~ programs of another build");
		send_all(partial, LINE PAYLOAD + HALF, LINE_LEN - HALF + PAYLOAD_LEN);
		assert_served_from_here(
			partial); /* by the pp_msg that was there at its connect() */
		senders = runs(SENDER);
		sent = runs(MSG);
		partial = proxy_connects(LOCAL, SERVER, TRANSPARENT);
		send_text(partial, LINE PAYLOAD);
		assert_served_from_here(partial);
		/* the later version's run while they are there, and only then */
		assert_int_equal(runs(SENDER) > senders, i != 1);
		assert_int_equal(runs(MSG) > sent, i != 1);
	}
}

/* @ppctl says @why, and changes nothing, whatever it is called with. */
static void refuses(const char *ppctl, const char *const commands[], const char *why)
{
	char before[4096], after[4096];
	struct living living;
	size_t i;

	begin(&living);
	hooks_ids(MAIL, before, sizeof(before));
	for (i = 0; commands[i]; i++)
		assert_says(run(1, "%s %s", ppctl, commands[i]), why);
	hooks_ids(MAIL, after, sizeof(after));
	assert_string_equal(before, after);
	end(&living);
	assert_served();
}

#define OF_MAIL "--pin " MAIL " "

static void an_earlier_version_refuses_newer_maps_by_name(void **state)
{
	static const char *const commands[] = {"apply " CONF,
					       "apply --dry-run " CONF,
					       "apply /dev/null",
					       OF_MAIL "upgrade",
					       OF_MAIL "up --cgroup $LAB_CGROUP",
					       OF_MAIL "down",
					       OF_MAIL "port add 2999",
					       OF_MAIL "port del 2525",
					       OF_MAIL "proxy add 192.0.2.99",
					       OF_MAIL "proxy-cgroup add $LAB_OUTSIDE",
					       NULL};

	(void)state;
	refuses("build/bin/ppctl", commands, MAIL " was pinned by ppsplit 9.10.0, with maps of ");
	assert_says(run(3, "build/bin/ppctl " OF_MAIL "status"), "ppsplit 9.10.0");
	assert_says(run(0, NEWER "status"), "mail: serving");
}

static void a_later_version_with_other_maps_refuses_an_earlier_ones_by_name(void **state)
{
	static const char *const commands[] = {"apply " CONF, OF_MAIL "upgrade",
					       OF_MAIL "up --cgroup $LAB_CGROUP", NULL};

	(void)state;
	refuses(NEWER, commands, MAIL " was pinned by ppsplit ");
	assert_says(run(1, NEWER "apply " CONF), "'ppctl down', then up again");
	run(0, NEWER OF_MAIL "port add 2999");
	run(0, NEWER OF_MAIL "down --wait=60 && " NEWER "apply " CONF);
	assert_says(run(0, NEWER "status"), "mail: serving");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_later_version_takes_over_and_an_earlier_one_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_proxys_sockets_on_this_host_live_across_versions,
						setup_local, teardown),
		cmocka_unit_test_setup_teardown(an_earlier_version_refuses_newer_maps_by_name,
						setup_newer, teardown),
		cmocka_unit_test_setup_teardown(
			a_later_version_with_other_maps_refuses_an_earlier_ones_by_name, setup,
			teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
