// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a socket is worth after the header: throughput from client to server, and round trips of one
 * byte. A plain socket; and translated ones, whose header came alone, or with payload in its
 * segment. The kinds take turns; medians are printed.
 *
 * usage: stream ROUNDS, under selftests/tools/lab, with port 2526 transparent
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "median.h"

#define LINE	   "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define BULK	   (128 << 20)
#define TRIPS	   10000
#define ROUNDS_MAX 101

static const struct kind {
	const char *name;
	const char *first; /* what the client sends to begin with */
	int port;
} kinds[] = {
	{"plain", "x", 2600},
	{"split", LINE, 2526},
	{"split, header with payload", LINE "x", 2526},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char block[1 << 17];

static void fail(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in address(const char *ip, int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

static void client(const struct kind *kind)
{
	struct sockaddr_in from = address("127.0.0.2", 0), to = address("127.0.0.1", kind->port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, i;
	size_t sent;
	ssize_t len;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    send(fd, kind->first, strlen(kind->first), 0) < 0)
		fail("client");
	for (i = 0; i < TRIPS + 1; i++) { /* the server's first byte, then the trips */
		if (recv(fd, block, 1, 0) != 1 || send(fd, block, 1, 0) != 1)
			fail("client's trips");
	}
	for (sent = 0; sent < BULK; sent += len) {
		len = send(fd, block, sizeof(block), 0);
		if (len <= 0)
			fail("client's bulk");
	}
	close(fd);
	_exit(0);
}

static void measure(const struct kind *kind, double *trip_us, double *mib_s)
{
	struct sockaddr_in here = address("127.0.0.1", kind->port), peer;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd, i;
	socklen_t len = sizeof(peer);
	double start;
	size_t got = 0;
	ssize_t part;
	pid_t child;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1))
		fail("listen");
	child = fork();
	if (child == 0)
		client(kind);
	fd = accept(listener, (struct sockaddr *)&peer, &len);
	if (fd < 0)
		fail("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (kind->first[strlen(kind->first) - 1] == 'x' && recv(fd, block, 1, 0) != 1)
		fail("first byte");
	if (send(fd, block, 1, 0) != 1 || recv(fd, block, 1, 0) != 1)
		fail("banner");
	start = clock_seconds(CLOCK_MONOTONIC);
	for (i = 0; i < TRIPS; i++) {
		if (send(fd, block, 1, 0) != 1 || recv(fd, block, 1, 0) != 1)
			fail("trips");
	}
	*trip_us = (clock_seconds(CLOCK_MONOTONIC) - start) * 1e6 / TRIPS;
	start = clock_seconds(CLOCK_MONOTONIC);
	while ((part = recv(fd, block, sizeof(block), 0)) > 0)
		got += part;
	if (got != BULK)
		fail("bulk");
	*mib_s = got / (clock_seconds(CLOCK_MONOTONIC) - start) / (1 << 20);
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	static double trips[KINDS][ROUNDS_MAX], rates[KINDS][ROUNDS_MAX];
	int rounds = argc > 1 ? atoi(argv[1]) : 11, round;
	double trip, rate, plain_trip = 0, plain_rate = 0;
	size_t i;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: stream ROUNDS (at most %d)\n", ROUNDS_MAX);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < KINDS; i++)
			measure(&kinds[i], &trips[i][round], &rates[i][round]);
	}
	printf("%-34s %10s %7s %12s %7s\n", "", "MiB/s", "ratio", "trip us", "ratio");
	for (i = 0; i < KINDS; i++) {
		rate = median(rates[i], rounds);
		trip = median(trips[i], rounds);
		if (i == 0) {
			plain_rate = rate;
			plain_trip = trip;
		}
		printf("%-34s %10.0f %7.3f %12.2f %7.3f\n", kinds[i].name, rate, rate / plain_rate,
		       trip, trip / plain_trip);
	}
	return 0;
}
