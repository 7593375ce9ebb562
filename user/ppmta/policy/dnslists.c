// SPDX-License-Identifier: BSD-2-Clause
/*
 * The condition dnslists: is the origin's address in a list that the DNS has? An item is DOMAIN,
 * DOMAIN=ADDRESS,ADDRESS... or DOMAIN&BITS.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <string.h>

#include "../../common/endpoint.h"
#include "../../common/name.h"
#include "acl.h"

#define VALUES_MAX 16
#define LISTED_NET 127 /* /8: an answer out of it is none */

struct dnslist {
	struct evaluation *eval;
	char *name;    /* that is asked for */
	char relation; /* 0, '=' or '&' */
	in_addr_t values[VALUES_MAX];
	int count;
	bool matches;
	struct text found; /* "127.0.0.2, 127.0.0.4" */
	char *text;	   /* of the first TXT record */
};

/* What holds where the DNS does not answer. */
static const char *const unknowns[] = {"+exclude_unknown", "+include_unknown", "+defer_unknown"};
enum unknown { EXCLUDE, INCLUDE, DEFER_IT };

/* Cuts @item to the domain. */
static int parse(struct evaluation *eval, char *item, struct dnslist *list)
{
	char *at = item + strcspn(item, "=&"), *value, *next;
	unsigned int net;

	list->relation = *at;
	if (*at)
		*at++ = 0;
	if ((list->relation && (*at == '=' || *at == '&')) || strpbrk(item, "!,/"))
		return failed(eval,
			      "'%s': not DOMAIN, DOMAIN=ADDRESS,... or DOMAIN&BITS; !=, ==, =&, "
			      "and a domain with , or / are not supported",
			      item);
	item = string_trim(item);
	if (!domain_is_plain(item, strlen(item)))
		return failed(eval, "'%s' is not a domain", item);
	for (value = strtok_r(at, ", ", &next); value; value = strtok_r(NULL, ", ", &next)) {
		if (list->count == VALUES_MAX ||
		    inet_pton(AF_INET, value, &list->values[list->count++]) != 1)
			return failed(eval, "'%s' is not an IPv4 address", value);
		net = ntohl(list->values[list->count - 1]) >> 24;
		if (list->relation == '&' ? net & ~LISTED_NET : net != LISTED_NET)
			return failed(eval, "'%s' matches nothing: lists answer with 127.x.x.x",
				      value);
	}
	if (list->relation && (!list->count || (list->relation == '&' && list->count > 1)))
		return failed(eval, "%s%c: needs %s", item, list->relation,
			      list->relation == '&' ? "bits, as 0.0.0.4"
						    : "an address, as 127.0.0.2");
	return 0;
}

static void add_address(void *context, const char *bytes, size_t len)
{
	struct dnslist *list = context;
	char text[INET_ADDRSTRLEN];
	in_addr_t address;
	int i;

	memcpy(&address, bytes, len);
	inet_ntop(AF_INET, &address, text, sizeof(text));
	if (ntohl(address) >> 24 != LISTED_NET) {
		log_line("DNS list lookup for %s returned %s; not in 127.0/8 and discarded",
			 list->name, text);
		return;
	}
	text_add_string(&list->found, list->found.len ? ", " : "");
	text_add_string(&list->found, text);
	list->matches |= !list->relation;
	for (i = 0; i < list->count; i++)
		list->matches |= (list->relation == '&' ? address & list->values[i] : address) ==
				 list->values[i];
}

static void add_text(void *context, const char *bytes, size_t len)
{
	struct dnslist *list = context;

	if (list->text)
		return;
	list->text = pool_copy(list->eval->pool, bytes, len);
	text_clean(list->text, len, true);
}

/* Return: 1, 0, or -1 where the DNS gave no answer and @unknown says so. */
static int match_one(struct dnslist *list, const char *domain, enum unknown unknown)
{
	struct session *session = list->eval->session;
	enum dns_status status;

	list->name =
		pool_printf(list->eval->pool, "%s%s",
			    dns_reversed(session->sender_host_address, list->eval->pool), domain);
	status = dns_records(&session->dns, list->name, ns_t_a, add_address, list);
	if (status == DNS_DEFER) {
		log_line("DNS list lookup defer (probably timeout) for %s: %s", list->name,
			 unknown == EXCLUDE   ? "assumed not in list"
			 : unknown == INCLUDE ? "assumed in list"
					      : "returned DEFER");
		if (unknown != INCLUDE)
			return unknown == EXCLUDE ? 0 : -1;
	} else if (!list->matches) {
		return 0;
	} else {
		dns_records(&session->dns, list->name, ns_t_txt, add_text, list);
	}
	session->dnslist_domain = domain;
	session->dnslist_value = text_get(&list->found);
	session->dnslist_text = list->text;
	session->dnslist_matched = session->sender_host_address;
	return 1;
}

int dnslists_test(struct run *run, const struct acl_condition *condition, char *value)
{
	struct evaluation *eval = &run->eval;
	const char *lists, *raw = value;
	enum unknown unknown = EXCLUDE;
	char separator = 0, *item;
	int result = 0, option;

	(void)condition;
	acl_next_part(eval->pool, &raw);
	if (raw)
		return failed(eval,
			      "no keys are supported: the address of the client is looked for");
	lists = expand(eval, value);
	if (!lists)
		return eval->error ? -1 : 1;
	while (!result && (item = list_next(eval->pool, &lists, &separator))) {
		struct dnslist list = {.eval = eval, .found = {.pool = eval->pool}};

		option = NAME_FIND(item, unknowns);
		if (option >= 0)
			unknown = option;
		else if (*item == '+')
			return failed(eval, "%s",
				      unknown_name(eval->pool, "option", "", item,
						   NAME_NEAREST(item, unknowns)));
		else if (parse(eval, item, &list))
			return -1;
		else if (eval->session)
			result = match_one(&list, item, unknown);
	}
	if (result < 0) {
		eval->session->dns_deferred = true;
		failed(eval, "no answer from the DNS");
	}
	return result;
}
