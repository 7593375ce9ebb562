// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a socket is worth after the header: throughput from client to server, and round trips of one
 * byte. A plain socket; and translated ones, whose header came alone, or with payload in its
 * segment.
 *
 * usage: stream TRIPS ROUNDS
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define BULK (128 << 20)

static const struct way {
	const char *name;
	const char *first; /* what the client sends to begin with */
	int port;
} ways[] = {
	{"plain", "x", PLAIN_PORT},
	{"split", LINE, TRANSPARENT_PORT},
	{"split, header with payload", LINE "x", TRANSPARENT_PORT},
};

static char block[1 << 17];

static const char *name(size_t way)
{
	return way < sizeof(ways) / sizeof(ways[0]) ? ways[way].name : NULL;
}

static void client(const struct way *way, int trips)
{
	int fd = bench_connect(way->port), i;
	struct linger linger = {0};
	size_t sent;
	ssize_t len;

	if (send(fd, way->first, strlen(way->first), 0) < 0)
		fail("client");
	for (i = 0; i < trips + 1; i++) { /* the server's first byte, then the trips */
		if (recv(fd, block, 1, 0) != 1 || send(fd, block, 1, 0) != 1)
			fail("client's trips");
	}
	for (sent = 0; sent < BULK; sent += len) {
		len = send(fd, block, sizeof(block), 0);
		if (len <= 0)
			fail("client's bulk");
	}
	/* what is on its way is to arrive */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	_exit(0);
}

static void take_trips(int fd, int trips)
{
	int i;

	for (i = 0; i < trips; i++) {
		if (send(fd, block, 1, 0) != 1 || recv(fd, block, 1, 0) != 1)
			fail("trips");
	}
}

static void take_bulk(int fd)
{
	size_t got = 0;
	ssize_t part;

	while ((part = recv(fd, block, sizeof(block), 0)) > 0)
		got += part;
	if (got != BULK)
		fail("bulk");
}

static void measure(size_t number, int trips, double *values)
{
	const struct way *way = &ways[number];
	int listener = bench_listen(way->port, 0), one = 1, fd;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	double start;
	pid_t child;

	child = fork();
	if (child == 0)
		client(way, trips);
	fd = accept(listener, (struct sockaddr *)&peer, &len);
	if (fd < 0)
		fail("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (way->first[strlen(way->first) - 1] == 'x' && recv(fd, block, 1, 0) != 1)
		fail("first byte");
	take_trips(fd, 1); /* warms up */
	start = clock_seconds(CLOCK_MONOTONIC);
	take_trips(fd, trips);
	values[1] = (clock_seconds(CLOCK_MONOTONIC) - start) * 1e6 / trips;
	start = clock_seconds(CLOCK_MONOTONIC);
	take_bulk(fd);
	values[0] = BULK / (clock_seconds(CLOCK_MONOTONIC) - start) / (1 << 20);
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {
		"stream", "TRIPS", {{"MiB/s", 10, 0}, {"trip us", 12, 2}}, 2, name, measure};

	return bench_main(&bench, argc, argv);
}
