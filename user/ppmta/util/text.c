// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text that grows, the items of lists, and text of others, made harmless.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/name.h"
#include "../../common/utf8.h"
#include "util.h"

void text_add(struct text *text, const char *bytes, size_t len)
{
	char *larger;

	if (!text->bytes || text->len + len + 1 > text->room) {
		text->room = (text->len + len + 1) * 2;
		larger = pool_alloc(text->pool, text->room);
		if (text->bytes)
			memcpy(larger, text->bytes, text->len);
		text->bytes = larger;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = 0;
}

void text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

char *text_get(struct text *text)
{
	if (!text->bytes)
		text_add(text, "", 0);
	return text->bytes;
}

char *string_trim(char *string)
{
	size_t len;

	string += strspn(string, " \t\r\n");
	len = strlen(string);
	while (len && isspace((unsigned char)string[len - 1]))
		string[--len] = 0;
	return string;
}

char *list_next(struct pool *pool, const char **list, char *separator)
{
	struct text text = {.pool = pool};
	const char *at = *list + strspn(*list, " \t\n");

	if (!*separator) {
		*separator = ':';
		if (*at == '<' && at[1] && !isalnum((unsigned char)at[1]) && at[1] != ' ') {
			*separator = at[1];
			at += 2 + strspn(at + 2, " \t\n");
		}
	}
	*list = at;
	if (!*at)
		return NULL;
	for (; *at && (*at != *separator || at[1] == *separator); at++) {
		at += *at == *separator; /* one that is doubled is part of the item */
		text_add(&text, at, 1);
	}
	*list = *at ? at + 1 : at;
	return string_trim(text_get(&text));
}

void text_clean(char *text, size_t len, bool ascii_only)
{
	if (ascii_only)
		ascii_printable(text, len);
	else
		text[utf8_printable(text, len, text)] = 0;
}

char text_escape(const char **at)
{
	const char *digits = **at == 'x' ? "0123456789abcdefABCDEF" : "01234567";
	size_t max = **at == 'x' ? 2 : 3, len;
	char number[4] = "", c = **at;

	if (c != 'x' && (!c || !strchr(digits, c))) {
		++*at;
		return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
	}
	*at += c == 'x';
	len = strspn(*at, digits);
	memcpy(number, *at, len < max ? len : max);
	*at += strlen(number);
	return strtoul(number, NULL, c == 'x' ? 16 : 8);
}

char *unknown_name(struct pool *pool, const char *what, const char *before, const char *name,
		   const char *near)
{
	char hint[SUGGESTION_MAX];

	return pool_printf(pool, "unknown %s '%s%s'%s", what, before, name,
			   name_suggestion(hint, before, near));
}
