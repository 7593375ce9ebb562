/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers that are the same in each run, for the tests.
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

/* Where they begin. */
void chance_seed(uint64_t seed);
uint32_t chance(void);
/* From 0 to @limit - 1. */
uint32_t below(uint32_t limit);
/* True once in @n times. */
int one_in(uint32_t n);

#endif
