// SPDX-License-Identifier: BSD-2-Clause
/*
 * What pp_msg costs a proxy after the first message: send()s of 100 bytes over one connection, to a
 * server that reads them. A plain socket; one whose socket is kept in pp_senders, so that pp_msg
 * runs at every send(); one that has left.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "headers.h"
#include "place.h"

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

static const char *row_name(const struct group *group, size_t row)
{
	(void)group;
	return row < sizeof(ways) / sizeof(ways[0]) ? ways[row].name : NULL;
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

static int measure(const struct group *group, size_t row, int sends, double *values)
{
	const struct way *way = &ways[row];
	int listener, fd, i;
	double start;
	pid_t child;

	(void)group;
	place_netns(BARE);
	place_enter(INSIDE);
	listener = place_listen(AF_INET, way->port, 0);
	child = fork();
	if (child == 0)
		server(listener);
	place_enter(PROXIES);
	fd = place_connect(AF_INET, way->port, 0);
	if (send(fd, LINE, strlen(LINE), 0) < 0)
		fail("header");
	if (way->stays)
		keep_in_senders(fd);
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID); /* the server runs meanwhile */
	for (i = 0; i < sends; i++) {
		if (send(fd, block, SIZE, 0) != SIZE)
			fail("send");
	}
	values[0] = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / sends;
	close(fd);
	close(listener);
	waitpid(child, NULL, 0);
	return 0;
}

static void before(const struct group *group, size_t row)
{
	(void)group;
	(void)row;
	run("build/bin/ppctl proxy-cgroup add %s >/dev/null", place_cgroup(PROXIES));
}

static void after(const struct group *group, size_t row)
{
	(void)group;
	(void)row;
	run("build/bin/ppctl proxy-cgroup del %s >/dev/null", place_cgroup(PROXIES));
}

static const struct column columns[] = {{.key = "send_ns", .head = "ns a send()"}, {}};

const struct group sender_group = {
	.name = "sender",
	.title = "a proxy's send()",
	.columns = columns,
	.count = 100000,
	.rounds = 15,
	.guest_count = 10000,
	.guest_rounds = 3,
	.row = row_name,
	.role = first_is_plain,
	.before = before,
	.after = after,
	.measure = measure,
};
