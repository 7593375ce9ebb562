/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time that passes, by a clock that nobody sets. Milliseconds.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Since some moment in the past: only differences mean something. */
int64_t clock_ms(void);
/* Since @start, which clock_ms() returned. */
int64_t clock_elapsed_ms(int64_t start);

#endif
