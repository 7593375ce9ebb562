// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the client is told. All of it goes through reply_line(): no text, whoever wrote it, makes a
 * line end, a control character, or a line that is too long.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtp.h"

#define REPLY_LINE_MAX	510 /* RFC 5321, section 4.5.3.1.5, without CR LF */
#define REPLY_LINES_MAX 50
#define CODE_LEN	3
#define ENHANCED_MAX	12 /* "5.123.123 " */

void reply_line(struct session *session, bool is_last, const char *code, const char *text)
{
	char line[REPLY_LINE_MAX + 1];
	int len = snprintf(line, sizeof(line), "%.3s%c%s", code, is_last ? ' ' : '-', text);

	if (len > REPLY_LINE_MAX)
		len = REPLY_LINE_MAX;
	text_clean(line, len, !session->mail.is_utf8);
	channel_line(session->channel, line);
}

/* Length of "5.7.1 " at @text, or 0. */
static size_t enhanced_len(const char *text, char class)
{
	size_t len = 1, digits;
	int i;

	if (*text != class)
		return 0;
	for (i = 0; i < 2; i++) {
		digits = text[len] == '.' ? strspn(text + len + 1, "0123456789") : 0;
		if (!digits || digits > 3)
			return 0;
		len += 1 + digits;
	}
	return text[len] == ' ' ? len + 1 : 0;
}

/* Of @len bytes at @text, how many fit in a line: up to a space, or in the middle of a word, but
 * not of a character. */
static size_t part_that_fits(const char *text, size_t len, size_t room)
{
	size_t part = room;

	if (len <= room)
		return len;
	while (part > room / 2 && text[part] != ' ')
		part--;
	if (text[part] == ' ')
		return part;
	for (part = room; part > room - 4 && ((unsigned char)text[part] & 0xc0) == 0x80; part--)
		;
	return part;
}

/* The next line at *@text, in @line; *@text moves on, and is NULL at the end. */
static void take_line(const char **text, char *line, size_t room)
{
	const char *from = *text;
	size_t len = strcspn(from, "\n"), part = part_that_fits(from, len, room), rest;

	memcpy(line, from, part);
	line[part] = 0;
	rest = part + (part < len && from[part] == ' ');
	if (part == len && part && line[part - 1] == '\r')
		line[part - 1] = 0;
	*text = part < len ? from + rest : from[len] ? from + len + 1 : NULL;
	if (*text && !**text) /* a line feed at the end begins no line */
		*text = NULL;
}

/* What stands before each line's text that has no enhanced code of its own, if they are on. */
static void choose_enhanced(const struct session *session, const char *text, char *enhanced)
{
	size_t len = enhanced_len(text + CODE_LEN + 1, text[0]);

	*enhanced = 0;
	if (!(session->extensions & HOP_ENHANCED) || !strchr("245", text[0]) || len > ENHANCED_MAX)
		return;
	if (len)
		snprintf(enhanced, ENHANCED_MAX + 1, "%.*s", (int)len, text + CODE_LEN + 1);
	else
		snprintf(enhanced, ENHANCED_MAX + 1, "%c.0.0 ", text[0]);
}

int reply_text(struct session *session, const char *text)
{
	char line[REPLY_LINE_MAX + 1], enhanced[ENHANCED_MAX + 1];
	const char *rest = text + CODE_LEN + 1;
	size_t before;
	int count;

	choose_enhanced(session, text, enhanced);
	for (count = 1; rest; count++) {
		before = enhanced_len(rest, text[0]) ? 0 : strlen(enhanced);
		memcpy(line, enhanced, before);
		take_line(&rest, line + before, REPLY_LINE_MAX - CODE_LEN - 1 - before);
		if (count == REPLY_LINES_MAX)
			rest = NULL;
		reply_line(session, !rest, text, line);
	}
	return strncmp(text, "421", CODE_LEN) ? 0 : CLOSE;
}

void reply(struct session *session, const char *format, ...)
{
	char text[2048];
	size_t len = enhanced_len(format + CODE_LEN + 1, format[0]);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (len && !(session->extensions & HOP_ENHANCED))
		memmove(text + CODE_LEN + 1, text + CODE_LEN + 1 + len,
			strlen(text + CODE_LEN + 1 + len) + 1);
	if (format[0] == '5' && format[1] == '0')
		session->errors++;
	reply_text(session, text);
}
