// SPDX-License-Identifier: BSD-2-Clause
/*
 * 'ppctl complete -- WORD...', for the shells' completion: what may stand in the place of the last
 * WORD, one a line, with its help after a tab. What ends with '/' or ',' may go on.
 */
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/array.h"
#include "ppctl.h"

/* What has been typed so far. */
struct typed {
	const char *words[2];		   /* of the command's name, or after it */
	int count;			   /* how many there are, without options */
	const struct option_entry *awaits; /* the option whose value comes next */
	const char *last;
};

/* Offers @word, after what is kept of the last word: "lo," of "lo,et". */
static void offer(const char *keep, int keep_len, const char *word, const char *rest,
		  const char *help)
{
	if (strpbrk(word, "\t\n\r\033")) /* nobody can type it, and it would end the line */
		return;
	printf("%.*s%s%s\t%s\n", keep_len, keep, word, rest, help);
}

static int begins_with(const char *word, const char *beginning)
{
	return !strncmp(word, beginning, strlen(beginning));
}

/* The option that @word is, with or without its value; or NULL. */
static const struct option_entry *option_of(const char *word)
{
	size_t i, len;

	if (word[0] == '-' && word[1] && word[1] != '-') {
		for (i = 0; i < option_count; i++) {
			if (option_entries[i].letter == word[1])
				return &option_entries[i];
		}
	}
	if (!begins_with(word, "--"))
		return NULL;
	len = strcspn(word + 2, "=");
	for (i = 0; i < option_count; i++) {
		if (strlen(option_entries[i].name) == len &&
		    !strncmp(option_entries[i].name, word + 2, len))
			return &option_entries[i];
	}
	return NULL;
}

/* Does the value of @option stand in a word of its own? */
static int takes_next_word(const struct option_entry *option, const char *word)
{
	return option && option->argument && *option->argument != '[' && !strchr(word, '=');
}

static void read_words(struct typed *typed, int argc, char **argv)
{
	const struct option_entry *option;
	int i;

	for (i = 0; i < argc - 1; i++) {
		option = option_of(argv[i]);
		if (takes_next_word(option, argv[i])) {
			if (i + 1 == argc - 1)
				typed->awaits = option;
			else if (!strcmp(option->name, "pin"))
				options.pin = argv[i + 1];
			i++;
		} else if (argv[i][0] != '-') {
			if (typed->count < 2)
				typed->words[typed->count] = argv[i];
			typed->count++;
		} else if (begins_with(argv[i], "--pin=")) {
			options.pin = argv[i] + strlen("--pin=");
		}
	}
	typed->last = argc ? argv[argc - 1] : "";
}

