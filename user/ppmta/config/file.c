// SPDX-License-Identifier: BSD-2-Clause
/*
 * The configuration file, in Exim's syntax: main options, macros and named lists, and after "begin
 * acl" the access control lists. A line that ends in a backslash continues on the next one; a line
 * that begins with # is a comment, also between such lines.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/array.h"
#include "../../common/name.h"
#include "config.h"

struct macro {
	struct macro *next;
	char *name, *value;
};

struct reader {
	struct config *config;
	struct pool *pool;
	FILE *stream;
	int line;	/* last line read */
	int first_line; /* of the logical line */
	const struct config_section *const *sections;
	const struct config_section *section; /* NULL: the main one */
	void *state;			      /* the section's */
	char *wrong;
};

const char *const list_kind_names[LIST_IPS] = {"hostlist", "domainlist", "localpartlist",
					       "addresslist"};

/* The line's text with macros put in. The longest name that fits counts. */
static char *replace_macros(struct reader *reader, const char *line)
{
	struct text text = {.pool = reader->pool};
	const struct macro *macro, *best;
	size_t len;

	while (*line) {
		best = NULL;
		for (macro = reader->config->macros; macro; macro = macro->next) {
			len = strlen(macro->name);
			if (!strncmp(line, macro->name, len) && (!best || len > strlen(best->name)))
				best = macro;
		}
		if (best) {
			text_add_string(&text, best->value);
			line += strlen(best->name);
		} else {
			text_add(&text, line++, 1);
		}
	}
	return text_get(&text);
}

/* The next logical line, trimmed, or NULL. */
static char *read_line(struct reader *reader)
{
	struct text text = {.pool = reader->pool};
	char *physical = NULL, *line;
	size_t room = 0, len;
	int goes_on = 0;

	while (getline(&physical, &room, reader->stream) >= 0) {
		reader->line++;
		line = string_trim(physical);
		if (*line == '#' || (!*line && !goes_on))
			continue;
		if (!goes_on)
			reader->first_line = reader->line;
		len = strlen(line);
		goes_on = len && line[len - 1] == '\\';
		text_add(&text, line, goes_on ? len - 1 : len);
		if (!goes_on)
			break;
	}
	free(physical);
	return text.bytes ? string_trim(text.bytes) : NULL;
}

static void set_macro(struct reader *reader, const char *name, size_t len, const char *value)
{
	struct macro *macro;

	for (macro = reader->config->macros; macro; macro = macro->next) {
		if (strlen(macro->name) == len && !strncmp(macro->name, name, len))
			reader->wrong = pool_printf(reader->pool, "there is a macro '%s' already",
						    macro->name);
	}
	if (*value == '=')
		reader->wrong = "a macro cannot be changed by ==";
	macro = pool_alloc(&reader->config->pool, sizeof(*macro));
	macro->name = pool_copy(&reader->config->pool, name, len);
	macro->value = pool_string(&reader->config->pool, value);
	macro->next = reader->config->macros;
	reader->config->macros = macro;
}

/* A value in quotes, with escapes; others are as they are. */
static char *unquote(struct reader *reader, char *value)
{
	struct text text = {.pool = reader->pool};
	const char *at = value + 1;
	char c;

	if (*value != '"')
		return value;
	while (*at && *at != '"') {
		c = *at++;
		if (c == '\\' && *at) {
			c = text_escape(&at);
			if (!c)
				reader->wrong = "no string may hold the character 0";
		}
		text_add(&text, &c, 1);
	}
	if (!*at || at[1])
		reader->wrong = "the quoted string does not end at the end of the line";
	return text_get(&text);
}

/* domainlist NAME = ... Return: 1 when @line is one. */
static int parse_list(struct reader *reader, char *line)
{
	struct named_list *list;
	char *name, *end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list_kind_names); i++) {
		size_t len = strlen(list_kind_names[i]);

		if (!strncmp(line, list_kind_names[i], len) && isblank((unsigned char)line[len]))
			break;
	}
	if (i == ARRAY_SIZE(list_kind_names))
		return 0;
	name = line + strlen(list_kind_names[i]);
	name += strspn(name, " \t");
	end = name +
	      strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	line = end + strspn(end, " \t");
	if (end == name || *line != '=') {
		reader->wrong = pool_printf(reader->pool, "%s: needs a name, '=' and a list",
					    list_kind_names[i]);
		return 1;
	}
	name = pool_copy(&reader->config->pool, name, end - name);
	for (list = reader->config->lists; list; list = list->next) {
		if (list->kind == i && !strcmp(list->name, name))
			reader->wrong = pool_printf(reader->pool, "there is a %s '%s' in line %d",
						    list_kind_names[i], name, list->line);
	}
	list = pool_alloc(&reader->config->pool, sizeof(*list));
	list->kind = i;
	list->line = reader->first_line;
	list->name = name;
	list->value = pool_string(&reader->config->pool, unquote(reader, string_trim(line + 1)));
	list->next = reader->config->lists;
	reader->config->lists = list;
	return 1;
}

