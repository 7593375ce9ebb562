// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta's SMTP: syntax and limits of RFC 5321, ends of lines and of messages, pipelining, clients
 * that leave.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE

#include "../lib/mta.h"

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
		{"MAIL FROM:<postmaster>", "501 "}, /* of which domain? */
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
		{"RCPT TO:<postmaster>", "250 "},
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
	for (i = 2; i < 1000; i++) {
		snprintf(line, sizeof(line), "RCPT TO:<you%d@example.org>", i);
		ask(fd, line, "250 ");
	}
	ask(fd, "RCPT TO:<you@example.org>", "452 ");
	ask(fd, "RCPT TO:<you2@EXAMPLE.org>", "250 "); /* named already */
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

static void a_nul_in_a_message_is_refused(void **state)
{
	static const char tricks[][8] = {"\0\r\n", "a\0b\r\n", ".\0\r\n", "a\r\0\r\n",
					 "\r\n\0\r\n"};
	static const size_t lens[] = {3, 5, 4, 5, 5};
	int fd = open_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		start_message(fd);
		send_all(fd, tricks[i], lens[i]);
		ask(fd, ".", "550 Message has ");
	}
	quit(fd);
	assert_int_equal(stored_count(), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syntax_is_that_of_rfc_5321),
		cmocka_unit_test(limits_are_those_of_rfc_5321),
		cmocka_unit_test(a_line_end_that_is_none_ends_no_message),
		cmocka_unit_test(a_nul_in_a_message_is_refused),
		cmocka_unit_test(a_message_over_the_size_limit_is_refused_and_the_next_taken),
		cmocka_unit_test(pipelined_commands_are_answered_in_order),
		cmocka_unit_test(a_client_that_leaves_in_the_middle_leaves_nothing),
	};

	return cmocka_run_group_tests_name("ppmta_smtp", tests, mta_setup, mta_teardown);
}
