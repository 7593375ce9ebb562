// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rounds, medians and sockets of the benchmarks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"

#define ROUNDS_MAX 101
#define WAYS_MAX   8

static const char *program;

void fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program, what, strerror(errno));
	exit(1);
}

double clock_seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *ip, int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

int bench_listen(int port, int defer)
{
	struct sockaddr_in here = address(SERVER, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (defer)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer));
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) || listen(fd, 128))
		fail("listen");
	return fd;
}

int bench_connect(int port)
{
	struct sockaddr_in from = address(PROXY, 0), to = address(SERVER, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct linger linger = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	return fd;
}

static int order(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

static double median(double *values, int count)
{
	qsort(values, count, sizeof(*values), order);
	return values[count / 2];
}

static void print_table(const struct bench *bench, double values[COLUMNS_MAX][WAYS_MAX][ROUNDS_MAX],
			int rounds)
{
	double value, first[COLUMNS_MAX];
	size_t way;
	int i;

	printf("%-34s", "");
	for (i = 0; i < bench->column_count; i++)
		printf(" %*s %7s", bench->columns[i].width, bench->columns[i].head, "ratio");
	putchar('\n');
	for (way = 0; bench->way(way); way++) {
		printf("%-34s", bench->way(way));
		for (i = 0; i < bench->column_count; i++) {
			value = median(values[i][way], rounds);
			if (way == 0)
				first[i] = value;
			printf(" %*.*f %7.3f", bench->columns[i].width, bench->columns[i].decimals,
			       value, value / first[i]);
		}
		putchar('\n');
	}
}

int bench_main(const struct bench *bench, int argc, char **argv)
{
	static double values[COLUMNS_MAX][WAYS_MAX][ROUNDS_MAX];
	int count = argc == 3 ? atoi(argv[1]) : 0, rounds = argc == 3 ? atoi(argv[2]) : 0, round, i;
	double now[COLUMNS_MAX];
	size_t way;

	program = bench->name;
	if (count < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: %s %s ROUNDS (at most %d)\n", bench->name, bench->count,
			ROUNDS_MAX);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (way = 0; way < WAYS_MAX && bench->way(way); way++) {
			bench->measure(way, count, now);
			for (i = 0; i < bench->column_count; i++)
				values[i][way][round] = now[i];
		}
	}
	print_table(bench, values, rounds);
	return 0;
}
