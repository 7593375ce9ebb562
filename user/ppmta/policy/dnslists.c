// SPDX-License-Identifier: BSD-2-Clause
/*
 * The condition dnslists: is the origin's address in a list that the DNS has? An item is DOMAIN,
 * DOMAIN=ADDRESS,ADDRESS... or DOMAIN&BITS.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/endpoint.h"
#include "../../common/name.h"
#include "acl.h"

#define KEPT_MAX   32 /* answers that a connection keeps */
#define VALUES_MAX 16

struct dnslist_answer {
	struct dnslist_answer *next;
	const char *name;
	enum dns_status status;
	char *values; /* "127.0.0.2, 127.0.0.4" */
	char *text;
	struct in_addr addresses[DNS_ADDRESSES_MAX];
	int count;
};

struct dnslist {
	char *domain;
	char relation; /* 0, '=' or '&' */
	struct in_addr values[VALUES_MAX];
	int count;
};

/* What holds where the DNS does not answer. */
static const char *const unknowns[] = {"+exclude_unknown", "+include_unknown", "+defer_unknown"};
enum unknown { EXCLUDE, INCLUDE, DEFER_IT };

static char *parse(char *item, struct dnslist *list, struct pool *pool)
{
	char *at = item + strcspn(item, "=&"), *value, *next;

	memset(list, 0, sizeof(*list));
	list->domain = item;
	list->relation = *at;
	if (*at)
		*at++ = 0;
	if ((list->relation && (*at == '=' || *at == '&')) || strpbrk(item, "!,/"))
		return pool_printf(pool,
				   "'%s': DOMAIN, DOMAIN=ADDRESS,... and DOMAIN&BITS are "
				   "supported; !=, ==, =&, and a domain with , or / are not",
				   item);
	item = string_trim(item);
	if (!address_is_domain(item, strlen(item)) || *item == '[')
		return pool_printf(pool, "'%s' is not a domain", item);
	for (value = strtok_r(at, ", ", &next); value; value = strtok_r(NULL, ", ", &next)) {
		if (list->count == VALUES_MAX ||
		    !address_parse(value, AF_INET, (unsigned char *)&list->values[list->count++]))
			return pool_printf(pool, "'%s' is not an IPv4 address", value);
	}
	if (list->relation && (!list->count || (list->relation == '&' && list->count > 1)))
		return pool_printf(pool, "%s%c: needs %s", item, list->relation,
				   list->relation == '&' ? "bits, as 0.0.0.4"
							 : "an address, as 127.0.0.2");
	return NULL;
}

char *dnslists_check(struct config *config, const struct acl_condition *condition,
		     const char *value, struct pool *pool)
{
	char separator = 0, *item, *wrong = NULL, hint[SUGGESTION_MAX];
	const char *raw = condition->value;
	struct dnslist list;

	(void)config;
	acl_next_part(pool, &raw);
	if (raw)
		return "no keys are supported: the address of the client is looked for";
	while (value && !wrong && (item = list_next(pool, &value, &separator))) {
		if (*item != '+')
			wrong = parse(item, &list, pool);
		else if (NAME_FIND(item, unknowns) < 0)
			wrong = pool_printf(pool, "unknown option '%s'%s", item,
					    name_suggestion(hint, "",
							    NAME_NEAREST(item, unknowns)));
	}
	return wrong;
}

/* "7.2.0.192." for 192.0.2.7, nibbles for IPv6; "" without an address. */
static char *reversed(const char *address, struct pool *pool)
{
	struct text text = {.pool = pool};
	unsigned char bytes[16];
	int family = address_parse(address, AF_UNSPEC, bytes), i;

	for (i = family == AF_INET ? 3 : 15; family && i >= 0; i--)
		text_add_string(&text, family == AF_INET
					       ? pool_printf(pool, "%d.", bytes[i])
					       : pool_printf(pool, "%x.%x.", bytes[i] & 15,
							     bytes[i] >> 4));
	return text_get(&text);
}

