// SPDX-License-Identifier: BSD-2-Clause
/*
 * smtp-flood [--from ADDRESS] [--header LINE] [--hold SECONDS] ADDRESS PORT CONNECTIONS [LINE]:
 * that many connections, up to 50 under way. Each sends the header, reads what comes, sends LINE
 * when a reply is there, and reads to the end. With --hold all are opened at once, send nothing,
 * and are held. Ends with 0 when each of them was answered.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/address.h"

#define AT_ONCE	   50
#define HOLD_MAX   2000
#define TIMEOUT_MS 60000

struct client {
	int fd; /* -1: free */
	int answered, said;
};

static const char *from, *header, *line;
static char **where;

static int begin(struct client *client)
{
	memset(client, 0, sizeof(*client));
	client->fd = address_connect(from, where[0], atoi(where[1]));
	if (client->fd < 0) {
		perror(where[0]);
		return -1;
	}
	if (header) {
		dprintf(client->fd, "%s\r\n", header);
	}
	return 0;
}

/* Reads what is there. Return: 1 when the connection has ended, and was answered; -1 when not. */
static int go_on(struct client *client)
{
	char bytes[4096];
	ssize_t len = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len > 0) {
		client->answered = 1;
		if (line && !client->said) {
			client->said = 1;
			dprintf(client->fd, "%s\r\n", line);
		}
		return 0;
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close(client->fd);
	client->fd = -1;
	/* refused with unread input, the answer may be lost with a reset */
	return client->answered || len < 0 ? 1 : -1;
}

static int flood(long count)
{
	struct client clients[AT_ONCE];
	struct pollfd fds[AT_ONCE];
	long begun = 0, ended = 0, failed = 0;
	int i, result;

	for (i = 0; i < AT_ONCE; i++)
		clients[i].fd = -1;
	while (ended < count) {
		for (i = 0; i < AT_ONCE; i++) {
			if (clients[i].fd < 0 && begun < count) {
				begun++;
				if (begin(&clients[i]))
					return 1;
			}
			fds[i].fd = clients[i].fd;
			fds[i].events = POLLIN;
			fds[i].revents = 0;
		}
		if (poll(fds, AT_ONCE, TIMEOUT_MS) <= 0) {
			fprintf(stderr, "smtp-flood: no answer in %d ms\n", TIMEOUT_MS);
			return 1;
		}
		for (i = 0; i < AT_ONCE; i++) {
			if (!fds[i].revents)
				continue;
			result = go_on(&clients[i]);
			ended += result != 0;
			failed += result < 0;
		}
	}
	if (failed)
		fprintf(stderr, "smtp-flood: %ld of %ld without an answer\n", failed, count);
	return failed != 0;
}

static int hold(long count, int seconds)
{
	long i;

	if (count > HOLD_MAX)
		count = HOLD_MAX;
	for (i = 0; i < count; i++) {
		if (address_connect(from, where[0], atoi(where[1])) < 0) {
			perror(where[0]);
			return 1;
		}
	}
	sleep(seconds);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"header", required_argument, NULL, 'H'},
						{"hold", required_argument, NULL, 'h'},
						{0}};
	int option, seconds = 0;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'f')
			from = optarg;
		else if (option == 'H')
			header = optarg;
		else if (option == 'h')
			seconds = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind < 3) {
		fprintf(stderr,
			"usage: smtp-flood [--from ADDRESS] [--header LINE] [--hold SECONDS] "
			"ADDRESS PORT CONNECTIONS [LINE]\n");
		return 2;
	}
	where = argv + optind;
	line = where[3];
	return seconds ? hold(atol(where[2]), seconds) : flood(atol(where[2]));
}
