// SPDX-License-Identifier: BSD-2-Clause
/*
 * String expansion, in Exim's syntax: $name, ${name}, ${if ...}, ${lc:...}, ${lookup ...}. Reads
 * from left to right; the branch that a condition does not choose is read, but not evaluated.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "policy.h"

#define DEPTH_MAX 50

static const char *const items[] = {"if",     "lookup",	    "pp_tlv", "lc",  "uc",
				    "domain", "local_part", "strlen", "run", "def"};

static void expand_into(struct expansion *expansion, struct text *text, int stop);

char *expand_fail(struct expansion *expansion, const char *format, ...)
{
	char message[512];
	va_list arguments;

	if (expansion->error) /* the first one says it */
		return NULL;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	expansion->error = pool_string(expansion->pool, message);
	return NULL;
}

void expand_space(struct expansion *expansion)
{
	expansion->at += strspn(expansion->at, " \t\n");
}

static int is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static char *read_name(struct expansion *expansion)
{
	const char *start = expansion->at;

	while (is_name(*expansion->at))
		expansion->at++;
	return pool_copy(expansion->pool, start, expansion->at - start);
}

static void unknown_variable(struct expansion *expansion, const char *name)
{
	char hint[SUGGESTION_MAX];

	expand_fail(expansion, "unknown variable '$%s'%s", name,
		    name_suggestion(hint, "$", variable_nearest(name)));
}

static void add_variable(struct expansion *expansion, struct text *text, const char *name)
{
	char *value;

	expansion->varies = true;
	if (!variable_exists(name)) {
		unknown_variable(expansion, name);
		return;
	}
	if (expansion->skip || !expansion->session)
		return;
	value = variable_get(expansion->session, name);
	if (value)
		text_add_string(text, value);
	else
		expand_fail(expansion, "$%s: the TLVs of this header could not be read", name);
}

/* Reads up to @stop, '}' or 0, which stays. */
static char *expand_until(struct expansion *expansion, int stop)
{
	struct text text = {.pool = expansion->pool};

	expand_into(expansion, &text, stop);
	return expansion->error ? NULL : text_get(&text);
}

char *expand_braced(struct expansion *expansion)
{
	char *value;

	expand_space(expansion);
	if (*expansion->at != '{')
		return expand_fail(expansion, "'{' is missing before '%.20s'", expansion->at);
	expansion->at++;
	value = expand_until(expansion, '}');
	if (!value)
		return NULL;
	if (*expansion->at != '}')
		return expand_fail(expansion, "'}' is missing at the end");
	expansion->at++;
	return value;
}

char *expand_constant(struct expansion *expansion, bool *constant)
{
	bool varied = expansion->varies;
	char *value;

	expansion->varies = false;
	value = expand_braced(expansion);
	*constant = value && !expansion->varies;
	expansion->varies |= varied;
	return value;
}

/* Reads {yes}{no}, each of which may be left out, and adds the one that @yes chooses; @without:
 * what stands for {yes}. */
static void choose(struct expansion *expansion, struct text *text, int yes, const char *without)
{
	int skip = expansion->skip;
	char *value;

	expand_space(expansion);
	if (*expansion->at != '{') {
		if (yes && !skip)
			text_add_string(text, without);
		return;
	}
	expansion->skip = skip || !yes;
	value = expand_braced(expansion);
	if (value && yes && !skip)
		text_add_string(text, value);
	expand_space(expansion);
	expansion->skip = skip || yes;
	if (!expansion->error && *expansion->at == '{') {
		value = expand_braced(expansion);
		if (value && !yes && !skip)
			text_add_string(text, value);
	}
	if (!expansion->error && !strncmp(expansion->at, "fail", 4))
		expand_fail(expansion, "fail is not supported: write the text in braces");
	expansion->skip = skip;
}

/* What a condition captures is known in its own strings only. */
static void expand_if(struct expansion *expansion, struct text *text)
{
	char *captured[CAPTURED_MAX];
	int yes;

	if (expansion->session)
		memcpy(captured, expansion->session->captured, sizeof(captured));
	yes = condition_test(expansion);
	if (yes >= 0)
		choose(expansion, text, yes, "true");
	if (expansion->session)
		memcpy(expansion->session->captured, captured, sizeof(captured));
}

