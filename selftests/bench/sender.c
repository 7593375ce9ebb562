// SPDX-License-Identifier: BSD-2-Clause
/*
 * What pp_msg costs a proxy after the first message: send()s of 100 bytes over one connection, to a
 * server that reads them. A plain socket; one whose socket is kept in pp_senders, so that pp_msg
 * runs at every send(); one that has left. The kinds take turns; medians are printed.
 *
 * usage: sender SENDS ROUNDS, in a proxy cgroup, with port 2525 served
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

#include <bpf/bpf.h>

#include "median.h"

#define LINE	   "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define SIZE	   100
#define ROUNDS_MAX 101

static const struct kind {
	const char *name;
	int port;
	int stays;
} kinds[] = {
	{"plain", 2600, 0},
	{"pp_msg stays in the path", 2600, 1},
	{"pp_msg has left", 2525, 0},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char block[1 << 17];

static void fail(const char *what)
{
	fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in address(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void server(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		fail("accept");
	while (recv(fd, block, sizeof(block), 0) > 0)
		;
	_exit(0);
}

static void keep_in_senders(int fd)
{
	int map = bpf_obj_get("/sys/fs/bpf/pp/maps/pp_senders");
	uint64_t key = 1, value = fd;

	if (map < 0 || bpf_map_update_elem(map, &key, &value, BPF_ANY))
		fail("pp_senders");
	close(map);
}

/* Return: a send()'s microseconds. */
static double measure(const struct kind *kind, int sends)
{
	struct sockaddr_in here = address(kind->port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd, one = 1, i;
	double start, time;
	pid_t child;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1))
		fail("listen");
	child = fork();
	if (child == 0)
		server(listener);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&here, sizeof(here)) ||
	    send(fd, LINE, sizeof(LINE) - 1, 0) < 0)
		fail("connect");
	if (kind->stays)
		keep_in_senders(fd);
	start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID); /* the server runs meanwhile */
	for (i = 0; i < sends; i++) {
		if (send(fd, block, SIZE, 0) != SIZE)
			fail("send");
	}
	time = (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / sends;
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
	return time;
}

int main(int argc, char **argv)
{
	static double times[KINDS][ROUNDS_MAX];
	int sends = argc > 1 ? atoi(argv[1]) : 0, rounds = argc > 2 ? atoi(argv[2]) : 0, round;
	double time, plain = 0;
	size_t i;

	if (sends < 1 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: sender SENDS ROUNDS (at most %d)\n", ROUNDS_MAX);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < KINDS; i++)
			times[i][round] = measure(&kinds[i], sends);
	}
	printf("%-34s %12s %7s\n", "", "us a send()", "ratio");
	for (i = 0; i < KINDS; i++) {
		time = median(times[i], rounds);
		if (i == 0)
			plain = time;
		printf("%-34s %12.3f %7.3f\n", kinds[i].name, time, time / plain);
	}
	return 0;
}
