// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a connection costs, by the way in which the server learns who called. One client process,
 * one server process, one connection after the other: SYN, header, banner, QUIT, close. The ways
 * take turns, round by round, and medians are printed: connections a second, and the server's own
 * CPU time.
 *
 * usage: connect CONNECTIONS ROUNDS, under selftests/tools/lab
 */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pp/pp.h>

#include "median.h"

#define LINE	   "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define ROUNDS_MAX 101

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
	{"plain: no header at all", 2600, OUTSIDE, 0, 0, 0, no_header},
	{"Exim's way: v1, one byte a call", 2601, OUTSIDE, 0, 1, 0, byte_by_byte},
	{"pp_read_header: poll, peek, take", 2602, OUTSIDE, 0, 1, 0, poll_and_peek},
	{"the same behind TCP_DEFER_ACCEPT", 2603, OUTSIDE, 3, 1, 0, poll_and_peek},
	{"pp_lookup, peek mode", 2525, INSIDE, 0, 1, 0, lookup},
	{"split, transparent", 2526, INSIDE, 0, 1, 1, no_header},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void fail(const char *what)
{
	fprintf(stderr, "connect: %s: %s\n", what, strerror(errno));
	exit(1);
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

static struct sockaddr_in address(const char *ip, int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

static int start_listener(const struct way *way)
{
	struct sockaddr_in here = address("127.0.0.1", way->port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (way->defer)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &way->defer, sizeof(way->defer));
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) || listen(fd, 128))
		fail("listen");
	return fd;
}

static void call(const struct way *way)
{
	struct sockaddr_in from = address("127.0.0.2", 0), to = address("127.0.0.1", way->port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct linger linger = {1, 0}; /* no TIME_WAIT: ports are to last */
	char buf[64];

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
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

static double seconds(const struct timespec *from, const struct timespec *to)
{
	return to->tv_sec - from->tv_sec + (to->tv_nsec - from->tv_nsec) / 1e9;
}

static void run(const struct way *way, int connections, double *rate, double *cpu_us)
{
	struct timespec start, end, cpu_start, cpu_end;
	int listener, i, status;
	pid_t client;

	move_to(way->cgroup);
	listener = start_listener(way);
	client = fork();
	if (client == 0) {
		move_to(OUTSIDE);
		for (i = 0; i < connections; i++)
			call(way);
		_exit(0);
	}
	serve(listener, way); /* the first one warms up */
	clock_gettime(CLOCK_MONOTONIC, &start);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_start);
	for (i = 1; i < connections; i++)
		serve(listener, way);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_end);
	clock_gettime(CLOCK_MONOTONIC, &end);
	waitpid(client, &status, 0);
	close(listener);
	*rate = (connections - 1) / seconds(&start, &end);
	*cpu_us = seconds(&cpu_start, &cpu_end) * 1e6 / (connections - 1);
}

int main(int argc, char **argv)
{
	static double rates[WAYS][ROUNDS_MAX], cpus[WAYS][ROUNDS_MAX];
	int connections = argc > 1 ? atoi(argv[1]) : 2000, rounds = argc > 2 ? atoi(argv[2]) : 11;
	double rate, cpu, plain_rate = 0, plain_cpu = 0;
	int round;
	size_t i;

	if (connections < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: connect CONNECTIONS ROUNDS (at most %d)\n", ROUNDS_MAX);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < WAYS; i++)
			run(&ways[i], connections, &rates[i][round], &cpus[i][round]);
	}
	printf("%-34s %10s %7s %12s %7s\n", "", "conn/s", "ratio", "server us", "ratio");
	for (i = 0; i < WAYS; i++) {
		rate = median(rates[i], rounds);
		cpu = median(cpus[i], rounds);
		if (i == 0) {
			plain_rate = rate;
			plain_cpu = cpu;
		}
		printf("%-34s %10.0f %7.3f %12.2f %7.3f\n", ways[i].name, rate, rate / plain_rate,
		       cpu, cpu / plain_cpu);
	}
	return 0;
}
