// SPDX-License-Identifier: BSD-2-Clause
/*
 * The conditions of ${if ...}.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../../common/endpoint.h"
#include "../../common/name.h"
#include "../../common/number.h"
#include "policy.h"

int truth(const char *text)
{
	const char *digits = text + strspn(text, "-0123456789");

	if (!*text || !strcasecmp(text, "no") || !strcasecmp(text, "false"))
		return 0;
	if (!strcasecmp(text, "yes") || !strcasecmp(text, "true"))
		return 1;
	return *digits ? -1 : strtol(text, NULL, 10) != 0;
}

static int evaluates(const struct expansion *expansion)
{
	return expansion->session && !expansion->skip;
}

static int both(struct expansion *expansion, char **left, char **right)
{
	*left = expand_braced(expansion);
	*right = *left ? expand_braced(expansion) : NULL;
	return *right ? 0 : -1;
}

/* Of bool_lax, which is not @strict, whatever is not empty, "0", "no" or "false" is true. */
static int test_bool(struct expansion *expansion, int strict)
{
	bool constant;
	char *value = expand_constant(expansion, &constant);
	int is;

	if (!value || (!constant && !evaluates(expansion)))
		return value ? 0 : -1;
	value = string_trim(value);
	if (!strict)
		return *value && strcmp(value, "0") && strcasecmp(value, "no") &&
		       strcasecmp(value, "false");
	is = truth(value);
	if (is < 0)
		expand_fail(expansion, "bool: '%s' is neither true nor false", value);
	return is;
}

/* Is case the same, too? */
static int test_equal(struct expansion *expansion, int with_case)
{
	char *left, *right;

	if (both(expansion, &left, &right))
		return -1;
	return !(with_case ? strcmp(left, right) : strcasecmp(left, right));
}

/* {subject}{pattern}; a pattern that does not vary is checked by @check at once. Return: 1 to go
 * on, 0 or -1 to return. */
static int subject_and_pattern(struct expansion *expansion, char **subject, char **pattern,
			       char *(*check)(struct config *, const char *, struct pool *))
{
	bool constant;
	char *wrong;

	*subject = expand_braced(expansion);
	*pattern = *subject ? expand_constant(expansion, &constant) : NULL;
	if (!*pattern)
		return -1;
	wrong = constant && !expansion->session
			? check(expansion->config, *pattern, expansion->pool)
			: NULL;
	if (wrong)
		expand_fail(expansion, "%s", wrong);
	return wrong ? -1 : evaluates(expansion);
}

static char *check_regex(struct config *config, const char *pattern, struct pool *pool)
{
	(void)config;
	return regex_check(pattern, pool);
}

static char *check_ips(struct config *config, const char *list, struct pool *pool)
{
	return list_check(config, LIST_IPS, list, pool);
}

static char *check_domains(struct config *config, const char *list, struct pool *pool)
{
	return list_check(config, LIST_DOMAINS, list, pool);
}

static int test_match(struct expansion *expansion, int unused)
{
	char *subject, *pattern, *error = NULL;
	int result = subject_and_pattern(expansion, &subject, &pattern, check_regex);

	(void)unused;
	if (result == 1)
		result = regex_match(expansion->session, subject, pattern, 0, &error);
	if (error)
		expand_fail(expansion, "%s", error);
	return result;
}

static int test_list(struct expansion *expansion, int kind)
{
	char *subject, *list, *error = NULL;
	int result = subject_and_pattern(expansion, &subject, &list,
					 kind == LIST_IPS ? check_ips : check_domains);

	if (result == 1)
		result = list_match(expansion->session, kind, subject, list, &error);
	if (error)
		expand_fail(expansion, "%s", error);
	return result;
}

static int test_exists(struct expansion *expansion, int unused)
{
	char *path = expand_braced(expansion);

	(void)unused;
	expansion->varies = true;
	if (!path)
		return -1;
	return evaluates(expansion) && access(path, F_OK) == 0;
}

static int test_address(struct expansion *expansion, int family)
{
	char *text = expand_braced(expansion);
	unsigned char binary[16];

	if (!text)
		return -1;
	if (strchr(text, ':')) /* fe80::1%eth0 */
		text[strcspn(text, "%")] = 0;
	return address_parse(text, family, binary) != 0;
}

/* def:NAME */
static int test_def(struct expansion *expansion, int unused)
{
	const char *start;
	char *name, *value;

	(void)unused;
	if (*expansion->at != ':') {
		expand_fail(expansion, "def: needs ':' and a variable's name");
		return -1;
	}
	start = ++expansion->at;
	while (isalnum((unsigned char)*expansion->at) || *expansion->at == '_')
		expansion->at++;
	name = pool_copy(expansion->pool, start, expansion->at - start);
	expansion->varies = true;
	if (!variable_exists(name) || isdigit((unsigned char)*name)) {
		char hint[SUGGESTION_MAX];

		expand_fail(expansion, "unknown variable '$%s'%s", name,
			    name_suggestion(hint, "$", variable_nearest(name)));
		return -1;
	}
	if (!evaluates(expansion))
		return 0;
	value = variable_get(expansion->session, name);
	if (!value)
		expand_fail(expansion, "$%s: the TLVs of this header could not be read", name);
	return value && *value;
}

