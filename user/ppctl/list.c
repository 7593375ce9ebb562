// SPDX-License-Identifier: BSD-2-Clause
/*
 * The commands that keep a list in a pinned map: add, del, list.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"
#include "drain.h"

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

static int count_words(const char *words)
{
	int count = 1;

	for (; *words; words++)
		count += *words == ',';
	return count;
}

/* Is there room in @map for @count entries more? Ones that are there already may be among them. */
static int check_room(const struct list *list, int map, int count)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), used = 0;
	char keys[2][64], *previous = NULL;

	if (count == 1) /* the map says it itself, and lets an entry that is there be changed */
		return 0;
	if (bpf_obj_get_info_by_fd(map, &info, &len) || info.type == BPF_MAP_TYPE_ARRAY ||
	    info.key_size > sizeof(keys[0]))
		return 0;
	while (!bpf_map_get_next_key(map, previous, keys[used & 1]))
		previous = keys[used++ & 1];
	if (used + count <= info.max_entries)
		return 0;
	return error(
		"%s is full (%u entries), or nearly: there is room for %u more, and these are %d; "
		"none was added",
		list->map, info.max_entries, info.max_entries - used, count);
}

/* All of @words, or none. */
static int check_words(const struct list *list, int map, int argc, char **words)
{
	int i, count = 0;

	for (i = 0; i < argc; i++) {
		count += count_words(words[i]);
		if (for_each_word(words[i], list->check, map))
			return -1;
	}
	return check_room(list, map, count);
}

int list_check(const struct list *list, const char *words)
{
	return words ? for_each_word(words, list->check, -1) : 0;
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

	if (each && (pin_lock() || drain_finish()))
		return -1;
	map = pin_open_map(list->map);
	if (map < 0)
		return -1;
	if (each == list->add)
		result = check_words(list, map, argc - 1, argv + 1);
	for (i = 1; i < argc && !result; i++)
		result = for_each_word(argv[i], each, map);
	if (!each)
		result = show(list, map);
	close(map);
	return result;
}
