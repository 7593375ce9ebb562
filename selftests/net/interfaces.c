// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where the split's hooks are: which interfaces ppctl attaches them to, in each network namespace,
 * what it says of those without, and what becomes of other tools' filters. By tcx, or by clsact
 * on 6.1. check: guests
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>

#include "../lib/address.h"
#include "../lib/proxy.h"

#define PPCTL	    "build/bin/ppctl "
#define SPLIT	    2550
#define SPLIT_TEXT  "2550"
#define LINK	    "link0"
#define OWN	    "10.71.0.1" /* of the server, on LINK */
#define PEER	    "10.71.0.2" /* of the proxy on another host, in another namespace */
#define HEADER	    "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define LONG_HEADER "PROXY TCP4 192.0.2.107 198.51.100.101 47110 2525\r\n"
#define ORIGIN	    "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25"
#define LONG_ORIGIN "PROXY v1 TCP 192.0.2.107:47110 -> 198.51.100.101:2525"

#define TCX_INGRESS  46
#define TCX_EGRESS   47
#define PROGRAMS_MAX 64 /* one more than an interface takes by tcx */

static int home; /* the network namespace of the test */

static int has_tcx(void)
{
	__u32 count = 0;

	return !bpf_prog_query(1, TCX_INGRESS, 0, NULL, NULL, &count);
}

static void assert_says(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no '%s' in: %s", wanted, text);
}

static int group_setup(void **state)
{
	(void)state;
	home = netns_here();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	run(0, PPCTL "up --cgroup $LAB_CGROUP --proxy %s,%s", PROXY, PEER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	netns_enter(home);
	close_range(home + 1, ~0U, 0); /* what a case that failed has left */
	/* connections that are being closed may need the hooks still */
	run(0, "for n in $(seq 20); do test -e $LAB_BPFFS/pp || break; " PPCTL
	       "down; sleep 0.1; done; test ! -e $LAB_BPFFS/pp || " PPCTL "down --now; "
	       "test ! -e $LAB_BPFFS/two || " PPCTL "down --pin $LAB_BPFFS/two");
	run(0, "ip link del " LINK " 2>/dev/null || true");
	assert_says(run(0, "bpftool net; echo end"), "\n\ntc:\n\nflow_dissector:\n");
	return 0;
}

/* What status says of the interface @name, or "". */
static const char *status_of(const char *name)
{
	static char line[1024];
	char *status = strdup(run(0, PPCTL "status")), *at, *next;
	size_t len = strlen(name);

	line[0] = 0;
	at = strstr(status, "interfaces of this network namespace\n");
	for (at = at ? strchr(at, '\n') + 1 : NULL; at && !strncmp(at, "  ", 2); at = next) {
		next = strchr(at, '\n') + 1;
		if (!strncmp(at + 2, name, len) && at[2 + len] == ' ') {
			snprintf(line, sizeof(line), "%.*s", (int)(next - at - 1), at);
			break;
		}
	}
	free(status);
	return line;
}

static void assert_hooked(const char *name)
{
	const char *line = status_of(name), *way = has_tcx() ? " tcx" : " clsact";

	if (!strstr(line, way) || strstr(line, "HOOKS"))
		fail_msg("%s is not hooked: %s", name, line);
}

static void assert_unhooked(const char *name)
{
	assert_says(status_of(name),
		    " NO HOOKS: what proxies send by it to a port with a split is dropped; "
		    "'ppctl up --cgroup /");
}

/* How many programs there are on both sides of the interface. */
static unsigned int programs_on(const char *name)
{
	__u32 in = 0, out = 0;

	if (!has_tcx())
		return strtoul(
			run(0,
			    "{ tc filter show dev %s ingress; tc filter show dev %s egress; } "
			    "2>/dev/null | grep -c ' pref 20560 .* handle ' || true",
			    name, name),
			NULL, 10);
	bpf_prog_query(if_nametoindex(name), TCX_INGRESS, 0, NULL, NULL, &in);
	bpf_prog_query(if_nametoindex(name), TCX_EGRESS, 0, NULL, NULL, &out);
	return in + out;
}

/* No hooks are left, at once or when the last connection is closed that needs them. */
static void assert_bare(const char *name)
{
	int tries;

	for (tries = 0; tries < 100 && programs_on(name); tries++) {
		usleep(100000);
		run(0, PPCTL "proxy add %s", PROXY); /* any change goes on with what is due */
	}
	assert_int_equal(programs_on(name), 0);
}

/* A link to another host: this namespace has OWN, the one that is returned PEER. */
static int link_up(void)
{
	int there = netns_make(), here = netns_here();

	netns_connect(LINK, here, OWN, there, PEER);
	close(here);
	return there;
}

/* A connection of the proxy there. */
static int connect_there(int there, const char *source, const char *address)
{
	int here = netns_here(), client;

	netns_enter(there);
	client = connect_to(source, address, SPLIT);
	netns_enter(here);
	close(here);
	return client;
}

/* Bytes that tell their place, both ways. */
static void exchange(int client, int server, unsigned int seed)
{
	static uint8_t bytes[20000];

	fill_pattern(bytes, sizeof(bytes), seed);
	send_all(client, bytes, sizeof(bytes));
	assert_reads(server, bytes, sizeof(bytes));
	fill_pattern(bytes, sizeof(bytes), seed + 1);
	send_all(server, bytes, sizeof(bytes));
	assert_reads(client, bytes, sizeof(bytes));
}

/* The header goes, and what follows it goes both ways. */
static int served(int listener, int client)
{
	int server;

	send_text(client, HEADER);
	server = accept_within(listener, SOON_MS);
	if (server < 0)
		fail_msg("port %u takes no connection: %s", port_of(client),
			 run(0, PPCTL "status"));
	assert_origin(server, ORIGIN);
	assert_nothing_to_read(server);
	exchange(client, server, 1);
	return server;
}

static void serves_link(int there)
{
	int listener = listen_on(OWN, SPLIT), client = connect_there(there, PEER, OWN);

	close_both(client, served(listener, client));
	close(listener);
}

static void serves_lo(void)
{
	int listener = listen_on(SERVER, SPLIT), client = connect_to(PROXY, SERVER, SPLIT);

	close_both(client, served(listener, client));
	close(listener);
}

static void lo_and_all_interfaces_with_an_address_get_hooks(void **state)
{
	int there = link_up();

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("lo");
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 2);
	serves_lo();
	serves_link(there);
	/* nothing more is done where nothing is to be done */
	run(0, PPCTL "port add %d --split yes --gate 30000 && " PPCTL "up --cgroup $LAB_CGROUP",
	    SPLIT);
	assert_int_equal(programs_on(LINK), 2);
	/* the last port with a split takes them with it */
	run(0, PPCTL "port add 2551 --split yes && " PPCTL "port del 2551");
	assert_int_equal(programs_on(LINK), 2);
	run(0, PPCTL "port add %d", SPLIT);
	assert_bare(LINK);
	assert_null(strstr(run(0, PPCTL "status"), "interfaces of"));
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_int_equal(programs_on(LINK), 2);
	run(0, PPCTL "port del %d", SPLIT);
	assert_bare(LINK);
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links $LAB_BPFFS/pp/progs | grep -E "
	       "'_(in|out|tcx|clsact)_')\"");
	close(there);
}

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

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Without the namespace in the key the second connection's header length would go for the first
 * one. */
