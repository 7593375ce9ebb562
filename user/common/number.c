// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers, sizes and times, from text.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

#define SECOND_MS 1000ULL

int number_read(const char **text, int base, uint64_t *number)
{
	unsigned long long value;
	char *end;

	/* strtoull() itself takes blanks, and "-1" for the largest number there is */
	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	value = strtoull(*text, &end, base);
	if (errno)
		return -errno;
	*number = value;
	*text = end;
	return 0;
}

int size_read(const char **text, int base, uint64_t *bytes)
{
	static const char units[] = "KkMmGg";
	const char *end = *text, *unit;
	unsigned int shift = 0;
	uint64_t number = 0;
	int result = number_read(&end, base, &number);

	if (result)
		return result;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (1 + (unit - units) / 2);
		end++;
	}
	if (number > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = number << shift;
	*text = end;
	return 0;
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;
	int result = number_read(&text, 10, &value);

	if (!result && *text)
		result = -EINVAL;
	if (!result && (value < min || value > max))
		result = -ERANGE;
	if (!result)
		*number = value;
	return result;
}

int size_parse(const char *text, uint64_t max, uint64_t *bytes)
{
	uint64_t value;
	int result = size_read(&text, 10, &value);

	if (!result && *text)
		result = -EINVAL;
	if (!result && value > max)
		result = -ERANGE;
	if (!result)
		*bytes = value;
	return result;
}

/* Milliseconds of the unit @letter, or 0. */
static uint64_t unit_ms(char letter)
{
	switch (letter) {
	case 's':
		return SECOND_MS;
	case 'm':
		return 60 * SECOND_MS;
	case 'h':
		return 3600 * SECOND_MS;
	case 'd':
		return 24 * 3600 * SECOND_MS;
	case 'w':
		return 7 * 24 * 3600 * SECOND_MS;
	}
	return 0;
}

/* Digits after a decimal point, as a part of @unit. */
static uint64_t read_decimals(const char **text, uint64_t unit)
{
	uint64_t sum = 0, place = 1;

	for (; isdigit((unsigned char)**text); (*text)++) {
		if (place > unit) /* the rest is less than a millisecond */
			continue;
		place *= 10;
		sum = sum * 10 + (**text - '0');
	}
	return unit * sum / place;
}

/* One part of a time. Its unit comes after its decimals, so these are read twice. */
static int read_part(const char **text, int is_first, uint64_t *ms)
{
	const char *decimals;
	uint64_t number = 0, unit;
	int result = number_read(text, 10, &number);

	if (result)
		return result;
	decimals = **text == '.' ? *text + 1 : NULL;
	if (decimals)
		*text = decimals + strspn(decimals, "0123456789");
	if (*text == decimals)
		return -EINVAL;
	unit = is_first && !**text ? SECOND_MS : unit_ms(**text);
	if (!unit)
		return -EINVAL;
	if (**text)
		(*text)++;
	if (__builtin_mul_overflow(number, unit, ms))
		return -ERANGE;
	if (decimals && __builtin_add_overflow(*ms, read_decimals(&decimals, unit), ms))
		return -ERANGE;
	return 0;
}

int time_parse(const char *text, uint64_t max_ms, uint64_t *ms)
{
	uint64_t sum = 0, part;
	int is_first = 1, result;

	do {
		result = read_part(&text, is_first, &part);
		if (result)
			return result;
		if (__builtin_add_overflow(sum, part, &sum))
			return -ERANGE;
		is_first = 0;
	} while (*text);
	if (sum > max_ms)
		return -ERANGE;
	*ms = sum;
	return 0;
}
