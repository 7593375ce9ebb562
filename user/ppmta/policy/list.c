// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists: hosts, domains, local parts, addresses. Items are separated by colons, a colon in an item
 * is doubled; "<;" at the start makes the separator a semicolon. The first item that matches
 * decides: yes, or no if it begins with !. If none matches, the answer is no, or yes if the last
 * item begins with !.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/endpoint.h"
#include "../../common/prefix.h"
#include "policy.h"

#define NESTING_MAX 10

/* The subject of a list, and the thing to look for in it. */
struct search {
	struct session *session;
	const char *kind; /* of named lists */
	const char *subject;
	int only_ip; /* no names are looked up */
	int (*matches)(struct search *search, const char *item);
	int depth;
	char *error;
};

static int match_list(struct search *search, const char *list);

static int failed(struct search *search, char *error)
{
	if (!search->error)
		search->error = error;
	return -1;
}

static int match_named(struct search *search, const char *name)
{
	struct pool *pool = &search->session->pool;
	const struct named_list *list;
	char *value, *error;

	for (list = search->session->config->lists; list; list = list->next) {
		if (!strcmp(list->name, name) && !strcmp(list->kind, search->kind))
			break;
	}
	if (!list)
		return failed(search, pool_printf(pool, "there is no %s '%s'", search->kind, name));
	value = expand(search->session, list->value, &error);
	if (!value)
		return failed(search, error);
	return match_list(search, value);
}

/* A file with an item a line; # begins a comment. */
static int match_file(struct search *search, const char *file)
{
	struct pool *pool = &search->session->pool;
	char *line = NULL, *item;
	int result = 0, negated;
	size_t room = 0;
	FILE *stream = fopen(file, "re");

	if (!stream)
		return failed(search, pool_printf(pool, "%s: %s", file, strerror(errno)));
	while (!result && getline(&line, &room, stream) >= 0) {
		line[strcspn(line, "#\n")] = 0;
		item = line + strspn(line, " \t");
		item[strcspn(item, " \t\r")] = 0;
		if (!*item)
			continue;
		negated = *item == '!';
		result = search->matches(search, item + negated);
		if (result > 0 && negated)
			result = -2;
	}
	free(line);
	fclose(stream);
	return result;
}

/* Return: 1, 0, -1 on error; -2: an item that says no. */
static int match_item(struct search *search, const char *item)
{
	if (*item == '+')
		return match_named(search, item + 1);
	if (*item == '/')
		return match_file(search, item);
	return search->matches(search, item);
}

static int match_list(struct search *search, const char *list)
{
	struct pool *pool = &search->session->pool;
	int negated = 0, result;
	char separator = 0, *item;

	if (++search->depth > NESTING_MAX)
		return failed(search, pool_printf(pool, "lists are nested too deeply"));
	while ((item = list_next(pool, &list, &separator))) {
		negated = *item == '!';
		if (negated)
			item += 1 + strspn(item + 1, " \t");
		result = match_item(search, item);
		if (result == -1)
			return -1;
		if (result) {
			search->depth--;
			return (result > 0) != negated ? 1 : 0;
		}
	}
	search->depth--;
	return negated;
}

static int run_search(struct search *search, const char *list, char **error)
{
	int result = match_list(search, list);

	if (result < 0)
		*error = search->error;
	return result < 0 ? -1 : result > 0;
}

/* ---- hosts ---- */

/* Return: 1, 0, or -1 when @item is no address or network. */
static int match_network(const char *item, const char *address)
{
	char text[PREFIX_TEXT_MAX + 2], *close;
	struct prefix network;

	if (strlen(item) >= sizeof(text))
		return -1;
	strcpy(text, item);
	if (*text == '[') {
		close = strchr(text, ']');
		if (!close)
			return -1;
		memmove(close, close + 1, strlen(close));
		memmove(text, text + 1, strlen(text));
	}
	return prefix_parse(text, &network) ? -1 : prefix_matches(&network, address);
}

/* @[]: this host's own addresses */
static int is_own_address(const char *address)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *list, *one;
	int found = 0;

	if (getifaddrs(&list))
		return 0;
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

static int match_name_pattern(const char *pattern, const char *name)
{
	size_t tail = strlen(pattern + 1), len = strlen(name);

	if (*pattern != '*')
		return !strcasecmp(pattern, name);
	return len >= tail && !strcasecmp(name + len - tail, pattern + 1);
}

