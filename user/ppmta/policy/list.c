// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists: hosts, domains, local parts, addresses. The first item that matches decides: yes, or no if
 * it begins with !. If none matches, the answer is no, or yes if the last item begins with !. What
 * is not understood is an error, when the configuration is read or, where a list was not known
 * then, when it is used: no list fails open.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/endpoint.h"
#include "../../common/file.h"
#include "../../common/name.h"
#include "../../common/prefix.h"
#include "../../common/utf8.h"
#include "policy.h"

#define ITEM_SAYS_NO 2 /* that of a file which matches begins with ! */

/* The subject of a list, and the thing to look for in it. */
struct search {
	struct evaluation *eval; /* without a session: is all of the list understood? */
	enum list_kind kind;
	const char *subject;
};

static int match_list(struct search *search, const char *list);

/* +NAME */
static int match_named(struct search *search, const char *name)
{
	struct evaluation *eval = search->eval;
	const struct named_list *list, *near = NULL;
	const char *names[1];
	char *value;

	for (list = eval->config->lists; list; list = list->next) {
		names[0] = list->name;
		if (list->kind == search->kind && !strcmp(list->name, name))
			break;
		if (list->kind == search->kind && NAME_NEAREST(name, names))
			near = list;
	}
	if (!list)
		return failed(eval, "%s",
			      unknown_name(eval->pool, list_kind_names[search->kind], "", name,
					   near ? near->name : NULL));
	value = expand(eval, list->value);
	if (!value)
		return eval->error ? -1 : 0; /* known only when it is used */
	return match_list(search, value);
}

static int match_network(struct search *search, const char *text)
{
	struct prefix network;

	if (prefix_parse(text, &network))
		return failed(search->eval,
			      "'%s' is not an address or network, and names are not supported",
			      text);
	if (network.family == AF_INET && strchr(text, ':'))
		return failed(search->eval, "'%s' matches no host: write it as IPv4", text);
	return prefix_matches(&network, search->subject);
}

/* A text, or *END. Return: 1, 0, or -1. */
static int same_text(struct search *search, const char *item, const char *subject)
{
	size_t len = strlen(subject), tail = strlen(item) - 1;

	if (!utf8_is_ascii(item) && search->kind != LIST_DOMAINS)
		return failed(search->eval,
			      "'%s': what is not ASCII before an @ is compared by ^REGEX only",
			      item);
	if (*item != '*')
		return !strcasecmp(item, subject);
	return len >= tail && !strcasecmp(item + 1, subject + len - tail);
}

/* A domain, or *END: compared as it is read, however it is written. */
static int same_domain(struct search *search, const char *item, const char *subject)
{
	struct search domain = *search;
	size_t before = strspn(item, "*.");
	const char *end = domain_unicode(item + before, search->eval->pool);
	const char *read = domain_unicode(subject, search->eval->pool);
	const char *whole = end ? end + (before == 1 && *end == '-') : "";
	bool may_match =
		before <= (*item == '*' ? 2 : 0) && address_is_domain(whole, strlen(whole));

	domain.kind = LIST_DOMAINS;
	if (!may_match || !read)
		return failed(search->eval, "'%s' is not a domain", may_match ? subject : item);
	return same_text(&domain, pool_printf(search->eval->pool, "%.*s%s", (int)before, item, end),
			 read);
}

/* ^REGEX: a domain is looked at as it is written, as the DNS has it, and as it is read. */
static int match_regex(struct search *search, const char *pattern)
{
	struct pool *pool = search->eval->pool;
	const char *subject = search->subject, *domain = address_domain(subject), *form;
	int result = regex_match(search->eval, subject, pattern, true), i;

	if (search->kind != LIST_ADDRESSES)
		domain = search->kind == LIST_DOMAINS ? subject : "";
	for (i = 0; i < 2 && !result; i++) {
		form = (i ? domain_ascii : domain_unicode)(domain, pool);
		if (!form)
			return failed(search->eval, "'%s' is not a domain", domain);
		form = pool_printf(pool, "%.*s%s", (int)(strlen(subject) - strlen(domain)), subject,
				   form);
		if (*domain && strcmp(form, subject))
			result = regex_match(search->eval, form, pattern, true);
	}
	return result;
}

static int match_item(struct search *search, const char *item);

/* user@domain, *@domain: the domain is an item of a list of domains */
static int match_address(struct search *search, const char *text)
{
	const char *at = strrchr(text, '@'), *own = strrchr(search->subject, '@');
	struct search domain = *search;
	int result = same_text(
		search, pool_copy(search->eval->pool, text, at - text),
		own ? pool_copy(search->eval->pool, search->subject, own - search->subject) : "");

	if (result < 0 || (search->eval->session && (!own || !result)))
		return result < 0 ? -1 : 0;
	domain.kind = LIST_DOMAINS;
	domain.subject = own ? own + 1 : "";
	return match_item(&domain, at + 1);
}