/* The directory that @path is about to name something in: @path up to its last '/', below @base. */
static void directory_of(const char *base, const char *path, char directory[2 * PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int len = slash ? slash - path + 1 : 0;

	snprintf(directory, 2 * PATH_MAX, "%s%s%.*s", path[0] == '/' ? "" : base,
		 path[0] == '/' || !*base ? "" : "/", len, path);
	if (!*directory)
		strcpy(directory, ".");
}

/* How many directories @path has in it: its links are one for each, and two. */
static int has_directories(const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_nlink > 2;
}

/* Directories below @base as @last begins to name them, and files. */
static void offer_paths(const char *base, const char *keep, int keep_len, const char *last,
			int files)
{
	const char *slash = strrchr(last, '/'), *name = slash ? slash + 1 : last;
	char directory[2 * PATH_MAX], path[3 * PATH_MAX], word[2 * PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	directory_of(base, last, directory);
	dir = opendir(directory);
	while (dir && (entry = readdir(dir))) {
		if (!begins_with(entry->d_name, name) || (entry->d_name[0] == '.' && !*name) ||
		    strpbrk(entry->d_name, "\t\n"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (stat(path, &st) || (!files && !S_ISDIR(st.st_mode)))
			continue;
		snprintf(word, sizeof(word), "%.*s%s", (int)(name - last), last, entry->d_name);
		offer(keep, keep_len, word,
		      S_ISDIR(st.st_mode) && (files || has_directories(path)) ? "/" : "", "");
	}
	if (dir)
		closedir(dir);
}

static void offer_interfaces(const char *keep, int keep_len, const char *last)
{
	struct if_nameindex *list = if_nameindex(), *interface;

	for (interface = list; interface && interface->if_name; interface++) {
		if (begins_with(interface->if_name, last))
			offer(keep, keep_len, interface->if_name, "", "");
	}
	if (list)
		if_freenameindex(list);
}

struct offered_sets {
	const char *keep, *last;
	int keep_len;
};

static void offer_set(const char *directory, const char *name, void *context)
{
	const struct offered_sets *sets = context;

	if (name && begins_with(name, sets->last))
		offer(sets->keep, sets->keep_len, name, "", directory);
}

/* The words of @list, which has a blank between them. */
static void offer_words(const char *list, const char *keep, int keep_len, const char *last)
{
	char word[64];
	size_t len;

	for (; *list; list += len + strspn(list + len, " ")) {
		len = strcspn(list, " ");
		snprintf(word, sizeof(word), "%.*s", (int)len, list);
		if (begins_with(word, last))
			offer(keep, keep_len, word, "", "");
	}
}

/* @text: the beginning of a value, of which @commas says whether it can be several. The first
 * @keep_len bytes of @keep, which come before it, are kept. */
static void offer_values(const char *values, const char *keep, const char *text, int commas)
{
	const char *comma = commas ? strrchr(text, ',') : NULL, *last = comma ? comma + 1 : text;
	int keep_len = last - keep;
	struct offered_sets sets = {.keep = keep, .keep_len = keep_len, .last = last};
	char mount[PATH_MAX];

	if (!values)
		return;
	if (!strcmp(values, VALUES_INTERFACE))
		offer_interfaces(keep, keep_len, last);
	else if (!strcmp(values, VALUES_SET))
		choose_each(offer_set, &sets);
	else if (!strcmp(values, VALUES_DIRECTORY) || !strcmp(values, VALUES_FILE))
		offer_paths("", keep, keep_len, last, !strcmp(values, VALUES_FILE));
	else if (strcmp(values, VALUES_CGROUP))
		offer_words(values, keep, keep_len, last);
	else if (cgroup_find_mount(mount))
		offer_paths(mount, keep, keep_len, last, 0);
}

static void offer_option_values(const struct option_entry *option, const char *keep,
				const char *text)
{
	offer_values(option->values, keep, text, strchr(option->argument, ',') != NULL);
}

static const struct command *command_typed(const struct typed *typed, int *words)
{
	char name[64];
	size_t i;

	for (*words = 2; *words > 0; --*words) {
		if (typed->count < *words)
			continue;
		snprintf(name, sizeof(name), "%s%s%s", typed->words[0], *words > 1 ? " " : "",
			 *words > 1 ? typed->words[1] : "");
		for (i = 0; i < command_count; i++) {
			if (!strcmp(commands[i].name, name))
				return &commands[i];
		}
	}
	return NULL;
}

static void offer_options(const struct command *command, const char *last)
{
	char word[64];
	size_t i;

	for (i = 0; i < option_count; i++) {
		snprintf(word, sizeof(word), "--%s", option_entries[i].name);
		if (begins_with(word, last) &&
		    (!command || command_takes(command, option_entries[i].name)))
			offer("", 0, word, "", option_entries[i].help);
	}
}

/* Names of commands: the first words, or where @first is one the second words after it. */
static void offer_commands(const char *first, const char *last)
{
	const char *name, *blank, *before = "";
	size_t i, len, before_len = 0;
	char word[64], group[256];

	for (i = 0; i < command_count; i++) {
		name = commands[i].name;
		blank = strchr(name, ' ');
		len = blank ? (size_t)(blank - name) : strlen(name);
		if (first && blank && command_begins_with(&commands[i], first)) {
			snprintf(word, sizeof(word), "%s", blank + 1);
		} else if (!first && (len != before_len || strncmp(name, before, len))) {
			snprintf(word, sizeof(word), "%.*s", (int)len, name);
		} else {
			continue;
		}
		before = name;
		before_len = len;
		if (begins_with(word, last))
			offer("", 0, word, "",
			      blank && !first ? command_group(word, group) : commands[i].help);
	}
}

int complete(int argc, char **argv)
{
	const struct option_entry *option;
	const struct command *command;
	struct typed typed = {0};
	const char *equals;
	int words;

	read_words(&typed, argc, argv);
	command = command_typed(&typed, &words);
	equals = strchr(typed.last, '=');
	option = equals ? option_of(typed.last) : NULL;
	if (typed.awaits)
		offer_option_values(typed.awaits, typed.last, typed.last);
	else if (option && option->argument)
		offer_option_values(option, typed.last, equals + 1);
	else if (typed.last[0] == '-')
		offer_options(command, typed.last);
	else if (!command && typed.count < 2)
		offer_commands(typed.count ? typed.words[0] : NULL, typed.last);
	else if (command && command->values && !strcmp(command->values, VALUES_COMMAND))
		offer_commands(typed.count > 1 ? typed.words[1] : NULL, typed.last);
	else if (command && command->values &&
		 (command->max < 0 || typed.count - words < command->max))
		offer_values(command->values, typed.last, typed.last,
			     strchr(command->words, ',') != NULL);
	return EXIT_DONE;
}
