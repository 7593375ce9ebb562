// SPDX-License-Identifier: BSD-2-Clause
/*
 * The commands that keep a list in a pinned map: add, del, list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"
#include "drain.h"

int for_each_word(const char *words, int (*each)(int map, const char *word), int map)
{
	char word[PATH_MAX];
	int result;
	size_t len;

	for (;;) {
		len = strcspn(words, ",");
		if (len == 0 || len >= sizeof(word))
			return usage_error("'%s': an empty or overlong word in the list", words);
		memcpy(word, words, len);
		word[len] = 0;
		result = each(map, word);
		if (result)
			return result;
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

static int list_check(const struct list *list, const char *words)
{
	return for_each_word(words, list->check, -1);
}

/* Could each of @words be added? Asked before anything is changed. */
static int check_words(const struct list *list, int argc, char **words)
{
	int i, result = 0;

	for (i = 0; i < argc && !result; i++)
		result = list_check(list, words[i]);
	return result;
}

static int count_all(int argc, char **words)
{
	int i, count = 0;

	for (i = 0; i < argc; i++)
		count += count_words(words[i]);
	return count;
}

/* What this command has changed, for the way back. */
static struct change {
	const struct list *list;
	char *word;
	int was_there;
	struct pp_port policy; /* if it was */
} * changes;
static size_t change_count;

static int note_change(const struct list *list, int map, const char *word)
{
	struct change change = {.list = list}, *more;

	change.was_there = list->find(map, word, &change.policy);
	if (change.was_there < 0)
		return -1;
	change.word = strdup(word);
	more = realloc(changes, (change_count + 1) * sizeof(*changes));
	if (more)
		changes = more;
	if (!more || !change.word) {
		free(change.word);
		return error("%s", strerror(ENOMEM));
	}
	changes[change_count++] = change;
	return 0;
}

static int undo(int map, const struct change *change)
{
	const struct list *list = change->list;
	struct pp_port policy;
	int is_there;

	if (change->was_there && list->restore)
		return list->restore(map, change->word, &change->policy);
	/* what failed may not have been changed */
	is_there = list->find(map, change->word, &policy);
	if (is_there < 0 || is_there == change->was_there)
		return is_there < 0 ? -1 : 0;
	return is_there ? list->del(map, change->word) : list->add(map, change->word);
}

static void list_undo(void)
{
	const struct change *change;
	int map;

	while (change_count) {
		change = &changes[--change_count];
		map = pin_open_map(change->list->map);
		if (map < 0 || undo(map, change))
			error("%s: the list is not as it was before", change->word);
		if (map >= 0)
			close(map);
		free(change->word);
	}
}

/* @current: the list that add_word() adds to */
static const struct list *current;

static int add_word(int map, const char *word)
{
	return note_change(current, map, word) ? -1 : current->add(map, word);
}

static int check_there(int map, const char *word)
{
	struct pp_port policy;
	int found = current->find(map, word, &policy);

	return found ? (found < 0 ? found : 0) : error("%s %s", word, current->absent);
}

/* A word may be given twice. */
static int del_word(int map, const char *word)
{
	struct pp_port policy;

	if (current->find(map, word, &policy) != 1)
		return 0;
	return note_change(current, map, word) ? -1 : current->del(map, word);
}

static void show_json(const struct list *list, int map)
{
	struct json_object *object = set_object();

	json_object_object_add(object, list->name, list->read(map));
	print_json(object);
}

int list_command_list(const struct list *list)
{
	int map = pin_open_map(list->map);
	struct json_object *entries;

	if (map < 0)
		return -1;
	set_say_broken();
	if (options.json) {
		show_json(list, map);
	} else {
		entries = list->read(map);
		make_printable(entries);
		list->print(entries);
		json_object_put(entries);
	}
	close(map);
	return 0;
}

/* Under the lock, on what earlier commands have left. Return: the map, or -1. */
static int open_to_change(const struct list *list)
{
	if (pin_lock() || pin_check() || drain_finish())
		return -1;
	current = list;
	set_say_broken();
	return pin_open_map(list->map);
}

/* After an error all is as it was before. Return: @result. */
static int end_change(const struct list *list, int map, int result)
{
	if (result)
		list_undo();
	else if (options.json)
		show_json(list, map);
	close(map);
	return result;
}

int list_command_add(const struct list *list, int argc, char **argv)
{
	int map, i, result = check_words(list, argc, argv);

	if (result)
		return result;
	map = open_to_change(list);
	if (map < 0)
		return -1;
	result = check_room(list, map, count_all(argc, argv));
	for (i = 0; i < argc && !result; i++)
		result = for_each_word(argv[i], add_word, map);
	return end_change(list, map, result);
}

int list_command_del(const struct list *list, int argc, char **argv)
{
	int map = open_to_change(list), i, result = 0;

	if (map < 0)
		return -1;
	for (i = 0; i < argc && !result; i++)
		result = for_each_word(argv[i], check_there, map);
	for (i = 0; i < argc && !result; i++)
		result = for_each_word(argv[i], del_word, map);
	return end_change(list, map, result);
}
