// SPDX-License-Identifier: BSD-2-Clause
/*
 * The benchmark's one method: rows take turns, round by round, each measurement in a process of its
 * own; medians, with the least and the most; ratios within the same run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "bench.h"
#include "place.h"

#define NOT_HERE 77 /* exit status of a measurement that this kernel cannot make */

struct result {
	double values[COLUMNS_MAX][ROUNDS_MAX];
	double median[COLUMNS_MAX], least[COLUMNS_MAX], most[COLUMNS_MAX];
	int missing; /* not on this kernel, or not asked for */
};

struct results {
	struct result rows[ROWS_MAX];
	const struct setting *setting;
	size_t count;
	int rounds, number;
};

enum role first_is_plain(const struct group *group, size_t row)
{
	(void)group;
	return row ? ROLE_NONE : ROLE_PLAIN;
}

static int order(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

static double median_of(const double *sorted, int count)
{
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* In a process: a measurement enters cgroups and namespaces. Return: 0; or -1, not here. */
static int measure_row(const struct group *group, size_t row, int number, double *values)
{
	double *shared = mmap(NULL, sizeof(double) * COLUMNS_MAX, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	if (shared == MAP_FAILED)
		fail("mmap");
	if (group->before)
		group->before(group, row);
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(group->measure(group, row, number, shared) ? NOT_HERE : 0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		fail("fork");
	if (group->after)
		group->after(group, row);
	if (status && !(WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)) {
		fprintf(stderr, "bench: %s: \"%s\" failed\n", group->name, group->row(group, row));
		exit(1);
	}
	memcpy(values, shared, sizeof(double) * COLUMNS_MAX);
	munmap(shared, sizeof(double) * COLUMNS_MAX);
	return status ? -1 : 0;
}

/* A guest's console is no terminal. */
static void say_progress(const struct group *group, const struct results *results, size_t row,
			 int round)
{
	if (isatty(STDERR_FILENO) && !results->setting->guest)
		fprintf(stderr, "\r\033[K%s: round %d of %d: %s", group->name, round + 1,
			results->rounds, group->row(group, row));
}

static void say_no_progress(const struct results *results)
{
	if (isatty(STDERR_FILENO) && !results->setting->guest)
		fprintf(stderr, "\r\033[K");
}

static int is_asked_for(const struct group *group, size_t row, const struct setting *setting)
{
	return !setting->row || strstr(group->row(group, row), setting->row);
}

static void summarize(const struct group *group, struct results *results)
{
	struct result *result;
	size_t row, i;

	for (row = 0; row < results->count; row++) {
		result = &results->rows[row];
		for (i = 0; group->columns[i].key; i++) {
			qsort(result->values[i], results->rounds, sizeof(double), order);
			result->median[i] = median_of(result->values[i], results->rounds);
			result->least[i] = result->values[i][0];
			result->most[i] = result->values[i][results->rounds - 1];
		}
	}
}

static void measure_group(const struct group *group, struct results *results)
{
	double values[COLUMNS_MAX];
	size_t row, i;
	int round;

	for (round = 0; round < results->rounds; round++) {
		for (row = 0; group->row(group, row) && row < ROWS_MAX; row++) {
			results->count = row + 1;
			if (!is_asked_for(group, row, results->setting))
				results->rows[row].missing = 1;
			if (results->rows[row].missing)
				continue;
			say_progress(group, results, row, round);
			if (measure_row(group, row, results->number, values)) {
				results->rows[row].missing = 1;
				continue;
			}
			for (i = 0; i < COLUMNS_MAX; i++)
				results->rows[row].values[i][round] = values[i];
		}
	}
	say_no_progress(results);
	summarize(group, results);
}

static double ratio(const struct column *column, double value, double reference)
{
	return column->as_rate ? reference / value : value / reference;
}

/* The row with @role that is best in the first column; or -1. */
static int best_of(const struct group *group, const struct results *results, enum role role)
{
	int best = -1;
	size_t row;

	for (row = 0; group->role && row < results->count; row++) {
		if (group->role(group, row) != role || results->rows[row].missing)
			continue;
		if (best < 0 || results->rows[row].median[0] < results->rows[best].median[0])
			best = row;
	}
	return best;
}

static const struct reference {
	enum role role;
	const char *key, *head;
} references[] = {
	{ROLE_PLAIN, "to_plain", "/plain"},
	{ROLE_FLOOR, "to_floor", "/floor"},
	{ROLE_READER, "to_reader", "/reader"},
};

#define REFERENCES (sizeof(references) / sizeof(references[0]))

static void print_head(const struct group *group, const int *best)
{
	size_t i, k;

	printf("%-40s", "");
	for (i = 0; group->columns[i].key; i++) {
		printf(" %12s %19s", group->columns[i].head, "least..most");
		for (k = 0; k < REFERENCES; k++) {
			if (best[k] >= 0)
				printf(" %7s", references[k].head);
		}
	}
	putchar('\n');
}

static void print_row(const struct group *group, const struct results *results, size_t row,
		      const int *best)
{
	const struct result *result = &results->rows[row];
	const struct column *column;
	char range[32];
	size_t i, k;

	if (result->missing && !is_asked_for(group, row, results->setting))
		return;
	printf("%-40s%s", group->row(group, row), result->missing ? " not here" : "");
	for (i = 0; !result->missing && group->columns[i].key; i++) {
		column = &group->columns[i];
		snprintf(range, sizeof(range), "%.0f..%.0f", result->least[i], result->most[i]);
		printf(" %12.0f %19s", result->median[i], range);
		for (k = 0; k < REFERENCES; k++) {
			if (best[k] >= 0)
				printf(" %7.3f", ratio(column, result->median[i],
						       results->rows[best[k]].median[i]));
		}
	}
	putchar('\n');
}

static struct json_object *number(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.10g", value);
	return json_object_new_double_s(value, text);
}

static struct json_object *json_column(const struct group *group, const struct results *results,
				       size_t row, size_t i, const int *best)
{
	const struct result *result = &results->rows[row];
	struct json_object *object = json_object_new_object();
	size_t k;

	json_object_object_add(object, "median", number(result->median[i]));
	json_object_object_add(object, "least", number(result->least[i]));
	json_object_object_add(object, "most", number(result->most[i]));
	for (k = 0; k < REFERENCES; k++) {
		if (best[k] >= 0)
			json_object_object_add(object, references[k].key,
					       number(ratio(&group->columns[i], result->median[i],
							    results->rows[best[k]].median[i])));
	}
	return object;
}

static void add_json(const struct group *group, const struct results *results, const int *best,
		     struct json_object *list)
{
	struct json_object *object = json_object_new_object(), *rows = json_object_new_array(),
			   *row_object;
	size_t row, i;

	json_object_object_add(object, "group", json_object_new_string(group->name));
	json_object_object_add(object, "title", json_object_new_string(group->title));
	json_object_object_add(object, "count", json_object_new_int(results->number));
	json_object_object_add(object, "rounds", json_object_new_int(results->rounds));
	for (row = 0; row < results->count; row++) {
		if (results->rows[row].missing)
			continue;
		row_object = json_object_new_object();
		json_object_object_add(row_object, "name",
				       json_object_new_string(group->row(group, row)));
		for (i = 0; group->columns[i].key; i++)
			json_object_object_add(row_object, group->columns[i].key,
					       json_column(group, results, row, i, best));
		json_object_array_add(rows, row_object);
	}
	json_object_object_add(object, "rows", rows);
	json_object_array_add(list, object);
}

void group_run(const struct group *group, const struct setting *setting, void *json)
{
	struct results *results = calloc(1, sizeof(*results));
	int best[REFERENCES];
	size_t row, k;

	if (!results)
		fail("memory");
	results->setting = setting;
	results->number = setting->count   ? setting->count
			  : setting->guest ? group->guest_count
					   : group->count;
	results->rounds = setting->rounds  ? setting->rounds
			  : setting->guest ? group->guest_rounds
					   : group->rounds;
	measure_group(group, results);
	for (k = 0; k < REFERENCES; k++)
		best[k] = best_of(group, results, references[k].role);
	printf("%s: %s\n(%d times, medians of %d rounds)\n", group->name, group->title,
	       results->number, results->rounds);
	print_head(group, best);
	for (row = 0; row < results->count; row++)
		print_row(group, results, row, best);
	putchar('\n');
	fflush(stdout);
	if (json)
		add_json(group, results, best, json);
	free(results);
}
