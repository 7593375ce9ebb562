// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cgroups, network namespaces and sockets of the benchmark.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"

/* the proxy's addresses are in selftests/bench/setup, too */
#define SERVER4	  "127.0.0.1"
#define PROXY4	  "127.0.0.2"
#define STRANGER4 "127.0.0.3"
#define SERVER6	  "::1"
#define PROXY6	  "fd00::2"

static int netns[2];

void fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int shell(const char *format, va_list arguments, char *command, size_t size)
{
	vsnprintf(command, size, format, arguments);
	return system(command);
}

void run(const char *format, ...)
{
	char command[4096];
	va_list arguments;
	int status;

	va_start(arguments, format);
	status = shell(format, arguments, command, sizeof(command));
	va_end(arguments);
	if (status) {
		fprintf(stderr, "bench: failed: %s\n", command);
		exit(1);
	}
}

int may_run(const char *format, ...)
{
	char command[4096];
	va_list arguments;
	int status;

	va_start(arguments, format);
	status = shell(format, arguments, command, sizeof(command));
	va_end(arguments);
	return status;
}

static void make_cgroup(enum cgroup cgroup)
{
	if (mkdir(place_cgroup(cgroup), 0755) && errno != EEXIST)
		fail(place_cgroup(cgroup));
}

static int netns_here(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("/proc/self/ns/net");
	return fd;
}

void place_setup(void)
{
	make_cgroup(BESIDE);
	make_cgroup(PROXIES);
	netns[HOOKED] = netns_here();
	if (unshare(CLONE_NEWNET))
		fail("a network namespace");
	netns[BARE] = netns_here();
	run("ip link set lo up && ip -6 addr add " PROXY6 "/128 dev lo nodad");
	place_netns(HOOKED);
	run("ip -6 addr add " PROXY6 "/128 dev lo nodad 2>/dev/null || :");
}

/* Without "..", which ppctl refuses. */
const char *place_cgroup(enum cgroup cgroup)
{
	const char *outside = getenv("LAB_OUTSIDE");
	static char path[PATH_MAX];

	switch (cgroup) {
	case OUTSIDE:
		return outside;
	case INSIDE:
		return getenv("LAB_CGROUP");
	case BESIDE:
	case PROXIES:
		break;
	}
	snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(outside, '/') - outside), outside,
		 cgroup == BESIDE ? "beside" : "proxies");
	return path;
}

void place_enter(enum cgroup cgroup)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", place_cgroup(cgroup));
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

void place_netns(enum netns which)
{
	if (setns(netns[which], CLONE_NEWNET))
		fail("setns");
}

double clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int allow_files(int count)
{
	struct rlimit limit = {count + 64, count + 64};

	return setrlimit(RLIMIT_NOFILE, &limit);
}

double memory_of(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t len = strlen(name);
	char line[256];
	double value = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtod(line + len + 1, NULL) * 1024;
	}
	if (file)
		fclose(file);
	return value;
}

static socklen_t address(struct sockaddr_storage *storage, int family, const char *ip, int port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
	struct sockaddr_in *in = (struct sockaddr_in *)storage;

	memset(storage, 0, sizeof(*storage));
	storage->ss_family = family;
	if (family == AF_INET) {
		in->sin_port = htons(port);
		inet_pton(AF_INET, ip, &in->sin_addr);
		return sizeof(*in);
	}
	in6->sin6_port = htons(port);
	inet_pton(AF_INET6, ip, &in6->sin6_addr);
	return sizeof(*in6);
}

int place_listen(int family, int port, int defer)
{
	int fd = socket(family, SOCK_STREAM, 0), one = 1;
	struct sockaddr_storage here;
	socklen_t len = address(&here, family, family == AF_INET ? SERVER4 : SERVER6, port);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (defer)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer));
	if (bind(fd, (struct sockaddr *)&here, len) || listen(fd, 128))
		fail("listen");
	return fd;
}

void socket_nodelay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int connect_from(int family, const char *ip, int port, int merged)
{
	int fd = socket(family, SOCK_STREAM, 0), one = 1, zero = 0;
	struct linger linger = {1, 0};
	struct sockaddr_storage from, to;
	socklen_t len = address(&from, family, ip, 0);

	address(&to, family, family == AF_INET ? SERVER4 : SERVER6, port);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	socket_nodelay(fd);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (merged)
		setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&from, len) || connect(fd, (struct sockaddr *)&to, len))
		fail("connect");
	return fd;
}

int place_connect(int family, int port, int merged)
{
	return connect_from(family, family == AF_INET ? PROXY4 : PROXY6, port, merged);
}

int place_connect_stranger(int port)
{
	return connect_from(AF_INET, STRANGER4, port, 0);
}

int place_connect_holder(int i, int port)
{
	char ip[16];

	snprintf(ip, sizeof(ip), "127.0.1.%d", 1 + i % 16);
	return connect_from(AF_INET, ip, port, 0);
}
