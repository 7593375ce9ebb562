// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where `delivery` says that messages go.
 */
#include <string.h>
#include <sys/un.h>

#include "../../common/endpoint.h"
#include "../../common/number.h"
#include "delivery.h"

#define LMTP_PORT  24
#define SMTP_PORT  25
#define SEPARATORS ", \t"

static char *parse_name(const char *text, struct delivery_host *host, struct pool *kept,
			struct pool *pool)
{
	size_t len = strcspn(text, ":");
	uint64_t port;

	/* an address that is none must not be looked up as a name */
	if (!address_is_domain(text, len) || text[strspn(text, "0123456789.:")] == 0)
		return pool_printf(pool,
				   "delivery: '%s' is neither a name nor an address: "
				   "mx.example.net:25, 192.0.2.1:25, [::1]:24",
				   text);
	if (text[len]) {
		if (number_parse(text + len + 1, 1, PORT_MAX, &port))
			return pool_printf(pool, "delivery: '%s' has no port after the colon",
					   text);
		host->port = port;
	}
	host->name = pool_copy(kept, text, len);
	return NULL;
}

static char *parse_host(const char *text, struct delivery_host *host, struct pool *kept,
			struct pool *pool)
{
	socklen_t len;

	host->text = pool_string(kept, text);
	if (*text == '/') {
		if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return pool_printf(pool, "delivery: '%s' is too long for a socket", text);
		host->socket = host->text;
		return NULL;
	}
	if (!endpoint_parse(text, host->port, &host->endpoint, &len))
		return NULL;
	return parse_name(text, host, kept, pool);
}

static char *parse_hosts(const char *text, unsigned int port, struct delivery_target *target,
			 struct pool *kept, struct pool *pool)
{
	struct delivery_host **end = &target->hosts;
	char *words = pool_string(pool, text), *word, *next, *wrong;

	for (word = strtok_r(words, SEPARATORS, &next); word;
	     word = strtok_r(NULL, SEPARATORS, &next)) {
		*end = pool_alloc(kept, sizeof(**end));
		(*end)->port = port;
		wrong = parse_host(word, *end, kept, pool);
		if (wrong)
			return wrong;
		end = &(*end)->next;
	}
	return target->hosts ? NULL : pool_printf(pool, "delivery: '%s' names no host", text);
}

char *delivery_parse(const char *text, struct delivery_target *target, struct pool *kept,
		     struct pool *pool)
{
	memset(target, 0, sizeof(*target));
	if (!strncmp(text, "maildir:/", 9)) {
		target->kind = DELIVER_MAILDIR;
		target->path = pool_string(kept, text + 8);
		return NULL;
	}
	if (!strncmp(text, "lmtp:", 5)) {
		target->kind = DELIVER_LMTP;
		return parse_hosts(text + 5, LMTP_PORT, target, kept, pool);
	}
	if (!strncmp(text, "smtp:", 5)) {
		target->kind = DELIVER_SMTP;
		return parse_hosts(text + 5, SMTP_PORT, target, kept, pool);
	}
	return pool_printf(pool,
			   "delivery: '%s' is neither maildir:/PATH, lmtp:HOST:PORT, "
			   "lmtp:/SOCKET nor smtp:HOST:PORT",
			   text);
}
