// SPDX-License-Identifier: BSD-2-Clause
/*
 * talk [--from ADDRESS] [--hold SECONDS] [--until FILE] [--header LINE] [--hex BYTES] ADDRESS PORT
 * [LINE...]: a client for line protocols. Sends the header, and the bytes, if there are any; reads
 * a greeting, then sends each LINE and reads until a line that begins with LINE's first word
 * (IMAP's tag) or is the last one of an SMTP reply. Prints what it reads; --until waits before the
 * last LINE until FILE exists, --hold keeps the connection for a while at the end. Ends with 1 when
 * the server closes early.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../lib/address.h"

static int is_last(const char *answer, const char *line)
{
	size_t tag = strcspn(line, " ");

	if (isdigit((unsigned char)answer[0]))
		return strlen(answer) < 4 || answer[3] != '-';
	return !strncmp(answer, line, tag) && answer[tag] == ' ';
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"from", required_argument, NULL, 'f'},	 {"hold", required_argument, NULL, 'h'},
		{"until", required_argument, NULL, 'u'}, {"header", required_argument, NULL, 'H'},
		{"hex", required_argument, NULL, 'x'},	 {0}};
	struct timeval limit = {.tv_sec = 60};
	const char *from = NULL, *header = NULL, *hex = "", *until = NULL;
	unsigned int byte;
	char answer[4096];
	/* two: one that changes from reading to writing forgets what it has read ahead */
	FILE *in, *out;
	int option, fd, hold = 0;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'f')
			from = optarg;
		else if (option == 'h')
			hold = atoi(optarg);
		else if (option == 'u')
			until = optarg;
		else if (option == 'H')
			header = optarg;
		else if (option == 'x')
			hex = optarg;
		else
			return 2;
	}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: talk [--from ADDRESS] [--hold SECONDS] [--until FILE] "
				"[--header LINE] [--hex BYTES] ADDRESS PORT [LINE...]\n");
		return 2;
	}
	fd = address_connect(from, argv[optind], atoi(argv[optind + 1]));
	if (fd < 0) {
		perror(argv[optind]);
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	if (!in || !out)
		return 1;
	if (header)
		fprintf(out, "%s\r\n", header);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		fputc(byte, out);
	fflush(out);
	do {
		if (!fgets(answer, sizeof(answer), in))
			return 1;
		printf("%s", answer);
	} while (isdigit((unsigned char)answer[0]) && answer[3] == '-');
	for (optind += 2; optind < argc; optind++) {
		while (until && optind == argc - 1 && access(until, F_OK)) {
			fflush(stdout);
			usleep(50000);
		}
		fprintf(out, "%s\r\n", argv[optind]);
		fflush(out);
		do {
			if (!fgets(answer, sizeof(answer), in))
				return 1;
			printf("%s", answer);
		} while (!is_last(answer, argv[optind]));
	}
	fflush(stdout);
	sleep(hold);
	return 0;
}
