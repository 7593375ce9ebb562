// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl: what it does, and what it says when it cannot.
 *
 * check: all
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../lib/net.h"

#define PPCTL "build/bin/ppctl "

static int down(void **state)
{
	(void)state;
	run(0, PPCTL "down >/dev/null 2>&1; rm -rf $LAB_BPFFS/pp; true");
	return 0;
}

static void up(void)
{
	run(0, PPCTL "up --cgroup $LAB_CGROUP --port 25,465 --proxy 192.0.2.0/24,2001:db8::/64");
}

static void up_twice_says_what_is_up(void **state)
{
	(void)state;
	up();
	assert_says(run(0, PPCTL "up --cgroup $LAB_CGROUP"), "already up on");
	assert_says(run(0, PPCTL "up --cgroup $LAB_CGROUP --port 587"), "ports and proxies added");
	assert_says(run(0, PPCTL "port list"), "587");
	assert_says(run(1, PPCTL "up --cgroup $LAB_OUTSIDE"), "already up on");
	assert_says(run(0, PPCTL "up --cgroup $LAB_OUTSIDE --pin $LAB_BPFFS/second"), "up on");
	run(0, PPCTL "down --pin $LAB_BPFFS/second");
}

static void a_relative_cgroup_is_below_the_mount_point(void **state)
{
	(void)state;
	assert_says(run(0, PPCTL "up --cgroup $(echo $LAB_CGROUP | "
				 "sed 's|.*/\\(ppsplit-lab\\)|\\1|')"),
		    "/inside");
}

static void down_leaves_nothing(void **state)
{
	(void)state;
	up();
	assert_says(run(0, PPCTL "down"), "down");
	run(0, "test ! -e $LAB_BPFFS/pp");
	run(0, "test -z \"$(bpftool cgroup show $LAB_CGROUP)\"");
	assert_says(run(1, PPCTL "down"), "nothing is up at");
}

static void an_up_that_fails_leaves_nothing(void **state)
{
	(void)state;
	assert_says(run(2, PPCTL "up --cgroup $LAB_CGROUP --port 25 --proxy nonsense"),
		    "'nonsense' is not an address prefix");
	run(0, "test ! -e $LAB_BPFFS/pp");
	assert_says(run(2, PPCTL "up --cgroup $LAB_CGROUP --port 70000"), "'70000' is not a port");
	run(0, "test ! -e $LAB_BPFFS/pp");
	run(0, "test -z \"$(bpftool cgroup show $LAB_CGROUP)\"");
}

static void proxies_are_added_listed_and_deleted(void **state)
{
	(void)state;
	up();
	run(0, PPCTL "proxy add 198.51.100.7 10.0.0.0/8,fd00::/8");
	assert_says(run(0, PPCTL "proxy list"), "198.51.100.7/32");
	assert_says(run(0, PPCTL "proxy list"), "10.0.0.0/8");
	assert_says(run(0, PPCTL "proxy list"), "fd00::/8");
	assert_says(run(0, PPCTL "proxy list --json"), "\"2001:db8::/64\"");
	run(0, PPCTL "proxy del 10.0.0.0/8");
	assert_null(strstr(run(0, PPCTL "proxy list"), "10.0.0.0"));
	assert_says(run(1, PPCTL "proxy del 10.0.0.0/8"), "10.0.0.0/8 is not in the list");
}

static void bad_prefixes_are_refused(void **state)
{
	static const char *const bad[] = {"1.2.3",	  "1.2.3.4/33", "1.2.3.4/",
					  "::1/129",	  "::1/x",	"1.2.3.4/-1",
					  "host.example", "1.2.3.4/8",	"::/0/0"};
	size_t i;

	(void)state;
	up();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_says(run(2, PPCTL "proxy add %s", bad[i]), bad[i]);
	assert_says(run(2, PPCTL "proxy add 1.2.3.4/8"), "bits set after the prefix length");
}

static void ports_are_added_listed_and_deleted(void **state)
{
	(void)state;
	up();
	run(0, PPCTL "port add 587 --gate 5000 --on-bad drop --v1-mixed");
	assert_says(run(0, PPCTL "port list"),
		    "587   split no, gate 5000 ms, on bad header drop, v1 mixed");
	assert_says(run(0, PPCTL "port list --json"), "\"gate_ms\":5000");
	run(0, PPCTL "port del 587");
	assert_says(run(1, PPCTL "port del 587"), "587 is not served");
	assert_says(run(2, PPCTL "port add 0"), "'0' is not a port");
	assert_says(run(2, PPCTL "port add 25 --gate x"), "--gate: 'x' is not a time");
	run(0, PPCTL "port add 588 --gate 2s");
	assert_says(run(0, PPCTL "port list --json"), "\"gate_ms\":2000");
	run(0, PPCTL "port del 588");
	assert_says(run(2, PPCTL "port add 25 --on-bad x"), "neither tell nor drop");
}

