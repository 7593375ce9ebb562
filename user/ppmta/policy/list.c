// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists: hosts, domains, local parts, addresses. The first item that matches decides: yes, or no if
 * it begins with !. If none matches, the answer is no, or yes if the last item begins with !.
 * What an item means is found by parse_item() alone, both when the configuration is read and when
 * a list is used that could not be known then: an item that is not understood is an error.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/endpoint.h"
#include "../../common/name.h"
#include "../../common/prefix.h"
#include "policy.h"

#define NESTING_MAX 10

enum item_type {
	ITEM_ALL,
	ITEM_EMPTY,   /* no host, or the sender of bounces */
	ITEM_NAMED,   /* +NAME */
	ITEM_FILE,    /* /FILE, with an item a line */
	ITEM_LSEARCH, /* lsearch;/FILE */
	ITEM_REGEX,
	ITEM_OWN, /* @[] */
	ITEM_NETWORK,
	ITEM_HOST,    /* a name that stands for its addresses */
	ITEM_TEXT,    /* a text, or *END */
	ITEM_ADDRESS, /* LOCAL@DOMAIN */
	ITEM_OPTION,  /* +caseful and the like */
};

struct item {
	enum item_type type;
	const char *text;
	struct prefix network;
};

/* The subject of a list, and the thing to look for in it. */
struct search {
	struct config *config;
	struct session *session; /* NULL: the list is checked only */
	struct pool *pool;
	enum list_kind kind;
	const char *subject;
	bool is_caseful;
	bool ignore_unknown, include_unknown;
	int depth;
	char *error;
};

/* Answers of an item, besides 1 and 0. */
enum { FAILED = -1, IS_NO = -2, UNKNOWN = -3 };

static int match_list(struct search *search, const char *list);
static int match_text(struct search *search, const char *text);

static int failed(struct search *search, char *error)
{
	if (!search->error)
		search->error = error;
	return FAILED;
}

/* ---- what an item means ---- */

static const struct named_list *find_list(const struct search *search, const char *name)
{
	enum list_kind kind = search->kind == LIST_IPS ? LIST_HOSTS : search->kind;
	const struct named_list *list;

	for (list = search->config->lists; list; list = list->next) {
		if (list->kind == kind && !strcmp(list->name, name))
			return list;
	}
	return NULL;
}

static char *unknown_list(const struct search *search, const char *name)
{
	const char *kind = list_kind_names[search->kind == LIST_IPS ? LIST_HOSTS : search->kind];
	const char *near = NULL, *one[1];
	const struct named_list *list;
	char hint[SUGGESTION_MAX];

	for (list = search->config->lists; list && !near; list = list->next) {
		one[0] = list->name;
		if (!strcmp(list_kind_names[list->kind], kind))
			near = NAME_NEAREST(name, one);
	}
	return pool_printf(search->pool, "there is no %s '%s'%s", kind, name,
			   name_suggestion(hint, "", near));
}

static bool is_option(const struct search *search, const char *name)
{
	if (search->kind == LIST_HOSTS)
		return !strcmp(name, "include_unknown") || !strcmp(name, "ignore_unknown");
	return (search->kind == LIST_LOCAL_PARTS || search->kind == LIST_ADDRESSES) &&
	       !strcmp(name, "caseful");
}

/* An address or network, in a list of hosts; or a name. */
static char *parse_host(struct search *search, struct item *item)
{
	const char *text = item->text;

	item->type = ITEM_NETWORK;
	if (!prefix_parse(text, &item->network)) {
		if (item->network.family == AF_INET && strchr(text, ':'))
			return pool_printf(search->pool, "'%s' matches no host: write it as IPv4",
					   text);
		return NULL;
	}
	item->type = *text == '*' ? ITEM_TEXT : ITEM_HOST;
	if (search->kind == LIST_IPS || strspn(text, "0123456789.") == strlen(text) ||
	    strpbrk(text, ":/[") ||
	    !address_is_domain(text + strspn(text, "*."), strlen(text) - strspn(text, "*.")))
		return pool_printf(search->pool, "'%s' is not an address or network%s", text,
				   search->kind == LIST_IPS ? "" : ", and no name");
	return NULL;
}

