// SPDX-License-Identifier: BSD-2-Clause
/*
 * Programs that are replaced where they are attached, or that are away for a while, under a bulk
 * transfer each byte of which tells its place: nothing is lost and nothing is wrong.
 *
 * check: both long
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include <bpf/bpf.h>

#include "../lib/bulk.h"
#include "../lib/served.h"

#define ROUNDS	    20
#define ROUNDS_SLOW 5 /* in guests, where a replacement under load takes up to 40 s */

static int teardown(void **state)
{
	(void)state;
	close(served_listener);
	run(0, "build/bin/ppctl down --now");
	return 0;
}

static void replaced_many_times_under_load_nothing_is_lost(void **state)
{
	char before[4096], after[4096];
	struct bulk *bulk;
	int rounds = getenv("LOAD_CONNECTIONS") ? ROUNDS_SLOW : ROUNDS, i;
	struct link link;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	for (i = 0; i < rounds; i++) {
		hooks_ids(PIN, before, sizeof(before));
		run(0, "build/bin/ppctl upgrade");
		hooks_ids(PIN, after, sizeof(after));
		assert_true(strlen(before) > 0);
		assert_hooks_replaced(before, after);
		bulk_go_on(bulk, SOME);
		assert_served();
	}
	bulk_end(bulk);
	close_link(&link);
}

static void set_build_at(const char *path, uint64_t id)
{
	int map = bpf_obj_get(path);
	__u32 zero = 0;

	assert_true(map >= 0);
	assert_int_equal(bpf_map_update_elem(map, &zero, &id, BPF_ANY), 0);
	close(map);
}

static void set_build(uint64_t id)
{
	set_build_at(PIN "/maps/pp_build", id);
}

static void up_replaces_the_programs_of_another_build(void **state)
{
	struct bulk *bulk;
	struct link link;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	set_build(4711);
	if (!strstr(run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP"), "another build replaced"))
		fail_msg("up does not replace the programs of another build");
	if (strstr(run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP"), "replaced"))
		fail_msg("up replaces its own programs");
	assert_served();
	bulk_go_on(bulk, SOME);
	/* one that had fewer programs */
	set_build(4711);
	run(0, "rm " PIN "/links/pp_getsock6");
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP");
	run(0, "ls " PIN "/links/pp_getsock6");
	assert_served();
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
}

/* The same configuration, and one with more in it. */
static void apply_replaces_the_programs_of_another_build(void **state)
{
	struct bulk *bulk;
	struct link link;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	set_build_at(PIN "/mail/maps/pp_build", 4711);
	if (!strstr(run(0, "build/bin/ppctl apply /tmp/mail.conf"),
		    "~ programs of another build (mail)"))
		fail_msg("apply does not replace the programs of another build");
	if (*run(0, "build/bin/ppctl apply /tmp/mail.conf"))
		fail_msg("apply finds a difference where there is none");
	assert_served();
	bulk_go_on(bulk, SOME);
	set_build_at(PIN "/mail/maps/pp_build", 4711);
	run(0, "echo 'port = 2999' >>/tmp/mail.conf");
	if (!strstr(run(0, "build/bin/ppctl apply /tmp/mail.conf"), "+ port 2999 "))
		fail_msg("apply does not add the port");
	assert_served();
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
}

static int setup_apply(void **state)
{
	(void)state;
	run(0,
	    "printf '[serve mail]\\ncgroup = %%s\\nport = %d transparent=yes gate=30s\\n"
	    "proxy = %s\\n' $LAB_CGROUP >/tmp/mail.conf",
	    TRANSPARENT, PROXY);
	run(0, "build/bin/ppctl apply /tmp/mail.conf");
	served_listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

static int teardown_apply(void **state)
{
	(void)state;
	close(served_listener);
	run(0, "build/bin/ppctl --pin " PIN "/mail down --now");
	return 0;
}

static void a_map_that_does_not_fit_is_refused_by_name(void **state)
{
	char before[4096], after[4096];
	struct bulk *bulk;
	struct link link;
	int map;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	hooks_ids(PIN, before, sizeof(before));
	map = bpf_map_create(BPF_MAP_TYPE_HASH, "pp_handovers", 28, 4, 1, NULL);
	assert_true(map >= 0);
	run(0, "mv " PIN "/maps/pp_handovers " PIN "/pp_kept");
	assert_int_equal(bpf_obj_pin(map, PIN "/maps/pp_handovers"), 0);
	close(map);
	if (!strstr(run(1, "build/bin/ppctl upgrade"), "pp_handovers"))
		fail_msg("the map is not named");
	hooks_ids(PIN, after, sizeof(after));
	assert_string_equal(before, after);
	run(0, "mv " PIN "/pp_kept " PIN "/maps/pp_handovers");
	run(0, "build/bin/ppctl upgrade");
	assert_served();
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
}

static void killed_anywhere_the_next_upgrade_completes_it(void **state)
{
	struct bulk *bulk;
	struct link link;
	int i;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	for (i = 0; i < 4; i++) {
		run(0, "build/bin/ppctl upgrade & sleep 0.%02d; kill -9 $!; wait $!; true",
		    60 + 6 * i);
		bulk_go_on(bulk, SOME);
		assert_served();
	}
	run(0, "build/bin/ppctl upgrade");
	run(0, "ls " PIN "/progs | grep -c fresh | grep 0");
	assert_served();
	bulk_go_on(bulk, SOME);
	bulk_end(bulk);
	close_link(&link);
}

/* As by an operator's hand: nobody tells ppctl. */
static void remove_hooks(void)
{
	run(0, "for pin in " PIN "/links/*; do case $pin in *pp_tcx_*|*" CLSACT
	       "*) rm $pin;; esac; done; tc qdisc del dev lo clsact 2>/dev/null; true");
}

static void put_hooks_back(void)
{
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
}

static void hooks_that_are_away_stall_and_never_corrupt(void **state)
{
	static const unsigned int away_ms[] = {0, 5, 30, 300, 2000};
	struct bulk *bulk;
	struct link link;
	long guarded;
	size_t i;

	(void)state;
	open_transparent(&link);
	bulk = bulk_begin(link.client, link.server);
	bulk_go_on(bulk, SOME);
	for (i = 0; i < sizeof(away_ms) / sizeof(away_ms[0]); i++) {
		guarded = counter("guarded");
		remove_hooks();
		usleep(away_ms[i] * 1000);
		if (away_ms[i] >= 300)
			assert_true(counter("guarded") > guarded);
		put_hooks_back();
		bulk_go_on(bulk, SOME);
	}
	assert_served();
	bulk_end(bulk);
	close_link(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replaced_many_times_under_load_nothing_is_lost,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(up_replaces_the_programs_of_another_build,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(apply_replaces_the_programs_of_another_build,
						setup_apply, teardown_apply),
		cmocka_unit_test_setup_teardown(a_map_that_does_not_fit_is_refused_by_name,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(killed_anywhere_the_next_upgrade_completes_it,
						served_setup, teardown),
		cmocka_unit_test_setup_teardown(hooks_that_are_away_stall_and_never_corrupt,
						served_setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("replace", tests, NULL, NULL);
}
