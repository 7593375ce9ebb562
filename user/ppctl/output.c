// SPDX-License-Identifier: BSD-2-Clause
/*
 * What ppctl says: errors, lines for people, JSON.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../common/utf8.h"
#include "ppctl.h"

/* errno stays: callers go on with it. */
static void say_error(const char *format, va_list arguments)
{
	struct json_object *object;
	int number = errno;
	char text[2048];

	vsnprintf(text, sizeof(text), format, arguments);
	if (options.json) {
		object = json_object_new_object();
		json_object_object_add(object, "error", json_object_new_string(text));
		print_json(object);
	} else {
		fprintf(stderr, "ppctl: %s\n", text);
	}
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

	fprintf(stderr, "ppctl: warning: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
}

void say(const char *format, ...)
{
	va_list arguments;

	if (options.json)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

static void clean_string(struct json_object *string)
{
	const char *text = json_object_get_string(string);
	size_t len = json_object_get_string_len(string);
	char *clean;

	if (utf8_is_valid(text, len))
		return;
	clean = malloc(3 * len);
	json_object_set_string_len(string, clean ? clean : "",
				   clean ? utf8_clean(text, len, clean) : 0);
	free(clean);
}

/* JSON is UTF-8; names of cgroups and interfaces, and words of the command line, may be anything.
 */
static void clean_strings(struct json_object *object)
{
	size_t i;

	if (json_object_is_type(object, json_type_string)) {
		clean_string(object);
	} else if (json_object_is_type(object, json_type_array)) {
		for (i = 0; i < json_object_array_length(object); i++)
			clean_strings(json_object_array_get_idx(object, i));
	} else if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, key, value)
		{
			(void)key;
			clean_strings(value);
		}
	}
}

static void print_whole(struct json_object *object, int flags)
{
	struct json_object *whole = json_object_new_object();

	clean_strings(object);
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