static void the_same_loopback_connection_in_two_namespaces(void **state)
{
	static const char *const headers[] = {HEADER, LONG_HEADER}, *const origins[] = {
									    ORIGIN, LONG_ORIGIN};
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
	assert_says(run(0, PPCTL "status"), "other network namespaces\n  cookie ");
	assert_says(run(0, PPCTL "status --json"), "\"loaded\":true");
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

static long dropped_on(const char *name)
{
	const char *line = status_of(name), *at = strstr(line, " segments dropped by the guard");

	while (at && at > line && at[-1] != ' ')
		at--;
	return at ? strtol(at, NULL, 10) : 0;
}

static void an_interface_that_comes_later_is_told_and_its_proxies_wait(void **state)
{
	int there, listener, client, server;
	long before;

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	there = link_up();
	assert_unhooked(LINK);
	assert_int_equal(dropped_on(LINK), 0);
	listener = listen_on(OWN, SPLIT);
	client = connect_there(there, PEER, OWN);
	send_text(client, HEADER);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_unhooked(LINK);
	assert_true(dropped_on(LINK) >= 2); /* the bare ACK, and the header */
	assert_int_equal(dropped_on("lo"), 0);
	serves_lo();
	before = dropped_on(LINK);
	assert_true(counter("guarded") >= before);
	/* a second look, and the header that is sent again gets in */
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, ORIGIN);
	exchange(client, server, 3);
	close_both(client, server);
	close_both(listener, there);
}

