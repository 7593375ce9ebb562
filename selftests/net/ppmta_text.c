// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text of others in what ppmta says, stores and logs: of clients, proxies, ACLs. (That of a next
 * hop: ppmta_faults.) None of it makes a line of its own, or a control character.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE
#include <pp/pp.h>

#include "../lib/mta.h"

/* 60 letters */
#define LABEL(c)                                                                                  \
	c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c \
		c c c c c c c c c c c c c c c

/* ppmta with a Maildir, and @options. */
static void start(const char *options)
{
	char text[8192];

	snprintf(text, sizeof(text),
		 "delivery = maildir:/tmp/ppmta-text\nproxy_lookup = userspace\n"
		 "proxy_required_hosts = " PROXY "\n%s",
		 options);
	run(0, "rm -rf /tmp/ppmta-text");
	mta_start(text);
}

static void stop_ppmta(void)
{
	mta_stop();
	run(0, "rm -rf /tmp/ppmta-text");
}

static int connect_client(void)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	expect(fd, BANNER);
	return fd;
}

/* Lines of at most 512 bytes, each with @code, CR LF at its end, and printable ASCII. Return: how
 * many. */
static int assert_lines(const char *got, const char *code)
{
	const char *line = got, *end, *c;
	int count = 0;

	for (; *line; line = end + 2, count++) {
		end = strstr(line, "\r\n");
		assert_non_null(end);
		if (end - line > 510 || strncmp(line, code, 3) || line[3] != (end[2] ? '-' : ' '))
			fail_msg("'%.*s' is not a line of a reply", (int)(end - line), line);
		for (c = line; c < end; c++) {
			if (*c < 0x20 || *c > 0x7e)
				fail_msg("byte 0x%02x in '%s'", (unsigned char)*c, got);
		}
	}
	return count;
}

static const char *told(int fd, const char *command)
{
	send_text(fd, command);
	send_text(fd, "\r\n");
	return reply(fd);
}

static void a_message_of_an_acl_is_lines_of_a_reply(void **state)
{
	static const struct {
		const char *message, *reply;
	} messages[] = {
		{"see\\nhttp://example.net/", "550-see\r\n550 http://example.net/\r\n"},
		{"a\\r\\nb", "550-a\r\n550 b\r\n"},
		{"a\\n", "550 a\r\n"},
		{"a\\n\\nb", "550-a\r\n550-\r\n550 b\r\n"},
		{"\\n", "550 \r\n"},
		{"a\\rb\\tc\\x1b[31m\\x7f", "550 a?b?c?[31m?\r\n"},
		{"\\xc3\\xbc", "550 ??\r\n"},
		{"551 5.7.1 moved\\n5.7.1 away", "551-5.7.1 moved\r\n551 5.7.1 away\r\n"},
		{"450 no code of this class", "550 no code of this class\r\n"},
	};
	char options[512];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		snprintf(options, sizeof(options),
			 "acl_smtp_rcpt = r\nbegin acl\nr:\n deny message = %s\n",
			 messages[i].message);
		start(options);
		fd = connect_client();
		ask(fd, "EHLO client.example", "250-");
		send_text(fd, "MAIL FROM:<a@b.example>\r\nRCPT TO:<you@example.org>\r\nNOOP\r\n");
		expect(fd, "250 ");
		assert_string_equal(reply(fd), messages[i].reply);
		expect(fd, "250 ");
		quit(fd);
		stop_ppmta();
	}
}

static void a_long_message_of_an_acl_is_several_lines(void **state)
{
	char options[4096] = "acl_smtp_mail = m\nbegin acl\nm:\n deny message = ";
	const char *got;
	size_t start_at;
	int fd, i;

	(void)state;
	for (i = 0; i < 200; i++)
		snprintf(options + strlen(options), 16, "word%d ", i);
	start_at = strlen(options);
	memset(options + start_at, 'x', 1500);
	strcpy(options + start_at + 1500, "\n");
	start(options);
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	got = told(fd, "MAIL FROM:<a@b.example>");
	assert_true(assert_lines(got, "550") >= 6);
	assert_non_null(strstr(got, "word199"));
	assert_null(strstr(got, "\r\n550-ord"));
	quit(fd);
	stop_ppmta();
}

/* A v2 header from the proxy, with a TLV of @type. */
static void send_header(int fd, int type, const void *value, size_t len)
{
	uint8_t header[1024];
	size_t at = make_v2(header, 28);

	header[at] = type;
	header[at + 1] = len >> 8;
	header[at + 2] = len;
	memcpy(header + at + 3, value, len);
	at += 3 + len;
	header[14] = (at - 16) >> 8;
	header[15] = at - 16;
	send_all(fd, header, at);
}

static void a_value_of_a_proxy_makes_no_line(void **state)
{
	static const char value[] = "x\r\n250 injected\r\n\x1b[2J";
	const char *got;
	int fd;

	(void)state;
	start("acl_smtp_rcpt = r\nsmtp_banner = hi $pp_tlv_authority\nbegin acl\nr:\n"
	      " deny message = you $pp_tlv_authority\n      log_message = log $pp_tlv_authority\n");
	fd = connect_to(PROXY, SERVER, MAIL_PORT);
	send_header(fd, PP_TLV_AUTHORITY, value, sizeof(value) - 1);
	assert_lines(reply(fd), "220");
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	got = told(fd, "RCPT TO:<you@example.org>");
	assert_lines(got, "550");
	quit(fd);
	run(1, "grep -P '\\x1b|^250|^x' %s/log", work);
	run(0, "grep 'rejected RCPT .*log ' %s/log", work);
	stop_ppmta();
}

