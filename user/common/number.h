/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers, sizes and times, from text. No sign and no blank is accepted anywhere. The *_parse
 * functions take the whole text, the *_read functions what it begins with.
 *
 * Errors, with which the result stays as it was:
 *   -EINVAL  the text is not one
 *   -ERANGE  it is one that is too small or too large
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdint.h>

/* A decimal number from @min to @max: "25". */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *number);
/* A size of at most @max bytes; K, M and G (or k, m, g) stand for powers of 1024: "50M". */
int size_parse(const char *text, uint64_t max, uint64_t *bytes);
/* A time of at most @max_ms milliseconds: parts of w, d, h, m and s that add up, each with decimals
 * or without, or one number of seconds: "3s", "1h30m", "1.5d", "90". Less than a millisecond does
 * not count. */
int time_parse(const char *text, uint64_t max_ms, uint64_t *ms);

/* A number at *@text, which receives what follows it. @base: as strtoull() has it; 0 is for numbers
 * as C writes them: 16, 0x10. */
int number_read(const char **text, int base, uint64_t *number);
/* The same with K, M or G after it, or none of them. */
int size_read(const char **text, int base, uint64_t *bytes);

#endif
