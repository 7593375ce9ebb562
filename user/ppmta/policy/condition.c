// SPDX-License-Identifier: BSD-2-Clause
/*
 * The conditions of ${if ...}.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/name.h"
#include "policy.h"

int truth(struct evaluation *eval, const char *text)
{
	const char *digits = text + strspn(text, "-0123456789");

	if (!*text || !strcasecmp(text, "no") || !strcasecmp(text, "false"))
		return 0;
	if (!strcasecmp(text, "yes") || !strcasecmp(text, "true"))
		return 1;
	return *digits ? failed(eval, "'%s' is neither true nor false", text)
		       : strtol(text, NULL, 10) != 0;
}

/* Of bool_lax, which is not @strict, whatever is not empty, "0", "no" or "false" is true. */
static int test_bool(struct expansion *expansion, int strict)
{
	bool constant;
	char *value = expand_braced(expansion, &constant);

	if (!value || (!constant && !evaluates(expansion)))
		return value ? 0 : -1;
	value = string_trim(value);
	if (strict)
		return truth(expansion->eval, value);
	return *value && strcmp(value, "0") && strcasecmp(value, "no") &&
	       strcasecmp(value, "false");
}

/* Is case the same, too? */
static int test_equal(struct expansion *expansion, int with_case)
{
	char *left = expand_braced(expansion, NULL);
	char *right = left ? expand_braced(expansion, NULL) : NULL;

	if (!right)
		return -1;
	return !(with_case ? strcmp(left, right) : strcasecmp(left, right));
}

#define IS_REGEX (-1)

/* {subject}{list}, {subject}{regular expression}; one that does not vary is checked at once. */
static int test_match(struct expansion *expansion, int kind)
{
	struct evaluation *eval = expansion->eval;
	bool constant;
	char *subject = expand_braced(expansion, NULL);
	char *pattern = subject ? expand_braced(expansion, &constant) : NULL;

	if (!pattern)
		return -1;
	if (eval->session ? expansion->skip : !constant)
		return 0;
	return kind == IS_REGEX ? regex_match(eval, subject, pattern, false)
				: list_match(eval, kind, subject, pattern);
}

/* def:NAME */
static int test_def(struct expansion *expansion, int unused)
{
	char *value;

	(void)unused;
	if (*expansion->at != ':' || strspn(expansion->at + 1, "0123456789"))
		return expand_fail(expansion, "def: needs ':' and a variable's name");
	expansion->at++;
	value = expand_variable(expansion, expand_name(expansion));
	return value ? *value != 0 : -1;
}

/* and{{..}{..}}, or{{..}{..}} */
static int test_all(struct expansion *expansion, int is_and)
{
	int skip = expansion->skip, result = is_and, one;

	if (!expand_skip(expansion, '{'))
		return expand_fail(expansion, "'{' is missing after and, or");
	while (!expand_skip(expansion, '}')) {
		if (!expand_skip(expansion, '{'))
			return expand_fail(expansion, "each condition inside and, or needs braces");
		one = condition_test(expansion);
		if (one < 0)
			return -1;
		if (!expand_skip(expansion, '}'))
			return expand_fail(expansion, "'}' is missing");
		if (!expansion->skip && one != is_and) { /* decided: the rest is only read */
			result = one;
			expansion->skip = 1;
		}
	}
	expansion->skip = skip;
	return result;
}

static const struct condition {
	const char *name;
	int (*test)(struct expansion *expansion, int argument);
	int argument;
} conditions[] = {
	{"and", test_all, true},
	{"bool", test_bool, true},
	{"bool_lax", test_bool, false},
	{"def", test_def, 0},
	{"eq", test_equal, true},
	{"eqi", test_equal, false},
	{"match", test_match, IS_REGEX},
	{"match_domain", test_match, LIST_DOMAINS},
	{"match_ip", test_match, LIST_HOSTS},
	{"or", test_all, false},
};

int condition_test(struct expansion *expansion)
{
	struct evaluation *eval = expansion->eval;
	int negated = 0, condition, result;
	char *name;

	while (expand_skip(expansion, '!'))
		negated = !negated;
	if (*expansion->at && strchr("<>=", *expansion->at))
		return expand_fail(expansion, "numbers are not compared,");
	name = expand_name(expansion);
	condition = NAME_FIND(name, conditions);
	if (condition < 0)
		return failed(eval, "%s",
			      unknown_name(eval->pool, "condition", "", name,
					   NAME_NEAREST(name, conditions)));
	result = -1;
	if (evaluation_deeper(eval))
		result = conditions[condition].test(expansion, conditions[condition].argument);
	eval->depth--;
	return eval->error || result < 0 ? -1 : result ^ negated;
}