static void only_the_interfaces_that_are_named_get_hooks(void **state)
{
	int there = link_up();

	(void)state;
	assert_says(run(1, PPCTL "port add %d --split yes --gate 30000 --interface nothing0",
			SPLIT),
		    "--interface nothing0: there is none of this name in this network namespace");
	assert_says(run(1, PPCTL "port add %d --interface " LINK, SPLIT),
		    "--interface is for ports with");
	assert_null(strstr(run(0, PPCTL "port list"), SPLIT_TEXT));
	run(0, PPCTL "port add %d --split yes --gate 30000 --interface " LINK, SPLIT);
	assert_hooked(LINK);
	assert_bare("lo");
	serves_link(there);
	run(0, "ip addr add 10.72.0.1/24 dev lo");
	assert_says(status_of("lo"), " no hooks: not named by --interface");
	/* that holds later, too */
	run(0, PPCTL "port add 2551 --split yes && " PPCTL "up --cgroup $LAB_CGROUP");
	assert_bare("lo");
	/* one that is not there is no reason to take the others */
	run(0, "ip link del " LINK);
	assert_says(status_of(LINK), " not there: named by --interface");
	assert_says(run(1, PPCTL "up --cgroup $LAB_CGROUP"),
		    "none of the interfaces that --interface has named");
	close(there);
	there = link_up();
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	run(0, PPCTL "port add %d --split yes --gate 30000 --interface lo --interface " LINK,
	    SPLIT);
	assert_hooked("lo");
	assert_hooked(LINK);
	/* without a port with a split the names are forgotten */
	run(0,
	    PPCTL "port del %d 2551 && " PPCTL
		  "port add %d --split yes --gate 30000 --interface lo",
	    SPLIT, SPLIT);
	assert_bare(LINK);
	assert_says(status_of(LINK), " no hooks: not named by --interface");
	run(0, "ip addr del 10.72.0.1/24 dev lo");
	close(there);
}

/* Ours are removed by hand, one or both, while a connection is translated. */
static void remove_by_hand(const char *which)
{
	if (!has_tcx()) {
		if (!strcmp(which, "both"))
			run(0, "tc qdisc del dev " LINK " clsact");
		else
			run(0, "tc filter del dev " LINK " %s pref 20560",
			    strcmp(which, "in") ? "egress" : "ingress");
		return;
	}
	run(0,
	    "for l in $LAB_BPFFS/pp/links/pp_tcx_%s_*_%u; do bpftool link detach pinned $l || exit "
	    "1; done",
	    strcmp(which, "both") ? which : "*", if_nametoindex(LINK));
}

static void hooks_that_are_removed_by_hand_are_missed_and_put_back(void **state)
{
	static const char *const which[] = {"in", "out", "both"};
	int there = link_up(), listener, client, server, i;
	static uint8_t bytes[5000];
	long before;

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	listener = listen_on(OWN, SPLIT);
	client = connect_there(there, PEER, OWN);
	server = served(listener, client);
	for (i = 0; i < 3; i++) {
		before = dropped_on(LINK);
		remove_by_hand(which[i]);
		assert_says(status_of(LINK), i < 2 ? " HALF OF ITS HOOKS: " : " NO HOOKS: ");
		fill_pattern(bytes, sizeof(bytes), i);
		send_all(client, bytes, sizeof(bytes));
		usleep(A_WHILE_MS * 1000);
		if (strcmp(which[i], "out")) {
			assert_nothing_to_read(server);
			assert_true(dropped_on(LINK) > before);
		}
		run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
		assert_hooked(LINK);
		assert_int_equal(programs_on(LINK), 2);
		assert_reads(server, bytes, sizeof(bytes));
		exchange(client, server, 20 + i);
	}
	close_both(client, server);
	close_both(listener, there);
}

static void an_interface_that_comes_back_gets_new_hooks(void **state)
{
	int there = link_up();
	unsigned int old = if_nametoindex(LINK);

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	run(0, "ip link del " LINK);
	close(there);
	assert_string_equal(status_of(LINK), "");
	there = link_up();
	assert_int_not_equal(if_nametoindex(LINK), old);
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links | grep -E '^pp_(tcx|clsact)_.*_%u$')\"", old);
	/* under the old number as well: its link is there, and does not work */
	run(0, "ip link del " LINK);
	close(there);
	there = netns_make();
	run(0,
	    "ip link add " LINK
	    " index %u type veth peer name peer && ip link set peer netns /proc/%d/fd/%d && "
	    "ip addr add " OWN "/24 dev " LINK " && ip link set " LINK " up",
	    old, getpid(), there);
	netns_enter(there);
	run(0, "ip addr add " PEER "/24 dev peer && ip link set peer up");
	netns_enter(home);
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	close(there);
}

