// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta and its clients.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mta.h"

char work[] = "/tmp/ppmta-test.XXXXXX";
pid_t mta;

/* One with sanitizers, where the runner says so. */
static const char *program(void)
{
	const char *other = getenv("PPMTA");

	return other ? other : "build/bin/ppmta";
}

static void await_start(const char *file)
{
	int tries, status;

	for (tries = 0; tries < 1200 && waitpid(mta, &status, WNOHANG) == 0; tries++) {
		if (strstr(run(0, "cat %s 2>/dev/null; true", file), "daemon started"))
			return;
		usleep(50000);
	}
	fail_msg("ppmta did not start");
}

int mta_setup(void **state)
{
	char listen_at[64], maildir[64], log[64];

	net_setup(state);
	assert_non_null(mkdtemp(work));
	chmod(work, 0755);
	assert_int_equal(chown(work, 65534, 65534), 0); /* nobody makes the Maildir and the log */
	snprintf(listen_at, sizeof(listen_at), "%s:%d ; %s:%d", SERVER, MAIL_PORT, SERVER,
		 QUICK_PORT);
	snprintf(maildir, sizeof(maildir), "%s/Maildir", work);
	snprintf(log, sizeof(log), "%s/log", work);
	mta = fork();
	if (mta == 0) {
		execl(program(), "ppmta", "--listen", listen_at, "--maildir", maildir, "--user",
		      "nobody", "--hostname", "mail.example.net", "--log", log, "--set",
		      "message_size_limit=30000000", "--set", "smtp_receive_timeout=20s", "--set",
		      "smtp_accept_max=1200", "--set", "log_selector=+proxy +proxy_negotiation",
		      "--set", "proxy_protocol_timeout=60s", "--set", "smtp_enforce_sync=false",
		      "--set", "smtp_max_synprot_errors=100", "--set", "smtp_accept_max_per_host=0",
		      NULL);
		_exit(127);
	}
	await_start(log);
	return 0;
}

void mta_start(const char *options)
{
	char conf[64], log[64];
	FILE *file;

	if (!strcmp(work + strlen(work) - 6, "XXXXXX"))
		assert_non_null(mkdtemp(work));
	chmod(work, 0755);
	assert_int_equal(chown(work, 65534, 65534), 0);
	snprintf(conf, sizeof(conf), "%s/conf", work);
	snprintf(log, sizeof(log), "%s/log", work);
	file = fopen(conf, "w");
	fprintf(file,
		"%slocal_interfaces = " SERVER ".%d\n"
		"user = nobody\n%s",
		strstr(options, "primary_hostname") ? "" : "primary_hostname = mail.example.net\n",
		MAIL_PORT, options);
	fclose(file);
	unlink(log);
	mta = fork();
	if (mta == 0) {
		execl(program(), "ppmta", "-C", conf, "--log", log, NULL);
		_exit(127);
	}
	await_start(log);
}

void mta_stop(void)
{
	int status;

	kill(mta, SIGTERM);
	waitpid(mta, &status, 0);
	assert_int_equal(status, 0);
	run(0, "rm -rf %s/*", work);
}

int mta_teardown(void **state)
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
const char *reply(int fd)
{
	static char text[65536];
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

void ask(int fd, const char *command, const char *answer)
{
	const char *got;

	send_text(fd, command);
	send_text(fd, "\r\n");
	got = reply(fd);
	if (strncmp(got, answer, strlen(answer)))
		fail_msg("%s: %s, not %s", command, got, answer);
}

void expect(int fd, const char *answer)
{
	const char *got = reply(fd);

	if (strncmp(got, answer, strlen(answer)))
		fail_msg("%s, not %s", got, answer);
}

int open_session(void)
{
	int fd = connect_to(PROXY, SERVER, MAIL_PORT);

	send_text(fd, LINE);
	expect(fd, BANNER);
	return fd;
}

void quit(int fd)
{
	ask(fd, "QUIT", "221 ");
	assert_reads_eof(fd);
	close(fd);
}

void start_message(int fd)
{
	ask(fd, "EHLO client.example", "250-mail.example.net Hello client.example [192.0.2.7]");
	ask(fd, "MAIL FROM:<me@example.net>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
}

void empty_maildir(void)
{
	run(0, "find %s/Maildir -type f -exec rm {} +", work);
}

unsigned long stored_count(void)
{
	return strtoul(run(0, "ls %s/Maildir/new | wc -l", work), NULL, 10);
}

void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0))
		fail_msg("'%s' does not match %s", text, pattern);
	regfree(&regex);
}