static char *parse_lookup(struct search *search, struct item *item)
{
	bool is_host = search->kind == LIST_HOSTS || search->kind == LIST_IPS;

	item->type = ITEM_LSEARCH;
	if (is_host)
		return pool_printf(search->pool,
				   "'%s': no look-ups in lists of hosts; /FILE with an address or "
				   "network a line is one",
				   item->text);
	if (strncmp(item->text, "lsearch;/", 9))
		return pool_printf(search->pool,
				   "'%s': this look-up is not supported: lsearch;/FILE is",
				   item->text);
	item->text += strlen("lsearch;");
	return NULL;
}

/* @, @[] */
static char *parse_own(struct search *search, struct item *item)
{
	bool is_host = search->kind == LIST_HOSTS, is_domain = search->kind == LIST_DOMAINS;

	item->type = ITEM_OWN;
	if (!strcmp(item->text, "@[]") && (is_host || is_domain))
		return NULL;
	item->type = is_host ? ITEM_HOST : ITEM_TEXT;
	if (strcmp(item->text, "@") || !(is_host || is_domain))
		return pool_printf(search->pool, "'%s' is not supported here", item->text);
	item->text = search->config->primary_hostname;
	return NULL;
}

static char *parse_named(struct search *search, struct item *item)
{
	item->text++;
	item->type = is_option(search, item->text) ? ITEM_OPTION : ITEM_NAMED;
	if (item->type == ITEM_NAMED && !find_list(search, item->text))
		return unknown_list(search, item->text);
	return NULL;
}

/* Return: NULL, or what is wrong. */
static char *parse_item(struct search *search, const char *text, struct item *item)
{
	item->text = text;
	switch (*text) {
	case 0:
		item->type = ITEM_EMPTY;
		return NULL;
	case '+':
		return parse_named(search, item);
	case '/':
		item->type = ITEM_FILE;
		return NULL;
	case '^':
		item->type = ITEM_REGEX;
		if (search->kind == LIST_IPS)
			return "no regular expression matches an address";
		return search->session ? NULL : regex_check(text, search->pool);
	case '@':
		return parse_own(search, item);
	case '"':
		return pool_printf(search->pool, "'%s': a quote is not part of an item", text);
	}
	item->type = strcmp(text, "*") ? ITEM_TEXT : ITEM_ALL;
	if (item->type == ITEM_ALL)
		return NULL;
	if (strpbrk(text, " \t,"))
		return pool_printf(search->pool, "'%s' is one item: colons separate them", text);
	if (search->kind == LIST_ADDRESSES && strrchr(text, '@')) {
		item->type = ITEM_ADDRESS;
		return NULL;
	}
	if (strchr(text, ';'))
		return parse_lookup(search, item);
	if (search->kind == LIST_HOSTS || search->kind == LIST_IPS)
		return parse_host(search, item);
	if (strchr(text + 1, '*') && search->kind != LIST_LOCAL_PARTS)
		return pool_printf(search->pool, "'%s': * stands only at the beginning", text);
	return NULL;
}

/* ---- items of hosts ---- */

/* @[]: this host's own addresses */
static bool is_own_address(const char *address)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *list, *one;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (one = list; one && !found; one = one->ifa_next) {
		struct sockaddr_storage storage = {0};

		if (!one->ifa_addr ||
		    (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&storage, one->ifa_addr,
		       one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							   : sizeof(struct sockaddr_in6));
		endpoint_address(&storage, text);
		found = !strcmp(text, address);
	}
	freeifaddrs(list);
	return found;
}

/* @[] in a list of domains: [ADDRESS] */
static bool is_own_literal(struct search *search)
{
	size_t len = strlen(search->subject);
	const char *address = search->subject + 1;

	if (len < 2 || search->subject[0] != '[' || search->subject[len - 1] != ']')
		return false;
	if (!strncasecmp(address, "IPv6:", 5))
		address += 5;
	return is_own_address(
		pool_copy(search->pool, address, search->subject + len - 1 - address));
}

static int no_answer(struct search *search, const char *of)
{
	search->session->dns_deferred = true;
	return failed(search, pool_printf(search->pool, "no answer from DNS for %s", of));
}

