// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppsplit.conf: sections [serve NAME] with keys that may be repeated. libinih divides the lines;
 * what it would pass over in silence (a line that is too long, a name that is cut, what goes on on
 * the next line) is found here before.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "../common/array.h"
#include "../common/name.h"
#include "config.h"

#define LINE_LEN_MAX 190 /* libinih's buffer has 200 */
#define NAME_LEN_MAX 48	 /* and 50 for the name of a section or a key */
#define SECTION_WORD "serve"

struct reader {
	const char *at, *end;
	unsigned int line;
	struct config *config;
	struct section *section; /* NULL: a section that is wrong, or none yet */
	int in_section;
	struct problems *problems;
};

void problem_add(struct problems *problems, unsigned int line, int warning, const char *format, ...)
{
	struct problem *grown = array_grow(problems->problem, problems->count, 1, sizeof(*grown));
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (grown && vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (grown)
		problems->problem = grown;
	if (!warning)
		problems->errors++;
	if (!text) {
		problems->no_memory = 1;
		return;
	}
	grown[problems->count++] = (struct problem){.line = line, .warning = warning, .text = text};
}

static int by_line(const void *left, const void *right)
{
	const struct problem *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->warning - b->warning;
}

void problems_sort(struct problems *problems)
{
	if (problems->count)
		qsort(problems->problem, problems->count, sizeof(*problems->problem), by_line);
}

void problems_free(struct problems *problems)
{
	size_t i;

	for (i = 0; i < problems->count; i++)
		free(problems->problem[i].text);
	free(problems->problem);
	memset(problems, 0, sizeof(*problems));
}

static void words_free(struct words *words)
{
	size_t i;

	for (i = 0; i < words->count; i++)
		free(words->word[i].text);
	free(words->word);
}

void section_free(struct section *section)
{
	words_free(&section->cgroups);
	words_free(&section->senders);
	words_free(&section->interfaces);
	free(section->ports);
	free(section->proxies);
	proxy_index_free(&section->index);
	memset(section, 0, sizeof(*section));
}

void config_free(struct config *config)
{
	size_t i;

	for (i = 0; i < config->count; i++)
		section_free(&config->sections[i]);
	free(config->sections);
	memset(config, 0, sizeof(*config));
}

int is_set_name(const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return 0;
	}
	/* these are what a set is pinned in, and ppctl's own */
	return len && len <= SET_NAME_MAX && strcmp(name, "maps") && strcmp(name, "links") &&
	       strcmp(name, "progs") && strncmp(name, "pp_", 3);
}

int cgroup_contains(const char *cgroup, const char *path)
{
	size_t len = strlen(cgroup);

	return !strncmp(cgroup, path, len) && (!path[len] || path[len] == '/');
}

/* Calls @each for the words of @value, which commas and blanks around them divide. */
static void each_word(const char *value, void (*each)(const char *word, void *context),
		      void *context)
{
	char word[LINE_LEN_MAX + 4096];
	size_t len, first;

	for (;;) {
		len = strcspn(value, ",");
		first = strspn(value, " \t");
		if (first > len)
			first = len;
		snprintf(word, sizeof(word), "%.*s", (int)(len - first), value + first);
		while (word[0] && strchr(" \t", word[strlen(word) - 1]))
			word[strlen(word) - 1] = 0;
		each(word, context);
		if (!value[len])
			return;
		value += len + 1;
	}
}

/* What each_word() passes on. */
struct place {
	struct section *section;
	struct words *words;
	const char *key;
	unsigned int line;
	const struct policy *policy;
	struct problems *problems;
};

static int is_empty(const char *word, const struct place *place)
{
	if (!word[0])
		problem_add(place->problems, place->line, 0,
			    "%s: an empty word: a comma too many, or a value that is missing",
			    place->key);
	return !word[0];
}

