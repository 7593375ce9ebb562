// SPDX-License-Identifier: BSD-2-Clause
/*
 * A name server that answers wrongly, and what ppmta makes of each answer: a list that refuses does
 * not let by for it, and no answer holds the client up.
 *
 * check: all sanitized
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "../../user/common/array.h"
#include "../lib/mta.h"

#define DNS_PORT  5399
#define HEADER	  12
#define TO_NAME	  "\xc0\x0c" /* the question's */
#define LISTED	  "\x7f\0\0\2"
#define LONG_TEXT 60000

#define OTHERS "\x7f\0\0\3" /* OTHER, the client */

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_TXT = 16 };

/* An answer as it is made. */
struct answer {
	unsigned char bytes[65536];
	size_t len;
	unsigned int records;
};

static int sockets[2]; /* UDP, and a listener of TCP */

/* The client's name, as labels; and whether each name leads back to the client. */
static const char *client_labels;
static size_t client_labels_len;
static bool leads_back;
static int client_names = 1;

static void put(struct answer *answer, const void *bytes, size_t len)
{
	memcpy(answer->bytes + answer->len, bytes, len);
	answer->len += len;
}

static void put16(struct answer *answer, unsigned int value)
{
	unsigned char bytes[2] = {value >> 8, value & 0xff};

	put(answer, bytes, 2);
}

/* A record, whose length is said to be @said. */
static void record(struct answer *answer, int type, const void *data, size_t len, size_t said)
{
	put(answer, TO_NAME, 2);
	put16(answer, type);
	put(answer, "\0\1\0\0\0\74", 6);
	put16(answer, said);
	put(answer, data, len);
	answer->records++;
}

static void long_text(struct answer *answer)
{
	char data[LONG_TEXT];
	size_t at;

	memset(data, 'x', sizeof(data));
	for (at = 0; at < sizeof(data); at += 250)
		data[at] = (char)249;
	record(answer, TYPE_TXT, data, sizeof(data), sizeof(data));
}

/* What is said of @name, which is the last label but one of what is asked for. Return: is it? */
static bool fill(struct answer *answer, const char *name, int type, bool by_tcp)
{
	unsigned int flags = 0x8180;
	int i;

	if (!strcmp(name, "silent"))
		return false;
	if (!strcmp(name, "slow"))
		usleep(100000);
	if (!strcmp(name, "wrong-id"))
		answer->bytes[0] ^= 1;
	if (!strcmp(name, "failing"))
		flags |= 2;
	if (!strcmp(name, "nobody"))
		flags |= 3;
	if (!by_tcp && (!strcmp(name, "large") || !strcmp(name, "larger")))
		flags |= 0x200; /* truncated: to be asked for by TCP */
	else if (!strcmp(name, "larger") && type == TYPE_TXT)
		long_text(answer);
	else if (!strcmp(name, "controls") && type == TYPE_TXT)
		record(answer, type, "\x10one\r\n250 two\33[2J", 17, 17);
	else if (!strcmp(name, "overrun") && type == TYPE_TXT)
		record(answer, type, "\xffone", 4, 4);
	else if (!strcmp(name, "alias"))
		record(answer, TYPE_CNAME, "\1y\xc0\x0c", 4, 4);
	else if (!strcmp(name, "short"))
		record(answer, type, LISTED, 2, 2);
	else if (!strcmp(name, "no-data"))
		record(answer, type, "", 0, 0);
	else if (!strcmp(name, "too-far"))
		record(answer, type, LISTED, 4, 60000);
	else if (type == TYPE_PTR)
		for (i = 0; i < client_names; i++)
			record(answer, type, client_labels, client_labels_len, client_labels_len);
	else if (type == TYPE_A && leads_back && strcmp(name, "unlisted"))
		record(answer, type, OTHERS, 4, 4);
	else if (type == TYPE_A && strcmp(name, "nobody") && strcmp(name, "failing") &&
		 strcmp(name, "unlisted"))
		record(answer, type, LISTED, 4, 4);
	if (!strcmp(name, "loop")) /* a name that is itself */
		answer->bytes[answer->len - 15] = answer->len - 16;
	if (!strcmp(name, "too-many"))
		answer->records = 60000;
	answer->bytes[2] = flags >> 8;
	answer->bytes[3] = flags & 0xff;
	answer->bytes[6] = answer->records >> 8;
	answer->bytes[7] = answer->records & 0xff;
	return true;
}

