// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arrays that grow.
 */
#include <stdint.h>
#include <stdlib.h>

#include "array.h"

#define ROOM_MIN 8

/* The room of an array that has @count entries: a power of two. 0: more than can be counted. */
static size_t room_for(size_t count)
{
	size_t room = ROOM_MIN;

	while (room && room < count)
		room *= 2;
	return room;
}

void *array_grow(void *array, size_t count, size_t more, size_t size)
{
	size_t room, bytes;

	if (more > SIZE_MAX - count)
		return NULL;
	room = room_for(count + more);
	if (!room || __builtin_mul_overflow(room, size, &bytes))
		return NULL;
	if (array && room == room_for(count))
		return array;
	return realloc(array, bytes);
}
