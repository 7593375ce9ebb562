// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define ALIGNMENT 16

struct pool_block {
	struct pool_block *next;
	size_t used, size;
	_Alignas(ALIGNMENT) char bytes[];
};

#define BLOCK_SIZE 4000
#define RESERVE	   (16 * 1024 * 1024)

static void *reserve;

bool pool_has_reserve(void)
{
	if (!__atomic_load_n(&reserve, __ATOMIC_RELAXED))
		__atomic_store_n(&reserve, malloc(RESERVE), __ATOMIC_RELAXED);
	return __atomic_load_n(&reserve, __ATOMIC_RELAXED) != NULL;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	struct pool_block *block = pool->blocks;
	void *at;

	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!block || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = calloc(1, sizeof(*block) + room);
		if (!block) {
			free(__atomic_exchange_n(&reserve, NULL, __ATOMIC_RELAXED));
			block = calloc(1, sizeof(*block) + room);
		}
		if (!block) {
			fprintf(stderr, "ppmta: out of memory\n");
			abort();
		}
		block->size = room;
		block->next = pool->blocks;
		pool->blocks = block;
	}
	at = block->bytes + block->used;
	block->used += size;
	return at;
}

char *pool_copy(struct pool *pool, const char *bytes, size_t len)
{
	char *copy = pool_alloc(pool, len + 1);

	memcpy(copy, bytes, len);
	return copy;
}

char *pool_string(struct pool *pool, const char *string)
{
	return pool_copy(pool, string, strlen(string));
}

char *pool_printf(struct pool *pool, const char *format, ...)
{
	va_list arguments;
	char *string;
	int len;

	va_start(arguments, format);
	len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	string = pool_alloc(pool, len + 1);
	va_start(arguments, format);
	vsnprintf(string, len + 1, format, arguments);
	va_end(arguments);
	return string;
}

void pool_free(struct pool *pool)
{
	struct pool_block *block, *next;

	for (block = pool->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	pool->blocks = NULL;
}
