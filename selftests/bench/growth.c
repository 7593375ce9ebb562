// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a connection costs while there are few or many marked proxies, served ports, or other
 * connections. It is meant to stay the same.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/types.h>

#include <pp/maps.h>

#include "bench.h"
#include "connect.h"
#include "headers.h"
#include "place.h"

#define FIRST_PORT 10000

struct growth {
	int sizes[4];
	const char *of;
	void (*grow)(int size);
	void (*shrink)(int size);
};

static const struct growth *growth_of(const struct group *group)
{
	return group->context;
}

static const char *row_name(const struct group *group, size_t row)
{
	const struct growth *growth = growth_of(group);
	static char name[64];

	if (row >= 4 || !growth->sizes[row])
		return NULL;
	snprintf(name, sizeof(name), "%d %s", growth->sizes[row], growth->of);
	return name;
}

static int open_map(const char *name)
{
	char path[128];
	int map;

	snprintf(path, sizeof(path), "/sys/fs/bpf/pp/maps/%s", name);
	map = bpf_obj_get(path);
	if (map < 0)
		fail(path);
	return map;
}

/* Addresses of 10.0.0.0/8, spread over it. */
static void proxy_key(struct pp_prefix *key, int i)
{
	uint32_t address = htonl(0x0a000000 | ((uint32_t)i * 2654435761u >> 8));

	memset(key, 0, sizeof(*key));
	key->length = 128;
	key->address[10] = key->address[11] = 0xff;
	memcpy(key->address + 12, &address, 4);
}

static void change_proxies(int size, int delete)
{
	int map = open_map("pp_proxies"), i;
	struct pp_proxy value = {};
	struct pp_prefix key;

	for (i = 1; i < size; i++) { /* the first one is the benchmark's */
		proxy_key(&key, i);
		if (delete)
			bpf_map_delete_elem(map, &key);
		else if (bpf_map_update_elem(map, &key, &value, BPF_ANY))
			fail("pp_proxies");
	}
	close(map);
}

static void grow_proxies(int size)
{
	change_proxies(size, 0);
}

static void shrink_proxies(int size)
{
	change_proxies(size, 1);
}

static void change_ports(const char *verb, int size)
{
	if (size > 3) /* three are the benchmark's */
		run("build/bin/ppctl port %s $(seq -s, %d %d) >/dev/null", verb, FIRST_PORT,
		    FIRST_PORT + size - 4);
}

static void grow_ports(int size)
{
	change_ports("add", size);
}

static void shrink_ports(int size)
{
	change_ports("del", size);
}

static pid_t holder;

/* Half of them to the port in peek mode, half to the transparent one. */
static void hold_one(int listener, int port, int i)
{
	int fd = place_connect_holder(i / 2, port);

	if (send(fd, LINE, strlen(LINE), 0) < 0 || accept(listener, NULL, NULL) < 0)
		fail("live connections");
}

/* In processes of their own, which end with the holder: no limit of open files is to be raised far.
 */
#define HELD_BY_ONE 2000

/* Says that it is ready, and holds what it has until it is ended. */
static void stay(int ready)
{
	if (write(ready, "x", 1) != 1)
		fail("pipe");
	for (;;)
		pause();
}

static void hold_part(const int listeners[2], int from, int to, int ready)
{
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (allow_files(2 * HELD_BY_ONE))
		fail("RLIMIT_NOFILE");
	for (i = from; i < to; i++)
		hold_one(listeners[i % 2], i % 2 ? TRANSPARENT_PORT : PEEK_PORT, i);
	close(listeners[0]);
	close(listeners[1]);
	stay(ready);
}

/* A part, in a process of its own, until it is ready, or has failed. */
static void hold_next(const int listeners[2], int from, int to)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		fail("pipe");
	if (fork() == 0)
		hold_part(listeners, from, to, ends[1]);
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		fail("live connections");
	close(ends[0]);
}

static void hold(int size, int ready)
{
	int listeners[2], from, to;

	place_enter(INSIDE);
	listeners[0] = place_listen(AF_INET, PEEK_PORT, 0);
	listeners[1] = place_listen(AF_INET, TRANSPARENT_PORT, 0);
	place_enter(OUTSIDE);
	for (from = 0; from < size; from = to) {
		to = from + HELD_BY_ONE < size ? from + HELD_BY_ONE : size;
		hold_next(listeners, from, to);
	}
	/* they would take what is measured */
	close(listeners[0]);
	close(listeners[1]);
	stay(ready);
}

static void grow_live(int size)
{
	int ends[2];
	char byte;

	run("build/bin/ppctl proxy add " HOLDERS " >/dev/null");
	if (pipe(ends))
		fail("pipe");
	holder = fork();
	if (holder == 0)
		hold(size, ends[1]);
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		fail("live connections");
	close(ends[0]);
}

static void shrink_live(int size)
{
	(void)size;
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	run("build/bin/ppctl proxy del " HOLDERS " >/dev/null");
}

static void before(const struct group *group, size_t row)
{
	growth_of(group)->grow(growth_of(group)->sizes[row]);
}

static void after(const struct group *group, size_t row)
{
	growth_of(group)->shrink(growth_of(group)->sizes[row]);
}

static int measure(const struct group *group, size_t row, int count, double *values)
{
	double both[2];

	(void)group;
	(void)row;
	connect_measure(PEEK_PORT, count, both);
	values[0] = both[0];
	connect_measure(TRANSPARENT_PORT, count, both);
	values[1] = both[0];
	return 0;
}

static const struct column columns[] = {
	{.key = "peek_ns", .head = "peek ns"}, {.key = "split_ns", .head = "split ns"}, {}};

#define GROWTH(key, text, ...)                                                                  \
	{                                                                                       \
		.name = key, .title = text, .columns = columns, .count = 2000, .rounds = 3,     \
		.guest_count = 500, .guest_rounds = 1, .row = row_name, .role = first_is_plain, \
		.before = before, .after = after, .measure = measure,                           \
		.context = &(const struct growth)__VA_ARGS__                                    \
	}

const struct group growth_proxies_group =
	GROWTH("growth-proxies", "a connection, by how many proxies are marked",
	       {{1, 1000, 100000, 1000000}, "proxies", grow_proxies, shrink_proxies});

const struct group growth_ports_group =
	GROWTH("growth-ports", "a connection, by how many ports are served",
	       {{3, 64, 250}, "ports", grow_ports, shrink_ports});

const struct group growth_live_group =
	GROWTH("growth-live", "a connection, by how many others live",
	       {{1, 1000, 10000, 100000}, "connections", grow_live, shrink_live});
