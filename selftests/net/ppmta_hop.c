// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta and a next hop that works: what is offered, what is passed on, how the hop is told of the
 * true client, several hops, LMTP. ppmta_faults has those that fail.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "../../user/common/array.h"
#include "../lib/hop.h"
#include "../lib/mta.h"

#define ACCEPT_ALL "acl_smtp_rcpt = r\nbegin acl\nr:\n accept\n"

/* A hop with @extensions, and ppmta with @options. */
static void start(const char *extensions, const char *options)
{
	char text[2048];

	hop_forget();
	hop_start(extensions);
	snprintf(text, sizeof(text), "%s%s", options,
		 strstr(options, "begin acl") ? "" : ACCEPT_ALL);
	mta_start(text);
}

static void stop_ppmta(void)
{
	mta_stop();
	hop_stop();
}

static int connect_client(void)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	expect(fd, BANNER);
	return fd;
}

/* EHLO's answer: what of it is offered, in one line. */
static const char *offered(int fd)
{
	send_text(fd, "EHLO client.example\r\n");
	return reply(fd);
}

static void assert_heard(const char *line)
{
	if (!strstr(hop_heard(), line))
		fail_msg("the hop did not hear '%s', but '%s'", line, hop_heard());
}

static void what_is_offered_is_what_the_hop_has(void **state)
{
	const char *text;
	int fd;

	(void)state;
	start("250-8BITMIME\r\n250-SIZE 1000\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
	      "250-CHUNKING\r\n250-DSN\r\n",
	      "delivery = smtp:127.0.0.1:2600\n");
	fd = connect_client();
	assert_string_equal(offered(fd), "250-mail.example.net Hello client.example [127.0.0.3]\r\n"
					 "250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
					 "250-PIPELINING\r\n250 HELP\r\n");
	ask(fd, "NOOP", "250 OK");
	ask(fd, "MAIL FROM:<a@b.example> SIZE=1001", "552 ");
	ask(fd, "MAIL FROM:<\xc3\xbc@b.example>", "553 ");
	ask(fd, "MAIL FROM:<\xc3\xbc@b.example> SMTPUTF8 SIZE=900", "250 2.1.0 ");
	assert_heard("MAIL FROM:<\xc3\xbc@b.example> SIZE=900 BODY=8BITMIME SMTPUTF8\r\n");
	ask(fd, "RCPT TO:<\xc3\xa4@example.org>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<\xff@example.org>", "553 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "Subject: \xc3\xbc\r\n\r\nx\r\n.", "250 2.0.0 taken by the hop");
	text = hop_message();
	assert_non_null(strstr(text, "with utf8smtp id"));
	assert_non_null(strstr(text, "Subject: \xc3\xbc\r\n"));
	quit(fd);
	stop_ppmta();
}

static void a_hop_without_extensions_gets_nothing_that_needs_them(void **state)
{
	int fd;

	(void)state;
	start("", "delivery = smtp:127.0.0.1:2600\n");
	fd = connect_client();
	assert_string_equal(offered(fd), "250-mail.example.net Hello client.example [127.0.0.3]\r\n"
					 "250-SIZE 52428800\r\n250-PIPELINING\r\n250 HELP\r\n");
	ask(fd, "MAIL FROM:<a@b.example> SMTPUTF8", "555 ");
	ask(fd, "MAIL FROM:<a@b.example> BODY=8BITMIME", "555 ");
	ask(fd, "MAIL FROM:<\xc3\xbc@b.example>", "553 ");
	ask(fd, "MAIL FROM:<a@b.example> SIZE=100", "250 2.1.0 ");
	assert_heard("MAIL FROM:<a@b.example>\r\n");
	ask(fd, "RCPT TO:<\xc3\xbc@example.org>", "553 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "\xc3\xbc\r\n.", "554 Message is not 7-bit");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "plain\r\n.", "250 2.0.0 taken by the hop");
	quit(fd);
	stop_ppmta();
}

/* HELO asks for nothing, and so nothing was promised. The hop is lost before DATA, and the one
 * after it has no extensions. */
static void what_needs_an_extension_goes_to_no_other_hop(void **state)
{
	static const struct {
		const char *hello, *body, *told;
	} cases[] = {
		{"HELO client.example", "\xc3\xbc\r\n.", "554 Message is not 7-bit"},
		{"HELO client.example", "plain\r\n.", "250 2.0.0 taken by the hop"},
		{"EHLO client.example", "\xc3\xbc\r\n.", "451 4.4."},
		{"EHLO client.example", "plain\r\n.", "451 4.4."},
	};
	size_t i;
	int fd, before;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		start("250-8BITMIME\r\n250-SMTPUTF8\r\n", "delivery = smtp:127.0.0.1:2600\n");
		before = hop_taken();
		fd = connect_client();
		ask(fd, cases[i].hello, "250");
		ask(fd, "MAIL FROM:<a@b.example>", "250 ");
		ask(fd, "RCPT TO:<you@example.org>", "250 ");
		ask(fd, "DATA", "354 ");
		hop_stop();
		hop_start("");
		hop_fault(AT_DATA, "", HANG_UP, 1);
		ask(fd, cases[i].body, cases[i].told);
		assert_int_equal(hop_taken(), before + (cases[i].told[0] == '2'));
		quit(fd);
		stop_ppmta();
	}
}

static void a_header_of_an_acl_needs_8bitmime_as_well(void **state)
{
	static const char acl[] =
		"delivery = smtp:127.0.0.1:2600\nacl_smtp_rcpt = r\nbegin acl\nr:\n"
		" accept add_header = X-Note: gr\xc3\xbcn\n";
	static const char *const extensions[] = {"", "250-8BITMIME\r\n"};
	static const char *const told[] = {"554 Message is not 7-bit", "250 2.0.0 "};
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(told); i++) {
		start(extensions[i], acl);
		fd = connect_client();
		ask(fd, "EHLO client.example", "250-");
		ask(fd, "MAIL FROM:<a@b.example> BODY=7BIT", "250 ");
		assert_heard(i ? "MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"
			       : "MAIL FROM:<a@b.example>\r\n");
		ask(fd, "RCPT TO:<you@example.org>", "250 ");
		ask(fd, "DATA", "354 ");
		ask(fd, "plain\r\n.", told[i]);
		quit(fd);
		stop_ppmta();
	}
}