static void a_log_line_has_no_control_character(void **state)
{
	int fd;

	(void)state;
	start("log_selector = +smtp_connection\n");
	fd = connect_client();
	ask(fd,
	    "EHLO a\xc2\x9b"
	    "31mb\xff\xc3\xbc.example",
	    "250-mail.example.net Hello a??31mb???.example");
	ask(fd, "MAIL FROM:<>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "x\r\n.", "250 ");
	ask(fd, "MAIL FROM:<a\xc2\x9b@b.example> SMTPUTF8", "553 ");
	quit(fd);
	run(0, "grep -F 'Received: from a??31mb???.example ([' /tmp/ppmta-text/new/*");
	run(0, "grep -F 'H=(a?31mb?\xc3\xbc.example)' %s/log", work);
	stop_ppmta();
}

/* What a message begins with continues no line that ppmta has written above it. */
static void a_message_continues_no_header_of_ours(void **state)
{
	static const char *const beginnings[] = {" ", "\t", " \r\n "};
	char message[64];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		start("acl_smtp_rcpt = r\nbegin acl\nr:\n"
		      " accept add_header = X-Result: fail\n");
		fd = connect_client();
		ask(fd, "EHLO client.example", "250-");
		ask(fd, "MAIL FROM:<>", "250 ");
		ask(fd, "RCPT TO:<you@example.org>", "250 ");
		ask(fd, "DATA", "354 ");
		snprintf(message, sizeof(message), "%sno, pass\r\n\r\nbody\r\n.", beginnings[i]);
		ask(fd, message, "250 ");
		quit(fd);
		assert_matches(run(0, "cat /tmp/ppmta-text/new/*"),
			       "\nX-Result: fail\n\n[ \t\n]+no, pass\n\nbody\n$");
		stop_ppmta();
	}
}

/* An ACL of RCPT is asked for each recipient; a continuation belongs to the line before it, and a
 * header that is continued otherwise is another one. */
static void what_each_recipient_adds_is_there_once(void **state)
{
	int fd;

	(void)state;
	start("acl_smtp_rcpt = r\nbegin acl\nr:\n"
	      " accept add_header = X-One: a\\n  b\\n  b\\nX-To: $local_part\\n  b\\n"
	      "X-Both: x\\n  $local_part\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "RCPT TO:<me@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "Subject: test\r\n\r\nbody\r\n.", "250 ");
	quit(fd);
	assert_matches(run(0, "cat /tmp/ppmta-text/new/*"),
		       "\nX-One: a\n\tb\n\tb\nX-To: you\n\tb\nX-Both: x\n\tyou\n"
		       "X-To: me\n\tb\nX-Both: x\n\tme\nSubject: test\n");
	stop_ppmta();
}

static void names_as_long_as_can_be_leave_the_header_whole(void **state)
{
	char command[512];
	const char *text;
	int fd;

	(void)state;
	start("smtp_banner = hello\nprimary_hostname = " LABEL("h") "." LABEL("h") "." LABEL(
		"h") ".example\n");
	fd = connect_to(PROXY, SERVER, MAIL_PORT);
	send_text(fd, LINE);
	expect(fd, "220 hello");
	ask(fd, "EHLO " LABEL("c") "." LABEL("c") "." LABEL("c") "." LABEL("c"), "250-");
	snprintf(command, sizeof(command), "MAIL FROM:<%s@%s>", LABEL("s"),
		 LABEL("d") "." LABEL("d") "." LABEL("d"));
	ask(fd, command, "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "RCPT TO:<second@example.org>", "250 ");
	ask(fd, "RCPT TO:<you@EXAMPLE.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "Subject: test\r\n\r\nbody\r\n.", "250 ");
	ask(fd, "QUIT", "221 ");
	close(fd);
	text = run(0, "cat /tmp/ppmta-text/new/*");
	assert_matches(text,
		       "^Return-Path: <s{60}@d{60}[.]d{60}[.]d{60}>\n"
		       "Envelope-to: you@example[.]org,\n"
		       "\tsecond@example[.]org\n"
		       "Received: from c{60}[.]c{60}[.]c{60}[.]c{60} \\(\\[192[.]0[.]2[.]7\\]\\)\n"
		       "\tby h{60}[.]h{60}[.]h{60}[.]example with esmtp id [-0-9A-Za-z]{16};\n"
		       "\t[^\n]*\nSubject: test\n\nbody\n$");
	run(0, "test $(ls /tmp/ppmta-text/new | wc -l) -eq 1");
	stop_ppmta();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_of_an_acl_is_lines_of_a_reply),
		cmocka_unit_test(a_long_message_of_an_acl_is_several_lines),
		cmocka_unit_test(a_value_of_a_proxy_makes_no_line),
		cmocka_unit_test(a_log_line_has_no_control_character),
		cmocka_unit_test(a_message_continues_no_header_of_ours),
		cmocka_unit_test(what_each_recipient_adds_is_there_once),
		cmocka_unit_test(names_as_long_as_can_be_leave_the_header_whole),
	};

	return cmocka_run_group_tests_name("ppmta_text", tests, NULL, NULL);
}
