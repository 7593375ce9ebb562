// SPDX-License-Identifier: BSD-2-Clause
#include <time.h>

#include "ppmta.h"

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}
