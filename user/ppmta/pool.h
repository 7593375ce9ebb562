/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is freed together: a configuration's, or what one command of a session needs.
 */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>

struct pool_block;

struct pool {
	struct pool_block *blocks;
};

/* Zeroed; ends the process when there is no memory. */
void *pool_alloc(struct pool *pool, size_t size);
char *pool_copy(struct pool *pool, const char *bytes, size_t len);
char *pool_string(struct pool *pool, const char *string);
char *pool_printf(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pool_free(struct pool *pool);

/* @string without the white space around it, in place. */
char *string_trim(char *string);

/* A string that grows in a pool. */
struct text {
	struct pool *pool;
	char *bytes; /* terminated, once something was added */
	size_t len, room;
};

void text_add(struct text *text, const char *bytes, size_t len);
void text_add_string(struct text *text, const char *string);
/* What was added; "" when nothing was. */
char *text_get(struct text *text);

#endif