static void unknown_option(struct reader *reader, const char *name)
{
	char hint[SUGGESTION_MAX];

	reader->wrong = pool_printf(reader->pool, "unknown option '%s'%s", name,
				    name_suggestion(hint, "", option_nearest(name)));
}

static void parse_main(struct reader *reader, char *line)
{
	char *end, *value, *name;
	int negated;

	if (*line == '.') {
		reader->wrong =
			pool_printf(reader->pool, "'%s': directives are not supported", line);
		return;
	}
	end = line +
	      strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	value = end + strspn(end, " \t");
	if (isupper((unsigned char)*line) && *value == '=') {
		set_macro(reader, line, end - line, replace_macros(reader, string_trim(value + 1)));
		return;
	}
	line = replace_macros(reader, line);
	if (parse_list(reader, line))
		return;
	end = line + strcspn(line, " \t=");
	value = end + strspn(end, " \t");
	name = pool_copy(reader->pool, line, end - line);
	if (!*value) { /* a boolean by itself */
		negated = !strncmp(name, "no_", 3) ? 3 : !strncmp(name, "not_", 4) ? 4 : 0;
		if (option_is_boolean(name + negated))
			reader->wrong =
				option_set(reader->config, reader->first_line, name + negated,
					   negated ? "false" : "true", reader->pool);
		else if (option_exists(name))
			reader->wrong =
				pool_printf(reader->pool, "%s: needs '=' and a value", name);
		else
			unknown_option(reader, name);
		return;
	}
	if (*value != '=') {
		reader->wrong =
			pool_printf(reader->pool,
				    !strcmp(name, "hide")
					    ? "'%s': hide is not supported, no option is a secret"
					    : "'%s': not an option",
				    line);
		return;
	}
	value = unquote(reader, string_trim(value + 1));
	if (!option_exists(name))
		unknown_option(reader, name);
	else if (!reader->wrong)
		reader->wrong =
			option_set(reader->config, reader->first_line, name, value, reader->pool);
}

static void begin_section(struct reader *reader, const char *name)
{
	const struct config_section *const *section = reader->sections;

	while (*section && strcmp(name, (*section)->name))
		section++;
	if (!*section) {
		reader->wrong = pool_printf(reader->pool, "there is no section '%s'", name);
		return;
	}
	reader->section = *section;
	reader->state = (*section)->begin(reader->config, reader->pool);
}

static void parse_line(struct reader *reader, char *line)
{
	if (!strncmp(line, "begin", 5) && isblank((unsigned char)line[5])) {
		begin_section(reader, string_trim(line + 5));
	} else if (reader->section) {
		reader->wrong = reader->section->line(reader->state, reader->first_line,
						      replace_macros(reader, line));
	} else {
		parse_main(reader, line);
	}
}

struct config *config_read(const char *file, const struct config_section *const *sections,
			   struct pool *pool, char **error)
{
	struct config *config = config_new();
	struct reader reader = {.config = config, .pool = pool, .sections = sections};
	char *line;

	if (!file)
		return config;
	config->file = pool_string(&config->pool, file);
	reader.stream = fopen(file, "re");
	if (!reader.stream) {
		*error = pool_printf(pool, "%s: %s", file, strerror(errno));
		config_put(config);
		return NULL;
	}
	while (!reader.wrong && (line = read_line(&reader)))
		parse_line(&reader, line);
	if (!reader.wrong && ferror(reader.stream))
		reader.wrong = "the rest cannot be read";
	fclose(reader.stream);
	if (reader.wrong) {
		*error = pool_printf(pool, "%s:%d: %s", file, reader.first_line, reader.wrong);
		config_put(config);
		return NULL;
	}
	return config;
}

struct config *config_get(struct config *config)
{
	__atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

void config_put(struct config *config)
{
	if (!config || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL))
		return;
	SSL_CTX_free(config->tls);
	EVP_PKEY_free(config->key);
	pool_free(&config->pool);
	free(config);
}
