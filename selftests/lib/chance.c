// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random numbers, by xorshift.
 */
#include "chance.h"

static uint64_t state_of_chance = 4711;

void chance_seed(uint64_t seed)
{
	state_of_chance = seed;
}

uint32_t chance(void)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return state_of_chance >> 16;
}

uint32_t below(uint32_t limit)
{
	return chance() % limit;
}

int one_in(uint32_t n)
{
	return below(n) == 0;
}