/* What goes to another namespace is not hooked here any more, and not hooked there by this. */
static void an_interface_that_moves_away_is_let_go(void **state)
{
	int there = netns_make(), away = netns_make();
	unsigned int index;

	(void)state;
	netns_connect(LINK, home, OWN, there, PEER);
	index = if_nametoindex(LINK);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	run(0, "ip link set " LINK " netns /proc/%d/fd/%d", getpid(), away);
	assert_string_equal(status_of(LINK), "");
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links | grep -E '^pp_(tcx|clsact)_.*_%u$')\"", index);
	netns_enter(away);
	assert_bare(LINK);
	run(0, "ip addr add " OWN "/24 dev " LINK " && ip link set " LINK " up");
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	netns_enter(home);
	close_both(there, away);
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
	for (tries = 0; tries < 100; tries++) { /* it takes a while */
		run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
		if (!strstr(run(0, PPCTL "status"), "other network namespaces"))
			break;
		usleep(100000);
	}
	assert_true(tries < 100);
	run(0, "test $(ls $LAB_BPFFS/pp/progs | grep -cE '^pp_(in|out)_') = 2");
	run(0, "test $(ls $LAB_BPFFS/pp/links | grep -cE '^pp_(tcx|clsact)_') = %d",
	    has_tcx() ? 2 : 1);
}

#define FOREIGN \
	"tc filter add dev " LINK " %s pref 7 handle 0x77 bpf bytecode '1,6 0 0 0' classid 1:1"
#define SHOWN "tc filter show dev " LINK " %s"

static void filters_of_others_are_kept(void **state)
{
	static const char *const sides[] = {"ingress", "egress"};
	int there = link_up(), i;

	(void)state;
	/* theirs is there first */
	run(0, "tc qdisc add dev " LINK " clsact");
	for (i = 0; i < 2; i++)
		run(0, FOREIGN, sides[i]);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	serves_link(there);
	run(0, PPCTL "port del %d", SPLIT);
	assert_bare(LINK);
	for (i = 0; i < 2; i++)
		assert_says(run(0, SHOWN, sides[i]), "handle 0x77");
	/* an empty qdisc is theirs, too */
	for (i = 0; i < 2; i++)
		run(0, "tc filter del dev " LINK " %s", sides[i]);
	run(0, PPCTL "port add %d --split yes --gate 30000 && " PPCTL "port del %d", SPLIT, SPLIT);
	assert_says(run(0, "tc qdisc show dev " LINK), "clsact");
	run(0, "tc qdisc del dev " LINK " clsact");
	/* ours is there first: it goes with us, or stays for their sake */
	run(0, PPCTL "port add %d --split yes --gate 30000 && " PPCTL "port del %d", SPLIT, SPLIT);
	assert_null(strstr(run(0, "tc qdisc show dev " LINK), "clsact"));
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	run(0, "tc qdisc show dev " LINK " | grep clsact || tc qdisc add dev " LINK " clsact");
	run(0, FOREIGN, "ingress");
	serves_link(there);
	run(0, PPCTL "port del %d", SPLIT);
	assert_says(run(0, SHOWN, "ingress"), "handle 0x77");
	assert_bare(LINK);
	/* at our place: theirs stays, we take the next one */
	run(0, "tc filter del dev " LINK " ingress && tc filter add dev " LINK
	       " ingress pref 20560 handle 0x5050 bpf bytecode '1,6 0 0 0' classid 1:1");
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	serves_link(there);
	run(0, PPCTL "port del %d", SPLIT);
	assert_says(run(0, SHOWN, "ingress"), "handle 0x5050");
	run(0, "tc qdisc del dev " LINK " clsact");
	close(there);
}

static void two_sets_have_hooks_on_one_interface(void **state)
{
	int there = link_up();

	(void)state;
	run(0, "mkdir $LAB_CGROUP/second && " PPCTL
	       "up --pin $LAB_BPFFS/two --cgroup $LAB_CGROUP/second --port 2552 "
	       "--split yes");
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 4);
	serves_link(there);
	run(0, PPCTL "down --pin $LAB_BPFFS/two && rmdir $LAB_CGROUP/second");
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 2);
	serves_link(there);
	close(there);
}

