// SPDX-License-Identifier: BSD-2-Clause
/*
 * The configuration file, in Exim's syntax: main options and named lists, and after "begin acl" the
 * access control lists. A line that ends in a backslash continues on the next one; a line that
 * begins with # is a comment, also between such lines.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/file.h"
#include "../../common/name.h"
#include "config.h"

struct reader {
	struct config *config;
	struct pool *pool;
	char *rest;	/* of the text */
	int line;	/* last line read */
	int first_line; /* of the logical line */
	bool in_acl;
};

const char *const list_kind_names[LIST_KINDS] = {"hostlist", "domainlist", "localpartlist",
						 "addresslist"};

/* The next logical line, trimmed, or NULL. */
static char *read_line(struct reader *reader)
{
	struct text text = {.pool = reader->pool};
	bool goes_on = false;
	char *line;
	size_t len;

	while ((line = strsep(&reader->rest, "\n"))) {
		reader->line++;
		line = string_trim(line);
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
	return text.bytes ? string_trim(text.bytes) : NULL;
}

/* hostlist NAME = VALUE */
static char *add_list(struct reader *reader, enum list_kind kind, const char *name,
		      const char *value)
{
	struct config *config = reader->config;
	struct named_list *list;

	if (!*name || !value)
		return pool_printf(reader->pool, "%s: needs a name, '=' and a list",
				   list_kind_names[kind]);
	for (list = config->lists; list; list = list->next) {
		if (list->kind == kind && !strcmp(list->name, name))
			return pool_printf(reader->pool, "there is a %s '%s' in line %d",
					   list_kind_names[kind], name, list->line);
	}
	list = pool_alloc(&config->pool, sizeof(*list));
	list->kind = kind;
	list->line = reader->first_line;
	list->name = pool_string(&config->pool, name);
	list->value = pool_string(&config->pool, value);
	list->next = config->lists;
	config->lists = list;
	return NULL;
}

static char *read_word(struct reader *reader, char **line)
{
	size_t len = strcspn(*line, " \t=");
	char *word = pool_copy(reader->pool, *line, len);

	*line += len + strspn(*line + len, " \t");
	return word;
}

/* An option, or a list. */
static char *parse_main(struct reader *reader, char *line)
{
	char *text = line, *name = read_word(reader, &line), *list = NULL, *value = NULL;
	int kind = NAME_FIND(name, list_kind_names);

	if (isupper((unsigned char)*name) || *name == '.')
		return pool_printf(reader->pool, "'%s': macros and directives are not supported",
				   text);
	if (kind >= 0)
		list = read_word(reader, &line);
	if (*line == '=')
		value = string_trim(line + 1);
	else if (*line)
		return pool_printf(reader->pool, "'%s' is neither an option nor a list%s", text,
				   strcmp(name, "hide")
					   ? ""
					   : ": hide is not supported, no option is a secret");
	if (value && *value == '"')
		return pool_printf(reader->pool, "%s: values in quotes are not supported", name);
	return kind >= 0
		       ? add_list(reader, kind, list, value)
		       : option_set(reader->config, reader->first_line, name, value, reader->pool);
}

static char *parse_line(struct reader *reader, char *line, acl_parser *parse_acl)
{
	bool begins = !strncmp(line, "begin", 5) && isblank((unsigned char)line[5]);

	if (begins && strcmp(string_trim(line + 5), "acl"))
		return pool_printf(reader->pool, "there is no section '%s'", string_trim(line + 5));
	if (begins)
		reader->in_acl = true;
	else if (reader->in_acl)
		return parse_acl(reader->config, reader->first_line, line, reader->pool);
	else
		return parse_main(reader, line);
	return NULL;
}

struct config *config_read(const char *file, acl_parser *parse_acl, struct pool *pool, char **error)
{
	struct config *config = config_new();
	struct reader reader = {.config = config, .pool = pool};
	char *line, *wrong = NULL, *text, why[FILE_ERROR_MAX];

	if (!file)
		return config;
	config->file = pool_string(&config->pool, file);
	reader.rest = text = file_text(file, TEXT_FILE_MAX, why);
	if (!text)
		*error = pool_string(pool, why);
	while (text && !wrong && (line = read_line(&reader)))
		wrong = parse_line(&reader, line, parse_acl);
	if (wrong)
		*error = pool_printf(pool, "%s:%d: %s", file, reader.first_line, wrong);
	if (!text || wrong) {
		config_put(config);
		config = NULL;
	}
	free(text);
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
	pool_free(&config->pool);
	free(config);
}