/* The client's own name, for a pattern; NULL with @answer set where it has none. */
static const char *own_name(struct search *search, int *answer)
{
	const char *name = sender_host_name(search->session);

	if (*name)
		return name;
	*answer = search->session->name_deferred ? no_answer(search, search->subject) : UNKNOWN;
	return NULL;
}

static int match_addresses_of(struct search *search, const char *name)
{
	struct dns_addresses addresses;
	struct prefix prefix;
	int i;

	switch (dns_addresses(&search->session->dns, name, &addresses)) {
	case DNS_DEFER:
		return no_answer(search, name);
	case DNS_NONE:
		return UNKNOWN;
	case DNS_OK:
		break;
	}
	for (i = 0; i < addresses.count; i++) {
		if (!prefix_parse(addresses.text[i], &prefix) &&
		    prefix_matches(&prefix, search->subject))
			return 1;
	}
	return 0;
}

/* ---- any item ---- */

static bool same_text(const struct search *search, const char *text, const char *subject)
{
	size_t tail, len = strlen(subject);

	if (*text == '*') {
		tail = strlen(++text);
		if (len < tail)
			return false;
		subject += len - tail;
	}
	return !(search->is_caseful ? strcmp(text, subject) : strcasecmp(text, subject));
}

/* user@domain, *@domain: the domain is an item of a list of domains */
static int match_address(struct search *search, const char *text)
{
	const char *at = strrchr(text, '@'), *own = strrchr(search->subject, '@');
	struct search inner = *search;
	int result;

	inner.kind = LIST_LOCAL_PARTS;
	inner.subject = own ? pool_copy(search->pool, search->subject, own - search->subject)
			    : search->subject;
	if (search->session && !own)
		return 0;
	if (search->session &&
	    !same_text(&inner, pool_copy(search->pool, text, at - text), inner.subject))
		return 0;
	inner.kind = LIST_DOMAINS;
	inner.subject = own ? own + 1 : "";
	inner.is_caseful = false;
	result = match_text(&inner, at + 1);
	search->error = inner.error;
	return result;
}

static int match_regex(struct search *search, const char *pattern)
{
	const char *subject = search->subject;
	char *error = NULL;
	int result = 0;

	if (search->kind == LIST_HOSTS)
		subject = own_name(search, &result);
	if (!subject)
		return result;
	result = regex_match(search->session, subject, pattern, !search->is_caseful, &error);
	return result < 0 ? failed(search, error) : result;
}

static int match_lsearch(struct search *search, const char *file)
{
	char *error = NULL;
	bool found = list_lsearch(search->pool, file, search->subject, &error) != NULL;

	return error ? failed(search, error) : found;
}

/* A file with an item a line; # begins a comment. */
static int match_file(struct search *search, const char *file)
{
	char *line = NULL, *item;
	int result = 0, negated;
	size_t room = 0;
	FILE *stream = fopen(file, "re");

	if (!stream)
		return failed(search, pool_printf(search->pool, "%s: %s", file, strerror(errno)));
	if (++search->depth > NESTING_MAX) /* it names itself */
		result = failed(search, pool_printf(search->pool, "%s is nested too deeply", file));
	while (!result && getline(&line, &room, stream) >= 0) {
		line[strcspn(line, "#\n")] = 0;
		item = string_trim(line);
		if (!*item)
			continue;
		negated = *item == '!';
		item += negated;
		item += strspn(item, " \t");
		result = match_text(search, pool_string(search->pool, item));
		if (result > 0 && negated)
			result = IS_NO;
	}
	if (!result && ferror(stream)) /* what was not read may have matched */
		result = failed(search, pool_printf(search->pool, "%s: cannot be read", file));
	search->depth--;
	free(line);
	fclose(stream);
	return result;
}

static int match_named(struct search *search, const char *name)
{
	const struct named_list *list = find_list(search, name);
	struct search inner = *search;
	char *value, *error;
	int result;

	inner.ignore_unknown = inner.include_unknown = false;
	if (search->session) {
		value = expand(search->session, list->value, &error);
	} else {
		error = expand_check(search->config, list->value, search->pool, &value);
		if (!error && !value)
			return 0; /* known only when it is used */
	}
	if (!value)
		return failed(search, error);
	result = match_list(&inner, value);
	search->error = inner.error;
	return result;
}

