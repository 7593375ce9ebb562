/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays: how many entries one has, and arrays that grow.
 */
#ifndef COMMON_ARRAY_H
#define COMMON_ARRAY_H

#include <stddef.h>

/* Entries of an array (not of a pointer). */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/**
 * array_grow - room for @more entries after the first @count of @array
 * @array: NULL at first; then what this function has returned, also after entries were taken out
 * @size: bytes of an entry
 *
 * The room doubles, so that adding entries one by one copies each of them only a few times. It
 * follows from @count alone: no number of its own has to be kept.
 * Return: the array, perhaps at another address, to be freed with free(); or NULL: there is no
 * memory, and @array is as it was.
 */
void *array_grow(void *array, size_t count, size_t more, size_t size);

#endif
