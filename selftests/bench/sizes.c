// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory of connections that do nothing, and of a set; time of `ppctl apply`. Memory is that of the
 * whole machine: it says something in a guest, where nobody else takes any.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pp/pp.h>

#include "bench.h"
#include "connect.h"
#include "headers.h"
#include "place.h"

static const struct way {
	const char *name;
	int port;
	enum cgroup cgroup;
	enum netns netns;
	int header;
} ways[] = {
	{"plain: no header at all", PLAIN_PORT, BESIDE, BARE, 0},
	{"peek mode, pp_lookup", PEEK_PORT, INSIDE, BARE, 1},
	{"split, transparent", TRANSPARENT_PORT, INSIDE, HOOKED, 1},
};

static const char *idle_row(const struct group *group, size_t row)
{
	(void)group;
	return row < sizeof(ways) / sizeof(ways[0]) ? ways[row].name : NULL;
}

/* Bytes of a process that are in memory. */
static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		fail("/proc/self/statm");
	fclose(file);
	return (double)pages * sysconf(_SC_PAGESIZE);
}

static int idle_measure(const struct group *group, size_t row, int count, double *values)
{
	const struct way *way = &ways[row];
	double slab, used, mine;
	struct pp_origin origin;
	int listener, fd, i;
	pid_t client;

	(void)group;
	if (allow_files(count))
		return -1;
	place_netns(way->netns);
	place_enter(way->cgroup);
	listener = place_listen(AF_INET, way->port, 0);
	slab = memory_of("Slab");
	used = memory_of("MemFree");
	mine = resident();
	client = fork();
	if (client == 0) {
		place_enter(OUTSIDE);
		for (i = 0; i < count; i++) {
			fd = place_connect_holder(i, way->port);
			if (way->header && send(fd, LINE, strlen(LINE), 0) < 0)
				fail("send");
		}
		pause();
	}
	for (i = 0; i < count; i++) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0 || (way->port == PEEK_PORT && pp_lookup(fd, &origin)))
			fail("accept");
	}
	values[0] = (used - memory_of("MemFree")) / count;
	values[1] = (memory_of("Slab") - slab) / count;
	values[2] = (resident() - mine) / count;
	kill(client, SIGKILL);
	waitpid(client, NULL, 0);
	return 0;
}

static void idle_before(const struct group *group, size_t row)
{
	(void)group;
	(void)row;
	run("build/bin/ppctl proxy add " HOLDERS " >/dev/null");
}

static void idle_after(const struct group *group, size_t row)
{
	(void)group;
	(void)row;
	run("build/bin/ppctl proxy del " HOLDERS " >/dev/null");
}

static const struct column idle_columns[] = {{.key = "bytes", .head = "bytes, both ends"},
					     {.key = "slab_bytes", .head = "of it slab"},
					     {.key = "server_bytes", .head = "server's own"},
					     {}};

const struct group idle_group = {
	.name = "idle",
	.title = "memory of an idle connection",
	.columns = idle_columns,
	.count = 20000,
	.rounds = 3,
	.guest_count = 20000,
	.guest_rounds = 1,
	.row = idle_row,
	.role = first_is_plain,
	.before = idle_before,
	.after = idle_after,
	.measure = idle_measure,
};

static const int lists[] = {1, 100, 10000};

static const char *apply_row(const struct group *group, size_t row)
{
	static char name[32];

	(void)group;
	if (row >= sizeof(lists) / sizeof(lists[0]))
		return NULL;
	snprintf(name, sizeof(name), "%d prox%s", lists[row], lists[row] == 1 ? "y" : "ies");
	return name;
}

static void write_config(const char *path, int proxies)
{
	FILE *file = fopen(path, "w");
	int i;

	if (!file)
		fail(path);
	fprintf(file, "[serve bench]\ncgroup = %s\nport = 2540\n", place_cgroup(BESIDE));
	for (i = 0; i < proxies; i++)
		fprintf(file, "proxy = 10.%d.%d.%d\n", i >> 16 & 255, i >> 8 & 255, i & 255);
	fclose(file);
}

/* Return: nanoseconds that 'ppctl apply' took. */
static double apply(const char *path, double *most_memory)
{
	double start = clock_ns(CLOCK_MONOTONIC);
	char *const arguments[] = {"ppctl", "apply", (char *)path, "--pin", "/sys/fs/bpf/bench",
				   NULL};
	struct rusage usage;
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execv("build/bin/ppctl", arguments);
		_exit(1);
	}
	if (wait4(child, &status, 0, &usage) != child || status) {
		fprintf(stderr, "bench: ppctl apply failed\n");
		exit(1);
	}
	*most_memory = usage.ru_maxrss * 1024.0;
	return clock_ns(CLOCK_MONOTONIC) - start;
}

static int apply_measure(const struct group *group, size_t row, int count, double *values)
{
	double used, unused;

	(void)group;
	(void)count;
	write_config("/tmp/bench.conf", lists[row]);
	used = memory_of("MemFree");
	values[0] = apply("/tmp/bench.conf", &values[2]) / 1e6;
	values[3] = used - memory_of("MemFree");
	values[1] = apply("/tmp/bench.conf", &unused) / 1e6;
	if (truncate("/tmp/bench.conf", 0)) /* no set any more */
		fail("/tmp/bench.conf");
	apply("/tmp/bench.conf", &unused);
	return 0;
}

static const struct column apply_columns[] = {{.key = "apply_ms", .head = "apply ms"},
					      {.key = "again_ms", .head = "again ms"},
					      {.key = "ppctl_bytes", .head = "ppctl's bytes"},
					      {.key = "set_bytes", .head = "set's bytes"},
					      {}};

const struct group apply_group = {
	.name = "apply",
	.title = "ppctl apply: a set is made; the same again",
	.columns = apply_columns,
	.count = 1,
	.rounds = 5,
	.guest_count = 1,
	.guest_rounds = 1,
	.row = apply_row,
	.measure = apply_measure,
};
