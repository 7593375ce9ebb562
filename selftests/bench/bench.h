/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the benchmarks share: several ways to do a thing take turns, round by round, and a table of
 * medians compares them with the first one. A benchmark is called with COUNT and ROUNDS, by
 * selftests/bench/inside.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <time.h>

#define LINE "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"

#define PEEK_PORT	 2525
#define TRANSPARENT_PORT 2526
#define PLAIN_PORT	 2600 /* and those after it: not served */

#define SERVER "127.0.0.1"
#define PROXY  "127.0.0.2"

#define COLUMNS_MAX 2

struct column {
	const char *head; /* with the unit */
	int width, decimals;
};

struct bench {
	const char *name, *count; /* of what? for the usage */
	struct column columns[COLUMNS_MAX];
	int column_count;
	const char *(*way)(size_t way); /* its name; NULL after the last */
	/* Does it @count times, and fills in a value for each column. */
	void (*measure)(size_t way, int count, double *values);
};

/* For main(). */
int bench_main(const struct bench *bench, int argc, char **argv);

/* Ends the program, and says what errno means. */
void fail(const char *what) __attribute__((noreturn));
double clock_seconds(clockid_t clock);

/* A listener on SERVER. @defer: seconds of TCP_DEFER_ACCEPT, or 0. */
int bench_listen(int port, int defer);
/* A connection to it from PROXY, without Nagle's algorithm; it ends by a RST, so that ports last.
 */
int bench_connect(int port);

#endif
