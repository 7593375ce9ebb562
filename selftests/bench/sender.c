// SPDX-License-Identifier: BSD-2-Clause
/*
 * What pp_msg costs a proxy after the first message: send()s of 100 bytes over one connection, to a
 * server that reads them. A plain socket; one whose socket is kept in pp_senders, so that pp_msg
 * runs at every send(); one that has left.
 *
 * usage: sender SENDS ROUNDS
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"

#define SIZE 100

static const struct way {
	const char *name;
	int port;
	int stays;
} ways[] = {
	{"plain", PLAIN_PORT, 0},
	{"pp_msg stays in the path", PLAIN_PORT, 1},
	{"pp_msg has left", PEEK_PORT, 0},
};

static char block[1 << 17];

static const char *name(size_t way)
{
	return way < sizeof(ways) / sizeof(ways[0]) ? ways[way].name : NULL;
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

static void measure(size_t number, int sends, double *values)
{
	const struct way *way = &ways[number];
	int listener = bench_listen(way->port, 0), fd, i;
	double start;
	pid_t child;

	child = fork();
	if (child == 0)
		server(listener);
	fd = bench_connect(way->port);
	if (send(fd, LINE, sizeof(LINE) - 1, 0) < 0)
		fail("header");
	if (way->stays)
		keep_in_senders(fd);
	start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID); /* the server runs meanwhile */
	for (i = 0; i < sends; i++) {
		if (send(fd, block, SIZE, 0) != SIZE)
			fail("send");
	}
	values[0] = (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / sends;
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"sender", "SENDS", {{"us a send()", 12, 3}},
					   1,	     name,    measure};

	return bench_main(&bench, argc, argv);
}
