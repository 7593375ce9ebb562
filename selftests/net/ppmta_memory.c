// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta without memory: it turns new clients away, and goes on with those that it has.
 *
 * check: all
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/resource.h>

#include "../lib/mta.h"

#define CROWD	     700
#define ADDRESS_ROOM (140 * 1024 * 1024) /* for about 200 sessions */

/* The first line of the next reply; NULL: the connection has ended. */
static const char *next_line(int fd)
{
	static char line[512];
	struct pollfd in = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (len < sizeof(line) - 1 && poll(&in, 1, SOON_MS) == 1 &&
	       recv(fd, line + len, 1, 0) == 1) {
		if (line[len++] == '\n') {
			line[len] = 0;
			return line;
		}
	}
	return NULL;
}

static void say(int *fds, const char *text)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		if (fds[i] >= 0)
			send(fds[i], text, strlen(text), MSG_NOSIGNAL);
	}
}

/* Of a crowd, those who are there keep their sessions; each recipient needs memory of its own. */
static void a_crowd_ends_nobodys_session(void **state)
{
	static int fds[CROWD];
	struct rlimit before, little;
	const char *line;
	int i, greeted = 0, turned_away = 0, fd;
	char rcpt[128];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	little = before;
	little.rlim_cur = ADDRESS_ROOM;
	assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
	mta_start("delivery = maildir:/tmp/ppmta-memory\nsmtp_accept_max_per_host = 0\n"
		  "smtp_accept_max = 1000\nacl_smtp_rcpt = r\nbegin acl\nr:\n"
		  " warn set acl_m_all = $acl_m_all$local_part\n"
		  "      ratelimit = 9000000 / 1h / per_rcpt / $local_part\n"
		  " accept condition = ${if match{$local_part}{^x}}\n");
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	for (i = 0; i < CROWD; i++) {
		fds[i] = connect_to(OTHER, SERVER, MAIL_PORT);
		line = next_line(fds[i]);
		if (line && !strncmp(line, "220", 3)) {
			greeted++;
			continue;
		}
		turned_away += line && !strncmp(line, "421", 3);
		close(fds[i]);
		fds[i] = -1;
	}
	assert_true(greeted > 20);
	assert_true(turned_away > 20);
	say(fds, "HELO x.example\r\n");
	say(fds, "MAIL FROM:<a@b.example>\r\n");
	for (i = 0; i < 100; i++) {
		snprintf(rcpt, sizeof(rcpt), "RCPT TO:<x%060d@example.org>\r\n", i);
		say(fds, rcpt);
	}
	for (i = 0; i < CROWD; i++) {
		if (fds[i] < 0)
			continue;
		assert_non_null(next_line(fds[i])); /* of HELO: the session goes on */
		close(fds[i]);
	}
	for (i = 0; i < 100; i++) { /* until they have ended */
		fd = connect_to(OTHER, SERVER, MAIL_PORT);
		line = next_line(fd);
		if (line && !strncmp(line, "220", 3))
			break;
		close(fd);
		usleep(100000);
	}
	ask(fd, "EHLO x.example", "250-");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	ask(fd, "RCPT TO:<x@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "x\r\n.", "250 ");
	quit(fd);
	mta_stop();
	run(0, "rm -rf %s /tmp/ppmta-memory", work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_ends_nobodys_session),
	};

	return cmocka_run_group_tests_name("ppmta_memory", tests, net_setup, NULL);
}
