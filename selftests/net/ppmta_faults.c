// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppmta and a next hop that fails: at each step of a message, in each way, the client is told one
 * right thing; nothing is lost, nothing comes twice, and the next message goes its way.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE

#include "../lib/hop.h"
#include "../lib/mta.h"

#define EXTENSIONS "250-8BITMIME\r\n250-SIZE 4000000\r\n"
#define ALWAYS	   99

#define TEN	 "xxxxxxxxxx"
#define HUNDRED	 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

/* What the client does, and when it is told. */
enum step { EHLO, MAIL, RCPT, DATA, DOT, STEPS };

static const struct fault {
	const char *name;
	enum hop_at at;
	const char *says;
	enum hop_then then;
	int times;
	enum step step;	  /* the client's, from which on it is not as always */
	const char *told; /* the whole reply, or if it ends with *, how it begins */
	int taken;	  /* messages */
} faults[] = {
	{"is not there", AT_CONNECTION, NULL, GO_ON, ALWAYS, EHLO, "421 mail.example.net: *", 0},
	{"hangs up at once", AT_GREETING, "", HANG_UP, ALWAYS, EHLO, "421 *", 0},
	{"says nothing", AT_GREETING, "", KEEP_SILENT, ALWAYS, EHLO, "421 *", 0},
	{"greets with a refusal", AT_GREETING, "554 go away\r\n", GO_ON, ALWAYS, EHLO, "421 *", 0},
	{"greets as if it were asked", AT_GREETING, "250-hop\r\n250 SIZE\r\n", GO_ON, ALWAYS, EHLO,
	 "421 *", 0},
	{"greets with another code", AT_GREETING, "221 hello\r\n", GO_ON, ALWAYS, EHLO, "421 *", 0},
	{"answers EHLO with a greeting", AT_HELLO, "220 hello\r\n", GO_ON, ALWAYS, EHLO, "421 *",
	 0},
	{"greets with nonsense", AT_GREETING, "hello\r\n", GO_ON, ALWAYS, EHLO, "421 *", 0},
	{"refuses EHLO", AT_HELLO, "500 what\r\n", GO_ON, ALWAYS, EHLO, "421 *", 0},
	{"hangs up at EHLO", AT_HELLO, "", HANG_UP, ALWAYS, EHLO, "421 *", 0},
	{"hangs up in the middle of the answer to EHLO", AT_HELLO, "250-SIZE\r\n", HANG_UP, ALWAYS,
	 EHLO, "421 *", 0},
	{"has an answer to EHLO without an end", AT_HELLO, "250-SIZE\r\n", KEEP_SILENT, ALWAYS,
	 EHLO, "421 *", 0},
	{"hangs up once", AT_GREETING, "", HANG_UP, 1, EHLO, "421 *", 0},

	{"refuses the sender", AT_MAIL, "550 5.1.8 not you\r\n", GO_ON, 1, MAIL,
	 "550 5.1.8 not you\r\n", 0},
	{"answers MAIL with a greeting", AT_MAIL, "220 hop\r\n", GO_ON, 1, MAIL, "451 4.4.2 *", 0},
	{"answers MAIL as RCPT", AT_MAIL, "251 hop\r\n", GO_ON, 1, MAIL, "451 4.4.2 *", 0},
	{"wants more at MAIL", AT_MAIL, "354 go\r\n", GO_ON, 1, MAIL, "451 4.4.2 *", 0},
	{"answers RCPT with a farewell", AT_RCPT, "221 bye\r\n", GO_ON, 1, RCPT, "451 4.4.2 *", 0},
	{"forwards", AT_RCPT, "251 to another\r\n", GO_ON, 1, RCPT, "251 to another\r\n", 0},
	{"answers the message with a greeting", AT_DOT, "220 hop\r\n", GO_ON, 1, DOT, "451 4.4.2 *",
	 1},
	{"defers the sender", AT_MAIL, "450 4.1.8 later\r\n", GO_ON, 1, MAIL, "450 4.1.8 later\r\n",
	 0},
	{"is about to stop", AT_MAIL, "421 4.3.2 bye\r\n", HANG_UP, ALWAYS, MAIL,
	 "421 4.3.2 bye\r\n", 0},
	{"hangs up at MAIL", AT_MAIL, "", HANG_UP, ALWAYS, MAIL, "451 4.4.2 *", 0},
	{"hangs up at the first MAIL", AT_MAIL, "", HANG_UP, 1, STEPS, NULL, 1},
	{"says nothing to MAIL", AT_MAIL, "", KEEP_SILENT, ALWAYS, MAIL, "451 4.4.2 *", 0},
	{"talks nonsense at MAIL", AT_MAIL, "what?\r\n", GO_ON, ALWAYS, MAIL, "451 4.4.2 *", 0},
	{"wants a message at MAIL", AT_MAIL, "354 go\r\n", GO_ON, ALWAYS, MAIL, "451 4.4.2 *", 0},
	{"has a code that is none", AT_MAIL, "999 x\r\n", GO_ON, ALWAYS, MAIL, "451 4.4.2 *", 0},
	{"answers twice", AT_MAIL, "250 2.1.0 sender of the hop\r\n250 ok\r\n", GO_ON, 1, RCPT,
	 "451 4.4.2 *", 0},

	{"refuses the recipient", AT_RCPT, "550 5.1.1 nobody\r\n", GO_ON, 1, RCPT,
	 "550 5.1.1 nobody\r\n", 0},
	{"defers the recipient", AT_RCPT, "451 4.2.0 grey\r\n", GO_ON, 1, RCPT,
	 "451 4.2.0 grey\r\n", 0},
	{"refuses with many lines", AT_RCPT, "550-5.1.1 nobody\r\n550-5.1.1\r\n550 5.1.1 here\r\n",
	 GO_ON, 1, RCPT, "550-5.1.1 nobody\r\n550-5.1.1\r\n550 5.1.1 here\r\n", 0},
	{"has no text", AT_RCPT, "550\r\n", GO_ON, 1, RCPT, "550 \r\n", 0},
	{"ends lines with LF", AT_RCPT, "550-a\n550 b\n", GO_ON, 1, RCPT, "550-a\r\n550 b\r\n", 0},
	{"has control characters in its text", AT_RCPT,
	 "550 a\033[31m\rb\x7f\xc2\x9b"
	 "c\r\n",
	 GO_ON, 1, RCPT, "550 a?[31m?b???c\r\n", 0},
	{"has a long line", AT_RCPT, "550 " THOUSAND THOUSAND "\r\n", GO_ON, 1, RCPT, "550-xxx*",
	 0},
	{"answers with two codes", AT_RCPT, "250-ok\r\n550 no\r\n", GO_ON, 1, RCPT, "451 4.4.2 *",
	 0},
	{"hangs up at RCPT", AT_RCPT, "", HANG_UP, 1, RCPT, "451 4.4.2 *", 0},
	{"says nothing to RCPT", AT_RCPT, "", KEEP_SILENT, 1, RCPT, "451 4.4.2 *", 0},
	{"hangs up in the middle of a line", AT_RCPT, "250 o", HANG_UP, 1, RCPT, "451 4.4.2 *", 0},
	{"hangs up after RCPT", AT_RCPT, NULL, HANG_UP, 1, STEPS, NULL, 1},

	{"defers DATA", AT_DATA, "451 4.7.1 grey\r\n", GO_ON, 1, DOT, "451 4.7.1 grey\r\n", 0},
	{"refuses DATA", AT_DATA, "554 5.5.1 nobody\r\n", GO_ON, 1, DOT, "554 5.5.1 nobody\r\n", 0},
	{"takes DATA for the message", AT_DATA, "250 ok\r\n", GO_ON, 1, DOT, "451 4.4.2 *", 0},
	{"takes the message before it has it", AT_DATA, "354 go\r\n250 ok\r\n", GO_ON, ALWAYS, DOT,
	 "451 4.4.2 *", 0},
	{"takes it so, and hangs up", AT_DATA, "354 go\r\n250 ok\r\n", HANG_UP, ALWAYS, DOT,
	 "451 4.4.2 *", 0},
	{"refuses the message before it has it", AT_DATA, "354 go\r\n554 5.7.1 spam\r\n", GO_ON,
	 ALWAYS, DOT, "554 5.7.1 spam\r\n", 0},
	{"hangs up at DATA", AT_DATA, "", HANG_UP, ALWAYS, DOT, "451 4.4.2 *", 0},
	{"hangs up at the first DATA", AT_DATA, "", HANG_UP, 1, STEPS, NULL, 1},
	{"says nothing to DATA", AT_DATA, "", KEEP_SILENT, ALWAYS, DOT, "451 4.4.2 *", 0},
	{"hangs up in the middle of the message", AT_BODY, "", HANG_UP, 1, DOT, "451 4.4.2 *", 0},
	{"stops reading in the middle of the message", AT_BODY, "", KEEP_SILENT, 1, DOT,
	 "451 4.4.2 *", 0},

	{"refuses the message", AT_DOT, "554 5.7.1 spam\r\n", GO_ON, 1, DOT, "554 5.7.1 spam\r\n",
	 0},
	{"has no room for the message", AT_DOT, "452 4.3.1 full\r\n", GO_ON, 1, DOT,
	 "452 4.3.1 full\r\n", 0},
	{"hangs up instead of an answer", AT_DOT, "", HANG_UP, 1, DOT, "451 4.4.2 *", 0},
	{"gives no answer to the message", AT_DOT, "", KEEP_SILENT, 1, DOT, "451 4.4.2 *", 0},
	{"answers the message with nonsense", AT_DOT, "thank you\r\n", GO_ON, 1, DOT, "451 4.4.2 *",
	 0},
	{"wants more", AT_DOT, "354 go\r\n", GO_ON, 1, DOT, "451 4.4.2 *", 0},
	{"takes it with a long line", AT_DOT, "250 " THOUSAND THOUSAND "\r\n", GO_ON, 1, DOT,
	 "250-xxx*", 1},
	{"takes it and is about to stop", AT_DOT, "250 ok\r\n421 4.3.2 bye\r\n", HANG_UP, 1, DOT,
	 "250 ok\r\n", 1},
	{"takes it and hangs up", AT_DOT, "250 ok\r\n", HANG_UP, 1, DOT, "250 ok\r\n", 1},
};

