// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta: SMTP behind a proxy.
 * check: all
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/net.h"

#define MAIL_PORT  PORT
#define QUICK_PORT QUICK
#define REFUSED	   "503 Command refused, required Proxy negotiation failed\r\n"
#define BANNER	   "220 mail.example.net ESMTP ppmta "

static char work[] = "/tmp/ppmta-test.XXXXXX";
static pid_t mta;

static int setup(void **state)
{
	char listen_at[2][32], maildir[64], log[64];
	int tries;

	net_setup(state);
	assert_non_null(mkdtemp(work));
	chmod(work, 0755);
	snprintf(listen_at[0], sizeof(listen_at[0]), "%s:%d", SERVER, MAIL_PORT);
	snprintf(listen_at[1], sizeof(listen_at[1]), "%s:%d", SERVER, QUICK_PORT);
	snprintf(maildir, sizeof(maildir), "%s/Maildir", work);
	snprintf(log, sizeof(log), "%s/log", work);
	mta = fork();
	if (mta == 0) {
		execl("build/bin/ppmta", "ppmta", "--listen", listen_at[0], "--listen",
		      listen_at[1], "--maildir", maildir, "--user", "nobody", "--hostname",
		      "mail.example.net", "--log", log, "--max-size", "30000000",
		      "--command-timeout", "20000", "--max-sessions", "1200", "--verbose",
		      "--proxy-timeout", "60000", "--set", "smtp_enforce_sync=false", NULL);
		_exit(127);
	}
	for (tries = 0; tries < 1200; tries++) {
		if (strstr(run(0, "cat %s 2>/dev/null; true", log), "daemon started"))
			return 0;
		usleep(50000);
	}
	fail_msg("ppmta did not start");
	return -1;
}

static int teardown(void **state)
{
	int status;

	(void)state;
	kill(mta, SIGTERM);
	waitpid(mta, &status, 0);
	assert_int_equal(status, 0);
	run(0, "rm -rf %s", work);
	return 0;
}

/* Reads one reply, to its last line. */
static const char *reply(int fd)
{
	static char text[8192];
	struct pollfd in = {.fd = fd, .events = POLLIN};
	char *last;
	size_t len = 0;
	ssize_t got;

	for (;;) {
		if (poll(&in, 1, SOON_MS) != 1)
			fail_msg("no reply within %d ms", SOON_MS);
		got = recv(fd, text + len, 1, 0);
		if (got <= 0)
			fail_msg("the server closed the connection");
		len++;
		text[len] = 0;
		if (len < 2 || strcmp(text + len - 2, "\r\n"))
			continue;
		text[len - 2] = 0;
		last = strrchr(text, '\n');
		text[len - 2] = '\r';
		last = last ? last + 1 : text;
		if (strlen(last) > 3 && last[3] != '-')
			return text;
	}
}

static void ask(int fd, const char *command, const char *answer)
{
	const char *got;

	send_text(fd, command);
	send_text(fd, "\r\n");
	got = reply(fd);
	if (strncmp(got, answer, strlen(answer)))
		fail_msg("%s: %s, not %s", command, got, answer);
}

static void expect(int fd, const char *answer)
{
	const char *got = reply(fd);

	if (strncmp(got, answer, strlen(answer)))
		fail_msg("%s, not %s", got, answer);
}

/* A client behind the proxy, with its banner read. */
static int open_session(void)
{
	int fd = connect_to(PROXY, SERVER, MAIL_PORT);

	send_text(fd, LINE);
	expect(fd, BANNER);
	return fd;
}

static void quit(int fd)
{
	ask(fd, "QUIT", "221 ");
	assert_reads_eof(fd);
	close(fd);
}

static void start_message(int fd)
{
	ask(fd, "EHLO client.example", "250-mail.example.net Hello client.example [192.0.2.7]");
	ask(fd, "MAIL FROM:<me@example.net>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
}

static const char *log_tail(const char *pattern)
{
	return run(0, "grep '%s' %s/log | tail -n 1", pattern, work);
}

/* The newest message, behind the headers that ppmta writes (four lines). */
static const char *stored(void)
{
	return run(0, "cd %s/Maildir/new && tail -n +5 $(ls -t | head -n 1)", work);
}

static void empty_maildir(void)
{
	run(0, "find %s/Maildir -type f -exec rm {} +", work);
}

static unsigned long stored_count(void)
{
	return strtoul(run(0, "ls %s/Maildir/new | wc -l", work), NULL, 10);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0))
		fail_msg("'%s' does not match %s", text, pattern);
	regfree(&regex);
}

