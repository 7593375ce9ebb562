// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a connection costs, by the way in which the server learns who called: a client process, a
 * server process, a header, a banner and a QUIT. A group for each kind of header.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pp/pp.h>

#include "bench.h"
#include "connect.h"
#include "headers.h"
#include "place.h"

#define WARM_UP	   20
#define TIMEOUT_MS 3000
#define DEFER_S	   3
#define BANNER	   "220 hello\r\n"
#define QUIT	   "QUIT\r\n"

struct variant {
	struct header_kind kind;
	int merged; /* the handshake's ACK goes with the header */
	int all;    /* with the ways that are not in each table */
};

static char header[HEADER_SIZE];
static size_t header_len;

static int nothing(int fd);
static int byte_by_byte(int fd);
static int receive(int fd);
static int peek(int fd);
static int poll_and_peek(int fd);
static int read_header(int fd);
static int lookup(int fd);

static const struct way {
	const char *name;
	enum role role;
	int port;
	enum cgroup cgroup;
	enum netns netns;
	int defer; /* TCP_DEFER_ACCEPT */
	int header;
	int floor;	 /* the header is received with the first command, and not looked at */
	int transparent; /* accept() has to name the client */
	int sender;	 /* the proxy is in a proxy cgroup: pp_msg decodes its header */
	int all;	 /* only in tables with all ways */
	int v1;		 /* only with v1 */
	int (*identify)(int fd);
} ways[] = {
	{"plain: no header at all", ROLE_PLAIN, PLAIN_PORT, BESIDE, BARE, .identify = nothing},
	{"floor: header received, not parsed", ROLE_FLOOR, PLAIN_PORT + 1, BESIDE, BARE, .defer = 1,
	 .header = 1, .floor = 1, .identify = nothing},
	{"Exim's way: one byte a recv()", ROLE_READER, PLAIN_PORT + 2, BESIDE, BARE, .header = 1,
	 .all = 1, .v1 = 1, .identify = byte_by_byte},
	{"poll, MSG_PEEK, take", ROLE_READER, PLAIN_PORT + 3, BESIDE, BARE, .header = 1, .all = 1,
	 .identify = poll_and_peek},
	{"MSG_PEEK, take; TCP_DEFER_ACCEPT", ROLE_READER, PLAIN_PORT + 4, BESIDE, BARE, .defer = 1,
	 .header = 1, .identify = peek},
	{"one recv(); TCP_DEFER_ACCEPT", ROLE_READER, PLAIN_PORT + 5, BESIDE, BARE, .defer = 1,
	 .header = 1, .identify = receive},
	{"pp_read_header", ROLE_READER, PLAIN_PORT + 6, BESIDE, BARE, .header = 1, .all = 1,
	 .identify = read_header},
	{"pp_read_header; TCP_DEFER_ACCEPT", ROLE_READER, PLAIN_PORT + 7, BESIDE, BARE, .defer = 1,
	 .header = 1, .all = 1, .identify = read_header},
	{"peek mode, pp_lookup", ROLE_NONE, PEEK_PORT, INSIDE, BARE, .header = 1,
	 .identify = lookup},
	{"split, pp_lookup", ROLE_NONE, SPLIT_PORT, INSIDE, HOOKED, .header = 1,
	 .identify = lookup},
	{"split, transparent", ROLE_NONE, TRANSPARENT_PORT, INSIDE, HOOKED, .header = 1,
	 .transparent = 1, .identify = nothing},
	{"peek mode, decoded by sk_msg", ROLE_NONE, PEEK_PORT, INSIDE, BARE, .header = 1,
	 .sender = 1, .all = 1, .identify = lookup},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int nothing(int fd)
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

	if (poll(&in, 1, TIMEOUT_MS) != 1)
		return -1;
	while (len < sizeof(line) && recv(fd, line + len, 1, 0) == 1) {
		len++;
		if (len > 1 && line[len - 1] == '\n' && line[len - 2] == '\r')
			return pp_parse(line, len, &origin) > 0 ? 0 : -1;
	}
	return -1;
}

/* Of a server that keeps what comes after the header in a buffer of its own. Here a client that
 * waits for the banner sends nothing. */
static int receive(int fd)
{
	struct pp_origin origin;
	char bytes[HEADER_SIZE];
	ssize_t len = recv(fd, bytes, sizeof(bytes), 0);

	return len > 0 && pp_parse(bytes, len, &origin) > 0 ? 0 : -1;
}

static int peek(int fd)
{
	struct pp_origin origin;
	char bytes[HEADER_SIZE];
	ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_PEEK);
	int header_bytes = len > 0 ? pp_parse(bytes, len, &origin) : -1;

	return header_bytes > 0 && recv(fd, bytes, header_bytes, 0) == header_bytes ? 0 : -1;
}

static int poll_and_peek(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	return poll(&in, 1, TIMEOUT_MS) == 1 ? peek(fd) : -1;
}

static int read_header(int fd)
{
	struct pp_origin origin;

	return pp_read_header(fd, &origin, TIMEOUT_MS);
}

static int lookup(int fd)
{
	struct pp_origin origin;

	return pp_lookup(fd, &origin);
}

static const struct way *way_of(const struct group *group, size_t row)
{
	const struct variant *variant = group->context;
	size_t i;

	for (i = 0; i < WAYS; i++) {
		if ((ways[i].all && !variant->all) || (ways[i].v1 && variant->kind.version != 1))
			continue;
		if (row-- == 0)
			return &ways[i];
	}
	return NULL;
}