static const char *const commands[STEPS] = {"EHLO client.example", "MAIL FROM:<me@example.net>",
					    "RCPT TO:<you@example.org>", "DATA", NULL};
static const char *const usual[STEPS] = {"250-mail.example.net*", "250 2.1.0 sender of the hop\r\n",
					 "250 2.1.5 recipient of the hop\r\n", "354 *",
					 "250 2.0.0 taken by the hop\r\n"};

#define FEW 10
#define MANY                                                                                     \
	12000 /* more than the buffers of a connection hold: a hop that does not read is noticed \
	       */

static void send_body(int fd, int lines)
{
	static char line[] = "a line of the message, and a long one: " HUNDRED HUNDRED "\r\n";
	int i;

	send_text(fd, "Subject: test\r\n\r\n..dot\r\n");
	for (i = 0; i < lines; i++)
		send_text(fd, line);
	send_text(fd, ".\r\n");
}

static int is_told(const char *got, const char *wanted)
{
	size_t len = strlen(wanted);

	return wanted[len - 1] == '*' ? !strncmp(got, wanted, len - 1) : !strcmp(got, wanted);
}

/* Lines that are too long, or have what is no text. */
static void assert_is_clean(const char *got, const char *name)
{
	const char *line = got, *end;

	for (; *line; line = end + 2) {
		end = strstr(line, "\r\n");
		if (!end || end - line > 510 || memchr(line, '\n', end - line) ||
		    memchr(line, '\r', end - line))
			fail_msg("%s: a line in '%s' is none", name, got);
	}
}