static void a_message_is_stored_and_logged_with_its_origin(void **state)
{
	int fd = open_session();

	(void)state;
	start_message(fd);
	send_text(fd, "Subject: dots\r\n\r\nfirst\r\n..\r\n..two\r\n.x\r\n \r\nlast\r\n");
	ask(fd, ".", "250 OK id=");
	quit(fd);
	assert_string_equal(stored(), "Subject: dots\n\nfirst\n.\n.two\nx\n \nlast\n");
	assert_matches(log_tail(" <= "),
		       "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "
		       "[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2} <= me@example\\.net "
		       "H=\\(client\\.example\\) \\[192\\.0\\.2\\.7\\] P=esmtp PRX=127\\.0\\.0\\.2 "
		       "S=[0-9]+\n$");
	assert_matches(run(0, "head -n 2 %s/Maildir/new/*", work),
		       "Return-Path: <me@example.net>\nReceived: from client.example "
		       "\\(\\[192.0.2.7\\]\\)");
	empty_maildir();
}

static void a_direct_client_is_an_ordinary_one(void **state)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	(void)state;
	expect(fd, BANNER);
	ask(fd, "HELO other.example", "250 mail.example.net Hello other.example [127.0.0.3]");
	ask(fd, "MAIL FROM:<>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "hi\r\n.", "250 ");
	quit(fd);
	assert_matches(log_tail(" <= "),
		       "<= <> H=\\(other.example\\) \\[127.0.0.3\\] P=smtp S=[0-9]+\n$");
	empty_maildir();
}

static void a_liar_is_taken_at_its_own_address(void **state)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	(void)state;
	expect(fd, BANNER);
	send_text(fd, LINE);
	expect(fd, "500 Unrecognized command");
	ask(fd, "EHLO liar.example", "250-mail.example.net Hello liar.example [127.0.0.3]");
	quit(fd);
}

static void without_a_header_all_but_quit_is_refused(void **state)
{
	int fd = connect_to(PROXY, SERVER, QUICK_PORT);

	(void)state;
	expect(fd, BANNER); /* after the gate's time */
	ask(fd, "EHLO client.example", REFUSED);
	ask(fd, "MAIL FROM:<me@example.net>", REFUSED);
	ask(fd, "nonsense", REFUSED);
	quit(fd);
	assert_matches(log_tail("negotiation"),
		       "proxy negotiation with \\[127.0.0.2\\]:[0-9]+ failed: no PROXY header in "
		       "time");
}

static void a_bad_header_is_refused(void **state)
{
	int fd = connect_to(PROXY, SERVER, MAIL_PORT);

	(void)state;
	send_text(fd, "PROXY TCP4 256.0.2.7 198.51.100.1 4711 25\r\n");
	expect(fd, BANNER);
	expect(fd, REFUSED);
	ask(fd, "EHLO client.example", REFUSED);
	quit(fd);
	assert_matches(log_tail("negotiation"), "failed: not a valid PROXY header: an address is "
						"malformed or of another family\n$");
}

static void a_local_header_makes_the_proxy_the_client(void **state)
{
	int fd = connect_to(PROXY, SERVER, MAIL_PORT);

	(void)state;
	send_text(fd, "PROXY UNKNOWN\r\n");
	expect(fd, BANNER);
	ask(fd, "HELO lb.example", "250 mail.example.net Hello lb.example [127.0.0.2]");
	quit(fd);
}