/* Return: how long the answer to @question is; 0: there is none. */
static size_t make(struct answer *answer, const unsigned char *question, bool by_tcp)
{
	char labels[2][64] = {"", ""};
	size_t at = HEADER;

	for (; question[at]; at += question[at] + 1) {
		strcpy(labels[0], labels[1]);
		snprintf(labels[1], sizeof(labels[1]), "%.*s", question[at],
			 (const char *)question + at + 1);
	}
	memset(answer->bytes, 0, HEADER);
	memcpy(answer->bytes, question, 6); /* with the count of questions */
	answer->len = HEADER;
	answer->records = 0;
	put(answer, question + HEADER, at + 5 - HEADER);
	return fill(answer, labels[0], question[at + 2], by_tcp) ? answer->len : 0;
}

static void serve_udp(struct answer *answer)
{
	unsigned char question[512] = "";
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	size_t len;

	if (recvfrom(sockets[0], question, sizeof(question), 0, (struct sockaddr *)&from,
		     &from_len) > HEADER) {
		len = make(answer, question, false);
		if (len)
			sendto(sockets[0], answer->bytes, len, 0, (struct sockaddr *)&from,
			       from_len);
	}
}

static void serve_tcp(struct answer *answer)
{
	int fd = accept(sockets[1], NULL, NULL);
	unsigned char question[512] = "", len[2];
	size_t bytes;

	while (recv(fd, len, 2, MSG_WAITALL) == 2 &&
	       recv(fd, question, len[1], MSG_WAITALL) == len[1]) {
		bytes = make(answer, question, true);
		len[0] = bytes >> 8;
		len[1] = bytes & 0xff;
		send(fd, len, 2, MSG_NOSIGNAL);
		send(fd, answer->bytes, bytes, MSG_NOSIGNAL);
	}
	close(fd);
}

static void *serve(void *unused)
{
	static struct answer answer;
	struct pollfd fds[2] = {{.fd = sockets[0], .events = POLLIN},
				{.fd = sockets[1], .events = POLLIN}};

	(void)unused;
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			serve_udp(&answer);
		if (fds[1].revents)
			serve_tcp(&answer);
	}
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
	pthread_t thread;

	net_setup(state);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sockets[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sockets[0], (struct sockaddr *)&at, sizeof(at)), 0);
	sockets[1] = listen_on(SERVER, DNS_PORT);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	mta_start("delivery = maildir:/tmp/ppmta-dns\ndns_servers = 127.0.0.1:5399\n"
		  "dns_timeout = 3s\nacl_smtp_helo = h\nacl_smtp_mail = m\nacl_smtp_rcpt = r\n"
		  "begin acl\nh:\n"
		  " accept condition = ${if !eq{$sender_helo_name}{lists.example}}\n"
		  " deny condition = ${if !def:sender_host_name}\n"
		  "      dnslists = x.slow.test\n"
		  "      message = <$sender_host_name> $dnslist_value\n"
		  " accept\nr:\n"
		  " deny message = <$sender_host_name>\nm:\n"
		  " deny dnslists = +defer_unknown : $sender_address_domain\n"
		  "      message = $dnslist_value <$dnslist_text>\n"
		  " warn spf = pass : fail : softfail : none : neutral : permerror : temperror\n"
		  "      log_message = spf $spf_result of $sender_address_domain\n"
		  " accept\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mta_stop();
	run(0, "rm -rf %s /tmp/ppmta-dns", work);
	return 0;
}

