// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time that passes.
 */
#include <time.h>

#include "clock.h"

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int64_t clock_elapsed_ms(int64_t start)
{
	return clock_ms() - start;
}