static void split_and_transparency_go_together(void **state)
{
	(void)state;
	up();
	run(0, PPCTL "port add 26 --split yes");
	run(0, PPCTL "port add 27 --transparent --local");
	run(0, PPCTL "port add 28 --split yes --transparent");
	assert_says(run(0, PPCTL "port list"),
		    "26    split yes, gate 3000 ms, on bad header tell\n");
	assert_says(run(0, PPCTL "port list"),
		    "27    split yes, transparent, local, gate 3000 ms, on bad header drop\n");
	assert_says(run(0, PPCTL "port list"),
		    "28    split yes, transparent, gate 3000 ms, on bad header drop\n");
	assert_says(run(0, PPCTL "port list --json"), "\"transparent\":true");
	assert_says(run(2, PPCTL "port add 29 --split no --transparent"), "needs a split");
	assert_says(run(2, PPCTL "port add 29 --local"), "local needs transparent");
	assert_says(run(2, PPCTL "up --cgroup $LAB_CGROUP --transparent"),
		    "name the port with --port");
	assert_says(run(2, PPCTL "port add 29 --split x"), "neither yes nor no");
}

static void a_full_map_says_so_and_loses_nothing(void **state)
{
	(void)state;
	up();
	run(0, "for n in $(seq 1 253); do echo -n $((1000 + n)),; done >/tmp/ports; " PPCTL
	       "port add $(cat /tmp/ports)1000; rm /tmp/ports");
	assert_says(run(1, PPCTL "port add 9999"), "pp_ports is full (256 entries)");
	assert_says(run(0, PPCTL "port list"), "1253");
	run(0, PPCTL "port add 25 --gate 0"); /* is in the list: changes it */
	/* that of a million proxies is one of four for a while */
	run(0,
	    "cd $LAB_BPFFS/pp/maps && mv pp_proxies pp_all && bpftool map create $PWD/pp_proxies "
	    "type lpm_trie key 20 value 4 entries 4 flags 1 name pp_proxies");
	run(0, PPCTL "proxy add 10.0.0.1,10.0.0.2,10.0.0.3");
	assert_says(run(1, PPCTL "proxy add 10.0.0.4,10.0.0.5"),
		    "pp_proxies is full (4 entries), or nearly: there is room for 1 more");
	run(0, PPCTL "proxy add 10.0.0.4");
	assert_says(run(1, PPCTL "proxy add 10.0.0.5"), "pp_proxies is full (4 entries)");
	assert_says(run(0, PPCTL "proxy list"), "10.0.0.4");
	run(0, "cd $LAB_BPFFS/pp/maps && mv pp_all pp_proxies");
}

static void status_shows_programs_maps_and_counters(void **state)
{
	const char *text;

	(void)state;
	up();
	text = status_text("-v");
	assert_says(text, "pp_gate");
	assert_says(text, "pp_sockops");
	assert_says(text, "pp_getsockopt");
	assert_says(text, "pp_handoff");
	assert_says(text, "/inside");
	assert_says(text, "192.0.2.0/24");
	assert_says(text, "\n  bad_signature               0  ");
	assert_says(status_text("--json"), "\"bad_signature\":0");
	/* without -v only what is of use every day */
	text = status_text("");
	assert_null(strstr(text, "pp_handoff"));
	assert_null(strstr(text, "bad_signature"));
}

static void a_cgroup_that_is_gone_is_told_and_replaced(void **state)
{
	(void)state;
	run(0, "mkdir $LAB_CGROUP/unit && " PPCTL "up --cgroup $LAB_CGROUP/unit && "
	       "rmdir $LAB_CGROUP/unit");
	assert_says(status_text(""), "/unit does not exist\n");
	assert_says(run(0, PPCTL "up --cgroup $LAB_CGROUP"), "up again on");
	run(0, PPCTL "down");
}

#define OTHERS "/sys/fs/bpf/others"

/* Somebody else's @program is on @cgroup, by itself: @command fails, says so, and leaves nothing.
 */
