// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the client is told. All of it goes through reply_line(): no text, whoever wrote it, makes a
 * line end, a control character, or a line that is too long.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtp.h"

#define REPLY_LINE_MAX	510 /* RFC 5321, section 4.5.3.1.5, without CR LF */
#define REPLY_LINES_MAX 50
#define CODE_LEN	3

void reply_line(struct session *session, bool is_last, const char *code, const char *text)
{
	char line[REPLY_LINE_MAX + 1];
	int len = snprintf(line, sizeof(line), "%.3s%c%s", code, is_last ? ' ' : '-', text);

	if (len > REPLY_LINE_MAX)
		len = REPLY_LINE_MAX;
	text_clean(line, len, !session->mail.is_utf8);
	channel_line(session->channel, line);
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

int reply_text(struct session *session, const char *text)
{
	const char *rest = text + CODE_LEN + 1;
	char line[REPLY_LINE_MAX + 1];
	int count;

	for (count = 1; rest; count++) {
		take_line(&rest, line, REPLY_LINE_MAX - CODE_LEN - 1);
		if (count == REPLY_LINES_MAX)
			rest = NULL;
		reply_line(session, !rest, text, line);
	}
	session->refused += *text == '4' || *text == '5';
	return strncmp(text, "421", CODE_LEN) ? 0 : CLOSE;
}

int reply(struct session *session, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (format[0] == '5' && format[1] == '0')
		session->errors++;
	return reply_text(session, text);
}