/* A name stands for its addresses; a pattern for the client's own name. */
static int match_host_name(struct search *search, const char *item)
{
	struct dns_addresses addresses;
	struct prefix prefix;
	int i;

	if (*item == '*' || !strcmp(item, "@"))
		return match_name_pattern(
			!strcmp(item, "@") ? search->session->config->primary_hostname : item,
			sender_host_name(search->session));
	switch (dns_addresses(search->session->config, item, &addresses)) {
	case DNS_DEFER:
		return failed(search, pool_printf(&search->session->pool,
						  "no answer from DNS for %s", item));
	case DNS_NONE:
		return 0;
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

static int host_matches(struct search *search, const char *item)
{
	int result;

	if (!strcmp(item, "*"))
		return 1;
	if (!*item) /* no host: a message from this host itself */
		return !*search->subject;
	if (!strcmp(item, "@[]"))
		return is_own_address(search->subject);
	result = match_network(item, search->subject);
	if (result >= 0)
		return result;
	if (search->only_ip || strspn(item, "0123456789.:/[]") == strlen(item))
		return failed(search, pool_printf(&search->session->pool,
						  "'%s' is not an address or network", item));
	return match_host_name(search, item);
}

int list_match_host(struct session *session, const char *list, char **error)
{
	struct search search = {.session = session,
				.kind = "hostlist",
				.subject = session->sender_host_address,
				.matches = host_matches};

	return run_search(&search, list, error);
}

int list_option_matches(struct session *session, const char *option, const char *list)
{
	char *error = NULL;
	int result;

	if (!list)
		return 0;
	list = expand(session, list, &error);
	result = list ? list_match_host(session, list, &error) : -1;
	if (result < 0)
		log_line("%s: %s", option, error);
	return result;
}

int list_match_ip(struct session *session, const char *address, const char *list, char **error)
{
	struct search search = {.session = session,
				.kind = "hostlist",
				.subject = address,
				.only_ip = 1,
				.matches = host_matches};

	return run_search(&search, list, error);
}

/* ---- domains, local parts, addresses ---- */

static int string_matches(struct search *search, const char *item)
{
	char *error = NULL;
	int result;

	if (*item == '^') {
		result = list_match_regex(search->session, search->subject, item, &error);
		return result < 0 ? failed(search, error) : result;
	}
	if (!strncmp(item, "lsearch;", 8)) {
		result = list_lsearch(&search->session->pool, item + 8, search->subject, &error) !=
			 NULL;
		return error ? failed(search, error) : result;
	}
	if (!strcmp(item, "@"))
		item = search->session->config->primary_hostname;
	return match_name_pattern(item, search->subject);
}

int list_match_domain(struct session *session, const char *domain, const char *list, char **error)
{
	struct search search = {.session = session,
				.kind = "domainlist",
				.subject = domain,
				.matches = string_matches};

	return run_search(&search, list, error);
}

int list_match_local_part(struct session *session, const char *local_part, const char *list,
			  char **error)
{
	struct search search = {.session = session,
				.kind = "localpartlist",
				.subject = local_part,
				.matches = string_matches};

	return run_search(&search, list, error);
}

/* user@domain, *@domain, domain; "" is the sender of bounces */
static int address_matches(struct search *search, const char *item)
{
	const char *at = strrchr(item, '@'), *own = strrchr(search->subject, '@');
	struct search inner = *search;
	size_t local;
	int result;

	if (!*item || !*search->subject)
		return !*item == !*search->subject;
	if (*item == '^' || !strncmp(item, "lsearch;", 8))
		return string_matches(search, item);
	if (at && at > item && own) {
		local = at - item;
		if (!(local == 1 && *item == '*') && (local != (size_t)(own - search->subject) ||
						      strncasecmp(item, search->subject, local)))
			return 0;
		item = at + 1;
	} else if (at == item) {
		item++;
	}
	inner.subject = own ? own + 1 : "";
	result = string_matches(&inner, item);
	search->error = inner.error;
	return result;
}

int list_match_address(struct session *session, const char *address, const char *list, char **error)
{
	struct search search = {.session = session,
				.kind = "addresslist",
				.subject = address,
				.matches = address_matches};

	return run_search(&search, list, error);
}

/* ---- look-ups ---- */

/* "key: value" or "key value"; a key in quotes may have spaces. Case is ignored. */
char *list_lsearch(struct pool *pool, const char *file, const char *key, char **error)
{
	char *line = NULL, *at, *end, *value = NULL;
	FILE *stream = fopen(file, "re");
	size_t room = 0;

	if (!stream) {
		*error = pool_printf(pool, "%s: %s", file, strerror(errno));
		return NULL;
	}
	while (!value && getline(&line, &room, stream) >= 0) {
		line[strcspn(line, "\n")] = 0;
		if (*line == '#' || isspace((unsigned char)*line))
			continue;
		at = line;
		if (*at == '"') {
			at++;
			end = at + strcspn(at, "\"");
		} else {
			end = at + strcspn(at, ": \t");
		}
		if (*end)
			*end++ = 0;
		if (strcasecmp(at, key))
			continue;
		end += strspn(end, ": \t");
		value = pool_string(pool, end);
	}
	free(line);
	fclose(stream);
	return value;
}

int list_match_regex(struct session *session, const char *subject, const char *pattern,
		     char **error)
{
	pcre2_match_data *match;
	PCRE2_SIZE offset, *ends;
	int code, count, i;
	pcre2_code *regex;
	PCRE2_UCHAR text[256];

	regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &code, &offset, NULL);
	if (!regex) {
		pcre2_get_error_message(code, text, sizeof(text));
		*error = pool_printf(&session->pool, "regular expression '%s': %s at %zu", pattern,
				     (char *)text, offset);
		return -1;
	}
	match = pcre2_match_data_create_from_pattern(regex, NULL);
	count = pcre2_match(regex, (PCRE2_SPTR)subject, strlen(subject), 0, 0, match, NULL);
	if (count > 0) {
		ends = pcre2_get_ovector_pointer(match);
		for (i = 0; i < 10; i++)
			session->captured[i] =
				i < count && ends[2 * i] != PCRE2_UNSET
					? pool_copy(&session->pool, subject + ends[2 * i],
						    ends[2 * i + 1] - ends[2 * i])
					: NULL;
	}
	pcre2_match_data_free(match);
	pcre2_code_free(regex);
	return count > 0;
}