static void ask(struct session *session, struct dnslist_answer *answer, struct pool *pool)
{
	struct text values = {.pool = pool};
	char address[INET_ADDRSTRLEN];
	int i, found;

	answer->status = dns_ipv4(&session->dns, answer->name, answer->addresses, &found);
	for (i = 0; answer->status == DNS_OK && i < found; i++) {
		inet_ntop(AF_INET, &answer->addresses[i], address, sizeof(address));
		if (ntohl(answer->addresses[i].s_addr) >> 24 != 127) {
			log_line("DNS list lookup for %s returned %s; not in 127.0/8 and discarded",
				 answer->name, address);
			continue;
		}
		answer->addresses[answer->count++] = answer->addresses[i];
		text_add_string(&values, values.len ? ", " : "");
		text_add_string(&values, address);
	}
	answer->values = text_get(&values);
	answer->text = answer->count ? dns_text(&session->dns, answer->name, pool) : "";
	debug("DNS list %s: %s (%s)", answer->name, answer->values, answer->text);
}

/* The answer for @name, which the DNS is asked for once in a connection. */
static struct dnslist_answer *answer_for(struct session *session, const char *name)
{
	struct dnslist_answer *answer;
	int kept = 0;

	for (answer = session->dnslist_answers; answer; answer = answer->next, kept++) {
		if (!strcmp(answer->name, name))
			return answer;
	}
	answer = pool_alloc(kept < KEPT_MAX ? &session->kept : &session->pool, sizeof(*answer));
	answer->name = pool_string(kept < KEPT_MAX ? &session->kept : &session->pool, name);
	ask(session, answer, kept < KEPT_MAX ? &session->kept : &session->pool);
	if (kept < KEPT_MAX && answer->status != DNS_DEFER) {
		answer->next = session->dnslist_answers;
		session->dnslist_answers = answer;
	}
	return answer;
}

static bool has_value(const struct dnslist *list, const struct dnslist_answer *answer)
{
	int i, j;

	for (i = 0; i < answer->count; i++) {
		if (!list->relation)
			return true;
		for (j = 0; j < list->count; j++) {
			if (list->relation == '='
				    ? answer->addresses[i].s_addr == list->values[j].s_addr
				    : (answer->addresses[i].s_addr & list->values[j].s_addr) ==
					      list->values[j].s_addr)
				return true;
		}
	}
	return false;
}

/* Return: 1, 0, or -1 where the DNS gave no answer and @unknown says so. */
static int match_one(struct session *session, const struct dnslist *list, enum unknown unknown)
{
	const char *name =
		pool_printf(&session->pool, "%s%s",
			    reversed(session->sender_host_address, &session->pool), list->domain);
	const struct dnslist_answer *answer = answer_for(session, name);

	if (answer->status == DNS_DEFER) {
		log_line("DNS list lookup defer (probably timeout) for %s: %s", name,
			 unknown == EXCLUDE   ? "assumed not in list"
			 : unknown == INCLUDE ? "assumed in list"
					      : "returned DEFER");
		if (unknown != INCLUDE)
			return unknown == EXCLUDE ? 0 : -1;
	} else if (answer->status == DNS_NONE || !has_value(list, answer)) {
		return 0;
	}
	session->dnslist_domain = list->domain;
	session->dnslist_value = answer->values;
	session->dnslist_text = answer->text;
	session->dnslist_matched = session->sender_host_address;
	return 1;
}

int dnslists_test(struct run *run, const struct acl_condition *condition, char *value)
{
	struct session *session = run->session;
	enum unknown unknown = EXCLUDE;
	const char *lists = value;
	char separator = 0, *item;
	struct dnslist list;
	int result = 0;

	run->error = dnslists_check(session->config, condition, value, &session->pool);
	if (run->error)
		return -1;
	while (!result && (item = list_next(&session->pool, &lists, &separator))) {
		if (*item == '+') {
			unknown = NAME_FIND(item, unknowns);
			continue;
		}
		parse(item, &list, &session->pool);
		result = match_one(session, &list, unknown);
	}
	if (result < 0) {
		session->dns_deferred = true;
		run->error = "no answer from the DNS";
	}
	return result;
}
