// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a connection costs, by the way in which the server learns who called. One client process,
 *@@ */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pp/pp.h>

#include "bench.h"

enum cgroup { OUTSIDE, INSIDE };

static int no_header(int fd);
static int byte_by_byte(int fd);
static int poll_and_peek(int fd);
static int lookup(int fd);

static const struct way {
	const char *name;
	int port;
	enum cgroup cgroup;
	int defer; /* TCP_DEFER_ACCEPT, seconds */
	int header;
	int transparent; /* accept() has to name the origin */
	int (*identify)(int fd);
} ways[] = {
	{"plain: no header at all", PLAIN_PORT, OUTSIDE, 0, 0, 0, no_header},
	{"Exim's way: v1, one byte a call", PLAIN_PORT + 1, OUTSIDE, 0, 1, 0, byte_by_byte},
	{"pp_read_header: poll, peek, take", PLAIN_PORT + 2, OUTSIDE, 0, 1, 0, poll_and_peek},
	{"the same behind TCP_DEFER_ACCEPT", PLAIN_PORT + 3, OUTSIDE, 3, 1, 0, poll_and_peek},
	{"pp_lookup, peek mode", PEEK_PORT, INSIDE, 0, 1, 0, lookup},
	{"split, transparent", TRANSPARENT_PORT, INSIDE, 0, 1, 1, no_header},
};

static const char *name(size_t way)
{
	return way < sizeof(ways) / sizeof(ways[0]) ? ways[way].name : NULL;
}

static int no_header(int fd)
{
	(void)fd;
	return 0;
}

/* As Exim 4.96 reads a v1 line: until CR LF, a recv() for each byte. */
static int byte_by_byte(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};
	struct pp_origin origin;
	char line[108];
	size_t len = 0;

	if (poll(&in, 1, 3000) != 1)
		return -1;
	while (len < sizeof(line) && recv(fd, line + len, 1, 0) == 1) {
		len++;
		if (len > 1 && line[len - 1] == '\n' && line[len - 2] == '\r')
			return pp_parse(line, len, &origin) > 0 ? 0 : -1;
	}
	return -1;
}

static int poll_and_peek(int fd)
{
	struct pp_origin origin;

	return pp_read_header(fd, &origin, 3000);
}

static int lookup(int fd)
{
	struct pp_origin origin;

	return pp_lookup(fd, &origin);
}

static void move_to(enum cgroup cgroup)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs",
		 getenv(cgroup == INSIDE ? "LAB_CGROUP" : "LAB_OUTSIDE"));
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void call(const struct way *way)
{
	int fd = bench_connect(way->port);
	char buf[64];

	if (way->header && send(fd, LINE, strlen(LINE), 0) < 0)
		fail("send");
	if (recv(fd, buf, sizeof(buf), 0) <= 0 || send(fd, "QUIT\r\n", 6, 0) != 6 ||
	    recv(fd, buf, sizeof(buf), 0) != 0)
		fail("session");
	close(fd);
}

static void serve(int listener, const struct way *way)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char buf[64];
	int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

	if (fd < 0)
		fail("accept");
	if (way->identify(fd) ||
	    (way->transparent && peer.sin_addr.s_addr != inet_addr("192.0.2.7"))) {
		fprintf(stderr, "connect: %s: no origin\n", way->name);
		exit(1);
	}
	if (send(fd, "220 hello\r\n", 11, 0) != 11 || recv(fd, buf, sizeof(buf), 0) != 6)
		fail(way->name);
	close(fd);
}

static void measure(size_t number, int connections, double *values)
{
	const struct way *way = &ways[number];
	double start, cpu;
	int listener, i;
	pid_t client;

	move_to(way->cgroup);
	listener = bench_listen(way->port, way->defer);
	client = fork();
	if (client == 0) {
		move_to(OUTSIDE);
		for (i = 0; i < connections; i++)
			call(way);
		_exit(0);
	}
	serve(listener, way); /* the first one warms up */
	start = clock_seconds(CLOCK_MONOTONIC);
	cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 1; i < connections; i++)
		serve(listener, way);
	values[0] = (connections - 1) / (clock_seconds(CLOCK_MONOTONIC) - start);
	values[1] = (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (connections - 1);
	waitpid(client, NULL, 0);
	close(listener);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {
		"connect", "CONNECTIONS", {{"conn/s", 10, 0}, {"server us", 12, 2}},
		2,	   name,	  measure};

	return bench_main(&bench, argc, argv);
}
