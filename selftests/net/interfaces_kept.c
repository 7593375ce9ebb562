// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split's hooks beside other tools' filters and other sets, removed by hand, refused, or
 * attached by a ppctl that is interrupted or runs several times at once. By tcx, or by clsact
 * on 6.1.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <net/if.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>

#include "../lib/interfaces.h"

#define PROGRAMS_MAX 64 /* one more than an interface takes by tcx */

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
	/* and many of theirs after it, with our priority */
	run(0, "for handle in $(seq 24576 24650); do "
	       "echo \"filter add dev " LINK " ingress pref 20560 handle $handle "
	       "bpf bytecode '1,6 0 0 0' classid 1:1\"; done | tc -batch -");
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	run(0, PPCTL "port del %d", SPLIT);
	assert_bare(LINK);
	assert_says(run(0, SHOWN, "ingress"), "handle 0x5050");
	run(0, "tc qdisc del dev " LINK " clsact");
	close(there);
}

static void two_sets_have_hooks_on_one_interface(void **state)
{
	int there = link_up();

	(void)state;
	run(0, PPCTL "up --pin $LAB_BPFFS/two --cgroup $LAB_OUTSIDE --port 2552 --split yes");
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 4);
	serves_link(there);
	run(0, PPCTL "down --pin $LAB_BPFFS/two");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hooks_that_are_removed_by_hand_are_missed_and_put_back),
		TEST(filters_of_others_are_kept),
		TEST(two_sets_have_hooks_on_one_interface),
		TEST(a_port_is_not_served_where_the_hooks_cannot_be_attached),
		TEST(what_was_interrupted_is_completed),
		TEST(several_at_once_attach_once),
	};

	return run_share("interfaces_kept", tests, interfaces_setup, NULL);
}