/* The slashes at the end of a path say nothing. */
static void add_word(const char *text, void *context)
{
	const struct place *place = context;
	struct words *words = place->words;
	size_t len = strlen(text), i;
	struct word *grown;
	char *copy;

	if (is_empty(text, place))
		return;
	for (i = 0; i < len; i++) {
		if (iscntrl((unsigned char)text[i])) {
			problem_add(place->problems, place->line, 0,
				    "%s: a control character in the name", place->key);
			return;
		}
	}
	if (place->line && (text[0] == '"' || text[0] == '\'')) {
		problem_add(place->problems, place->line, 0,
			    "%s %s: a quotation mark would be part of the name: leave it out",
			    place->key, text);
		return;
	}
	while (len > 1 && text[len - 1] == '/')
		len--;
	copy = strndup(text, len);
	for (i = 0; copy && i < words->count; i++) {
		if (!strcmp(words->word[i].text, copy)) {
			if (place->line)
				problem_add(place->problems, place->line, 0,
					    "%s %s is in line %u already: remove one of them",
					    place->key, copy, words->word[i].line);
			free(copy);
			return;
		}
	}
	grown = copy ? array_grow(words->word, words->count, 1, sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		problem_add(place->problems, place->line, 0, "no memory");
		return;
	}
	words->word = grown;
	grown[words->count++] = (struct word){.text = copy, .line = place->line};
}

void section_add_word(struct words *words, const char *word, unsigned int line, const char *key,
		      struct problems *problems)
{
	struct place place = {.words = words, .key = key, .line = line, .problems = problems};

	add_word(word, &place);
}

void section_add_words(struct words *words, const char *value, unsigned int line, const char *key,
		       struct problems *problems)
{
	struct place place = {.words = words, .key = key, .line = line, .problems = problems};

	each_word(value, add_word, &place);
}

#define INDEX_ROOM_MIN 64

/* FNV-1a. */
static size_t key_hash(const struct pp_prefix *key)
{
	const unsigned char *byte = (const unsigned char *)key;
	uint64_t hash = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < sizeof(*key); i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	return hash ^ hash >> 32;
}

/* Where @key is in the index, or could be. */
static uint32_t *index_slot(const struct proxy_index *index, const struct section *section,
			    const struct pp_prefix *key)
{
	size_t at = key_hash(key) & (index->room - 1);

	while (index->slot[at] &&
	       memcmp(&section->proxies[index->slot[at] - 1].key, key, sizeof(*key)))
		at = (at + 1) & (index->room - 1);
	return &index->slot[at];
}

/* Half of it stays empty. Return: 0; or -1, no memory. */
static int index_take_up(struct proxy_index *index, const struct section *section)
{
	uint32_t *slot;
	size_t room;

	if (!index->room || index->room < 2 * section->proxy_count) {
		for (room = INDEX_ROOM_MIN; room < 4 * section->proxy_count;)
			room *= 2;
		proxy_index_free(index);
		index->slot = calloc(room, sizeof(*index->slot));
		if (!index->slot)
			return -1;
		index->room = room;
	}
	for (; index->taken_up < section->proxy_count; index->taken_up++) {
		slot = index_slot(index, section, &section->proxies[index->taken_up].key);
		if (!*slot) /* of two that are the same, the first */
			*slot = index->taken_up + 1;
	}
	return 0;
}

const struct wanted_proxy *proxy_index_find(struct proxy_index *index,
					    const struct section *section,
					    const struct pp_prefix *key)
{
	uint32_t number;

	if (index_take_up(index, section))
		return NULL;
	number = *index_slot(index, section, key);
	return number ? &section->proxies[number - 1] : NULL;
}

void proxy_index_free(struct proxy_index *index)
{
	free(index->slot);
	memset(index, 0, sizeof(*index));
}

static void add_proxy(const char *text, void *context)
{
	const struct place *place = context;
	struct section *section = place->section;
	struct wanted_proxy proxy = {.line = place->line}, *grown;
	const struct wanted_proxy *same;
	char why[WHY_MAX];

	if (is_empty(text, place))
		return;
	if (proxy_parse(text, &proxy.key, &proxy.value, why)) {
		problem_add(place->problems, place->line, 0, "%s", why);
		return;
	}
	same = proxy_index_find(&section->index, section, &proxy.key);
	if (same) {
		if (place->line)
			problem_add(place->problems, place->line, 0,
				    "proxy %s is in line %u already: remove one of them", text,
				    same->line);
		return;
	}
	if (section->proxy_count == SET_PROXIES_MAX) {
		problem_add(place->problems, place->line, 0,
			    "proxy %s: pp_proxies is full (%d entries): name larger networks", text,
			    SET_PROXIES_MAX);
		return;
	}
	grown = array_grow(section->proxies, section->proxy_count, 1, sizeof(*grown));
	if (!grown) {
		problem_add(place->problems, place->line, 0, "no memory");
		return;
	}
	section->proxies = grown;
	grown[section->proxy_count++] = proxy;
}

