// SPDX-License-Identifier: BSD-2-Clause
/*
 * smtp-send [--from ADDRESS] [--raw TEXT] ADDRESS PORT: sends one message over SMTP, from a local
 * address of choice. --raw is sent first, as it is, and the answer to it is skipped. Prints the
 * last reply; ends with 0 when the message was accepted.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../lib/address.h"

static char reply[1024];

static void fail(const char *what)
{
	fprintf(stderr, "smtp-send: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The last line of a reply. Return: its code. */
static int read_reply(FILE *stream)
{
	do {
		if (!fgets(reply, sizeof(reply), stream)) {
			fprintf(stderr, "smtp-send: the server closed the connection\n");
			exit(1);
		}
	} while (strlen(reply) > 3 && reply[3] == '-');
	return atoi(reply);
}

static void say(FILE *stream, const char *line, int wanted)
{
	fprintf(stream, "%s\r\n", line);
	fflush(stream);
	if (read_reply(stream) != wanted) {
		printf("%s", reply);
		exit(1);
	}
}

/* The lines of @file, or one of our own; dots stuffed. */
static void send_body(FILE *stream, const char *file)
{
	FILE *lines = file ? fopen(file, "r") : NULL;
	char line[1000];

	if (!file) {
		fprintf(stream, "Hello.\r\n");
		return;
	}
	if (!lines)
		fail(file);
	while (fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\n")] = 0;
		fprintf(stream, "%s%s\r\n", line[0] == '.' ? "." : "", line);
	}
	fclose(lines);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"header", required_argument, NULL, 'h'},
						{"body", required_argument, NULL, 'b'},
						{"raw", required_argument, NULL, 'r'},
						{0}};
	const char *from = NULL, *header = NULL, *raw = NULL, *body = NULL;
	struct timeval limit = {.tv_sec = 60};
	FILE *stream;
	int option, fd;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'f')
			from = optarg;
		else if (option == 'h')
			header = optarg;
		else if (option == 'b')
			body = optarg;
		else if (option == 'r')
			raw = optarg;
		else
			return 2;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: smtp-send [--from ADDRESS] [--header LINE] [--raw LINE] "
				"[--body FILE] "
				"ADDRESS PORT\n");
		return 2;
	}
	fd = address_connect(from, argv[optind], atoi(argv[optind + 1]));
	if (fd < 0)
		fail(argv[optind]);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	stream = fdopen(fd, "r+");
	if (!stream)
		fail("fdopen");
	setvbuf(stream, NULL, _IOFBF, 65536);
	if (header) {
		fprintf(stream, "%s\r\n", header);
		fflush(stream);
	}
	if (raw) {
		fprintf(stream, "%s\r\n", raw);
		fflush(stream);
	}
	if (read_reply(stream) != 220) {
		printf("%s", reply);
		return 1;
	}
	if (raw) /* is a command like any other, and not a good one */
		read_reply(stream);
	say(stream, "EHLO client.example", 250);
	say(stream, "MAIL FROM:<me@example.net>", 250);
	say(stream, "RCPT TO:<you@example.org>", 250);
	say(stream, "DATA", 354);
	fprintf(stream, "From: me@example.net\r\nTo: you@example.org\r\nSubject: a test\r\n\r\n");
	send_body(stream, body);
	say(stream, ".", 250);
	printf("%s", reply);
	say(stream, "QUIT", 221);
	return 0;
}
