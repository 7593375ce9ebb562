// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text of others, made harmless.
 */
#include <stdlib.h>
#include <string.h>

#include "../../common/utf8.h"
#include "util.h"

static bool is_control(const unsigned char *character, size_t len)
{
	if (len == 1)
		return *character < 0x20 || *character == 0x7f;
	return len == 2 && character[0] == 0xc2 && character[1] < 0xa0; /* C1 */
}

void text_clean(char *text, size_t len, bool ascii_only)
{
	size_t one;

	for (; len; text += one, len -= one) {
		one = utf8_character(text, len);
		if (one > 1 && !ascii_only && !is_control((unsigned char *)text, one))
			continue;
		if (one == 1 && !is_control((unsigned char *)text, one))
			continue;
		one = 1; /* each byte for itself */
		*text = '?';
	}
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
