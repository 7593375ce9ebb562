// SPDX-License-Identifier: BSD-2-Clause
/*
 * The items of a list.
 */
#include <ctype.h>
#include <string.h>

#include "util.h"

char *list_next(struct pool *pool, const char **list, char *separator)
{
	struct text text = {.pool = pool};
	const char *at = *list;
	char *item;

	if (!*separator) {
		at += strspn(at, " \t\n");
		*separator = ':';
		if (*at == '<' && at[1] && !isalnum((unsigned char)at[1]) && at[1] != ' ') {
			*separator = at[1];
			at += 2;
		}
	}
	at += strspn(at, " \t\n");
	if (!*at) {
		*list = at;
		return NULL;
	}
	for (; *at; at++) {
		if (*at == *separator) {
			if (at[1] != *separator)
				break;
			at++;
		}
		text_add(&text, at, 1);
	}
	*list = *at ? at + 1 : at;
	item = text_get(&text);
	while (text.len && isspace((unsigned char)item[text.len - 1]))
		item[--text.len] = 0;
	return item;
}