/* ${lookup{key}lsearch{file}{yes}{no}} */
static void expand_lookup(struct expansion *expansion, struct text *text)
{
	char *key = expand_braced(expansion), *type, *file, *found = NULL, *before, *error = NULL;
	bool constant;
	size_t len;

	if (!key)
		return;
	expand_space(expansion);
	len = strcspn(expansion->at, "{ \t\n");
	type = pool_copy(expansion->pool, expansion->at, len);
	expansion->at += len;
	if (strcmp(type, "lsearch")) {
		expand_fail(expansion, "lookup type '%s' is not supported: lsearch is", type);
		return;
	}
	file = expand_constant(expansion, &constant);
	if (!file)
		return;
	if (constant && *file != '/') {
		expand_fail(expansion, "lsearch: '%s' does not begin with /", file);
		return;
	}
	expansion->varies = true;
	if (!expansion->skip && expansion->session)
		found = list_lsearch(expansion->pool, file, key, &error);
	if (error) {
		expand_fail(expansion, "%s", error);
		return;
	}
	if (!expansion->session) {
		choose(expansion, text, 1, "");
		return;
	}
	before = expansion->session->lookup_value;
	expansion->session->lookup_value = found;
	choose(expansion, text, found != NULL, found ? found : "");
	expansion->session->lookup_value = before;
}

static void add_bytes(struct text *text, const uint8_t *bytes, size_t len)
{
	char escaped[5];
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\') {
			text_add(text, (const char *)bytes + i, 1);
		} else {
			snprintf(escaped, sizeof(escaped), "\\x%02x", bytes[i]);
			text_add_string(text, escaped);
		}
	}
}

/* ${pp_tlv:0xNN}: a TLV's value; bytes that are no text as \xNN */
static void expand_tlv(struct expansion *expansion, struct text *text)
{
	const uint8_t *value;
	uint64_t number;
	const char *at;
	char *type;
	size_t len;

	type = expand_until(expansion, '}');
	if (!type)
		return;
	at = type;
	if (number_read(&at, 0, &number) || *at || number > 255) {
		expand_fail(expansion, "pp_tlv: '%s' is not a TLV type: 0x00 to 0xff", type);
		return;
	}
	expansion->varies = true;
	if (expansion->skip || !expansion->session)
		return;
	if (origin_tlvs_lost(expansion->session)) {
		expand_fail(expansion, "pp_tlv: the TLVs of this header could not be read");
		return;
	}
	value = origin_tlv(expansion->session, number, &len);
	if (value)
		add_bytes(text, value, len);
}

static void change_case(char *string, int (*change)(int))
{
	for (; *string; string++)
		*string = change((unsigned char)*string);
}

/* Where the domain of @value begins, which may be of the form "Name <local@domain>"; NULL: what
 * it has is no mailbox. Cuts @value to the mailbox. */
static char *cut_to_mailbox(char **value)
{
	char *open = strchr(*value, '<'), *at;

	if (open) {
		*value = open + 1;
		open[strcspn(open, ">")] = 0;
	}
	at = strrchr(*value, '@');
	if (at && **value != '"' && memchr(*value, '@', at - *value))
		*value = at = "";
	return at;
}

/* ${NAME:STRING} */
static void expand_operator(struct expansion *expansion, struct text *text, const char *name)
{
	char *value = expand_until(expansion, '}'), number[32], *at;

	if (!value)
		return;
	if (!strcmp(name, "lc")) {
		change_case(value, tolower);
		text_add_string(text, value);
	} else if (!strcmp(name, "uc")) {
		change_case(value, toupper);
		text_add_string(text, value);
	} else if (!strcmp(name, "domain")) {
		at = cut_to_mailbox(&value);
		text_add_string(text, at && *at ? at + 1 : "");
	} else if (!strcmp(name, "local_part")) {
		at = cut_to_mailbox(&value);
		text_add(text, value, at ? (size_t)(at - value) : strlen(value));
	} else {
		snprintf(number, sizeof(number), "%zu", strlen(value));
		text_add_string(text, number);
	}
}

static int is_operator(const char *name)
{
	static const char *const operators[] = {"lc", "uc", "domain", "local_part", "strlen"};

	return NAME_FIND(name, operators) >= 0;
}

