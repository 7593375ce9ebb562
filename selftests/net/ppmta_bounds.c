// SPDX-License-Identifier: BSD-2-Clause
/*
 * What one client of ppmta can take: commands that are none, commands that bring no mail, time; and
 * messages that loop.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "../lib/mta.h"

static int connect_client(void)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	expect(fd, BANNER);
	return fd;
}

static void start_data(int fd)
{
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<me@example.net>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
}

static void assert_dropped(int fd, const char *reason)
{
	assert_reads_eof(fd);
	close(fd);
	run(0, "grep -F '%s' %s/log", reason, work);
}

static void who_has_only_errors_is_dropped(void **state)
{
	int fd = connect_client(), i;

	(void)state;
	for (i = 0; i < 5; i++)
		ask(fd, "NONSENSE", "500 ");
	for (i = 0; i < 5; i++)
		ask(fd, "RCPT TO:<you@example.org>", "503 ");
	ask(fd, "MAIL FROM", "503 ");
	expect(fd, "421 mail.example.net: Too many errors");
	assert_dropped(fd, "dropped: too many errors");
}

#define REFUSED_MAX (1000 + 30) /* with recipients_max */

/* Refused commands of any kind, but for a message between them. */
static void who_is_refused_too_often_is_dropped(void **state)
{
	static const char *const commands[] = {"RCPT TO:<you@refused.example>",
					       "MAIL FROM:<me@refused.example>"};
	int which, fd, i;

	(void)state;
	for (which = 0; which < 2; which++) {
		fd = connect_client();
		ask(fd, "EHLO client.example", "250-");
		for (i = 0; i < 5; i++) {
			if (!which)
				ask(fd, "MAIL FROM:<me@example.net>", "250 ");
			ask(fd, commands[which], "550 ");
			if (which)
				ask(fd, "MAIL FROM:<me@example.net>", "250 ");
			ask(fd, "RCPT TO:<you@example.org>", "250 ");
			ask(fd, "DATA", "354 ");
			ask(fd, ".", "250 ");
		}
		if (!which)
			ask(fd, "MAIL FROM:<me@example.net>", "250 ");
		for (i = 0; i <= REFUSED_MAX; i++)
			ask(fd, commands[which], "550 ");
		expect(fd, "421 mail.example.net: Too many errors");
		assert_dropped(fd, "dropped: too many errors");
	}
}

static void who_brings_no_mail_is_dropped(void **state)
{
	int fd = connect_client(), i;

	(void)state;
	ask(fd, "EHLO client.example", "250-");
	for (i = 0; i < 19; i++)
		ask(fd, i % 2 ? "RSET" : "NOOP", "250 ");
	ask(fd, "NOOP", "421 mail.example.net: Too many nonmail commands");
	assert_dropped(fd, "dropped: too many commands that bring no mail");
}

static void who_brings_mail_is_not(void **state)
{
	int fd = connect_client(), i;

	(void)state;
	ask(fd, "EHLO client.example", "250-");
	for (i = 0; i < 40; i++) {
		ask(fd, "RSET", "250 ");
		ask(fd, "MAIL FROM:<me@example.net>", "250 ");
		ask(fd, "RCPT TO:<you@example.org>", "250 ");
		ask(fd, "DATA", "354 ");
		ask(fd, ".", "250 ");
	}
	quit(fd);
}

static void a_session_has_an_end(void **state)
{
	int64_t start = now_ms();
	int fd = connect_client();
	const char *got;

	(void)state;
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<me@example.net>", "250 ");
	do {
		usleep(200000);
		send_text(fd, "RCPT TO:<you@example.org>\r\n");
		got = reply(fd);
	} while (!strncmp(got, "250", 3) && now_ms() - start < SOON_MS);
	assert_int_equal(strncmp(got, "421 mail.example.net: SMTP command timeout", 42), 0);
	close(fd);
}

static void a_message_that_drips_has_an_end(void **state)
{
	int64_t start = now_ms();
	int fd = connect_client();
	char byte = 0;

	(void)state;
	start_data(fd);
	do { /* a byte each 200 ms never exceeds the time limit of one wait */
		usleep(200000);
		send_text(fd, "x");
	} while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && now_ms() - start < SOON_MS);
	assert_int_equal(byte, '4');
	expect(fd, "21 mail.example.net: SMTP incoming data timeout");
	close(fd);
}

/* A message that has passed @count servers. */
static void send_passed(int fd, int count)
{
	int i;

	start_data(fd);
	for (i = 0; i < count; i++)
		send_text(fd, i % 2 ? "Received: from a by b;\r\n\ttoday\r\n" : "RECEIVED: x\r\n");
	send_text(fd, "Received-SPF: none\r\nSubject: x\r\n\r\nReceived: in the body\r\n");
}

static void a_message_that_loops_is_refused(void **state)
{
	int fd = connect_client();

	(void)state;
	send_passed(fd, 30);
	ask(fd, ".", "250 ");
	send_passed(fd, 31);
	ask(fd, ".", "550 Too many \"Received\" headers - suspected mail loop");
	quit(fd);
}

static int setup(void **state)
{
	(void)state;
	mta_start("delivery = maildir:/tmp/ppmta-bounds\nsmtp_max_synprot_errors = 10\n"
		  "smtp_accept_max_nonmail = 20\nsmtp_session_timeout = 4s\n"
		  "recipients_max = 30\nacl_smtp_mail = m\nacl_smtp_rcpt = r\nbegin acl\n"
		  "m:\n deny senders = refused.example\n accept\n"
		  "r:\n deny domains = refused.example\n accept\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mta_stop();
	run(0, "rm -rf %s /tmp/ppmta-bounds", work);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_only_errors_is_dropped),
		cmocka_unit_test(who_is_refused_too_often_is_dropped),
		cmocka_unit_test(who_brings_no_mail_is_dropped),
		cmocka_unit_test(who_brings_mail_is_not),
		cmocka_unit_test(a_session_has_an_end),
		cmocka_unit_test(a_message_that_drips_has_an_end),
		cmocka_unit_test(a_message_that_loops_is_refused),
	};

	return cmocka_run_group_tests_name("ppmta_bounds", tests, setup, teardown);
}
