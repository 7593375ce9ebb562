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

int truth_is_lax(const char *text)
{
	int is = truth(text);

	return is < 0 ? 1 : is;
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

static int test_bool(struct expansion *expansion, int lax)
{
	char *value = expand_braced(expansion);
	int is;

	if (!value)
		return -1;
	if (!evaluates(expansion))
		return 0;
	value = string_trim(value);
	is = lax ? truth_is_lax(value) : truth(value);
	if (is < 0)
		expand_fail(expansion, "bool: '%s' is neither true nor false", value);
	return is;
}

static int test_equal(struct expansion *expansion, int (*compare)(const char *, const char *))
{
	char *left, *right;

	return both(expansion, &left, &right) ? -1 : compare(left, right) == 0;
}

static int test_bool_strict(struct expansion *expansion)
{
	return test_bool(expansion, 0);
}

static int test_bool_lax(struct expansion *expansion)
{
	return test_bool(expansion, 1);
}

static int test_eq(struct expansion *expansion)
{
	return test_equal(expansion, strcmp);
}

static int test_eqi(struct expansion *expansion)
{
	return test_equal(expansion, strcasecmp);
}

static int list_answer(struct expansion *expansion, int answer, const char *error)
{
	if (answer < 0)
		expand_fail(expansion, "%s", error);
	return answer;
}

static int test_match(struct expansion *expansion)
{
	char *subject, *pattern, *error = NULL;

	if (both(expansion, &subject, &pattern))
		return -1;
	if (!evaluates(expansion))
		return 0;
	return list_answer(expansion,
			   list_match_regex(expansion->session, subject, pattern, &error), error);
}

static int test_match_ip(struct expansion *expansion)
{
	char *address, *list, *error = NULL;

	if (both(expansion, &address, &list))
		return -1;
	if (!evaluates(expansion))
		return 0;
	return list_answer(expansion, list_match_ip(expansion->session, address, list, &error),
			   error);
}

static int test_match_domain(struct expansion *expansion)
{
	char *domain, *list, *error = NULL;

	if (both(expansion, &domain, &list))
		return -1;
	if (!evaluates(expansion))
		return 0;
	return list_answer(expansion, list_match_domain(expansion->session, domain, list, &error),
			   error);
}

static int test_exists(struct expansion *expansion)
{
	char *path = expand_braced(expansion);

	if (!path)
		return -1;
	return evaluates(expansion) && access(path, F_OK) == 0;
}

static int is_address(const char *text, int family)
{
	unsigned char binary[16];

	return address_parse(text, family, binary) != 0;
}

static int test_isip(struct expansion *expansion)
{
	char *text = expand_braced(expansion);

	return text ? is_address(text, AF_UNSPEC) : -1;
}

static int test_isip4(struct expansion *expansion)
{
	char *text = expand_braced(expansion);

	return text ? is_address(text, AF_INET) : -1;
}

static int test_isip6(struct expansion *expansion)
{
	char *text = expand_braced(expansion);

	return text ? is_address(text, AF_INET6) : -1;
}

/* def:NAME */
static int test_def(struct expansion *expansion)
{
	const char *start;
	char *name, *value;

	if (*expansion->at != ':') {
		expand_fail(expansion, "def: needs ':' and a variable's name");
		return -1;
	}
	start = ++expansion->at;
	while (isalnum((unsigned char)*expansion->at) || *expansion->at == '_')
		expansion->at++;
	name = pool_copy(expansion->pool, start, expansion->at - start);
	if (!variable_exists(name)) {
		char hint[SUGGESTION_MAX];

		expand_fail(expansion, "unknown variable '$%s'%s", name,
			    name_suggestion(hint, "$", variable_nearest(name)));
		return -1;
	}
	if (!evaluates(expansion))
		return 0;
	value = variable_get(expansion->session, name);
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

static int test_and(struct expansion *expansion)
{
	return test_all(expansion, 1);
}

static int test_or(struct expansion *expansion)
{
	return test_all(expansion, 0);
}

/* A size with a sign, perhaps, and blanks around it; "" is 0. */
static int to_number(struct expansion *expansion, const char *text, long long *number)
{
	const char *at = text + strspn(text, " \t");
	int negative = *at == '-', is_signed = negative || *at == '+';
	uint64_t size = 0;

	at += is_signed;
	if ((*at || is_signed) &&
	    (size_read(&at, 0, &size) || size > INT64_MAX || at[strspn(at, " \t")])) {
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
	int (*test)(struct expansion *expansion);
} conditions[] = {
	{"and", test_and},
	{"bool", test_bool_strict},
	{"bool_lax", test_bool_lax},
	{"def", test_def},
	{"eq", test_eq},
	{"eqi", test_eqi},
	{"exists", test_exists},
	{"isip", test_isip},
	{"isip4", test_isip4},
	{"isip6", test_isip6},
	{"match", test_match},
	{"match_domain", test_match_domain},
	{"match_ip", test_match_ip},
	{"or", test_or},
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
	result = conditions[condition].test(expansion);
	if (expansion->error)
		return -1;
	return result < 0 ? -1 : result ^ negated;
}