/* EHLO to the end. Return: the step at which the client was not told the usual thing; STEPS: none.
 * @got: what it was told. */
static enum step send_message(int fd, const char *name, int lines, char *got, size_t size)
{
	int step;

	for (step = EHLO; step < STEPS; step++) {
		if (step == DOT) {
			send_body(fd, lines);
		} else {
			send_text(fd, commands[step]);
			send_text(fd, "\r\n");
		}
		snprintf(got, size, "%s", reply(fd));
		assert_is_clean(got, name);
		if (!is_told(got, usual[step]))
			break;
	}
	return step;
}

static int connect_client(void)
{
	int fd = connect_to(OTHER, SERVER, MAIL_PORT);

	expect(fd, BANNER);
	return fd;
}

static void try(const struct fault *fault)
{
	char got[16384];
	int before = hop_taken(), fd = connect_client();
	enum step step;

	if (fault->at == AT_CONNECTION)
		hop_stop();
	else
		hop_fault(fault->at, fault->says, fault->then, fault->times);
	step = send_message(fd, fault->name, fault->at == AT_BODY ? MANY : FEW, got, sizeof(got));
	if (step != fault->step || (fault->told && !is_told(got, fault->told)))
		fail_msg("a hop that %s: step %d, '%s'", fault->name, step, got);
	if (hop_taken() - before != fault->taken)
		fail_msg("a hop that %s: %d messages", fault->name, hop_taken() - before);
	if (fault->at == AT_CONNECTION)
		hop_start(EXTENSIONS);
	hop_fault(AT_NOTHING, NULL, GO_ON, 0);
	if (!strncmp(got, "421", 3)) {
		assert_reads_eof(fd);
		close(fd);
		fd = connect_client();
	}
	before = hop_taken();
	if (send_message(fd, fault->name, FEW, got, sizeof(got)) != STEPS)
		fail_msg("after a hop that %s: '%s'", fault->name, got);
	if (hop_taken() != before + 1)
		fail_msg("after a hop that %s: %d messages", fault->name, hop_taken() - before);
	quit(fd);
}