void section_add_proxies(struct section *section, const char *value, unsigned int line,
			 struct problems *problems)
{
	struct place place = {
		.section = section, .key = "proxy", .line = line, .problems = problems};

	each_word(value, add_proxy, &place);
}

static const struct policy_name {
	const char *name;
	int (*parse)(const char *word, uint32_t *value, char why[WHY_MAX]);
} policy_names[POLICY_COUNT] = {
	[POLICY_TRANSPARENT] = {"transparent", yes_no_parse},
	[POLICY_SPLIT] = {"split", yes_no_parse},
	[POLICY_LOCAL] = {"local", yes_no_parse},
	[POLICY_GATE] = {"gate", gate_parse},
	[POLICY_ON_BAD] = {"on-bad", on_bad_parse},
	[POLICY_V1_MIXED] = {"v1-mixed", yes_no_parse},
	[POLICY_LOOKUP] = {"lookup", yes_no_parse},
};

int policy_give(struct policy *policy, enum policy_key key, const char *word, char why[WHY_MAX])
{
	policy->given |= 1u << key;
	return policy_names[key].parse(word, &policy->value[key], why);
}

static void policy_set(struct policy *policy, enum policy_key key, const char *value,
		       unsigned int line, struct problems *problems)
{
	const char *name = policy_names[key].name;
	char why[WHY_MAX];

	if (policy->given & 1u << key) {
		problem_add(problems, line, 0, "%s is given %s: remove one of them", name,
			    policy->line[key] == line ? "twice" : "before already");
		return;
	}
	policy->line[key] = line;
	if (policy_give(policy, key, value, why))
		problem_add(problems, line, 0, "%s: %s", name, why);
}

/* The option @text, NAME=VALUE, of a port. */
static void add_port_option(struct policy *policy, const char *text, unsigned int line,
			    struct problems *problems)
{
	size_t len = strcspn(text, "=");
	char suggestion[SUGGESTION_MAX], name[NAME_LEN_MAX];
	int key;

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	key = NAME_FIND(name, policy_names);
	if (key < 0)
		problem_add(problems, line, 0, "port: there is no option '%s'%s", name,
			    name_suggestion(suggestion, "", NAME_NEAREST(name, policy_names)));
	else if (!text[len] || !text[len + 1])
		problem_add(problems, line, 0, "port: %s needs a value: %s=VALUE", name, name);
	else
		policy_set(policy, key, text + len + 1, line, problems);
}

static void add_port(const char *text, void *context)
{
	const struct place *place = context;
	struct section *section = place->section;
	struct wanted_port port = {.line = place->line, .own = *place->policy}, *grown;
	char why[WHY_MAX];
	size_t i;

	if (is_empty(text, place))
		return;
	if (port_parse(text, &port.key, why)) {
		problem_add(place->problems, place->line, 0, "%s", why);
		return;
	}
	for (i = 0; i < section->port_count; i++) {
		if (!port_is_same(&section->ports[i].key, &port.key))
			continue;
		if (place->line)
			problem_add(place->problems, place->line, 0,
				    "port %s is in line %u already: remove one of them", text,
				    section->ports[i].line);
		return;
	}
	if (section->port_count == SET_PORTS_MAX) {
		problem_add(place->problems, place->line, 0,
			    "port %s: pp_ports is full (%d entries)", text, SET_PORTS_MAX);
		return;
	}
	grown = array_grow(section->ports, section->port_count, 1, sizeof(*grown));
	if (!grown) {
		problem_add(place->problems, place->line, 0, "no memory");
		return;
	}
	section->ports = grown;
	grown[section->port_count++] = port;
}