static void syntax_is_that_of_rfc_5321(void **state)
{
	static const struct {
		const char *command, *answer;
	} steps[] = {
		{"MAIL FROM:<me@example.net>", "503 HELO or EHLO required"},
		{"EHLO", "501 "},
		{"EHLO bad domain", "501 "},
		{"EHLO -bad.example", "501 "},
		{"EHLO [1.2.3.4", "501 "},
		{"EHLO [1.2.3.4]", "250-"},
		{"EHLO [IPv6:2001:db8::1]", "250-"},
		{"ehlo client.example", "250-"},
		{"RCPT TO:<you@example.org>", "503 "},
		{"DATA", "503 "},
		{"MAIL FROM:me@example.net", "501 "},
		{"MAIL FROM:<me>", "501 "},
		{"MAIL FROM:<me@>", "501 "},
		{"MAIL FROM:<@example.net>", "501 "},
		{"MAIL FROM:<a..b@example.net>", "501 "},
		{"MAIL FROM:<.a@example.net>", "501 "},
		{"MAIL FROM:<me@exa mple.net>", "501 "},
		{"MAIL FROM:<me@example.net>x", "501 "},
		{"MAIL FROM:<me@example.net> FOO=1", "555 "},
		{"MAIL FROM:<me@example.net> SIZE=x", "501 "},
		{"MAIL FROM:<me@example.net> SIZE=40000000", "552 "},
		{"MAIL TO:<me@example.net>", "501 "},
		{"mail from:<me@example.net> SIZE=1000 BODY=8BITMIME", "250 "},
		{"MAIL FROM:<me@example.net>", "503 Sender already given"},
		{"DATA", "503 "},
		{"RCPT TO:<>", "501 "},
		{"RCPT TO:you@example.org", "501 "},
		{"RCPT TO:<@relay.example:you@example.org>", "250 "},
		{"RCPT TO:<\"a b\"@example.org>", "250 "},
		{"RCPT TO:<you@[192.0.2.1]>", "250 "},
		{"RCPT TO:<Postmaster>", "250 "},
		{"DATA now", "501 "},
		{"RSET", "250 "},
		{"DATA", "503 "},
		{"NOOP", "250 "},
		{"NOOP ignored", "250 "},
		{"VRFY you", "252 "},
		{"HELP", "214 "},
		{"EXPN list", "500 "},
		{"", "500 "},
		{"EHLOX", "500 "},
		{"EH\x01LO", "500 "},
		{"HELO client.example", "250 "},
	};
	int fd = open_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		ask(fd, steps[i].command, steps[i].answer);
	quit(fd);
}

static void limits_are_those_of_rfc_5321(void **state)
{
	char line[1100], local[66], label[64];
	int fd = open_session(), i;

	(void)state;
	memset(line, 'A', 1000);
	line[1000] = 0;
	ask(fd, line, "500 Line too long");
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<me@example.net>", "250 ");
	memset(local, 'l', 65);
	local[64] = 0;
	snprintf(line, sizeof(line), "RCPT TO:<%s@example.org>", local);
	ask(fd, line, "250 ");
	local[64] = 'l';
	local[65] = 0;
	snprintf(line, sizeof(line), "RCPT TO:<%s@example.org>", local);
	ask(fd, line, "501 ");
	memset(label, 'd', 63);
	label[63] = 0;
	snprintf(line, sizeof(line), "RCPT TO:<a@%s.%s.%s.example>", label, label, label);
	ask(fd, line, "250 ");
	snprintf(line, sizeof(line), "RCPT TO:<a@%s.%s.%s.%s>", label, label, label, label);
	ask(fd, line, "501 "); /* a path is 256 octets at most */
	for (i = 2; i < 1000; i++)
		ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "452 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "still accepted\r\n.", "250 ");
	quit(fd);
	empty_maildir();
}

static void a_line_end_that_is_none_ends_no_message(void **state)
{
	static const char *const tricks[] = {
		"a\n.\nMAIL FROM:<x@example>\r\n",
		"a\r\n.\nMAIL FROM:<x@example>\r\n",
		"a\n.\r\nMAIL FROM:<x@example>\r\n",
		"a\r.\rMAIL FROM:<x@example>\r\n",
		"a\r\n.\rMAIL FROM:<x@example>\r\n",
		"a\r.\r\nMAIL FROM:<x@example>\r\n",
		"\n.\r\nb\r\n",
		"a\r\r\n",
	};
	int fd = open_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		start_message(fd);
		send_text(fd, tricks[i]);
		ask(fd, ".", "550 Message has a CR or LF that ends no line");
	}
	quit(fd);
	assert_int_equal(stored_count(), 0);
	run(0, "test -z \"$(ls %s/Maildir/tmp)\"", work);
}

static void a_message_over_the_size_limit_is_refused_and_the_next_taken(void **state)
{
	static char part[1000001];
	int fd = open_session(), i;

	(void)state;
	start_message(fd);
	memset(part, 'x', 1000000);
	for (i = 0; i < 1000000; i += 1000)
		memcpy(part + i + 998, "\r\n", 2);
	for (i = 0; i < 31; i++)
		send_text(fd, part);
	ask(fd, ".", "552 ");
	assert_int_equal(stored_count(), 0);
	start_message(fd);
	ask(fd, "small\r\n.", "250 ");
	quit(fd);
	assert_int_equal(stored_count(), 1);
	empty_maildir();
}