static void each_fault_of_a_next_hop_has_one_right_outcome(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		try(&faults[i]);
}

/* Another connection's answer to MAIL is no answer to the message, of which the client has heard
 * that its sender is right. */
static void one_that_takes_back_what_it_has_accepted_defers(void **state)
{
	int before = hop_taken(), fd = connect_client();

	(void)state;
	ask(fd, commands[EHLO], "250-");
	ask(fd, commands[MAIL], usual[MAIL]);
	hop_fault(AT_RCPT, NULL, HANG_UP, 1);
	ask(fd, commands[RCPT], usual[RCPT]);
	hop_fault(AT_MAIL, "550 5.1.8 not you\r\n", GO_ON, 1);
	ask(fd, "DATA", "354 ");
	send_body(fd, FEW);
	expect(fd, "451 4.4.2 ");
	hop_fault(AT_NOTHING, NULL, GO_ON, 0);
	assert_int_equal(hop_taken(), before);
	quit(fd);
}

static void the_message_is_what_the_client_sent(void **state)
{
	char got[4096];
	const char *message;
	int fd = connect_client();

	(void)state;
	assert_int_equal(send_message(fd, "", MANY, got, sizeof(got)), STEPS);
	message = hop_message();
	assert_matches(message,
		       "^Received: from client\\.example \\(\\[127\\.0\\.0\\.3\\]\\)\r\n\tby "
		       "mail\\.example\\.net with esmtp id [^;]*;\r\n\t[^\r]*\r\nSubject: "
		       "test\r\n\r\n\\.\\.dot\r\na line of");
	assert_int_equal(strlen(strstr(message, "a line")), MANY * 241);
	quit(fd);
}

static int setup(void **state)
{
	(void)state;
	hop_start(EXTENSIONS);
	mta_start("delivery = smtp:127.0.0.1:2600\ndelivery_timeout = 1.5s\nacl_smtp_rcpt = r\n"
		  "smtp_accept_max_nonmail = 1000\nbegin acl\nr:\n accept\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mta_stop();
	hop_stop();
	run(0, "rm -rf %s", work);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_message_is_what_the_client_sent),
		cmocka_unit_test(each_fault_of_a_next_hop_has_one_right_outcome),
		cmocka_unit_test(one_that_takes_back_what_it_has_accepted_defers),
	};

	return cmocka_run_group_tests_name("ppmta_faults", tests, setup, teardown);
}
