// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl monitor: each thing that becomes of a connection is told, in text and in JSON; nothing is
 * written while nobody listens; one that is killed, and a flood, do no harm.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>
#include <pp/maps.h>

#include "../lib/interfaces.h"
#include "../lib/name.h"
#include "../lib/proxy.h"

#define SAID "/tmp/ppsplit-monitor"

static int setup(void **state)
{
	net_setup(state);
	run(0, PPCTL "port add %d --split yes --on-bad drop --gate 900", SPLIT);
	return 0;
}

static struct pp_listening listening(void)
{
	struct pp_listening value;
	int map = bpf_obj_get("/sys/fs/bpf/pp/maps/pp_listening");
	__u32 zero = 0;

	assert_true(map >= 0);
	assert_int_equal(bpf_map_lookup_elem(map, &zero, &value), 0);
	close(map);
	return value;
}

static void listening_set(const struct pp_listening *value)
{
	int map = bpf_obj_get("/sys/fs/bpf/pp/maps/pp_listening");
	__u32 zero = 0;

	assert_true(map >= 0);
	assert_int_equal(bpf_map_update_elem(map, &zero, value, BPF_ANY), 0);
	close(map);
}

/* A monitor that writes into SAID, and listens. */
static pid_t monitor(const char *option)
{
	pid_t child = fork();
	int tries, file;

	assert_true(child >= 0);
	if (!child) {
		file = open(SAID, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(file, 1);
		dup2(file, 2);
		execl("build/bin/ppctl", "ppctl", "monitor", option, NULL);
		_exit(9);
	}
	for (tries = 0; tries < SOON_MS / 10 && !listening().until_ns; tries++)
		usleep(10000);
	assert_true(listening().until_ns != 0);
	return child;
}

/* Waits until the monitor has said @wanted. */
static void await_said(const char *wanted)
{
	const char *text = "";
	int tries;

	for (tries = 0; tries < SOON_MS / 50; tries++) {
		text = run(0, "tail -c 8000 " SAID);
		if (strstr(text, wanted))
			return;
		usleep(50000);
	}
	fail_msg("no '%s' in: %s", wanted, text);
}

static void stop_process(pid_t child)
{
	int status;

	kill(child, SIGTERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(!listening().until_ns);
	unlink(SAID);
}

/* Sends @text from @source, and waits for "KIND SOURCE:PORT to SERVER:PORT: @wanted". */
static void tells(const char *source, unsigned int port, const char *text, const char *kind,
		  const char *wanted)
{
	int listener = listen_on(SERVER, port), client = connect_to(source, SERVER, port);
	char line[512];

	if (text)
		send_text(client, text);
	snprintf(line, sizeof(line), " %-8s %s:%u to %s:%u: %s", kind, source, port_of(client),
		 SERVER, port, wanted);
	await_said(line);
	close_both(client, listener);
}

static void what_becomes_of_a_connection_is_told(void **state)
{
	static const unsigned int ports[] = {PORT, OPEN, SPLIT, DROPPING};
	pid_t child = monitor(NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		tells(PROXY, ports[i], LINE, "accepted", LINE_ORIGIN "\n");
		tells(PROXY, ports[i], "EHLO x\r\n", "refused", "neither PROXY nor v2 signature\n");
		tells(OTHER, ports[i], LINE, "unmarked", "127.0.0.3 sends PROXY headers to port ");
	}
	tells(PROXY, PORT, NULL, "held", "the handshake waits for a header\n");
	tells(PROXY, SPLIT, NULL, "held", "the handshake waits for a header\n");
	tells(PROXY, QUICK, NULL, "expired", "no header came in the gate's time\n");
	tells(PROXY, SPLIT, NULL, "expired", "no header came in the gate's time\n");
	stop_process(child);
}

/* With a proxy cgroup each stranger has a record. */
static void outsiders_and_strangers_are_told_where_there_is_a_proxy_cgroup(void **state)
{
	pid_t child;

	(void)state;
	run(0, PPCTL "proxy-cgroup add $LAB_OUTSIDE");
	child = monitor(NULL);
	tells(OTHER, OPEN, LINE, "unmarked", "127.0.0.3 sends PROXY headers to port 2526 ");
	tells(PROXY, OPEN, LINE, "refused",
	      "sent by a process of this host outside of the proxies' cgroups\n");
	tells(PROXY, DROPPING, LINE, "refused",
	      "sent by a process of this host outside of the proxies' cgroups\n");
	stop_process(child);
	run(0, PPCTL "proxy-cgroup del $LAB_OUTSIDE");
}

/* @source begins with a header, and no line names it. A stranger's, after it, does. */
static void tells_nothing_of(const char *source, int client, int listener)
{
	send_text(client, LINE);
	await_acknowledged(client);
	tells(OTHER, PORT, LINE, "unmarked", "127.0.0.3 sends PROXY headers to port ");
	run(0, "! grep ' %s:' " SAID, source);
	close_both(client, listener);
}

static void a_marked_proxy_is_not_called_unmarked(void **state)
{
	int listener = listen_on(SERVER, OPEN), client = connect_to("127.0.0.4", SERVER, OPEN);
	struct link link;
	pid_t child;

	(void)state;
	/* a connection that is older than the mark */
	run(0, PPCTL "proxy add 127.0.0.4");
	child = monitor(NULL);
	tells_nothing_of("127.0.0.4", client, listener);
	stop_process(child);
	run(0, PPCTL "proxy del 127.0.0.4");

	/* a port that drains */
	listener = listen_on(SERVER, SPLIT);
	link.client = connect_to(PROXY, SERVER, SPLIT);
	link.server = accept_line(listener, link.client);
	run(0, PPCTL "port del %d", SPLIT);
	child = monitor(NULL);
	client = connect_to(PROXY, SERVER, SPLIT);
	tells_nothing_of(PROXY, client, listener);
	stop_process(child);
	close_link(&link);
	run(0, PPCTL "port add %d --split yes --on-bad drop --gate 900", SPLIT);
}

static void json_is_one_object_a_line(void **state)
{
	int listener = listen_on(SERVER, OPEN), client;
	pid_t child = monitor("--json");

	(void)state;
	client = connect_to(PROXY, SERVER, OPEN);
	send_text(client, LINE);
	await_said("\"source\":\"192.0.2.7:4711\"");
	await_said("\"event\":\"accepted\"");
	run(0, "! grep -v '^{\"schema\":1,.*}$' " SAID);
	close_both(client, listener);
	stop_process(child);
}

static void two_at_once_are_refused_by_name(void **state)
{
	pid_t child = monitor(NULL);

	(void)state;
	assert_says(run(1, PPCTL "monitor"), "another 'ppctl monitor' listens to the set at ");
	stop_process(child);
	stop_process(monitor(NULL));
}

static void a_killed_monitor_costs_nothing_after_two_seconds(void **state)
{
	int listener = listen_on(SERVER, OPEN), client;
	pid_t child = monitor(NULL);

	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(listening().until_ns != 0);
	usleep(2200000);
	client = connect_to(PROXY, SERVER, OPEN);
	send_text(client, LINE);
	await_acknowledged(client);
	assert_true(!listening().until_ns);
	close_both(client, accept_within(listener, SOON_MS));
	/* what it has not read is not the next one's */
	child = monitor(NULL);
	usleep(300000);
	assert_string_equal(run(0, "cat " SAID), "");
	stop_process(child);
	close(listener);
}

#define FLOOD 2500

static void what_finds_no_room_is_counted(void **state)
{
	int listener = listen_on(SERVER, OPEN), i;
	pid_t child = monitor(NULL);
	struct pp_listening value = listening();
	struct timespec now;
	struct link link;

	(void)state;
	kill(child, SIGSTOP);
	clock_gettime(CLOCK_MONOTONIC, &now);
	value.until_ns = (now.tv_sec + 600) * 1000000000ULL;
	listening_set(&value);
	for (i = 0; i < FLOOD && listening().lost == value.lost; i++) {
		open_link(listener, &link);
		send_text(link.client, LINE);
		await_acknowledged(link.client);
		close_link(&link);
	}
	assert_true(listening().lost > value.lost);
	kill(child, SIGCONT);
	await_said(" lost     ");
	await_said(": more came than could be shown\n");
	assert_true(i > 1000); /* so many are kept */
	close(listener);
	stop_process(child);
}

static void it_ends_with_its_set(void **state)
{
	pid_t child;
	int status;

	(void)state;
	run(0, PPCTL "up --cgroup $LAB_OUTSIDE --set web --port 80");
	child = monitor(NULL);
	run(0, PPCTL "down --set web");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_says(run(0, "cat " SAID), "/web is gone");
	assert_true(!listening().until_ns);
	unlink(SAID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_becomes_of_a_connection_is_told),
		cmocka_unit_test(outsiders_and_strangers_are_told_where_there_is_a_proxy_cgroup),
		cmocka_unit_test(a_marked_proxy_is_not_called_unmarked),
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(two_at_once_are_refused_by_name),
		cmocka_unit_test(a_killed_monitor_costs_nothing_after_two_seconds),
		cmocka_unit_test(what_finds_no_room_is_counted),
		cmocka_unit_test(it_ends_with_its_set),
	};

	return cmocka_run_group_tests_name("monitor", tests, setup, NULL);
}
