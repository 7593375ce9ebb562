// SPDX-License-Identifier: BSD-2-Clause
/*
 * The names of cgroups that a set was given, whether they exist or not: in a map of one entry,
 * which is text, and is pinned with the set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"

#define MAP_CONFIGURED "pp_configured"
#define KIND_CGROUP    "cgroup"
#define KIND_SENDER    "proxy-cgroup"

void configured_free(struct configured *configured)
{
	struct section section = {.cgroups = configured->cgroups, .senders = configured->senders};

	section_free(&section);
	memset(configured, 0, sizeof(*configured));
}

static char *read_text(void)
{
	char *text = calloc(1, PP_CONFIGURED_LEN);
	int map = pin_open("maps", MAP_CONFIGURED);
	__u32 zero = 0;

	if (text && map >= 0 && bpf_map_lookup_elem(map, &zero, text))
		text[0] = 0;
	if (text)
		text[PP_CONFIGURED_LEN - 1] = 0;
	if (map >= 0)
		close(map);
	return text;
}

int configured_read(struct configured *configured)
{
	struct problems problems = {};
	char *text = read_text(), *line, *rest, *name;

	memset(configured, 0, sizeof(*configured));
	if (!text)
		return error("%s", strerror(ENOMEM));
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		name = strchr(line, ' ');
		if (!name)
			continue;
		*name++ = 0;
		section_add_word(strcmp(line, KIND_SENDER) ? &configured->cgroups
							   : &configured->senders,
				 name, 0, line, &problems);
	}
	free(text);
	problems_free(&problems);
	return 0;
}

static int add_lines(char *text, size_t *have, const char *kind, const struct words *words)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		*have += snprintf(text + *have, PP_CONFIGURED_LEN - *have, "%s %s\n", kind,
				  words->word[i].text);
		if (*have >= PP_CONFIGURED_LEN)
			return error("%s has no room for so many names", MAP_CONFIGURED);
	}
	return 0;
}

int configured_write(const struct words *cgroups, const struct words *senders)
{
	char *text = calloc(1, PP_CONFIGURED_LEN);
	size_t have = 0;
	int result = -1;

	if (!text)
		return error("%s", strerror(ENOMEM));
	if (!add_lines(text, &have, KIND_CGROUP, cgroups) &&
	    !add_lines(text, &have, KIND_SENDER, senders))
		result = pin_write(MAP_CONFIGURED, text, PP_CONFIGURED_LEN);
	free(text);
	return result;
}

static void add_missing(struct json_object *list, const char *kind, const struct words *words)
{
	struct json_object *object;
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < words->count; i++) {
		if (cgroup_find(words->word[i].text, path) != CGROUP_MISSING)
			continue;
		object = json_object_new_object();
		json_object_object_add(object, "kind", json_object_new_string(kind));
		json_object_object_add(object, "name", json_object_new_string(words->word[i].text));
		json_object_array_add(list, object);
	}
}

struct json_object *names_missing(const struct words *cgroups, const struct words *senders)
{
	struct json_object *list = json_object_new_array();

	add_missing(list, KIND_CGROUP, cgroups);
	add_missing(list, KIND_SENDER, senders);
	return list;
}

struct json_object *configured_missing(void)
{
	struct configured configured;
	struct json_object *list;

	if (configured_read(&configured))
		list = json_object_new_array();
	else
		list = names_missing(&configured.cgroups, &configured.senders);
	configured_free(&configured);
	return list;
}
