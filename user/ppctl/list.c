// SPDX-License-Identifier: BSD-2-Clause
/*
 * The commands that keep a list in a pinned map: add, del, list.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ppctl.h"

/* Calls @each with every word of the comma-separated @words, until one fails. */
static int for_each_word(const char *words, int (*each)(int map, const char *word), int map)
{
	char word[PATH_MAX];
	size_t len;

	for (;;) {
		len = strcspn(words, ",");
		if (len == 0 || len >= sizeof(word))
			return error("'%s': an empty or overlong word in the list", words);
		memcpy(word, words, len);
		word[len] = 0;
		if (each(map, word))
			return -1;
		if (!words[len])
			return 0;
		words += len + 1;
	}
}

void list_print_strings(struct json_object *list)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++)
		printf("%s\n", json_object_get_string(json_object_array_get_idx(list, i)));
}

int list_add(const struct list *list, const char *words)
{
	int map, result;

	if (!words)
		return 0;
	map = pin_open_map(list->map);
	if (map < 0)
		return -1;
	result = for_each_word(words, list->add, map);
	close(map);
	return result;
}

static int show(const struct list *list, int map)
{
	struct json_object *object = list->read(map);

	if (options.json) {
		print_json(object);
		return 0;
	}
	list->print(object);
	json_object_put(object);
	return 0;
}

int list_command(const struct list *list, int argc, char **argv)
{
	int (*each)(int map, const char *word) = NULL;
	int map, i, result = 0;

	if (argc >= 2 && !strcmp(argv[0], "add"))
		each = list->add;
	else if (argc >= 2 && !strcmp(argv[0], "del"))
		each = list->del;
	else if (argc != 1 || strcmp(argv[0], "list"))
		return error("usage: ppctl %s add|del %s..., or ppctl %s list", list->name,
			     list->word, list->name);

	map = pin_open_map(list->map);
	if (map < 0)
		return -1;
	for (i = 1; i < argc && !result; i++)
		result = for_each_word(argv[i], each, map);
	if (!each)
		result = show(list, map);
	close(map);
	return result;
}
