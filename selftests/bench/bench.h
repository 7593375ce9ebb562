/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the benchmark share. A group has rows and columns: the rows take turns, round
 * by round, so that a busy moment hits all of them, and each measurement is a process of its own.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define PEEK_PORT	 2525
#define TRANSPARENT_PORT 2526
#define SPLIT_PORT	 2527 /* a split that is not transparent */
#define PLAIN_PORT	 2600 /* not served */

#define COLUMNS_MAX 6
#define ROWS_MAX    16
#define ROUNDS_MAX  101

/* What a row is to the others. */
enum role {
	ROLE_NONE,
	ROLE_PLAIN,  /* all ratios are to it: it comes first */
	ROLE_FLOOR,  /* the header is received, and parsed by nobody */
	ROLE_READER, /* reads the header in user space */
};

struct column {
	const char *key, *head; /* in JSON, and in tables with its unit */
	int as_rate; /* a time, whose ratio is that of rates: how many connections a second */
};

struct group {
	const char *name, *title;
	const struct column *columns;  /* until one without a key */
	int count, rounds;	       /* unless options say more or fewer */
	int guest_count, guest_rounds; /* the same under -icount */
	const void *context;	       /* for the functions below */
	/* its name; NULL after the last */
	const char *(*row)(const struct group *group, size_t row);
	enum role (*role)(const struct group *group, size_t row); /* may be NULL */
	/* Around each measurement, outside of its process; they may be NULL. */
	void (*before)(const struct group *group, size_t row);
	void (*after)(const struct group *group, size_t row);
	/* Does it @count times, and fills in a value for each column. Return: 0; or -1: not on this
	 * kernel. */
	int (*measure)(const struct group *group, size_t row, int count, double *values);
};

extern const struct group connect_groups[], stream_group, loss_group, calls_group, sender_group,
	idle_group, apply_group, growth_proxies_group, growth_ports_group, growth_live_group;
extern const size_t connect_group_count;

struct setting {
	int count, rounds; /* 0: as the group says */
	const char *row;   /* only rows whose names have this; or NULL */
	int guest;	   /* under -icount: a nanosecond is an instruction */
};

/* Measures, prints a table, and writes a JSON object to @json where that is not NULL. */
void group_run(const struct group *group, const struct setting *setting, void *json);

/* For the role of a group's rows: the first is the plain one, and none is a reader. */
enum role first_is_plain(const struct group *group, size_t row);

#endif
