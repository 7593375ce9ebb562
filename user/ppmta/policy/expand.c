// SPDX-License-Identifier: BSD-2-Clause
/*
 * String expansion, in Exim's syntax: $name, ${name}, ${if ...}, ${lc:...}. Reads from left to
 * right; the branch that a condition does not choose is read, but not evaluated.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../common/name.h"
#include "policy.h"

#define DEPTH_MAX 50

static void expand_into(struct expansion *expansion, struct text *text, int stop);

int failed(struct evaluation *eval, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (!eval->error) /* the first one says it */
		eval->error = pool_string(eval->pool, message);
	return -1;
}

bool evaluation_deeper(struct evaluation *eval)
{
	if (++eval->depth > DEPTH_MAX)
		failed(eval, "nested too deeply");
	return eval->depth <= DEPTH_MAX;
}

int expand_fail(struct expansion *expansion, const char *what)
{
	return failed(expansion->eval, "%s before '%.20s'", what, expansion->at);
}

/* The next character that is no blank. */
static char next(struct expansion *expansion)
{
	expansion->at += strspn(expansion->at, " \t\n");
	return *expansion->at;
}

bool expand_skip(struct expansion *expansion, char c)
{
	if (next(expansion) != c)
		return false;
	expansion->at++;
	return true;
}

char *expand_name(struct expansion *expansion)
{
	const char *start = expansion->at;

	while (isalnum((unsigned char)*expansion->at) || *expansion->at == '_')
		expansion->at++;
	return pool_copy(expansion->eval->pool, start, expansion->at - start);
}

char *expand_variable(struct expansion *expansion, const char *name)
{
	struct evaluation *eval = expansion->eval;
	char *value = "";

	expansion->varies = true;
	if (!variable_exists(name))
		failed(eval, "%s",
		       unknown_name(eval->pool, "variable", "$", name, variable_nearest(name)));
	else if (evaluates(expansion))
		value = variable_get(eval->session, name);
	if (!value)
		failed(eval, "$%s: the TLVs of this header could not be read", name);
	return eval->error ? NULL : value;
}

static void add_variable(struct expansion *expansion, struct text *text, const char *name)
{
	char *value = expand_variable(expansion, name);

	if (value)
		text_add_string(text, value);
}

/* Reads up to @stop, '}' or 0, which stays. */
static char *expand_until(struct expansion *expansion, int stop)
{
	struct text text = {.pool = expansion->eval->pool};

	expand_into(expansion, &text, stop);
	return expansion->eval->error ? NULL : text_get(&text);
}

char *expand_braced(struct expansion *expansion, bool *constant)
{
	bool varied = expansion->varies;
	char *value;

	expansion->varies = false;
	if (!expand_skip(expansion, '{'))
		expand_fail(expansion, "'{' is missing");
	value = expand_until(expansion, '}');
	if (value && !expand_skip(expansion, '}'))
		expand_fail(expansion, "'}' is missing");
	if (constant)
		*constant = !expansion->varies;
	expansion->varies |= varied;
	return expansion->eval->error ? NULL : value;
}

/* {...}, which is added if it is the one that is @chosen. */
static void add_choice(struct expansion *expansion, struct text *text, bool chosen)
{
	int skip = expansion->skip;
	char *value;

	expansion->skip = skip || !chosen;
	value = expand_braced(expansion, NULL);
	if (value && !expansion->skip)
		text_add_string(text, value);
	expansion->skip = skip;
}

/* ${if CONDITION {yes}{no}}, where {no} may be left out, or both, which stands for {true}. What a
 * condition captures is known in its own strings only. */
