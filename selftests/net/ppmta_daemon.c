// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta as a daemon: its privileges, how many sessions it holds and what they cost, options that it
 * refuses.
 *
 * check: all
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/mta.h"

static void it_runs_without_privileges(void **state)
{
	(void)state;
	assert_matches(run(0, "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/%d/status", mta),
		       "Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n"
		       "Groups:\t \nCapEff:\t0000000000000000");
}

static void a_thousand_sessions_at_once(void **state)
{
	enum { COUNT = 1000 };
	static int clients[COUNT];
	struct rlimit limit = {4096, 4096};
	char line[128];
	int i;

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (i = 0; i < COUNT; i++) {
		clients[i] = connect_to(PROXY, SERVER, MAIL_PORT);
		snprintf(line, sizeof(line), "PROXY TCP4 10.1.%d.%d 198.51.100.1 %d 25\r\n",
			 i / 250, i % 250, 10000 + i);
		send_text(clients[i], line);
	}
	for (i = 0; i < COUNT; i++) {
		expect(clients[i], BANNER);
		send_text(clients[i], "EHLO client.example\r\n");
		snprintf(line, sizeof(line),
			 "250-mail.example.net Hello client.example [10.1.%d.%d]", i / 250,
			 i % 250);
		expect(clients[i], line);
	}
	for (i = 0; i < COUNT; i++)
		send_text(clients[i], "MAIL FROM:<me@example.net>\r\nRCPT TO:<a@example.org>\r\n"
				      "DATA\r\n");
	for (i = 0; i < COUNT; i++) {
		expect(clients[i], "250 ");
		expect(clients[i], "250 ");
		expect(clients[i], "354 ");
		send_text(clients[i], "hello\r\n.\r\nQUIT\r\n");
	}
	for (i = 0; i < COUNT; i++) {
		expect(clients[i], "250 OK");
		expect(clients[i], "221 ");
		close(clients[i]);
	}
	assert_int_equal(stored_count(), COUNT);
	assert_int_equal(strtoul(run(0, "grep -c ' <= .*\\[10\\.1\\..*PRX=127.0.0.2' %s/log", work),
				 NULL, 10),
			 COUNT);
	empty_maildir();
}

static void more_sessions_than_allowed_are_turned_away(void **state)
{
	static int clients[1201];
	int i;

	(void)state;
	for (i = 0; i < 1200; i++)
		clients[i] = open_session();
	clients[1200] = connect_to(OTHER, SERVER, MAIL_PORT);
	expect(clients[1200], "421 mail.example.net: Too many concurrent SMTP connections");
	for (i = 0; i <= 1200; i++)
		close(clients[i]);
}

static double seconds_used(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	clock_gettime(clock, &used);
	return used.tv_sec + used.tv_nsec / 1e9;
}

#define HALVES 300

/* 300 clients with half a header each: after it has accepted them, the server @pid sleeps. */
static void check_halves(pid_t pid, unsigned int port)
{
	static int clients[HALVES];
	double used = 0, before;
	int i, tries;

	for (i = 0; i < HALVES; i++) {
		clients[i] = connect_to(PROXY, SERVER, port);
		send_all(clients[i], LINE, 20);
	}
	for (tries = 0; tries < SOON_MS / 1000; tries++) {
		before = seconds_used(pid);
		usleep(1000000);
		used = seconds_used(pid) - before;
		if (used < 0.1)
			break;
	}
	if (used >= 0.1)
		fail_msg("%g s of processor time in a second", used);
	for (i = 0; i < HALVES; i++) {
		send_text(clients[i], LINE + 20);
		expect(clients[i], BANNER);
		close(clients[i]);
	}
}

static void half_headers_cost_no_processor_time(void **state)
{
	char listen_at[32], maildir[64], log[64];
	int status, tries;
	pid_t alone;

	(void)state;
	snprintf(listen_at, sizeof(listen_at), "%s:%d", SERVER, UNSERVED);
	snprintf(maildir, sizeof(maildir), "%s/Maildir", work);
	snprintf(log, sizeof(log), "%s/log-alone", work);
	alone = fork();
	if (alone == 0) {
		execl("build/bin/ppmta", "ppmta", "--listen", listen_at, "--maildir", maildir,
		      "--user", "nobody", "--hostname", "mail.example.net", "--log", log, "--set",
		      "smtp_accept_max=400", "--set", "proxy_protocol_timeout=60s", "--set",
		      "proxy_lookup=userspace", "--set", "proxy_required_hosts=" PROXY, "--set",
		      "smtp_accept_max_per_host=0", NULL);
		_exit(127);
	}
	for (tries = 0; tries < SOON_MS / 50; tries++) {
		if (strstr(run(0, "cat %s 2>/dev/null; true", log), "daemon started"))
			break;
		usleep(50000);
	}
	check_halves(alone, UNSERVED);
	kill(alone, SIGTERM);
	waitpid(alone, &status, 0);
	assert_int_equal(status, 0);
	check_halves(mta, MAIL_PORT);
}

static void bad_options_are_named(void **state)
{
	(void)state;
	assert_non_null(strstr(run(1, "build/bin/ppmta --listen 127.0.0.1:9 --maildir /tmp/m "
				      "--set smtp_accept_max=100"),
			       "will not run as root: set the option user"));
	assert_non_null(strstr(
		run(1,
		    "build/bin/ppmta --listen 1.2.3:25 --set smtp_accept_max=9 --maildir /tmp/m"),
		"local_interfaces: '1.2.3:25' is not an address"));
	assert_non_null(strstr(run(1, "build/bin/ppmta --listen 127.0.0.1:99999 --set "
				      "smtp_accept_max=9 --maildir /tmp/m"),
			       "local_interfaces: '127.0.0.1:99999' is not an address"));
	assert_non_null(strstr(run(1, "build/bin/ppmta --set smtp_acept_max=3"),
			       "unknown option 'smtp_acept_max'"));
	assert_non_null(
		strstr(run(1, "build/bin/ppmta --listen 127.0.0.1:%d --maildir /tmp/m", MAIL_PORT),
		       "Address already in use"));
	assert_non_null(
		strstr(run(1, "build/bin/ppmta"), "needs the option delivery (or --maildir)"));
	assert_non_null(strstr(run(0, "build/bin/ppmta --help"), "--maildir"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_without_privileges),
		cmocka_unit_test(a_thousand_sessions_at_once),
		cmocka_unit_test(more_sessions_than_allowed_are_turned_away),
		cmocka_unit_test(half_headers_cost_no_processor_time),
		cmocka_unit_test(bad_options_are_named),
	};

	return cmocka_run_group_tests_name("ppmta_daemon", tests, mta_setup, mta_teardown);
}