static void unknown_item(struct expansion *expansion, const char *name)
{
	const char *near = NAME_NEAREST(name, items);
	char hint[SUGGESTION_MAX];

	if (!strcmp(name, "run") || !strcmp(name, "perl") || !strcmp(name, "readsocket")) {
		expand_fail(expansion, "${%s is not supported: it would run programs", name);
		return;
	}
	if (near && !strcmp(near, "run"))
		near = NULL;
	expand_fail(expansion, "unknown expansion item '${%s'%s", name,
		    name_suggestion(hint, "${", near));
}

/* Reads the text after "${", up to its "}". */
static void expand_item(struct expansion *expansion, struct text *text)
{
	char *name = read_name(expansion);

	if (*expansion->at == '}' && *name) {
		add_variable(expansion, text, name);
	} else if (!strcmp(name, "if")) {
		expand_if(expansion, text);
	} else if (!strcmp(name, "lookup")) {
		expand_lookup(expansion, text);
	} else if (*expansion->at == ':' && !strcmp(name, "pp_tlv")) {
		expansion->at++;
		expand_tlv(expansion, text);
	} else if (*expansion->at == ':' && is_operator(name)) {
		expansion->at++;
		expand_operator(expansion, text, name);
	} else {
		unknown_item(expansion, name);
	}
	if (expansion->error)
		return;
	expand_space(expansion);
	if (*expansion->at != '}') {
		expand_fail(expansion, "'}' is missing before '%.20s'", expansion->at);
		return;
	}
	expansion->at++;
}

/* Reads the character after a backslash. */
static void add_escape(struct expansion *expansion, struct text *text)
{
	const char *end;
	char c = *expansion->at;

	if (c == 'N') { /* \N...\N: as it is */
		end = strstr(expansion->at + 1, "\\N");
		if (!end)
			end = expansion->at + strlen(expansion->at);
		text_add(text, expansion->at + 1, end - expansion->at - 1);
		expansion->at = *end ? end + 2 : end;
		return;
	}
	if (!c) {
		expand_fail(expansion, "nothing follows the backslash at the end");
		return;
	}
	c = text_escape(&expansion->at);
	if (c)
		text_add(text, &c, 1);
	else
		expand_fail(expansion, "no string may hold the character 0");
}

static void expand_into(struct expansion *expansion, struct text *text, int stop)
{
	const char *name;
	size_t len;

	if (++expansion->depth > DEPTH_MAX)
		expand_fail(expansion, "nested too deeply");
	while (*expansion->at && *expansion->at != stop && !expansion->error) {
		if (*expansion->at == '\\') {
			expansion->at++;
			add_escape(expansion, text);
		} else if (*expansion->at != '$') {
			text_add(text, expansion->at++, 1);
		} else if (expansion->at[1] == '{') {
			expansion->at += 2;
			expand_item(expansion, text);
		} else if (is_name(expansion->at[1])) {
			expansion->at++;
			len = strspn(expansion->at, "0123456789"); /* $1x is $1 and an x */
			name = len ? pool_copy(expansion->pool, expansion->at, len)
				   : read_name(expansion);
			expansion->at += len;
			add_variable(expansion, text, name);
		} else {
			expand_fail(expansion, "'$' is not followed by a name or '{' (a dollar is "
					       "\\$)");
		}
	}
	expansion->depth--;
}

char *expand(struct session *session, const char *string, char **error)
{
	struct expansion expansion = {.session = session,
				      .config = session->config,
				      .pool = &session->pool,
				      .at = string};
	char *value = expand_until(&expansion, 0);

	if (expansion.error)
		*error = pool_printf(&session->pool, "%s in \"%s\"", expansion.error, string);
	debug("expanding \"%s\": %s", string, value ? value : expansion.error);
	return value;
}

char *expand_check(struct config *config, const char *string, struct pool *pool, char **constant)
{
	struct expansion expansion = {.config = config, .pool = pool, .at = string};
	char *value = expand_until(&expansion, 0);

	*constant = expansion.varies ? NULL : value;
	return expansion.error ? pool_printf(pool, "%s in \"%s\"", expansion.error, string) : NULL;
}