/* All places on the interface are taken, or the one for clsact by another qdisc. */
static void occupy(int links[PROGRAMS_MAX])
{
	static const struct bpf_insn next[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program, i;

	if (!has_tcx()) {
		run(0, "tc qdisc add dev " LINK " ingress");
		return;
	}
	for (i = 0; i < PROGRAMS_MAX; i++) {
		program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "next", "GPL", next, 2, NULL);
		assert_true(program >= 0);
		links[i] = bpf_link_create(program, if_nametoindex(LINK), TCX_INGRESS, NULL);
		close(program);
	}
	assert_true(links[PROGRAMS_MAX - 2] >= 0);
	assert_true(links[PROGRAMS_MAX - 1] < 0);
}

static void a_port_is_not_served_where_the_hooks_cannot_be_attached(void **state)
{
	const char *why =
		has_tcx() ? "to " LINK " by tcx: " : LINK " has an ingress qdisc of another tool";
	int there = link_up(), links[PROGRAMS_MAX], i;

	(void)state;
	occupy(links);
	assert_says(run(1, PPCTL "port add %d --split yes --gate 30000", SPLIT), why);
	assert_null(strstr(run(0, PPCTL "port list"), SPLIT_TEXT));
	run(0, PPCTL "down");
	assert_says(run(1, PPCTL "up --cgroup $LAB_CGROUP --port %d --transparent", SPLIT), why);
	run(0, "test ! -e $LAB_BPFFS/pp");
	if (!has_tcx()) {
		run(0, "tc qdisc del dev " LINK " ingress");
	} else {
		for (i = 0; i < PROGRAMS_MAX; i++)
			if (links[i] >= 0)
				close(links[i]);
	}
	run(0, PPCTL "up --cgroup $LAB_CGROUP --port %d --transparent --proxy %s", SPLIT, PEER);
	assert_hooked(LINK);
	close(there);
}

#define KILLS 30 /* at as many moments of ppctl's life */

/* Runs ppctl, and kills it after @us, unless that is negative. Return: how long it lived. */
static long run_and_kill(char *const arguments[], long us)
{
	struct timespec start, now;
	pid_t child = fork();
	long lived;
	int status;

	if (!child) {
		execv("build/bin/ppctl", arguments);
		_exit(127);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (us >= 0) {
		usleep(us);
		kill(child, SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	clock_gettime(CLOCK_MONOTONIC, &now);
	lived = (now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000;
	if (us < 0)
		assert_int_equal(status, 0);
	return lived;
}

static void what_was_interrupted_is_completed(void **state)
{
	static char *const add[] = {"ppctl", "port",   "add",	"2550", "--split",
				    "yes",   "--gate", "30000", NULL};
	static char *const del[] = {"ppctl", "port", "del", "2550", NULL};
	long add_us;
	int there = link_up(), i;
	char *pins, *pin, *rest;

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	pins = strdup(run(0, "cd $LAB_BPFFS/pp && ls -d */pp_in_* */pp_out_* links/pp_tcx_* "
			     "links/pp_clsact_* 2>/dev/null "
			     "|| true"));
	assert_says(pins, "progs/pp_in_");
	for (pin = strtok_r(pins, "\n", &rest); pin; pin = strtok_r(NULL, "\n", &rest)) {
		run(0, "rm $LAB_BPFFS/pp/%s && " PPCTL "up --cgroup $LAB_CGROUP", pin);
		assert_hooked("lo");
		assert_hooked(LINK);
		assert_int_equal(programs_on(LINK), 2);
	}
	free(pins);
	serves_link(there);
	run(0, PPCTL "port del %d", SPLIT);
	add_us = run_and_kill(add, -1);
	for (i = 0; i < KILLS; i++) {
		run_and_kill(i % 2 ? add : del, add_us * i / KILLS);
		if (strstr(run(0, PPCTL "port list"), SPLIT_TEXT))
			assert_hooked(LINK);
	}
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("lo");
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 2);
	serves_link(there);
	close(there);
}

static void several_at_once_attach_once(void **state)
{
	int there = link_up(), i;

	(void)state;
	for (i = 0; i < 3; i++) {
		run(0, "for n in 1 2 3 4; do " PPCTL
		       "port add 255$n --split yes & pids=\"$pids $!\"; done; "
		       "for p in $pids; do wait $p || exit 1; done");
		assert_hooked("lo");
		assert_hooked(LINK);
		assert_int_equal(programs_on(LINK), 2);
		run(0, PPCTL "port del 2551 2552 2553 2554");
		assert_bare(LINK);
	}
	close(there);
}

static void a_bridge_has_the_hooks_of_its_ports(void **state)
{
	int there = link_up(), more;

	(void)state;
	run(0, "ip link add br0 type bridge && ip link set br0 up && ip addr flush dev " LINK
	       " && ip link set " LINK " master br0 && ip addr add " OWN "/24 dev br0");
	for (more = 0; more < 2; more++) {
		run(0, PPCTL "port add %d --split yes --gate 30000%s", SPLIT,
		    more ? " --interface br0,lo," LINK : "");
		assert_hooked("br0");
		assert_int_equal(programs_on(LINK), more ? 2 : 0);
		if (!more)
			assert_string_equal(status_of(LINK), "");
		serves_link(there);
	}
	run(0, PPCTL "port del %d", SPLIT);
	run(0, "ip link del br0");
	close(there);
}

/* A connection within a VRF. */
static int connect_in(const char *device, const char *source, const char *address)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, address, SPLIT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, to_len), 0);
	return fd;
}

