// SPDX-License-Identifier: BSD-2-Clause
/*
 * What ppctl says: errors, lines for people, JSON.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"
#include "ppctl.h"

/* Text may have names of files, cgroups and interfaces in it, which may be anything: none of them
 * moves the cursor. What is no first line is indented, so that a name does not make a message. */
static void print_text(FILE *to, const char *before, char *text)
{
	char *line, *rest, *end = text + strlen(text);

	fputs(before, to);
	for (line = text; line; line = rest) {
		rest = memchr(line, '\n', end - line);
		fwrite(line, 1, utf8_printable(line, (rest ? rest : end) - line, line), to);
		fputs(rest ? "\n  " : "\n", to);
		if (rest)
			rest++;
	}
}

static char *format_text(const char *format, va_list arguments)
{
	char *text;

	return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

static void print_formatted(FILE *to, const char *before, const char *format, va_list arguments)
{
	char *text = format_text(format, arguments);

	if (text)
		print_text(to, before, text);
	free(text);
}

void print_line(FILE *to, const char *before, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_formatted(to, before, format, arguments);
	va_end(arguments);
}

/* errno stays: callers go on with it. */
static void say_error(const char *format, va_list arguments)
{
	int number = errno;
	char *text = format_text(format, arguments);
	struct json_object *object;

	if (options.json) {
		object = json_object_new_object();
		json_object_object_add(object, "error",
				       json_object_new_string(text ? text : strerror(ENOMEM)));
		print_json(object);
	} else if (text) {
		print_text(stderr, "ppctl: ", text);
	}
	free(text);
	errno = number;
}

int error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_error(format, arguments);
	va_end(arguments);
	return -1;
}

int usage_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_error(format, arguments);
	va_end(arguments);
	return -2;
}

void give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_error(format, arguments);
	va_end(arguments);
	exit(options.failed);
}

void warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_formatted(stderr, "ppctl: warning: ", format, arguments);
	va_end(arguments);
}

void say(const char *format, ...)
{
	va_list arguments;

	if (options.json)
		return;
	va_start(arguments, format);
	print_formatted(stdout, "", format, arguments);
	va_end(arguments);
}

static void clean_string(struct json_object *string)
{
	const char *text = json_object_get_string(string);
	size_t len = json_object_get_string_len(string);
	char *clean;

	if (options.json && utf8_is_valid(text, len))
		return;
	clean = malloc(3 * len + 1);
	if (clean)
		len = options.json ? utf8_clean(text, len, clean)
				   : utf8_printable(text, len, clean);
	json_object_set_string_len(string, clean ? clean : "", clean ? len : 0);
	free(clean);
}

void make_printable(struct json_object *object)
{
	size_t i;

	if (json_object_is_type(object, json_type_string)) {
		clean_string(object);
	} else if (json_object_is_type(object, json_type_array)) {
		for (i = 0; i < json_object_array_length(object); i++)
			make_printable(json_object_array_get_idx(object, i));
	} else if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, key, value)
		{
			(void)key;
			make_printable(value);
		}
	}
}

static void print_whole(struct json_object *object, int flags)
{
	struct json_object *whole = json_object_new_object();

	make_printable(object);
	json_object_object_add(whole, "schema", json_object_new_int(JSON_SCHEMA));
	json_object_object_foreach(object, key, value)
	{
		json_object_object_add(whole, key, json_object_get(value));
	}
	printf("%s\n",
	       json_object_to_json_string_ext(whole, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(whole);
	json_object_put(object);
}

void print_json(struct json_object *object)
{
	print_whole(object, JSON_C_TO_STRING_PRETTY);
}

void print_json_line(struct json_object *object)
{
	print_whole(object, JSON_C_TO_STRING_PLAIN);
}