static void refused(const char *cgroup, const char *type, const char *program, const char *command)
{
	const char *said, *remedy;

	run(0, "bpftool cgroup attach %s %s pinned " OTHERS "/%s", cgroup, type, program);
	said = run(1, PPCTL "%s", command);
	assert_says(said, "the program '");
	assert_says(said, program);
	assert_says(said, type);
	assert_says(said, "without BPF_F_ALLOW_MULTI");
	/* and the command that it names does it */
	remedy = strstr(said, "bpftool cgroup detach");
	run(0, "%.*s", (int)strcspn(remedy, "\n"), remedy);
	run(0, "test -z \"$(bpftool cgroup show %s)\"", cgroup);
}

static void an_exclusive_program_is_named(void **state)
{
	static const char up_command[] = "up --cgroup $LAB_CGROUP --port 25";
	static const struct {
		const char *type;
		const char *program;
	} hooks[] = {{"cgroup_inet_ingress", "firewall"}, {"cgroup_sock_ops", "other"}};
	static const char *const places[] = {"$LAB_CGROUP", "$(dirname $LAB_CGROUP)"};
	size_t hook, place;

	(void)state;
	run(0, "bpftool prog loadall build/selftests/others.bpf.o " OTHERS);
	for (hook = 0; hook < 2; hook++) {
		for (place = 0; place < 2; place++) {
			refused(places[place], hooks[hook].type, hooks[hook].program, up_command);
			run(0, "test ! -e $LAB_BPFFS/pp");
			run(0, PPCTL "%s && " PPCTL "down", up_command);
		}
	}
	/* those that share, or may be overridden further down, are in nobody's way */
	run(0, "bpftool cgroup attach $LAB_CGROUP cgroup_sock_ops pinned " OTHERS "/other multi");
	run(0, "bpftool cgroup attach $(dirname $LAB_CGROUP) cgroup_sock_ops pinned " OTHERS
	       "/rude override");
	run(0, PPCTL "%s", up_command);
	run(0,
	    "bpftool cgroup detach $LAB_CGROUP cgroup_sock_ops pinned " OTHERS "/other; "
	    "bpftool cgroup detach $(dirname $LAB_CGROUP) cgroup_sock_ops pinned " OTHERS "/rude");
	run(0, "rm -r " OTHERS);
}

static void an_exclusive_program_on_the_proxys_cgroup_is_named(void **state)
{
	(void)state;
	run(0, "bpftool prog loadall build/selftests/others.bpf.o " OTHERS);
	run(0, "mkdir $LAB_OUTSIDE/unit");
	up();
	refused("$LAB_OUTSIDE/unit", "cgroup_sock_ops", "other",
		"proxy-cgroup add $LAB_OUTSIDE/unit");
	refused("$LAB_OUTSIDE", "cgroup_sock_ops", "rude", "proxy-cgroup add $LAB_OUTSIDE/unit");
	/* without a proxy cgroup, loopback is as it was */
	assert_says(run(0, "bpftool map dump pinned $LAB_BPFFS/pp/maps/pp_config"), "\"flags\": 0");
	run(0, PPCTL "proxy-cgroup add $LAB_OUTSIDE/unit");
	assert_says(run(0, "bpftool map dump pinned $LAB_BPFFS/pp/maps/pp_config"), "\"flags\": 1");
	run(0, PPCTL "proxy-cgroup del $LAB_OUTSIDE/unit; rmdir $LAB_OUTSIDE/unit; rm -r " OTHERS);
}

static void status_names_mptcp_listeners(void **state)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(25),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int multipath = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), plain;

	(void)state;
	if (multipath < 0) {
		print_message("this kernel has no Multipath TCP: %s\n", strerror(errno));
		skip();
	}
	up();
	plain = listen_on("127.0.0.2", 25);
	assert_null(strstr(status_text(""), "MPTCP:"));
	assert_int_equal(bind(multipath, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(multipath, 1), 0);
	assert_says(status_text(""), "  127.0.0.1:25  MPTCP\n");
	assert_says(status_text(""), "  127.0.0.2:25\n");
	assert_says(status_text(""), "proxies must speak plain TCP");
	assert_says(status_text("--json"), "\"mptcp\":true");
	assert_says(status_text("--json"), "\"mptcp\":false");
	close_both(multipath, plain);
}

