// SPDX-License-Identifier: BSD-2-Clause
/*
 * From annotations to the options of 'ppctl up'. Whoever makes a container may choose them, so none
 * is here that names others' cgroups or interfaces.
 */
#define _GNU_SOURCE
#include <string.h>

#include "../common/name.h"
#include "oci.h"

#define PREFIX	  "ppsplit."
#define VALUE_MAX 4000 /* of ppctl's lists */

/* What follows the prefix. */
static const struct annotation {
	const char *name, *option;
	int is_switch; /* yes or no, and the option takes no value */
} annotations_known[] = {
	{"port", "--port", 0},	 {"proxy", "--proxy", 0},
	{"split", "--split", 0}, {"transparent", "--transparent", 1},
	{"local", "--local", 1}, {"v1-mixed", "--v1-mixed", 1},
	{"gate", "--gate", 0},	 {"on-bad", "--on-bad", 0},
};

/* Return: the annotation's text, all of it; or NULL, and what is wrong with it is said. */
static const char *text_of(const struct annotation *annotation, struct json_object *value)
{
	const char *text = json_object_get_string(value);
	size_t len, i;

	if (!json_object_is_type(value, json_type_string)) {
		say("annotation " PREFIX "%s is not a string", annotation->name);
		return NULL;
	}
	len = json_object_get_string_len(value);
	if (len > VALUE_MAX) {
		say("annotation " PREFIX "%s has more than %d characters", annotation->name,
		    VALUE_MAX);
		return NULL;
	}
	for (i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~') {
			say("annotation " PREFIX "%s: '%.*s' is followed by a character that has "
			    "no place there",
			    annotation->name, (int)i, text);
			return NULL;
		}
	}
	return text;
}

static int add(const struct annotation *annotation, const char *value, char **argv, size_t *count)
{
	if (!value)
		return -1;
	if (annotation->is_switch && strcmp(value, "yes")) {
		if (!strcmp(value, "no"))
			return 0;
		say("annotation " PREFIX "%s: '%s' is neither yes nor no", annotation->name, value);
		return -1;
	}
	argv[(*count)++] = (char *)annotation->option;
	if (!annotation->is_switch)
		argv[(*count)++] = (char *)value;
	return 0;
}

/* A policy is for ports: without one, nothing would be served. */
static int check_port(struct json_object *annotations, size_t ours)
{
	if (!ours || json_object_object_get_ex(annotations, PREFIX "port", NULL))
		return 0;
	say("there is no annotation " PREFIX "port: nothing would be served");
	return -1;
}

int policy_arguments(struct json_object *annotations, char *argv[ARGUMENTS_MAX], size_t *count)
{
	size_t ours = 0;
	int i;

	if (!json_object_is_type(annotations, json_type_object))
		return 0;
	json_object_object_foreach(annotations, key, value)
	{
		char hint[SUGGESTION_MAX];
		const char *name = key + strlen(PREFIX);

		if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		ours++;
		i = NAME_FIND(name, annotations_known);
		if (i < 0) {
			say("there is no annotation %s%s", key,
			    name_suggestion(hint, PREFIX, NAME_NEAREST(name, annotations_known)));
			return -1;
		}
		if (add(&annotations_known[i], text_of(&annotations_known[i], value), argv, count))
			return -1;
	}
	return check_port(annotations, ours);
}