static const char *row_name(const struct group *group, size_t row)
{
	const struct way *way = way_of(group, row);

	return way ? way->name : NULL;
}

static enum role row_role(const struct group *group, size_t row)
{
	return way_of(group, row)->role;
}

static void call(const struct way *way, const struct variant *variant)
{
	int fd = place_connect(variant->kind.family, way->port, variant->merged && way->header);
	char buf[64];

	if (way->header && send(fd, header, header_len, 0) != (ssize_t)header_len)
		fail("send");
	if (recv(fd, buf, sizeof(buf), 0) <= 0 || send(fd, QUIT, strlen(QUIT), 0) < 0 ||
	    recv(fd, buf, sizeof(buf), 0) != 0)
		fail("session");
	close(fd);
}

static void serve(int listener, const struct way *way)
{
	ssize_t command = strlen(QUIT) + (way->floor ? header_len : 0);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char buf[HEADER_SIZE + 64];
	int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

	if (fd < 0)
		fail("accept");
	if (way->identify(fd) || (way->transparent && !is_client(&peer))) {
		fprintf(stderr, "bench: %s: no origin\n", way->name);
		exit(1);
	}
	if (send(fd, BANNER, strlen(BANNER), 0) < 0 ||
	    recv(fd, buf, command, way->floor ? MSG_WAITALL : 0) != command)
		fail(way->name);
	close(fd);
}

static void measure_way(const struct way *way, const struct variant *variant, int count,
			double *values)
{
	int listener, i;
	double start, cpu;
	pid_t client;

	header_len = header_make(header, &variant->kind);
	place_netns(way->netns);
	place_enter(way->cgroup);
	listener = place_listen(variant->kind.family, way->port, way->defer ? DEFER_S : 0);
	client = fork();
	if (client == 0) {
		place_enter(way->sender ? PROXIES : OUTSIDE);
		for (i = 0; i < count + WARM_UP; i++)
			call(way, variant);
		_exit(0);
	}
	for (i = 0; i < WARM_UP; i++)
		serve(listener, way);
	start = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < count; i++)
		serve(listener, way);
	values[1] = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / count;
	values[0] = (clock_ns(CLOCK_MONOTONIC) - start) / count;
	waitpid(client, NULL, 0);
	close(listener);
}

static int measure(const struct group *group, size_t row, int count, double *values)
{
	measure_way(way_of(group, row), group->context, count, values);
	return 0;
}

static void before(const struct group *group, size_t row)
{
	if (way_of(group, row)->sender)
		run("build/bin/ppctl proxy-cgroup add %s >/dev/null", place_cgroup(PROXIES));
}

static void after(const struct group *group, size_t row)
{
	if (way_of(group, row)->sender)
		run("build/bin/ppctl proxy-cgroup del %s >/dev/null", place_cgroup(PROXIES));
}

void connect_measure(int port, int count, double *values)
{
	static const struct variant variant = {.kind = {1, AF_INET, 0, 0}};
	size_t i;

	for (i = 0; ways[i].port != port; i++)
		;
	measure_way(&ways[i], &variant, count, values);
}

static const struct column columns[] = {{.key = "total_ns", .head = "total ns", .as_rate = 1},
					{.key = "server_ns", .head = "server ns"},
					{}};

#define GROUP(key, text, ...)                                                                   \
	{                                                                                       \
		.name = key, .title = "a connection: " text, .columns = columns, .count = 2000, \
		.rounds = 15, .guest_count = 300, .guest_rounds = 5, .row = row_name,           \
		.role = row_role, .before = before, .after = after, .measure = measure,         \
		.context = &(const struct variant)__VA_ARGS__                                   \
	}

const struct group connect_groups[] = {
	GROUP("v1", "v1, IPv4", {{1, AF_INET, 0, 0}, 0, 1}),
	GROUP("v1-merged", "v1, IPv4, the handshake's ACK merged into the header's segment",
	      {{1, AF_INET, 0, 0}, 1, 1}),
	GROUP("v2", "v2, IPv4", {{2, AF_INET, 0, 0}, 0, 1}),
	GROUP("v2-merged", "v2, IPv4, ACK merged", {{2, AF_INET, 0, 0}, 1, 0}),
	GROUP("v1-ip6", "v1, IPv6", {{1, AF_INET6, 0, 0}, 0, 0}),
	GROUP("v2-ip6", "v2, IPv6", {{2, AF_INET6, 0, 0}, 0, 0}),
	GROUP("v2-crc", "v2, IPv4, CRC32C", {{2, AF_INET, 0, 1}, 0, 0}),
	GROUP("v2-tlv16", "v2, IPv4, a TLV of 16 bytes", {{2, AF_INET, 16, 0}, 0, 0}),
	GROUP("v2-tlv16-crc", "v2, IPv4, a TLV of 16 bytes, CRC32C", {{2, AF_INET, 16, 1}, 0, 0}),
	GROUP("v2-tlv128", "v2, IPv4, a TLV of 128 bytes", {{2, AF_INET, 128, 0}, 0, 0}),
	GROUP("v2-tlv128-crc", "v2, IPv4, a TLV of 128 bytes, CRC32C",
	      {{2, AF_INET, 128, 1}, 0, 0}),
	GROUP("v2-tlv512", "v2, IPv4, a TLV of 512 bytes", {{2, AF_INET, 512, 0}, 0, 0}),
	GROUP("v2-tlv512-crc", "v2, IPv4, a TLV of 512 bytes, CRC32C",
	      {{2, AF_INET, 512, 1}, 0, 0}),
};

const size_t connect_group_count = sizeof(connect_groups) / sizeof(connect_groups[0]);