/* # begins a comment; where it may be part of an item, only at the beginning or after a blank. */
static void cut_comment(const struct search *search, char *line)
{
	bool may_be_part = search->kind == LIST_LOCAL_PARTS || search->kind == LIST_ADDRESSES;
	char *hash = line;

	while ((hash = strchr(hash, '#')) && may_be_part && hash > line &&
	       !isspace((unsigned char)hash[-1]))
		hash++;
	if (hash)
		*hash = 0;
}

/* /FILE, with an item a line */
static int match_file(struct search *search, const char *file)
{
	char why[FILE_ERROR_MAX], *text = file_text(file, TEXT_FILE_MAX, why), *rest = text, *line;
	bool negated = false;
	char *item;
	int result = 0;

	if (!text)
		return failed(search->eval, "%s", why);
	if (!evaluation_deeper(search->eval)) /* it names itself */
		result = -1;
	while (!result && (line = strsep(&rest, "\n"))) {
		cut_comment(search, line);
		item = string_trim(line);
		negated = *item == '!';
		item += negated;
		item += strspn(item, " \t");
		if (*item)
			result = match_item(search, item);
	}
	search->eval->depth--;
	free(text);
	return result > 0 && negated ? ITEM_SAYS_NO : result;
}

/* An item without its !. Return: 1, 0, -1, or ITEM_SAYS_NO. */
static int match_item(struct search *search, const char *item)
{
	bool is_bounce = search->kind == LIST_ADDRESSES && !*search->subject;
	const char *subject = search->subject;
	int result;

	if (*item == '+')
		return match_named(search, item + 1);
	if (*item == '/')
		return match_file(search, item);
	if (*item == '^' && search->kind != LIST_HOSTS)
		return match_regex(search, item);
	if (!strcmp(item, "*"))
		return !is_bounce;
	if (!*item) /* no host, or the sender of bounces */
		return !*subject;
	if (strpbrk(item, " \t,\""))
		return failed(search->eval,
			      "'%s' is one item: colons separate them, without quotes", item);
	if (search->kind == LIST_ADDRESSES && strchr(item + 1, '@') && item[0] != '@')
		return match_address(search, item);
	if (strpbrk(item, ";@") || (strchr(item + 1, '*') && search->kind != LIST_HOSTS))
		return failed(search->eval,
			      "'%s' is not supported: no look-ups, no @, * only at the beginning",
			      item);
	if (search->kind == LIST_HOSTS)
		return match_network(search, item);
	if (search->kind == LIST_LOCAL_PARTS)
		return same_text(search, item, subject);
	if (search->kind == LIST_ADDRESSES)
		subject = address_domain(subject);
	result = same_domain(search, item, subject);
	return is_bounce && result > 0 ? 0 : result;
}

static int match_list(struct search *search, const char *list)
{
	bool negated = false;
	char separator = 0, *item;
	int result = 0;

	if (!evaluation_deeper(search->eval))
		result = -1;
	while (!result && (item = list_next(search->eval->pool, &list, &separator))) {
		negated = *item == '!';
		if (negated)
			item += 1 + strspn(item + 1, " \t");
		result = match_item(search, item);
		if (!search->eval->session && result > 0)
			result = 0;
	}
	search->eval->depth--;
	if (result < 0)
		return -1;
	return result ? (result == 1) != negated : negated;
}

int list_match(struct evaluation *eval, enum list_kind kind, const char *subject, const char *list)
{
	struct search search = {
		.eval = eval, .kind = kind, .subject = eval->session ? subject : ""};
	unsigned char binary[16];

	if (kind == LIST_HOSTS && *search.subject && !address_parse(subject, AF_UNSPEC, binary))
		return failed(eval, "'%s' is not an address", subject);
	if (kind == LIST_ADDRESSES) /* "blocked"@example.org is blocked@example.org */
		search.subject = mailbox_plain(search.subject, eval->pool);
	return match_list(&search, list);
}

int list_option_matches(struct session *session, const char *option, const char *list)
{
	struct evaluation eval = evaluation_in(session);
	int result;

	list = list ? expand(&eval, list) : "";
	result = list ? list_match(&eval, LIST_HOSTS, session->sender_host_address, list) : -1;
	if (result < 0)
		log_line("%s: %s", option, eval.error);
	return result;
}