static void pins_are_for_root_alone(void **state)
{
	(void)state;
	up();
	assert_says(run(0, "stat -c %%a $LAB_BPFFS/pp/maps/pp_proxies $LAB_BPFFS/pp/maps/pp_ports "
			   "$LAB_BPFFS/pp/links/pp_gate | sort -u"),
		    "600\n");
	assert_says(run(0, "stat -c %%a $LAB_BPFFS/pp"), "755\n");
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	assert_says(run(1, PPCTL "up --cgroup /tmp"), "not a cgroup v2 directory");
	assert_says(run(1, PPCTL "up --cgroup no-such-unit.service"), "No such file");
	assert_says(run(1, PPCTL "up --cgroup $(awk '/ - cgroup2 / { print $5; exit }' "
				 "/proc/self/mountinfo)"),
		    "that is the root cgroup");
	assert_says(run(1, PPCTL "up --cgroup $LAB_CGROUP --pin /tmp/pp"), "mount -t bpf bpf /tmp");
	assert_says(run(2, PPCTL "up"), "usage: ppctl up --cgroup PATH");
	assert_says(run(2, PPCTL "frobnicate"), "no such command");
	assert_says(run(3, PPCTL "status --frob"), "no such option");
	assert_says(run(2, PPCTL "port add 25 --pop"), "--pop: no such option");
	assert_says(run(2, PPCTL "up --cgroup"), "--cgroup needs a value");
	assert_says(run(2, PPCTL), "which command?");
	assert_says(run(0, PPCTL "port add --help"), "--v1-mixed");
}