/* and{{..}{..}}, or{{..}{..}} */
static int test_all(struct expansion *expansion, int is_and)
{
	int skip = expansion->skip, result = is_and, one;

	expand_space(expansion);
	if (*expansion->at != '{') {
		expand_fail(expansion, "'{' is missing after %s", is_and ? "and" : "or");
		return -1;
	}
	expansion->at++;
	for (;;) {
		expand_space(expansion);
		if (*expansion->at == '}')
			break;
		if (*expansion->at != '{') {
			expand_fail(expansion, "each condition inside %s needs braces",
				    is_and ? "and" : "or");
			return -1;
		}
		expansion->at++;
		one = condition_test(expansion);
		if (one < 0)
			return -1;
		expand_space(expansion);
		if (*expansion->at != '}') {
			expand_fail(expansion, "'}' is missing before '%.20s'", expansion->at);
			return -1;
		}
		expansion->at++;
		if (!expansion->skip && one != is_and) { /* decided: the rest is only read */
			result = one;
			expansion->skip = 1;
		}
	}
	expansion->at++;
	expansion->skip = skip;
	return result;
}

/* A size with a sign, perhaps, and blanks around it; "" is 0. */
static int to_number(struct expansion *expansion, const char *text, long long *number)
{
	const char *at = text + strspn(text, " \t");
	int negative = *at == '-', is_signed = negative || *at == '+';
	uint64_t size = 0;

	at += is_signed;
	if ((*at || is_signed) &&
	    (size_read(&at, 10, &size) || size > INT64_MAX || at[strspn(at, " \t")])) {
		expand_fail(expansion, "'%s' is not a number", text + strspn(text, " \t"));
		return -1;
	}
	*number = negative ? -(long long)size : (long long)size;
	return 0;
}

/* < <= = == > >= */
static int test_numbers(struct expansion *expansion)
{
	const char *relation = expansion->at;
	long long left, right;
	char *texts[2];

	expansion->at += strspn(expansion->at, "<>=");
	if (expansion->at - relation > 2 || (expansion->at - relation == 2 && relation[1] != '=')) {
		expand_fail(expansion, "unknown condition '%.*s'", (int)(expansion->at - relation),
			    relation);
		return -1;
	}
	if (both(expansion, &texts[0], &texts[1]))
		return -1;
	if (!evaluates(expansion))
		return 0;
	if (to_number(expansion, texts[0], &left) || to_number(expansion, texts[1], &right))
		return -1;
	if (relation[0] == '=')
		return left == right;
	if (relation[1] == '=' && left == right)
		return 1;
	return relation[0] == '<' ? left < right : left > right;
}

static const struct condition {
	const char *name;
	int (*test)(struct expansion *expansion, int argument);
	int argument;
} conditions[] = {
	{"and", test_all, true},	   {"bool", test_bool, true},
	{"bool_lax", test_bool, false},	   {"def", test_def, 0},
	{"eq", test_equal, true},	   {"eqi", test_equal, false},
	{"exists", test_exists, 0},	   {"isip", test_address, AF_UNSPEC},
	{"isip4", test_address, AF_INET},  {"isip6", test_address, AF_INET6},
	{"match", test_match, 0},	   {"match_domain", test_list, LIST_DOMAINS},
	{"match_ip", test_list, LIST_IPS}, {"or", test_all, false},
};

static int unknown(struct expansion *expansion, const char *name)
{
	char hint[SUGGESTION_MAX];

	expand_fail(expansion, "unknown condition '%s'%s", name,
		    name_suggestion(hint, "", NAME_NEAREST(name, conditions)));
	return -1;
}

int condition_test(struct expansion *expansion)
{
	const char *start;
	int negated = 0, condition, result;
	char *name;

	for (;;) {
		expand_space(expansion);
		if (*expansion->at != '!')
			break;
		negated = !negated;
		expansion->at++;
	}
	if (*expansion->at && strchr("<>=", *expansion->at)) {
		result = test_numbers(expansion);
		return result < 0 ? -1 : result ^ negated;
	}
	start = expansion->at;
	while (isalnum((unsigned char)*expansion->at) || *expansion->at == '_')
		expansion->at++;
	name = pool_copy(expansion->pool, start, expansion->at - start);
	condition = NAME_FIND(name, conditions);
	if (condition < 0)
		return unknown(expansion, name);
	result = conditions[condition].test(expansion, conditions[condition].argument);
	if (expansion->error)
		return -1;
	return result < 0 ? -1 : result ^ negated;
}
