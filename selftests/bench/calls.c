// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the programs cost those that have nothing to do with them, or no more: a segment of an
 * established connection, getsockopt() and getpeername(), in a cgroup with everything attached and
 * in one with nothing.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pp/pp.h>

#include "bench.h"
#include "headers.h"
#include "place.h"

static const struct kind {
	const char *name;
	enum cgroup cgroup;
	enum netns netns;
	int port;
	int proxy; /* sends a header */
} kinds[] = {
	{"nothing attached", BESIDE, BARE, PLAIN_PORT, 0},
	{"port not served, no hooks on lo", INSIDE, BARE, PLAIN_PORT, 0},
	{"port not served", INSIDE, HOOKED, PLAIN_PORT, 0},
	{"served, a stranger", INSIDE, HOOKED, PEEK_PORT, 0},
	{"served in peek mode", INSIDE, HOOKED, PEEK_PORT, 1},
	{"split, transparent", INSIDE, HOOKED, TRANSPARENT_PORT, 1},
};

static const char *row_name(const struct group *group, size_t row)
{
	(void)group;
	return row < sizeof(kinds) / sizeof(kinds[0]) ? kinds[row].name : NULL;
}

/* One byte each way: two segments that each acknowledge the other. */
static void trip(int client, int server)
{
	char byte = 'x';

	if (send(client, &byte, 1, 0) != 1 || recv(server, &byte, 1, 0) != 1 ||
	    send(server, &byte, 1, 0) != 1 || recv(client, &byte, 1, 0) != 1)
		fail("trip");
}

static int connect_ends(const struct kind *kind, int *client)
{
	struct pp_origin origin;
	int listener, server;

	place_netns(kind->netns);
	place_enter(kind->cgroup);
	listener = place_listen(AF_INET, kind->port, 0);
	place_enter(OUTSIDE);
	*client = kind->proxy ? place_connect(AF_INET, kind->port, 0)
			      : place_connect_stranger(kind->port);
	if (kind->proxy && send(*client, LINE, strlen(LINE), 0) < 0)
		fail("header");
	server = accept(listener, NULL, NULL);
	if (server < 0)
		fail("accept");
	place_enter(kind->cgroup);
	if (kind->proxy && pp_lookup(server, &origin))
		fail(kind->name);
	socket_nodelay(server);
	close(listener);
	return server;
}

enum call { TRIP, SO_TYPE_CALL, TCP_INFO_CALL, GETPEERNAME, GETSOCKNAME, CALL_COUNT };

static void call(enum call what, int client, int server)
{
	struct sockaddr_storage name;
	struct tcp_info info;
	socklen_t len;
	int type;

	switch (what) {
	case TRIP:
		trip(client, server);
		break;
	case SO_TYPE_CALL:
		len = sizeof(type);
		getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &len);
		break;
	case TCP_INFO_CALL:
		len = sizeof(info);
		getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &len);
		break;
	case GETPEERNAME:
		len = sizeof(name);
		getpeername(server, (struct sockaddr *)&name, &len);
		break;
	case GETSOCKNAME:
		len = sizeof(name);
		getsockname(server, (struct sockaddr *)&name, &len);
		break;
	case CALL_COUNT:
		break;
	}
}

#define WARM_UP 100

static int measure(const struct group *group, size_t row, int count, double *values)
{
	int client, server = connect_ends(&kinds[row], &client), i;
	enum call what;
	double start;

	(void)group;
	for (what = TRIP; what < CALL_COUNT; what++) {
		for (i = 0; i < WARM_UP; i++)
			call(what, client, server);
		start = clock_ns(CLOCK_MONOTONIC);
		for (i = 0; i < count; i++)
			call(what, client, server);
		values[what] = (clock_ns(CLOCK_MONOTONIC) - start) / count;
	}
	close(client);
	close(server);
	return 0;
}

static const struct column columns[] = {{.key = "trip_ns", .head = "trip ns"},
					{.key = "so_type_ns", .head = "SO_TYPE ns"},
					{.key = "tcp_info_ns", .head = "TCP_INFO ns"},
					{.key = "getpeername_ns", .head = "getpeername"},
					{.key = "getsockname_ns", .head = "getsockname"},
					{}};

const struct group calls_group = {
	.name = "calls",
	.title = "bystanders: a round trip of two segments, and system calls",
	.columns = columns,
	.count = 20000,
	.rounds = 15,
	.guest_count = 1000,
	.guest_rounds = 3,
	.row = row_name,
	.role = first_is_plain,
	.measure = measure,
};