/* What comes from this host comes by the VRF itself, whether it has an address or not. */
static void a_vrf_has_hooks_besides_its_interfaces(void **state)
{
	int there = link_up(), listener, client;

	(void)state;
	if (strstr(run(0, "ip link add vrf0 type vrf table 10 || echo none"), "none"))
		skip_because("this kernel has no VRF (module vrf)");
	run(0, "ip addr add 10.71.0.3/32 dev " LINK " && ip link set vrf0 up && ip link set " LINK
	       " master vrf0");
	run(0, PPCTL "proxy add 10.71.0.3 && " PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("vrf0");
	assert_hooked(LINK);
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "1");
	listener = listen_on("0.0.0.0", SPLIT);
	/* what comes by LINK is guarded: see net/vrf */
	client = connect_in("vrf0", "10.71.0.3", OWN);
	close_both(client, served(listener, client));
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "0");
	run(0, PPCTL "port del %d && ip link del vrf0", SPLIT);
	close_both(listener, there);
}

static int tun_open(const char *name, const char *address)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip_because("/dev/net/tun: %s", strerror(errno));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	run(0, "ip addr add %s/24 dev %s && ip link set %s up", address, name, name);
	return fd;
}

/* Carries packets from one end to the other, until it is killed. */
static pid_t tun_pump(int one, int other)
{
	struct pollfd ends[2] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	static char packet[65536];
	pid_t pump = fork();
	ssize_t len;
	int i;

	if (pump)
		return pump;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (poll(ends, 2, -1) > 0) {
		for (i = 0; i < 2; i++) {
			if (!(ends[i].revents & POLLIN))
				continue;
			len = read(ends[i].fd, packet, sizeof(packet));
			if (len > 0 && write(ends[!i].fd, packet, len) != len)
				_exit(1);
		}
	}
	_exit(1);
}

static void an_interface_without_an_ethernet_header_is_served(void **state)
{
	int there = netns_make(), here, elsewhere;
	pid_t pump;

	(void)state;
	here = tun_open("tun0", OWN);
	netns_enter(there);
	elsewhere = tun_open("tun0", PEER);
	netns_enter(home);
	pump = tun_pump(here, elsewhere);
	close_both(here, elsewhere);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("tun0");
	run(0, "ls $LAB_BPFFS/pp/progs | grep -q pp_in_bare_");
	serves_link(there);
	end(pump);
	close(there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lo_and_all_interfaces_with_an_address_get_hooks),
		TEST(the_same_loopback_connection_in_two_namespaces),
		TEST(an_interface_that_comes_later_is_told_and_its_proxies_wait),
		TEST(only_the_interfaces_that_are_named_get_hooks),
		TEST(hooks_that_are_removed_by_hand_are_missed_and_put_back),
		TEST(an_interface_that_comes_back_gets_new_hooks),
		TEST(an_interface_that_moves_away_is_let_go),
		TEST(a_namespace_that_ends_leaves_no_pins),
		TEST(filters_of_others_are_kept),
		TEST(two_sets_have_hooks_on_one_interface),
		TEST(a_port_is_not_served_where_the_hooks_cannot_be_attached),
		TEST(what_was_interrupted_is_completed),
		TEST(several_at_once_attach_once),
		TEST(a_bridge_has_the_hooks_of_its_ports),
		TEST(a_vrf_has_hooks_besides_its_interfaces),
		TEST(an_interface_without_an_ethernet_header_is_served),
	};

	return run_share("interfaces", tests, group_setup, NULL);
}