/* Where in @value the options begin: at the first word after a blank that no comma precedes. */
static size_t options_at(const char *value)
{
	size_t at = 0;

	for (;;) {
		at += strcspn(value + at, ", \t");
		if (!value[at])
			return at;
		if (value[at] == ',') {
			at++;
			at += strspn(value + at, " \t");
			continue;
		}
		at += strspn(value + at, " \t");
		if (value[at] != ',')
			return at;
	}
}

void section_add_ports(struct section *section, const char *value, unsigned int line,
		       struct problems *problems)
{
	struct policy policy = {};
	struct place place = {.section = section,
			      .key = "port",
			      .line = line,
			      .policy = &policy,
			      .problems = problems};
	size_t at = options_at(value);
	char *ports = strndup(value, at), *words = strdup(value + at), *word, *rest;

	if (!ports || !words)
		problem_add(problems, line, 0, "no memory");
	for (word = words ? strtok_r(words, " \t", &rest) : NULL; word;
	     word = strtok_r(NULL, " \t", &rest))
		add_port_option(&policy, word, line, problems);
	if (ports)
		each_word(ports, add_port, &place);
	free(ports);
	free(words);
}

int policy_make(const struct policy *given, const struct policy *defaults, struct pp_port *policy,
		const char **why)
{
	uint32_t value[POLICY_COUNT] = {[POLICY_GATE] = DEFAULT_GATE_MS, [POLICY_LOOKUP] = 1};
	unsigned int known = given->given | (defaults ? defaults->given : 0);
	int key;

	for (key = 0; key < POLICY_COUNT; key++) {
		if (given->given & 1u << key)
			value[key] = given->value[key];
		else if (known & 1u << key)
			value[key] = defaults->value[key];
	}
	*why = NULL;
	if (value[POLICY_LOCAL] && !value[POLICY_TRANSPARENT])
		*why = "local needs transparent: leave local out, or make the port transparent";
	else if (value[POLICY_TRANSPARENT] && known & 1u << POLICY_SPLIT && !value[POLICY_SPLIT])
		*why = "transparent needs a split: a server that is not told of the header must "
		       "not find it in its stream";
	else if (value[POLICY_TRANSPARENT] && known & 1u << POLICY_ON_BAD &&
		 value[POLICY_ON_BAD] == PP_ON_BAD_TELL)
		*why = "transparent goes with on-bad drop: a server that is not told of the header "
		       "has no use for a bad one";
	else if (!value[POLICY_LOOKUP] && !value[POLICY_TRANSPARENT])
		*why = "lookup no needs transparent: without pp_lookup() or the right names a "
		       "server is told of no client";
	memset(policy, 0, sizeof(*policy));
	policy->gate_ms = value[POLICY_GATE];
	policy->split =
		value[POLICY_SPLIT] || value[POLICY_TRANSPARENT] ? PP_SPLIT_YES : PP_SPLIT_NO;
	policy->on_bad = value[POLICY_TRANSPARENT] ? PP_ON_BAD_DROP : value[POLICY_ON_BAD];
	policy->flags = (value[POLICY_TRANSPARENT] ? PP_PORT_TRANSPARENT : 0) |
			(value[POLICY_LOCAL] ? PP_PORT_LOCAL : 0) |
			(value[POLICY_V1_MIXED] ? PP_PORT_V1_MIXED : 0) |
			(value[POLICY_LOOKUP] ? 0 : PP_PORT_NO_LOOKUP);
	return *why ? -1 : 0;
}

static void set_cgroup(struct reader *reader, const char *value)
{
	section_add_words(&reader->section->cgroups, value, reader->line, "cgroup",
			  reader->problems);
}

static void set_sender(struct reader *reader, const char *value)
{
	section_add_words(&reader->section->senders, value, reader->line, "proxy-cgroup",
			  reader->problems);
}

static void set_interface(struct reader *reader, const char *value)
{
	section_add_words(&reader->section->interfaces, value, reader->line, "interface",
			  reader->problems);
}

static void set_port(struct reader *reader, const char *value)
{
	section_add_ports(reader->section, value, reader->line, reader->problems);
}

static void set_proxy(struct reader *reader, const char *value)
{
	section_add_proxies(reader->section, value, reader->line, reader->problems);
}