static void a_transaction_that_ends_early_is_reset_at_the_hop(void **state)
{
	int fd, before;

	(void)state;
	start("", "delivery = smtp:127.0.0.1:2600\nacl_smtp_data = d\nacl_smtp_rcpt = r\n"
		  "begin acl\nr:\n accept\n"
		  "d:\n deny senders = bad@b.example\n"
		  "   message = no\\nreally no\n accept\n");
	before = hop_taken();
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	ask(fd, "RCPT TO:<one@example.org>", "250 ");
	ask(fd, "RSET", "250 ");
	ask(fd, "MAIL FROM:<bad@b.example>", "250 ");
	ask(fd, "RCPT TO:<two@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "x\r\n.", "550-no\r\n550 really no\r\n");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	ask(fd, "RCPT TO:<three@example.org>", "250 ");
	ask(fd, "RCPT TO:<three@EXAMPLE.ORG>", "250 ");
	ask(fd, "DATA", "354 ");
	ask(fd, "x\r\n.", "250 ");
	quit(fd);
	assert_int_equal(hop_taken(), before + 1);
	assert_heard("MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.org>\r\nRSET\r\n"
		     "MAIL FROM:<bad@b.example>\r\nRCPT TO:<two@example.org>\r\nRSET\r\n"
		     "MAIL FROM:<a@b.example>\r\nRCPT TO:<three@example.org>\r\nDATA\r\n");
	stop_ppmta();
}

/* Whatever a hop answers to RSET but 250, the recipients before it get no other message. */
static void a_hop_that_does_not_reset_is_left(void **state)
{
	static const char *const answers[] = {"500 what\r\n", "421 bye\r\n", "451 later\r\n",
					      "220 hop\r\n",  "251 ok\r\n",  "354 go\r\n"};
	const char *heard, *last;
	size_t i;
	int fd;

	(void)state;
	start("", "delivery = smtp:127.0.0.1:2600\n");
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		fd = connect_client();
		ask(fd, "EHLO client.example", "250-");
		ask(fd, "MAIL FROM:<a@b.example>", "250 ");
		ask(fd, "RCPT TO:<cancelled@example.org>", "250 ");
		ask(fd, "RSET", "250 ");
		hop_forget();
		hop_fault(AT_RSET, answers[i], GO_ON, 1);
		ask(fd, "MAIL FROM:<c@b.example>", "250 2.1.0 ");
		ask(fd, "RCPT TO:<two@example.org>", "250 ");
		ask(fd, "DATA", "354 ");
		ask(fd, "x\r\n.", "250 ");
		heard = hop_heard();
		if (strncmp(heard, "RSET\r\nEHLO ", 11) || !strstr(heard, "MAIL FROM:<c@"))
			fail_msg("RSET is answered with %s: %s", answers[i], heard);
		quit(fd);
	}
	/* a message that was refused may have been kept as well */
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	ask(fd, "RCPT TO:<refused@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	hop_fault(AT_DOT, "451 4.3.0 later\r\n", GO_ON, 1);
	ask(fd, "x\r\n.", "451 4.3.0 later");
	hop_forget();
	ask(fd, "MAIL FROM:<c@b.example>", "250 2.1.0 ");
	last = hop_heard();
	assert_int_equal(strncmp(last, "RSET\r\nMAIL ", 11), 0);
	quit(fd);
	stop_ppmta();
}

static void pipelined_commands_are_passed_on_in_order(void **state)
{
	int fd;

	(void)state;
	start("", "delivery = smtp:127.0.0.1:2600\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	hop_fault(AT_RCPT, "550 5.1.1 not the first\r\n", GO_ON, 1);
	send_text(fd, "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@example.org>\r\n"
		      "RCPT TO:<b@example.org>\r\nRCPT TO:<b>\r\nDATA\r\n");
	expect(fd, "250 2.1.0 ");
	expect(fd, "550 5.1.1 not the first");
	expect(fd, "250 2.1.5 ");
	expect(fd, "501 ");
	expect(fd, "354 ");
	send_text(fd, "x\r\n.\r\nMAIL FROM:<c@b.example>\r\nRSET\r\nQUIT\r\n");
	expect(fd, "250 2.0.0 ");
	expect(fd, "250 2.1.0 ");
	expect(fd, "250 Reset");
	expect(fd, "221 ");
	close(fd);
	stop_ppmta();
}

static void a_recipient_of_lmtp_gets_a_message_of_its_own(void **state)
{
	int fd;

	(void)state;
	start("250-8BITMIME\r\n", "delivery = lmtp:127.0.0.1:2600\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	assert_heard("LHLO mail.example.net\r\n");
	ask(fd, "MAIL FROM:<a@b.example>", "250 ");
	hop_fault(AT_RCPT, "550 5.1.1 nobody\r\n", GO_ON, 1);
	ask(fd, "RCPT TO:<nobody@example.org>", "550 5.1.1 nobody");
	ask(fd, "RCPT TO:<one@example.org>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<two@example.org>", "452 4.5.3 ");
	ask(fd, "RCPT TO:<one@example.org>", "250 ");
	ask(fd, "DATA", "354 ");
	hop_fault(AT_DOT, "452 4.2.2 one is full\r\n", GO_ON, 1);
	ask(fd, "x\r\n.", "452 4.2.2 one is full");
	quit(fd);
	stop_ppmta();
}

static void the_true_client_goes_on_by_xclient(void **state)
{
	int fd;

	(void)state;
	start("250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR\r\n",
	      "delivery = smtp:127.0.0.1:2600\ndelivery_origin = xclient\n"
	      "proxy_required_hosts = " PROXY "\nproxy_lookup = userspace\n");
	fd = connect_to(PROXY, SERVER, MAIL_PORT);
	send_text(fd, LINE);
	expect(fd, BANNER);
	ask(fd, "EHLO client.example", "250-");
	assert_string_equal(
		hop_heard(),
		"EHLO mail.example.net\r\n"
		"XCLIENT ADDR=192.0.2.7 PORT=4711 DESTADDR=198.51.100.1 NAME=[UNAVAILABLE]\r\n"
		"XCLIENT PROTO=ESMTP HELO=client.example\r\nEHLO mail.example.net\r\n");
	hop_forget();
	ask(fd, "HELO other.example", "250 ");
	ask(fd, "EHLO other.example", "250-");
	assert_heard("XCLIENT PROTO=ESMTP HELO=other.example\r\n");
	ask(fd, "MAIL FROM:<a@b.example>", "250 2.1.0 ");
	ask(fd, "HELO third.example", "250 ");
	ask(fd, "MAIL FROM:<a@b.example>", "250 2.1.0 ");
	assert_heard("XCLIENT PROTO=SMTP HELO=third.example\r\n");
	quit(fd);
	stop_ppmta();
	start("", "delivery = smtp:127.0.0.1:2600\ndelivery_origin = xclient\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "421 ");
	assert_non_null(strstr(run(0, "cat %s/log", work), "does not take XCLIENT from this host"));
	close(fd);
	stop_ppmta();
}

static void the_true_client_goes_on_by_a_header(void **state)
{
	static const char header[] =
		"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01"
		"\x12\x67\0\x19";
	char got[sizeof(header) - 1];
	int fd, hop, listener;
	size_t len;
	ssize_t one;

	(void)state;
	start("", "delivery = smtp:127.0.0.1:2601\ndelivery_origin = proxy\n"
		  "proxy_required_hosts = " PROXY "\nproxy_lookup = userspace\n");
	listener = listen_on(SERVER, HOP_PORT + 1);
	fd = connect_to(PROXY, SERVER, MAIL_PORT);
	send_text(fd, LINE);
	expect(fd, BANNER);
	send_text(fd, "EHLO client.example\r\n");
	hop = accept_within(listener, SOON_MS);
	send_text(hop, "220 hop.example.net ESMTP\r\n");
	for (len = 0; len < sizeof(got); len += one) {
		one = read(hop, got + len, sizeof(got) - len);
		assert_true(one > 0);
	}
	assert_memory_equal(got, header, sizeof(got));
	assert_reads_text(hop, "EHLO mail.example.net\r\n");
	close(hop);
	expect(fd, "421 ");
	close(fd);
	close(listener);
	stop_ppmta();
}

static void the_next_host_is_tried(void **state)
{
	int fd;

	(void)state;
	start("250-8BITMIME\r\n",
	      "delivery = smtp:127.0.0.1:2699, 127.0.0.9:2600 127.0.0.1:2600\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	ask(fd, "MAIL FROM:<a@b.example>", "250 2.1.0 ");
	assert_non_null(
		strstr(run(0, "cat %s/log", work), "next hop 127.0.0.1:2699: Connection refused"));
	quit(fd);
	stop_ppmta();
}

static void one_who_says_nothing_keeps_no_connection_of_the_hop(void **state)
{
	int64_t start_ms = now_ms();
	int fd;

	(void)state;
	start("250-8BITMIME\r\n", "delivery = smtp:127.0.0.1:2600\n");
	fd = connect_client();
	ask(fd, "EHLO client.example", "250-");
	while (!strstr(hop_heard(), "QUIT\r\n") && now_ms() - start_ms < SOON_MS)
		usleep(50000);
	assert_heard("EHLO mail.example.net\r\nQUIT\r\n");
	ask(fd, "MAIL FROM:<a@b.example> BODY=8BITMIME", "250 2.1.0 ");
	ask(fd, "RCPT TO:<you@example.org>", "250 2.1.5 ");
	quit(fd);
	stop_ppmta();
}

static void one_that_is_its_own_next_hop_comes_to_an_end(void **state)
{
	int fd;

	(void)state;
	mta_start("delivery = smtp:127.0.0.1:2525\nsmtp_accept_max = 20\n" ACCEPT_ALL);
	fd = connect_client();
	ask(fd, "EHLO client.example", "421 mail.example.net: The next hop is not there");
	assert_reads_eof(fd);
	close(fd);
	fd = connect_client();
	quit(fd);
	mta_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_offered_is_what_the_hop_has),
		cmocka_unit_test(a_hop_without_extensions_gets_nothing_that_needs_them),
		cmocka_unit_test(what_needs_an_extension_goes_to_no_other_hop),
		cmocka_unit_test(a_header_of_an_acl_needs_8bitmime_as_well),
		cmocka_unit_test(a_transaction_that_ends_early_is_reset_at_the_hop),
		cmocka_unit_test(a_hop_that_does_not_reset_is_left),
		cmocka_unit_test(pipelined_commands_are_passed_on_in_order),
		cmocka_unit_test(a_recipient_of_lmtp_gets_a_message_of_its_own),
		cmocka_unit_test(the_true_client_goes_on_by_xclient),
		cmocka_unit_test(the_true_client_goes_on_by_a_header),
		cmocka_unit_test(the_next_host_is_tried),
		cmocka_unit_test(one_who_says_nothing_keeps_no_connection_of_the_hop),
		cmocka_unit_test(one_that_is_its_own_next_hop_comes_to_an_end),
	};

	return cmocka_run_group_tests_name("ppmta_hop", tests, NULL, NULL);
}
