// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables of names.
 */
#include <stdio.h>
#include <string.h>

#include "name.h"

#define NAME_LEN_MAX 64 /* a longer one is near to none */

static const char *name_at(const void *table, size_t index, size_t size)
{
	return *(const char *const *)((const char *)table + index * size);
}

int name_find(const char *name, const void *table, size_t count, size_t size)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strcmp(name_at(table, i, size), name))
			return i;
	}
	return -1;
}

/* How many letters have to be put in, taken out or changed to make one of the other (Levenshtein).
 */
static int distance(const char *left, const char *right)
{
	int left_len = strlen(left), right_len = strlen(right);
	int row[NAME_LEN_MAX + 1], before, above, i, k;

	if (right_len > NAME_LEN_MAX)
		return NAME_LEN_MAX;
	for (k = 0; k <= right_len; k++)
		row[k] = k;
	for (i = 1; i <= left_len; i++) {
		before = row[0];
		row[0] = i;
		for (k = 1; k <= right_len; k++) {
			above = row[k];
			row[k] = before + (left[i - 1] != right[k - 1]);
			if (above + 1 < row[k])
				row[k] = above + 1;
			if (row[k - 1] + 1 < row[k])
				row[k] = row[k - 1] + 1;
			before = above;
		}
	}
	return row[right_len];
}

const char *name_nearest(const char *name, const void *table, size_t count, size_t size)
{
	const char *nearest = NULL, *candidate;
	int best, far;
	size_t i;

	if (strlen(name) > NAME_LEN_MAX)
		return NULL;
	best = strlen(name) / 2 + 1;
	for (i = 0; i < count; i++) {
		candidate = name_at(table, i, size);
		far = distance(name, candidate);
		if (far < best) {
			best = far;
			nearest = candidate;
		}
	}
	return nearest;
}

const char *name_suggestion(char text[SUGGESTION_MAX], const char *before, const char *nearest)
{
	text[0] = 0;
	if (nearest)
		snprintf(text, SUGGESTION_MAX, " (did you mean %s%s?)", before, nearest);
	return text;
}
