/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of names: which entry has a name, and which was meant by one that none has. A table is an
 * array of strings, or of structs whose first member is one.
 */
#ifndef COMMON_NAME_H
#define COMMON_NAME_H

#include <stddef.h>

#include "array.h"

#define SUGGESTION_MAX 96

/* The index of @name in the array @table, or -1. */
#define NAME_FIND(name, table) name_find(name, table, ARRAY_SIZE(table), sizeof((table)[0]))
/* The name in the array @table that is nearest to @name, or NULL where none is near. */
#define NAME_NEAREST(name, table) name_nearest(name, table, ARRAY_SIZE(table), sizeof((table)[0]))

/* The same for a table of @count entries of @size bytes. */
int name_find(const char *name, const void *table, size_t count, size_t size);
const char *name_nearest(const char *name, const void *table, size_t count, size_t size);

/* For the end of an error message: " (did you mean BEFORENEAREST?)", or "" where @nearest is NULL.
 * @before: what stands before a name where it is used, as in $name; or "".
 * Return: @text. */
const char *name_suggestion(char text[SUGGESTION_MAX], const char *before, const char *nearest);

#endif
