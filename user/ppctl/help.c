// SPDX-License-Identifier: BSD-2-Clause
/*
 * Help, from the tables of commands and options.
 */
#include <stdio.h>
#include <string.h>

#include "../common/array.h"
#include "../common/name.h"
#include "command.h"

#define OPTION_TEXT_MAX 48

/* "-h, --help", "--wait[=SECONDS]", "--pin DIR" */
static const char *option_text(const struct option_entry *option, int with_letter,
			       char text[OPTION_TEXT_MAX])
{
	const char *argument = option->argument ? option->argument : "";
	char letter[8] = "";

	if (with_letter && option->letter)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	snprintf(text, OPTION_TEXT_MAX, "%s--%s%s%s", letter, option->name,
		 !*argument || *argument == '[' ? "" : " ", argument);
	return text;
}

void usage_line(const struct command *command, char *text, size_t size)
{
	char needs[OPTION_TEXT_MAX];
	size_t i, have;

	have = snprintf(text, size, "ppctl %s", command->name);
	for (i = 0; command->needs && i < option_count; i++) {
		if (!strcmp(option_entries[i].name, command->needs) && have < size)
			have += snprintf(text + have, size - have, " %s",
					 option_text(&option_entries[i], 0, needs));
	}
	if (*command->options && have < size)
		have += snprintf(text + have, size - have, " [OPTIONS]");
	if (*command->words && have < size)
		snprintf(text + have, size - have, " %s", command->words);
}

static void print_options(const struct command *command)
{
	char text[OPTION_TEXT_MAX];
	size_t i;

	printf("\noptions\n");
	for (i = 0; i < option_count; i++) {
		if (command_takes(command, option_entries[i].name))
			printf("  %-26s %s\n", option_text(&option_entries[i], 1, text),
			       option_entries[i].help);
	}
}

void help_print_overview(void)
{
	char name[64];
	size_t i;

	printf("usage: ppctl COMMAND [OPTIONS] [WORDS]\n\n");
	for (i = 0; i < command_count; i++) {
		snprintf(name, sizeof(name), "%s%s%s", commands[i].name,
			 *commands[i].words ? " " : "", commands[i].words);
		printf("  %-34s %s\n", name, commands[i].help);
	}
	printf("  %-34s %s\n", "--version, -V", "the version of ppctl");
	printf("\n'ppctl help COMMAND' has the options of a command, and an example; ppctl(8) has "
	       "it all.\n");
}

static void print_command(const struct command *command)
{
	char usage[256];

	usage_line(command, usage, sizeof(usage));
	printf("usage: %s\n\n%s\n", usage, command->help);
	print_options(command);
	printf("\nexample\n  ppctl %s\n", command->example);
}

int help_print(const char *first, const char *second)
{
	const struct command *command;
	int count = 0;
	char name[64];
	size_t i;

	snprintf(name, sizeof(name), "%s%s%s", first, second ? " " : "", second ? second : "");
	for (i = 0; i < command_count; i++) {
		command = &commands[i];
		if (strcmp(command->name, name) && (second || !command_begins_with(command, first)))
			continue;
		printf("%s", count++ ? "\n" : "");
		print_command(command);
	}
	return count;
}