static void each_answer_has_one_outcome(void **state)
{
	static const struct {
		const char *name, *reply;
	} cases[] = {
		{"listed", "550 127.0.0.2 <>\r\n"},
		{"unlisted", "250 OK\r\n"},
		{"nobody", "250 OK\r\n"},
		{"failing", "451 "},
		{"silent", "451 "},
		{"wrong-id", "451 "},
		{"short", "451 "},
		{"no-data", "451 "},
		{"too-far", "451 "},
		{"too-many", "451 "},
		{"loop", "451 "},
		{"alias", "250 OK\r\n"},
		{"large", "550 127.0.0.2 <>\r\n"},
		{"larger", "550-127.0.0.2 <xxxxx"},
		{"controls", "550 127.0.0.2 <one??250 two?[2J>\r\n"},
		{"overrun", "550 127.0.0.2 <>\r\n"},
	};
	char command[64];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fd = connect_to(OTHER, SERVER, MAIL_PORT);
		expect(fd, BANNER);
		ask(fd, "EHLO client.example", "250-");
		snprintf(command, sizeof(command), "MAIL FROM:<a@%s.test>", cases[i].name);
		ask(fd, command, cases[i].reply);
		quit(fd);
	}
}

#define TEN   "xxxxxxxxxx"
#define SIXTY "\74" TEN TEN TEN TEN TEN TEN

/* What the DNS calls a name and is none is not the client's, though it leads back to it: it could
 * be read as an address, or as several words of the log. */
static void a_name_that_is_no_domain_is_none(void **state)
{
#define LABELS(text) text, sizeof(text)
	static const struct {
		const char *labels;
		size_t len;
		const char *reply;
	} cases[] = {
		{LABELS("\4mail\7example"), "550 <mail.example>\r\n"},
		{LABELS("\5_mail\4xn-0\7xn--p-5"), "550 <_mail.xn-0.xn--p-5>\r\n"},
		{LABELS(SIXTY SIXTY SIXTY SIXTY), "550 <xxx"},
		{LABELS("\2[1\1"
			"2\1"
			"3\2"
			"4]"),
		 "550 <>\r\n"},
		{LABELS("\7[1 2 3]\7example"), "550 <>\r\n"},
		{LABELS("\4a b \7example"), "550 <>\r\n"},
		{LABELS("\6PRX=me\7example"), "550 <>\r\n"},
		{LABELS("\3a\"b\7example"), "550 <>\r\n"},
		{LABELS("\3a.b\7example"), "550 <>\r\n"},
		{LABELS("\3a\nb\7example"), "550 <>\r\n"},
		{LABELS("\3a\0b\7example"), "550 <>\r\n"},
		{LABELS("\3a\\b\7example"), "550 <>\r\n"},
		{LABELS("\2\xc3\xbc\7example"), "550 <>\r\n"},
		{LABELS("\2-a\7example"), "550 <>\r\n"},
		{LABELS("\2a-\7example"), "550 <>\r\n"},
		{LABELS(""), "550 <>\r\n"},
	};
	size_t i;
	int fd;

	(void)state;
	leads_back = true;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		client_labels = cases[i].labels;
		client_labels_len = cases[i].len;
		fd = connect_to(OTHER, SERVER, MAIL_PORT);
		expect(fd, BANNER);
		ask(fd, "EHLO client.example", "250-");
		ask(fd, "MAIL FROM:<a@unlisted.test>", "250 ");
		ask(fd, "RCPT TO:<b@example.org>", cases[i].reply);
		quit(fd);
	}
	leads_back = false;
	run(1,
	    "grep H= %s/log | grep -vE 'H=([-_.0-9a-z]+ )?[(]client[.]example[)] "
	    "[[]127[.]0[.]0[.]3[]] '",
	    work);
}

/* Who has many names, of which nobody answers for any, must not use up the time of a list. */
static void a_client_does_not_use_up_the_time_of_a_list(void **state)
{
	int fd;

	(void)state;
	client_labels = "\1a\6silent\7example";
	client_labels_len = sizeof("\1a\6silent\7example");
	client_names = 8;
	fd = connect_to(OTHER, SERVER, MAIL_PORT);
	expect(fd, BANNER);
	ask(fd, "EHLO lists.example", "550 <> 127.0.0.2\r\n");
	quit(fd);
	client_names = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_one_outcome),
		cmocka_unit_test(a_name_that_is_no_domain_is_none),
		cmocka_unit_test(a_client_does_not_use_up_the_time_of_a_list),
	};

	return cmocka_run_group_tests_name("ppmta_dns", tests, setup, teardown);
}