static void pipelined_commands_are_answered_in_order(void **state)
{
	int fd = connect_to(PROXY, SERVER, MAIL_PORT);

	(void)state;
	send_text(fd, LINE "EHLO client.example\r\nMAIL FROM:<me@example.net>\r\n"
			   "RCPT TO:<a@example.org>\r\nRCPT TO:<bad>\r\nDATA\r\n");
	expect(fd, BANNER);
	expect(fd, "250-");
	expect(fd, "250 ");
	expect(fd, "250 ");
	expect(fd, "501 ");
	expect(fd, "354 ");
	ask(fd, "hi\r\n.", "250 ");
	quit(fd);
	empty_maildir();
}

static void a_client_that_leaves_in_the_middle_leaves_nothing(void **state)
{
	int fd = open_session(), tries;

	(void)state;
	start_message(fd);
	send_text(fd, "half a mess");
	reset(fd);
	for (tries = 0; tries < 1200; tries++) {
		if (!strtoul(run(0, "ls %s/Maildir/tmp | wc -l", work), NULL, 10))
			break;
		usleep(50000);
	}
	run(0, "test -z \"$(ls %s/Maildir/tmp)\"", work);
	assert_int_equal(stored_count(), 0);
}

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
	for (tries = 0; tries < 10; tries++) {
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
		      "--user", "nobody", "--hostname", "mail.example.net", "--log", log,
		      "--max-sessions", "400", "--proxy-timeout", "60000", "--set",
		      "proxy_lookup=userspace", "--set", "proxy_required_hosts=" PROXY, NULL);
		_exit(127);
	}
	for (tries = 0; tries < 200; tries++) {
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
				      "--max-sessions 100"),
			       "will not run as root: set the option user"));
	assert_non_null(strstr(
		run(1, "build/bin/ppmta --listen 1.2.3:25 --max-sessions 9 --maildir /tmp/m"),
		"local_interfaces: '1.2.3:25' is not an address"));
	assert_non_null(strstr(
		run(1,
		    "build/bin/ppmta --listen 127.0.0.1:99999 --max-sessions 9 --maildir /tmp/m"),
		"local_interfaces: '127.0.0.1:99999' is not an address"));
	assert_non_null(strstr(run(1, "build/bin/ppmta --set smtp_acept_max=3"),
			       "unknown option 'smtp_acept_max'"));
	assert_non_null(
		strstr(run(1, "build/bin/ppmta --listen 127.0.0.1:%d --maildir /tmp/m", MAIL_PORT),
		       "Address already in use"));
	assert_non_null(
		strstr(run(1, "build/bin/ppmta"), "needs the option delivery (or --maildir)"));
	assert_non_null(strstr(run(0, "build/bin/ppmta --help"), "--proxy-timeout"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored_and_logged_with_its_origin),
		cmocka_unit_test(a_direct_client_is_an_ordinary_one),
		cmocka_unit_test(a_liar_is_taken_at_its_own_address),
		cmocka_unit_test(without_a_header_all_but_quit_is_refused),
		cmocka_unit_test(a_bad_header_is_refused),
		cmocka_unit_test(a_local_header_makes_the_proxy_the_client),
		cmocka_unit_test(syntax_is_that_of_rfc_5321),
		cmocka_unit_test(limits_are_those_of_rfc_5321),
		cmocka_unit_test(a_line_end_that_is_none_ends_no_message),
		cmocka_unit_test(a_message_over_the_size_limit_is_refused_and_the_next_taken),
		cmocka_unit_test(pipelined_commands_are_answered_in_order),
		cmocka_unit_test(a_client_that_leaves_in_the_middle_leaves_nothing),
		cmocka_unit_test(it_runs_without_privileges),
		cmocka_unit_test(a_thousand_sessions_at_once),
		cmocka_unit_test(more_sessions_than_allowed_are_turned_away),
		cmocka_unit_test(half_headers_cost_no_processor_time),
		cmocka_unit_test(bad_options_are_named),
	};

	return cmocka_run_group_tests_name("ppmta", tests, setup, teardown);
}
