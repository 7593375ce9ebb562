/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-8: names of cgroups and interfaces, and words of a command line, may hold any bytes.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the character that @text begins with, 1 to 4; 0: its @len bytes begin with none. */
size_t utf8_character(const char *text, size_t len);
/* Are the @len bytes of @text UTF-8? */
int utf8_is_valid(const char *text, size_t len);
int utf8_is_ascii(const char *text);
/* Puts a '?' in the place of each byte that is no printable character of ASCII. */
void ascii_printable(char *text, size_t len);
/* Copies @text with UTF8_REPLACEMENT for each byte that is of no character; to: room for 3 * @len
 * bytes, which are not ended by 0. Return: how many are used. */
size_t utf8_clean(const char *text, size_t len, char *to);

/* Copies @text for a terminal or a log: a '?' for each control character, also those that change
 * the direction of writing, and for each byte that is of no character. A line stays one. @to: room
 * for
 * @len bytes, which are not ended by 0; may be @text. Return: how many are used. */
size_t utf8_printable(const char *text, size_t len, char *to);

#endif