static void expand_if(struct expansion *expansion, struct text *text)
{
	struct session *session = expansion->eval->session;
	char *captured[CAPTURED_MAX];
	int yes;

	if (session)
		memcpy(captured, session->captured, sizeof(captured));
	yes = condition_test(expansion);
	if (yes >= 0 && next(expansion) == '{')
		add_choice(expansion, text, yes);
	else if (yes > 0 && !expansion->skip)
		text_add_string(text, "true");
	if (!expansion->eval->error && next(expansion) == '{')
		add_choice(expansion, text, !yes);
	if (!strncmp(expansion->at, "fail", 4))
		failed(expansion->eval, "fail is not supported: write the text in braces");
	if (session)
		memcpy(session->captured, captured, sizeof(captured));
}

/* ${lc:STRING}, ${uc:STRING} */
static void expand_operator(struct expansion *expansion, struct text *text, int (*change)(int))
{
	char *value = expand_until(expansion, '}'), *at;

	for (at = value; at && *at; at++)
		*at = change((unsigned char)*at);
	if (value)
		text_add_string(text, value);
}

/* Reads the text after "${", up to its "}". */
static void expand_item(struct expansion *expansion, struct text *text)
{
	static const char *const items[] = {"if", "lc", "uc"};
	struct evaluation *eval = expansion->eval;
	char *name = expand_name(expansion);
	bool has_colon = *expansion->at == ':';

	expansion->at += has_colon;
	if (*expansion->at == '}' && *name && !has_colon)
		add_variable(expansion, text, name);
	else if (!strcmp(name, "if") && !has_colon)
		expand_if(expansion, text);
	else if (!strcmp(name, "lc") && has_colon)
		expand_operator(expansion, text, tolower);
	else if (!strcmp(name, "uc") && has_colon)
		expand_operator(expansion, text, toupper);
	else
		failed(eval, "%s",
		       unknown_name(eval->pool, "expansion item", "${", name,
				    NAME_NEAREST(name, items)));
	if (!eval->error && !expand_skip(expansion, '}'))
		expand_fail(expansion, "'}' is missing");
}

/* Reads the character after a backslash; \N...\N is as it stands. */
static void add_escape(struct expansion *expansion, struct text *text)
{
	const char *end;
	char c;

	if (*expansion->at == 'N') {
		end = strstr(expansion->at + 1, "\\N");
		if (!end)
			end = expansion->at + strlen(expansion->at);
		text_add(text, expansion->at + 1, end - expansion->at - 1);
		expansion->at = *end ? end + 2 : end;
		return;
	}
	if (!*expansion->at) {
		failed(expansion->eval, "nothing follows the backslash at the end");
		return;
	}
	c = text_escape(&expansion->at);
	text_add(text, &c, 1);
	if (!c)
		failed(expansion->eval, "no string may hold the character 0");
}

/* Reads what follows a dollar; $1x is $1 and an x. */
static void add_dollar(struct expansion *expansion, struct text *text)
{
	size_t digits = strspn(expansion->at, "0123456789");

	if (digits) {
		add_variable(expansion, text,
			     pool_copy(expansion->eval->pool, expansion->at, digits));
		expansion->at += digits;
	} else if (*expansion->at == '{') {
		expansion->at++;
		expand_item(expansion, text);
	} else if (isalpha((unsigned char)*expansion->at) || *expansion->at == '_') {
		add_variable(expansion, text, expand_name(expansion));
	} else {
		failed(expansion->eval, "'$' is not followed by a name or '{' (a dollar is \\$)");
	}
}

static void expand_into(struct expansion *expansion, struct text *text, int stop)
{
	evaluation_deeper(expansion->eval);
	while (*expansion->at && *expansion->at != stop && !expansion->eval->error) {
		char c = *expansion->at++;

		if (c == '\\')
			add_escape(expansion, text);
		else if (c == '$')
			add_dollar(expansion, text);
		else
			text_add(text, &c, 1);
	}
	expansion->eval->depth--;
}

char *expand(struct evaluation *eval, const char *string)
{
	struct expansion expansion = {.eval = eval, .at = string};
	char *value = expand_until(&expansion, 0);

	if (!value)
		eval->error = pool_printf(eval->pool, "%s in \"%s\"", eval->error, string);
	return eval->session || !expansion.varies ? value : NULL;
}