static void set_connections(struct reader *reader, const char *value)
{
	char why[WHY_MAX];

	if (reader->section->connections_line) {
		problem_add(reader->problems, reader->line, 0,
			    "connections is in line %u already: remove one of them",
			    reader->section->connections_line);
		return;
	}
	reader->section->connections_line = reader->line;
	if (connections_parse(value, &reader->section->connections, why))
		problem_add(reader->problems, reader->line, 0, "connections: %s", why);
}

static const struct key {
	const char *name;
	void (*set)(struct reader *reader, const char *value); /* NULL: of the policy */
	enum policy_key policy;
} keys[] = {
	{"cgroup", set_cgroup, 0},
	{"port", set_port, 0},
	{"proxy", set_proxy, 0},
	{"proxy-cgroup", set_sender, 0},
	{"interface", set_interface, 0},
	{"connections", set_connections, 0},
	{"transparent", NULL, POLICY_TRANSPARENT},
	{"split", NULL, POLICY_SPLIT},
	{"local", NULL, POLICY_LOCAL},
	{"gate", NULL, POLICY_GATE},
	{"on-bad", NULL, POLICY_ON_BAD},
	{"v1-mixed", NULL, POLICY_V1_MIXED},
	{"lookup", NULL, POLICY_LOOKUP},
};

/* [serve NAME] */
static void begin_section(struct reader *reader, char *title)
{
	static const char *const words[] = {SECTION_WORD};
	char suggestion[SUGGESTION_MAX], *name = title + strcspn(title, " \t");
	struct section *grown;
	size_t i;

	reader->in_section = 1;
	reader->section = NULL;
	if (*name)
		*name++ = 0;
	name += strspn(name, " \t");
	if (strcmp(title, SECTION_WORD)) {
		problem_add(reader->problems, reader->line, 0,
			    "there is no section [%s]%s: it is [" SECTION_WORD " NAME]", title,
			    name_suggestion(suggestion, "", NAME_NEAREST(title, words)));
		return;
	}
	if (!is_set_name(name)) {
		problem_add(reader->problems, reader->line, 0,
			    "'%s' is no name for a set: up to %d letters, digits, - and _, and not "
			    "maps, links, progs or pp_...",
			    name, SET_NAME_MAX);
		return;
	}
	for (i = 0; i < reader->config->count; i++) {
		if (!strcmp(reader->config->sections[i].name, name)) {
			problem_add(reader->problems, reader->line, 0,
				    "[" SECTION_WORD " %s] begins in line %u already: put both "
				    "together, or choose another name",
				    name, reader->config->sections[i].line);
			return;
		}
	}
	grown = array_grow(reader->config->sections, reader->config->count, 1, sizeof(*grown));
	if (!grown) {
		problem_add(reader->problems, reader->line, 0, "no memory");
		return;
	}
	reader->config->sections = grown;
	reader->section = &grown[reader->config->count++];
	memset(reader->section, 0, sizeof(*reader->section));
	snprintf(reader->section->name, sizeof(reader->section->name), "%s", name);
	reader->section->line = reader->line;
}

/* What libinih calls for KEY = VALUE. */
static int take_key(void *context, const char *section, const char *name, const char *value)
{
	struct reader *reader = context;
	char suggestion[SUGGESTION_MAX];
	int key = NAME_FIND(name, keys);

	(void)section; /* reader->section is, with the line in which it begins */
	if (key < 0)
		problem_add(reader->problems, reader->line, 0, "there is no key '%s'%s", name,
			    name_suggestion(suggestion, "", NAME_NEAREST(name, keys)));
	else if (!reader->in_section)
		problem_add(reader->problems, reader->line, 0,
			    "%s stands before the first section: begin one with [" SECTION_WORD
			    " NAME]",
			    name);
	else if (!value[0])
		problem_add(reader->problems, reader->line, 0, "%s has no value", name);
	else if (!reader->section)
		return 1; /* said with its section */
	else if (keys[key].set)
		keys[key].set(reader, value);
	else
		policy_set(&reader->section->policy, keys[key].policy, value, reader->line,
			   reader->problems);
	return 1;
}