static void without_root_every_command_says_so(void **state)
{
	pid_t child;
	int status;

	(void)state;
	up();
	child = fork();
	if (child == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(strstr(run(1, PPCTL "up --cgroup $LAB_CGROUP"), "needs root") &&
				      strstr(run(3, PPCTL "status"), "needs root") &&
				      strstr(run(1, PPCTL "down"), "needs root")
			      ? 0
			      : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

/* The headers, as this test was compiled with them. */
extern const char headers[];
__asm__(".pushsection .rodata\n"
	"headers: .incbin \"include/pp/abi.h\"\n"
	".incbin \"include/pp/maps.h\"\n"
	".byte 0\n"
	".popsection\n");

/* Fails unless ppctl.8 and the counters of @status have @name. */
static void assert_has_counter(const char *status, const char *page, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "\"%s\":", name);
	assert_says(status, text);
	snprintf(text, sizeof(text), ".B %s\n", name);
	if (!strstr(page, text))
		fail_msg("ppctl.8 says nothing of the counter %s", name);
}

/* Calls assert_has_counter() for each enumerator of @name in them that begins with @prefix: what
 * comes after that, in small letters, is the counter's name, with @more before it. Return: how
 * many. */
static int for_each_enumerator(const char *name, const char *prefix, const char *more,
			       const char *status, const char *page)
{
	const char *at = strstr(headers, name), *end;
	char counter_name[64];
	size_t have;
	int count = 0;

	assert_non_null(at);
	end = strstr(at, "\n};");
	assert_non_null(end);
	while ((at = strstr(at, prefix)) && at < end) {
		if (at[-1] != '\t') { /* in an expression, or a comment */
			at++;
			continue;
		}
		at += strlen(prefix);
		strcpy(counter_name, more);
		have = strlen(more);
		while (isalnum(*at) || *at == '_')
			counter_name[have++] = tolower(*at++);
		counter_name[have] = 0;
		if (!strcmp(counter_name, "bad") || !strcmp(counter_name, "count"))
			continue; /* no counters */
		assert_has_counter(status, page, counter_name);
		count++;
	}
	return count;
}

static void every_counter_has_a_name_and_is_in_the_manual(void **state)
{
	static char page[65536], status[65536];
	FILE *file = fopen("docs/man/ppctl.8", "re");

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = 0;
	fclose(file);
	up();
	strcpy(status, status_text("--json"));
	assert_true(for_each_enumerator("enum pp_stat {", "PP_STAT_", "", status, page) >= 26);
	assert_int_equal(for_each_enumerator("enum pp_reason {", "PP_BAD_", "bad_", status, page),
			 PP_REASON_COUNT - 1);
}

static void lookup_shows_a_socket_of_another_process(void **state)
{
	static const char header[] =
		"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x14"
		"\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x19"
		"\x05\x00\x05"
		"abcde";
	int listener, client, server;
	const char *text;

	(void)state;
	run(0, PPCTL "up --cgroup $LAB_CGROUP --port %d --proxy %s", PORT, PROXY);
	listener = listen_on(SERVER, PORT);
	client = connect_to(PROXY, SERVER, PORT);
	send_all(client, header, sizeof(header) - 1);
	server = accept_within(listener, SOON_MS);
	text = run(0, PPCTL "lookup %d %d", getpid(), server);
	assert_says(text, "state        valid");
	assert_says(text, "origin       PROXY v2 TCP 192.0.2.7:4711 -> 198.51.100.1:25");
	assert_says(text, "unique_id abcde");
	assert_says(run(0, PPCTL "lookup %d %d --json", getpid(), server),
		    "\"source\":\"192.0.2.7:4711\"");
	/* it only looks */
	assert_origin(server, V2_ORIGIN);
	assert_says(run(0, PPCTL "lookup %d %d", getpid(), server), "taken        true");
	assert_says(run(1, PPCTL "lookup %d %d", getpid(), listener), "is a listening socket");
	assert_says(run(1, PPCTL "lookup %d 999", getpid()), "Bad file descriptor");
	assert_says(run(1, PPCTL "lookup 999999 1"), "No such process");
	assert_says(run(2, PPCTL "lookup x 1"), "PID and FD are numbers");
	close_both(client, server);
	close(listener);
}

/* Waits: what was sent has to arrive first. */
static const char *lookup_until(int server, const char *text)
{
	const char *said = "";
	int tries;

	for (tries = 0; tries < SOON_MS / 10; tries++) {
		said = run(0, PPCTL "lookup %d %d", getpid(), server);
		if (strstr(said, text))
			break;
		usleep(10000);
	}
	assert_says(said, text);
	return said;
}

static void lookup_says_why_there_is_no_origin(void **state)
{
	int listener, client, server, older;
	const char *said;

	(void)state;
	listener = listen_on(SERVER, PORT);
	client = connect_to(PROXY, SERVER, PORT);
	older = accept_within(listener, SOON_MS);
	run(0, PPCTL "up --cgroup $LAB_CGROUP --port %d --proxy %s", PORT, PROXY);
	run(0, PPCTL "port add %d --gate 0", PORT);
	assert_says(lookup_until(older, "state        bad"), "reason       unrecorded\n");
	close_both(client, older);

	client = connect_to(OTHER, SERVER, PORT);
	server = accept_within(listener, SOON_MS);
	lookup_until(server, "state        none\n");
	close_both(client, server);

	client = connect_to(PROXY, SERVER, PORT);
	server = accept_within(listener, SOON_MS);
	lookup_until(server, "state        pending\n");
	send_text(client, "PROXY TCP4 19");
	said = lookup_until(server, "state        fragmented\n");
	assert_says(said, "bytes_seen   13\n");
	assert_says(said, "bytes_needed ");
	assert_says(run(0, PPCTL "lookup %d %d --json", getpid(), server), "\"bytes_seen\":13");
	send_text(client, "2.0.2.7 x");
	said = lookup_until(server, "state        bad\n");
	assert_says(said, "reason       address\n");
	assert_says(said, "meaning      v1 address\n");
	close_both(client, server);

	client = connect_to(PROXY, SERVER, PORT);
	server = accept_within(listener, SOON_MS);
	send_text(client, "PROXY TCP4 19");
	close(client);
	assert_says(lookup_until(server, "state        bad\n"), "reason       closed\n");
	close_both(server, listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(up_twice_says_what_is_up, down),
		cmocka_unit_test_teardown(a_relative_cgroup_is_below_the_mount_point, down),
		cmocka_unit_test_teardown(down_leaves_nothing, down),
		cmocka_unit_test_teardown(an_up_that_fails_leaves_nothing, down),
		cmocka_unit_test_teardown(proxies_are_added_listed_and_deleted, down),
		cmocka_unit_test_teardown(bad_prefixes_are_refused, down),
		cmocka_unit_test_teardown(ports_are_added_listed_and_deleted, down),
		cmocka_unit_test_teardown(split_and_transparency_go_together, down),
		cmocka_unit_test_teardown(a_full_map_says_so_and_loses_nothing, down),
		cmocka_unit_test_teardown(status_shows_programs_maps_and_counters, down),
		cmocka_unit_test_teardown(a_cgroup_that_is_gone_is_told_and_replaced, down),
		cmocka_unit_test_teardown(an_exclusive_program_is_named, down),
		cmocka_unit_test_teardown(an_exclusive_program_on_the_proxys_cgroup_is_named, down),
		cmocka_unit_test_teardown(status_names_mptcp_listeners, down),
		cmocka_unit_test_teardown(pins_are_for_root_alone, down),
		cmocka_unit_test_teardown(what_is_missing_is_named, down),
		cmocka_unit_test_teardown(without_root_every_command_says_so, down),
		cmocka_unit_test_teardown(every_counter_has_a_name_and_is_in_the_manual, down),
		cmocka_unit_test_teardown(lookup_shows_a_socket_of_another_process, down),
		cmocka_unit_test_teardown(lookup_says_why_there_is_no_origin, down),
	};

	return run_share("ppctl", tests, NULL, NULL);
}
