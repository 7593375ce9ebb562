// SPDX-License-Identifier: BSD-2-Clause
/*
 * UTF-8 (RFC 3629): no longer forms than needed, no surrogates, nothing beyond U+10FFFF.
 */
#include <stdint.h>
#include <string.h>

#include "utf8.h"

size_t utf8_character(const char *text, size_t len)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* of so many bytes */
	const unsigned char *bytes = (const unsigned char *)text;
	size_t count, i;
	uint32_t code;

	if (!len)
		return 0;
	if (bytes[0] < 0x80)
		return 1;
	if (bytes[0] < 0xc0 || bytes[0] > 0xf7)
		return 0;
	count = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	if (count > len)
		return 0;
	code = bytes[0] & (0x7f >> count);
	for (i = 1; i < count; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < smallest[count] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return count;
}

int utf8_is_valid(const char *text, size_t len)
{
	size_t at, character;

	for (at = 0; at < len; at += character) {
		character = utf8_character(text + at, len - at);
		if (!character)
			return 0;
	}
	return 1;
}

size_t utf8_clean(const char *text, size_t len, char *to)
{
	size_t at = 0, used = 0, character;

	while (at < len) {
		character = utf8_character(text + at, len - at);
		if (character) {
			memcpy(to + used, text + at, character);
			used += character;
			at += character;
		} else {
			memcpy(to + used, UTF8_REPLACEMENT, sizeof(UTF8_REPLACEMENT) - 1);
			used += sizeof(UTF8_REPLACEMENT) - 1;
			at++;
		}
	}
	return used;
}

/* Of a character of @count bytes. */
static uint32_t code_of(const char *text, size_t count)
{
	const unsigned char *bytes = (const unsigned char *)text;
	uint32_t code = count > 1 ? bytes[0] & (0x7f >> count) : bytes[0];
	size_t i;

	for (i = 1; i < count; i++)
		code = code << 6 | (bytes[i] & 0x3f);
	return code;
}

/* C0, DEL and C1; ends of lines and paragraphs; marks, embeddings and isolates of a direction. */
static int is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

size_t utf8_printable(const char *text, size_t len, char *to)
{
	size_t at = 0, used = 0, character;

	while (at < len) {
		character = utf8_character(text + at, len - at);
		if (character && !is_control(code_of(text + at, character))) {
			memmove(to + used, text + at, character);
			used += character;
		} else {
			to[used++] = '?';
		}
		at += character ? character : 1;
	}
	return used;
}

int utf8_is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

void ascii_printable(char *text, size_t len)
{
	for (; len; text++, len--) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}