/* Cuts a comment, and the blanks at both ends. */
static char *bare_line(char *line)
{
	size_t i, len;

	for (i = 0; line[i]; i++) {
		if ((line[i] == '#' || line[i] == ';') &&
		    (!i || line[i - 1] == ' ' || line[i - 1] == '\t')) {
			line[i] = 0;
			break;
		}
	}
	line += strspn(line, " \t");
	len = strlen(line);
	while (len && strchr(" \t\r", line[len - 1]))
		line[--len] = 0;
	return line;
}

/* Does libinih see what is there? Says what it does not. */
static int is_sound(struct reader *reader, char *line)
{
	char title[LINE_LEN_MAX + 1], *end;
	size_t i, len = strlen(line);

	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' && line[i] != '\t') {
			problem_add(reader->problems, reader->line, 0,
				    "a control character (%u): is this a text file?",
				    (unsigned char)line[i]);
			return 0;
		}
	}
	if (len > LINE_LEN_MAX) {
		problem_add(reader->problems, reader->line, 0,
			    "a line of more than %d characters: repeat the key on another one",
			    LINE_LEN_MAX);
		return 0;
	}
	if (line[0] != '[') {
		len = strcspn(line, "=:");
		if (line[len] == '=' && len && len <= NAME_LEN_MAX)
			return 1;
		problem_add(reader->problems, reader->line, 0,
			    "'%.*s' is neither [" SECTION_WORD " NAME] nor KEY = VALUE",
			    NAME_LEN_MAX, line);
		return 0;
	}
	end = strchr(line, ']');
	if (!end || end[1]) {
		problem_add(reader->problems, reader->line, 0,
			    "a section is a line of its own: [" SECTION_WORD " NAME]");
		reader->in_section = 1;
		reader->section = NULL;
		return 0;
	}
	snprintf(title, sizeof(title), "%.*s", (int)(end - line - 1), line + 1);
	begin_section(reader, bare_line(title));
	return 0; /* libinih would cut a long one */
}

/* One line at a time, as fgets() has it. */
static char *next_line(char *buf, int size, void *context)
{
	struct reader *reader = context;
	char line[4096], *bare;
	const char *end;
	size_t len;

	if (reader->at == reader->end)
		return NULL;
	end = memchr(reader->at, '\n', reader->end - reader->at);
	len = (end ? end : reader->end) - reader->at;
	reader->line++;
	snprintf(line, sizeof(line), "%.*s", len < sizeof(line) ? (int)len : (int)sizeof(line) - 1,
		 reader->at);
	if (reader->line == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		memmove(line, line + 3, strlen(line + 3) + 1);
	reader->at = end ? end + 1 : reader->end;
	bare = bare_line(line);
	/* an empty line, where there is nothing for libinih */
	snprintf(buf, size, "%s\n", bare[0] && is_sound(reader, bare) ? bare : "");
	return buf;
}

/* What the lines say together. */
static void finish_section(struct section *section, struct problems *problems)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *why;
	int split = 0;
	size_t i;

	for (i = 0; i < section->port_count; i++) {
		if (policy_make(&section->ports[i].own, &section->policy, &section->ports[i].policy,
				&why))
			problem_add(problems, section->ports[i].line, 0, "port %s: %s",
				    port_text(&section->ports[i].key, text), why);
		split |= section->ports[i].policy.split != PP_SPLIT_NO;
	}
	if (!section->cgroups.count)
		problem_add(problems, section->line, 0,
			    "[" SECTION_WORD " %s] has no cgroup: name the mail server's",
			    section->name);
	if (!section->port_count)
		problem_add(problems, section->line, 0,
			    "[" SECTION_WORD " %s] has no port: nothing would be served",
			    section->name);
	if (!section->proxy_count && !section->senders.count)
		problem_add(problems, section->line, 1,
			    "[" SECTION_WORD " %s] has neither proxy nor proxy-cgroup: nobody is "
			    "believed",
			    section->name);
	for (i = 0; i < section->interfaces.count; i++) {
		if (strlen(section->interfaces.word[i].text) > INTERFACE_MAX)
			problem_add(problems, section->interfaces.word[i].line, 0,
				    "interface %s: a name has %d characters at most",
				    section->interfaces.word[i].text, INTERFACE_MAX);
	}
	if (section->interfaces.count && !split)
		problem_add(problems, section->interfaces.word[0].line, 0,
			    "interface is for ports with a split: split = yes, or transparent = "
			    "yes");
}

