/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seconds and medians of rounds, for the benchmarks.
 */
#ifndef MEDIAN_H
#define MEDIAN_H

#include <stdlib.h>
#include <time.h>

static inline double clock_seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static inline int median_order(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

/* Sorts @values. */
static inline double median(double *values, int count)
{
	qsort(values, count, sizeof(*values), median_order);
	return values[count / 2];
}

#endif
