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
			return pool_printf(pool, "delivery: '%s' is without a port after the colon",
					   text);
		host->port = port;
	}
	host->name = pool_copy(kept, text, len);
	return NULL;
}

static char *parse_host(const char *text, enum delivery_kind kind, struct delivery_host *host,
			struct pool *kept, struct pool *pool)
{
	socklen_t len;

	host->port = kind == DELIVER_LMTP ? LMTP_PORT : SMTP_PORT;
	host->text = pool_string(kept, text);
	if (kind == DELIVER_LMTP && *text == '/' && text[1] != '/') {
		if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return pool_printf(pool, "delivery: '%s' is too long for a socket", text);
		host->socket = host->text;
		return NULL;
	}
	if (endpoint_parse(text, host->port, &host->endpoint, &len))
		return parse_name(text, host, kept, pool);
	if (host->endpoint.ss_family == AF_INET6 && *text != '[') /* is its end a port? */
		return pool_printf(pool,
				   "delivery: '%s' is not clear: write [ADDRESS] or [ADDRESS]:PORT",
				   text);
	return NULL;
}

char *delivery_parse(const char *text, struct delivery_target *target, struct pool *kept,
		     struct pool *pool)
{
	struct delivery_host **end = &target->hosts;
	char *words, *word, *next, *wrong;

	memset(target, 0, sizeof(*target));
	if (strchr(text, '$'))
		return pool_printf(pool, "delivery: '%s' is not expanded: no $", text);
	if (!strncmp(text, "maildir:/", 9)) {
		target->path = pool_string(kept, text + 8);
		return NULL;
	}
	target->kind = *text == 'l' ? DELIVER_LMTP : DELIVER_SMTP;
	if (strncmp(text, "lmtp:", 5) && strncmp(text, "smtp:", 5))
		return pool_printf(
			pool,
			"delivery: '%s' is neither maildir:/PATH, lmtp:HOST:PORT, lmtp:/SOCKET nor "
			"smtp:HOST:PORT",
			text);
	words = pool_string(pool, text + 5);
	for (word = strtok_r(words, SEPARATORS, &next); word;
	     word = strtok_r(NULL, SEPARATORS, &next)) {
		*end = pool_alloc(kept, sizeof(**end));
		wrong = parse_host(word, target->kind, *end, kept, pool);
		if (wrong)
			return wrong;
		end = &(*end)->next;
	}
	return target->hosts ? NULL : pool_printf(pool, "delivery: '%s' is without a host", text);
}