/* A path as the file has it, below where cgroup2 is mounted. */
static const char *below_mount(const char *path)
{
	static const char usual[] = "/sys/fs/cgroup/";

	if (!strncmp(path, usual, strlen(usual)))
		return path + strlen(usual);
	return path;
}

static void check_cgroup(const struct section *section, const struct word *word, const char *key,
			 struct problems *problems)
{
	const char *path = below_mount(word->text);

	if (!strcmp(path, ".") || !strcmp(path, "/") || !strcmp(word->text, "/sys/fs/cgroup"))
		problem_add(problems, word->line, 0,
			    "%s %s is the root cgroup, every socket of the machine: name the %s",
			    key, word->text, strcmp(key, "cgroup") ? "proxy's" : "mail server's");
	else if (!strncmp(path, "../", 3) || strstr(path, "/../") || strstr(path, "/./"))
		problem_add(problems, word->line, 0, "%s %s: name it without . and ..", key,
			    word->text);
	else if (strlen(path) > CGROUP_NAME_MAX)
		problem_add(problems, word->line, 0, "[%s] %s: too long a name", section->name,
			    key);
}

/* The kernel would call the programs of both sets for one packet. */
static void check_overlap(const struct section *section, const struct word *word,
			  const struct section *other, const struct word *there,
			  struct problems *problems)
{
	const char *path = below_mount(word->text), *other_path = below_mount(there->text);
	char where[SET_NAME_MAX + 64];

	if (section == other)
		snprintf(where, sizeof(where), "line %u", there->line);
	else
		snprintf(where, sizeof(where), "[" SECTION_WORD " %s], line %u", other->name,
			 there->line);
	if (!strcmp(path, other_path))
		problem_add(problems, word->line, 0,
			    "cgroup %s is in %s already: a cgroup belongs to one section",
			    word->text, where);
	else if (cgroup_contains(other_path, path) || cgroup_contains(path, other_path))
		problem_add(problems, word->line, 0,
			    "cgroup %s and %s of %s are one inside of the other: name one of them",
			    word->text, there->text, where);
}

/* Each cgroup with those before it. */
static void check_cgroups(const struct config *config, struct problems *problems)
{
	const struct section *section, *other;
	size_t s, i, o, k;

	for (s = 0; s < config->count; s++) {
		section = &config->sections[s];
		for (i = 0; i < section->senders.count; i++)
			check_cgroup(section, &section->senders.word[i], "proxy-cgroup", problems);
		for (i = 0; i < section->cgroups.count; i++) {
			check_cgroup(section, &section->cgroups.word[i], "cgroup", problems);
			for (o = 0; o <= s; o++) {
				other = &config->sections[o];
				for (k = 0; k < other->cgroups.count && (o < s || k < i); k++)
					check_overlap(section, &section->cgroups.word[i], other,
						      &other->cgroups.word[k], problems);
			}
		}
	}
}

static int check_text(const char *text, size_t len, struct problems *problems)
{
	const char *zero = memchr(text, 0, len), *at;
	unsigned int line = 1;

	if (!zero)
		return 0;
	for (at = text; at < zero; at++)
		line += *at == '\n';
	problem_add(problems, line, 0, "a byte that is 0: is this a text file?");
	return -1;
}

void config_parse(struct config *config, const char *text, size_t len, struct problems *problems)
{
	struct reader reader = {
		.at = text, .end = text + len, .config = config, .problems = problems};
	size_t i;

	memset(config, 0, sizeof(*config));
	if (check_text(text, len, problems)) /* nothing else of it is worth a line */
		return;
	ini_parse_stream(next_line, &reader, take_key, &reader);
	for (i = 0; i < config->count; i++)
		finish_section(&config->sections[i], problems);
	check_cgroups(config, problems);
	if (!config->count && !problems->errors)
		problem_add(problems, 0, 1,
			    "there is no section [" SECTION_WORD " NAME]: nothing is served");
	problems_sort(problems);
}
