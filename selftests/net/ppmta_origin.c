// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta behind a proxy: whom it takes for the client, from the origin or without one, and whom it
 * refuses.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE

#include "../lib/mta.h"

static const char *log_tail(const char *pattern)
{
	return run(0, "grep '%s' %s/log | tail -n 1", pattern, work);
}

/* The newest message, behind the headers that ppmta writes (four lines). */
static const char *stored(void)
{
	return run(0, "cd %s/Maildir/new && tail -n +6 $(ls -t | head -n 1)", work);
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
	assert_matches(run(0, "head -n 3 %s/Maildir/new/*", work),
		       "Return-Path: <me@example.net>\nEnvelope-to: you@example.org\nReceived: "
		       "from client.example "
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored_and_logged_with_its_origin),
		cmocka_unit_test(a_direct_client_is_an_ordinary_one),
		cmocka_unit_test(a_liar_is_taken_at_its_own_address),
		cmocka_unit_test(without_a_header_all_but_quit_is_refused),
		cmocka_unit_test(a_bad_header_is_refused),
		cmocka_unit_test(a_local_header_makes_the_proxy_the_client),
	};

	return cmocka_run_group_tests_name("ppmta_origin", tests, mta_setup, mta_teardown);
}
