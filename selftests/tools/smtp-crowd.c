// SPDX-License-Identifier: BSD-2-Clause
/*
 * smtp-crowd [--steady] ADDRESS PORT SESSIONS: that many SMTP sessions at once, from 10.9.HOST.1
 * and on, each address one session; every session is open before the first goes on. Each sends a
 * message. Prints how many were accepted; ends with 0 when all were.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define SESSIONS_MAX 2500

static FILE *streams[SESSIONS_MAX];

static const char *const steps[] = {
	"EHLO crowd.example",
	"MAIL FROM:<me@example.net>",
	"RCPT TO:<you@example.org>",
	"DATA",
	"Subject: crowd\r\n\r\nhi\r\n.",
	"QUIT",
};

/* First digit of the reply. */
static int reply(FILE *stream)
{
	char line[1024];

	do {
		if (!fgets(line, sizeof(line), stream))
			return 0;
	} while (strlen(line) > 3 && line[3] == '-');
	return line[0];
}

static FILE *call(const char *ip, int port, int i)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090001 + i)};
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
	struct timeval limit = {.tv_sec = 60};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("smtp-crowd");
		exit(1);
	}
	return fdopen(fd, "r+");
}

static void welcome(int i)
{
	if (reply(streams[i]) == '2')
		return;
	fclose(streams[i]);
	streams[i] = NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"steady", no_argument, NULL, 's'}, {0}};
	int option, steady = 0, sessions, i, good = 0;
	size_t step;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 's')
			return 2;
		steady = 1;
	}
	if (argc - optind != 3 || atoi(argv[optind + 2]) > SESSIONS_MAX) {
		fprintf(stderr, "usage: smtp-crowd [--steady] ADDRESS PORT SESSIONS\n");
		return 2;
	}
	sessions = atoi(argv[optind + 2]);
	for (i = 0; i < sessions; i++) {
		streams[i] = call(argv[optind], atoi(argv[optind + 1]), i);
		if (steady)
			welcome(i);
	}
	for (i = 0; !steady && i < sessions; i++)
		welcome(i);
	for (step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		for (i = 0; i < sessions; i++) {
			if (!streams[i])
				continue;
			fprintf(streams[i], "%s\r\n", steps[step]);
			fflush(streams[i]);
		}
		for (i = 0; i < sessions; i++) {
			int code;

			if (!streams[i])
				continue;
			code = reply(streams[i]);
			if (code != '2' && code != '3') {
				fclose(streams[i]);
				streams[i] = NULL;
			}
		}
	}
	for (i = 0; i < sessions; i++)
		good += streams[i] != NULL;
	printf("%d of %d sessions\n", good, sessions);
	return good == sessions ? 0 : 1;
}
