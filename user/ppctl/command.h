/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands and options of ppctl, as tables: parsing, help and completion are made from them.
 */
#ifndef PPCTL_COMMAND_H
#define PPCTL_COMMAND_H

#include <stddef.h>

/* Exit statuses. */
#define EXIT_DONE     0
#define EXIT_FAILED   1
#define EXIT_USAGE    2 /* a command line that cannot be right: nothing was done */
#define EXIT_DRAINING 3 /* of 'ppctl down': connections are left */
#define EXIT_UNKNOWN \
	3 /* of 'ppctl status', for the two before: 1 and 2 mean something else there */

/* Which set a command is about, where neither --set nor --pin is given. */
enum which_set {
	FOR_NO_SET,	  /* about none */
	FOR_THE_PIN,	  /* the one that is, or will be, in the directory itself */
	FOR_THE_ONLY_SET, /* the only one there is, in the directory or below it */
	FOR_ALL_SETS	  /* all that there are, in the directory and below it */
};

/* What completion offers: words with a blank between, or one of these. */
#define VALUES_CGROUP	 "@cgroup"
#define VALUES_INTERFACE "@interface"
#define VALUES_SET	 "@set"
#define VALUES_DIRECTORY "@directory"
#define VALUES_FILE	 "@file"
#define VALUES_COMMAND	 "@command"

struct command {
	const char *name;		   /* one word, or two: "port add" */
	int (*run)(int argc, char **argv); /* with the words after the name; see ppctl.h */
	const char *words;		   /* these words, as the usage has them */
	int min, max;			   /* how many; max -1: any number */
	const char *values;		   /* of these words, for completion; or NULL */
	const char *needs;		   /* the option without which it cannot be; or NULL */
	const char *options;		   /* those that it takes, a blank between */
	enum which_set set;
	const char *help;
	const char *example; /* without "ppctl" */
};

struct option_entry {
	const char *name;
	char letter;	      /* -h; or 0 */
	const char *argument; /* NULL: takes none; one that begins with [ may be left out */
	const char *values;   /* of the argument, for completion; or NULL */
	int (*set)(const char *value);
	const char *help;
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct option_entry option_entries[];
extern const size_t option_count;

/* Does @command take the option @name? */
int command_takes(const struct command *command, const char *name);
/* Is the first word of the command's name @word? */
int command_begins_with(const struct command *command, const char *word);
/* "port add, port del, port list": the commands that begin with the word @first. Return: @text. */
const char *command_group(const char *first, char text[256]);

/* help.c: the line that says how @command is written, after "usage: " */
void usage_line(const struct command *command, char *text, size_t size);
/* All commands, in short. */
void help_print_overview(void);
/* The help of the commands whose name is @first, or begins with it; @second: or NULL. Return: how
 * many there are. */
int help_print(const char *first, const char *second);

/* completion.c: prints what may stand in the place of the last of @argv. */
int complete(int argc, char **argv);

#endif
