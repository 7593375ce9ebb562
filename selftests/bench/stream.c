// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a socket is worth after the header: round trips of one byte, and throughput from client to
 * server; with loss, too, where the kernel has netem.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "headers.h"
#include "place.h"

struct task {
	size_t bulk; /* bytes */
	int loss;    /* percent */
};

static const struct way {
	const char *name;
	const char *first; /* what the client sends to begin with */
	int port;
	enum cgroup cgroup;
	enum netns netns;
} ways[] = {
	{"plain", "x", PLAIN_PORT, BESIDE, BARE},
	{"peek mode", LINE "x", PEEK_PORT, INSIDE, BARE},
	{"split", LINE, TRANSPARENT_PORT, INSIDE, HOOKED},
	{"split, header with payload", LINE "x", TRANSPARENT_PORT, INSIDE, HOOKED},
};

static char block[1 << 17];

static const char *row_name(const struct group *group, size_t row)
{
	(void)group;
	return row < sizeof(ways) / sizeof(ways[0]) ? ways[row].name : NULL;
}

static void client(const struct way *way, int trips, size_t bulk)
{
	int fd = place_connect(AF_INET, way->port, 0), i;
	struct linger linger = {0};
	size_t sent;
	ssize_t len;

	if (send(fd, way->first, strlen(way->first), 0) < 0)
		fail("client");
	for (i = 0; i < trips; i++) {
		if (recv(fd, block, 1, 0) != 1 || send(fd, block, 1, 0) != 1)
			fail("client's trips");
	}
	for (sent = 0; sent < bulk; sent += len) {
		len = bulk - sent < sizeof(block) ? bulk - sent : sizeof(block);
		len = send(fd, block, len, 0);
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

static void take_bulk(int fd, size_t bulk)
{
	size_t got = 0;
	ssize_t part;

	while ((part = recv(fd, block, sizeof(block), 0)) > 0)
		got += part;
	if (got != bulk)
		fail("bulk");
}

/* The server's end, with all that its client sends before the trips. */
static int accept_from(const struct way *way, int listener)
{
	size_t first = strlen(way->first), left = way->port == TRANSPARENT_PORT ? 0 : first;
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		fail("accept");
	if (way->first[first - 1] == 'x' && !left)
		left = 1;
	if (left && recv(fd, block, left, MSG_WAITALL) != (ssize_t)left)
		fail("first bytes");
	socket_nodelay(fd);
	return fd;
}

#define WARM_UP 50

static int measure(const struct group *group, size_t row, int trips, double *values)
{
	const struct way *way = &ways[row];
	const struct task *task = group->context;
	int listener, fd;
	double start;
	pid_t child;

	place_netns(way->netns);
	if (task->loss &&
	    may_run("tc qdisc add dev lo root netem loss %d%% 2>/dev/null", task->loss))
		return -1;
	place_enter(way->cgroup);
	listener = place_listen(AF_INET, way->port, 0);
	child = fork();
	if (child == 0) {
		place_enter(OUTSIDE);
		client(way, WARM_UP + trips, task->bulk);
	}
	fd = accept_from(way, listener);
	take_trips(fd, WARM_UP);
	start = clock_ns(CLOCK_MONOTONIC);
	take_trips(fd, trips);
	values[0] = (clock_ns(CLOCK_MONOTONIC) - start) / trips;
	start = clock_ns(CLOCK_MONOTONIC);
	take_bulk(fd, task->bulk);
	values[1] = task->bulk / (clock_ns(CLOCK_MONOTONIC) - start) / (1 << 20) * 1e9;
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
	if (task->loss)
		run("tc qdisc del dev lo root");
	return 0;
}

static const struct column columns[] = {
	{.key = "trip_ns", .head = "trip ns"}, {.key = "mib_s", .head = "MiB/s"}, {}};

const struct group stream_group = {
	.name = "stream",
	.title = "after the header: round trips of one byte, then 128 MiB",
	.columns = columns,
	.count = 10000,
	.rounds = 15,
	.guest_count = 2000,
	.guest_rounds = 3,
	.context = &(const struct task){128 << 20, 0},
	.row = row_name,
	.role = first_is_plain,
	.measure = measure,
};

const struct group loss_group = {
	.name = "loss",
	.title = "after the header, 1 % of all packets lost: round trips, then 16 MiB",
	.columns = columns,
	.count = 500,
	.rounds = 9,
	.guest_count = 500,
	.guest_rounds = 9,
	.context = &(const struct task){16 << 20, 1},
	.row = row_name,
	.role = first_is_plain,
	.measure = measure,
};