static void set_option(struct search *search, const char *name)
{
	search->is_caseful |= *name == 'c';
	search->include_unknown |= !strncmp(name, "inc", 3);
	search->ignore_unknown |= !strncmp(name, "ign", 3);
}

static int match_item(struct search *search, const struct item *item)
{
	bool is_bounce = search->kind == LIST_ADDRESSES && !*search->subject;
	const char *name;
	int answer = 0;

	switch (item->type) {
	case ITEM_ALL:
		return !is_bounce;
	case ITEM_EMPTY:
		return !*search->subject;
	case ITEM_FILE:
		return match_file(search, item->text);
	case ITEM_LSEARCH:
		return match_lsearch(search, item->text);
	case ITEM_REGEX:
		return match_regex(search, item->text);
	case ITEM_OWN:
		return search->kind == LIST_DOMAINS ? is_own_literal(search)
						    : is_own_address(search->subject);
	case ITEM_NETWORK:
		return prefix_matches(&item->network, search->subject);
	case ITEM_HOST:
		return match_addresses_of(search, item->text);
	case ITEM_TEXT:
		name = search->kind == LIST_HOSTS ? own_name(search, &answer) : search->subject;
		if (is_bounce)
			return 0;
		if (name && search->kind == LIST_ADDRESSES)
			name = address_domain(name);
		return name ? same_text(search, item->text, name) : answer;
	default:
		return 0;
	}
}

/* An item without its !, parsed and matched; without a session, parsed. */
static int match_text(struct search *search, const char *text)
{
	struct item item = {.type = ITEM_EMPTY};
	char *wrong = parse_item(search, text, &item);

	if (wrong)
		return failed(search, wrong);
	if (item.type == ITEM_OPTION)
		set_option(search, item.text);
	if (item.type == ITEM_NAMED)
		return match_named(search, item.text);
	if (item.type == ITEM_ADDRESS)
		return match_address(search, item.text);
	return search->session ? match_item(search, &item) : 0;
}

static int match_list(struct search *search, const char *list)
{
	int negated = 0, result;
	char separator = 0, *item;

	if (++search->depth > NESTING_MAX)
		return failed(search, "lists are nested too deeply");
	while ((item = list_next(search->pool, &list, &separator))) {
		negated = *item == '!';
		if (negated)
			item += 1 + strspn(item + 1, " \t");
		result = match_text(search, item);
		if (result == FAILED)
			return FAILED;
		if (result == UNKNOWN && search->ignore_unknown)
			continue;
		if (result == UNKNOWN) /* it may be the one that an earlier item is about */
			return search->include_unknown;
		if (result)
			return (result > 0) != negated ? 1 : 0;
	}
	return negated;
}

int list_match(struct session *session, enum list_kind kind, const char *subject, const char *list,
	       char **error)
{
	struct search search = {.config = session->config,
				.session = session,
				.pool = &session->pool,
				.kind = kind,
				.subject = subject};
	unsigned char binary[16];
	int result;

	if (kind == LIST_IPS && *subject && !address_parse(subject, AF_UNSPEC, binary)) {
		*error = pool_printf(&session->pool, "'%s' is not an address", subject);
		return -1;
	}
	if (kind == LIST_ADDRESSES) /* "blocked"@example.org is blocked@example.org */
		search.subject = mailbox_plain(subject, search.pool);
	result = match_list(&search, list);
	if (result < 0)
		*error = search.error;
	return result < 0 ? -1 : result;
}

char *list_check(struct config *config, enum list_kind kind, const char *list, struct pool *pool)
{
	struct search search = {.config = config, .pool = pool, .kind = kind, .subject = ""};

	match_list(&search, list);
	return search.error;
}

int list_option_matches(struct session *session, const char *option, const char *list)
{
	char *error = NULL;
	int result;

	if (!list)
		return 0;
	list = expand(session, list, &error);
	result = list ? list_match(session, LIST_HOSTS, session->sender_host_address, list, &error)
		      : -1;
	if (result < 0)
		log_line("%s: %s", option, error);
	return result;
}
