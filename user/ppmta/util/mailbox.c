// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mailboxes (RFC 5321, section 4.1.2) and their domains.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

#include "../../common/endpoint.h"
#include "../../common/utf8.h"
#include "util.h"

static int is_atom(unsigned char c)
{
	return isalnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)) || c >= 0x80;
}

/* Length of the local part at @text, or 0. */
static size_t local_part(const char *text)
{
	const char *at = text;

	if (*at == '"') {
		for (at++; *at && *at != '"'; at++) {
			if (*at == '\\')
				at++;
			if ((unsigned char)*at < 0x20 || *at == 0x7f)
				return 0;
		}
		return *at == '"' ? at + 1 - text : 0;
	}
	while (is_atom(*at) || (*at == '.' && at > text && at[-1] != '.'))
		at++;
	return at > text && at[-1] != '.' ? at - text : 0;
}

static bool is_literal(const char *text, size_t len)
{
	char address[sizeof("IPv6:") + INET6_ADDRSTRLEN];
	unsigned char binary[16];
	bool is_6;

	if (len < 4 || len - 2 >= sizeof(address) || text[0] != '[' || text[len - 1] != ']')
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)len - 2, text + 1);
	is_6 = !strncasecmp(address, "IPv6:", 5);
	return address_parse(address + (is_6 ? 5 : 0), is_6 ? AF_INET6 : AF_INET, binary) != 0;
}

/* Letters, digits, hyphens inside, and underscores, which are in many a HELO. */
static bool has_labels(const char *text, size_t len, bool ascii_only)
{
	size_t i, label = 0;

	for (i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c == '.') {
			if (!label || text[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!isalnum(c) && c != '_' && (c < 0x80 || ascii_only) && (c != '-' || !label))
			return false;
		if (++label > 63)
			return false;
	}
	return label && text[len - 1] != '-';
}

bool domain_is_plain(const char *text, size_t len)
{
	return len <= PLAIN_DOMAIN_MAX && has_labels(text, len, true);
}

bool address_is_domain(const char *text, size_t len)
{
	if (len == 0 || len > DOMAIN_MAX)
		return false;
	return text[0] == '[' ? is_literal(text, len) : has_labels(text, len, false);
}

const char *address_parse_path(const char *text, int empty, char address[PATH_LINE_MAX])
{
	const char *start, *domain, *end;
	size_t local;

	if (*text != '<')
		return NULL;
	if (text[1] == '>') {
		address[0] = 0;
		return empty ? text + 2 : NULL;
	}
	start = strchr(text, ':');
	start = text[1] != '@' || !start ? text + 1 : start + 1; /* after a source route */
	if (!empty && !strncasecmp(start, "postmaster>", 11)) {	 /* of senders each has a domain */
		strcpy(address, "postmaster");
		return start + 11;
	}
	local = local_part(start);
	if (!local || local > LOCAL_PART_MAX || start[local] != '@')
		return NULL;
	domain = start + local + 1;
	end = strchr(domain, '>');
	if (!end || !address_is_domain(domain, end - domain) || end - text + 1 > PATH_LINE_MAX)
		return NULL;
	memcpy(address, start, end - start);
	address[end - start] = 0;
	return end + 1;
}

char *mailbox_local_part(const char *address, struct pool *pool)
{
	size_t len = local_part(address), i;
	struct text text = {.pool = pool};

	if (*address != '"')
		return pool_copy(pool, address, len);
	for (i = 1; i + 1 < len; i++) {
		i += address[i] == '\\';
		text_add(&text, address + i, 1);
	}
	return text_get(&text);
}

const char *mailbox_plain(const char *address, struct pool *pool)
{
	char *unquoted = mailbox_local_part(address, pool);
	size_t len = local_part(unquoted);

	return *address == '"' && *unquoted != '"' && len && !unquoted[len]
		       ? pool_printf(pool, "%s@%s", unquoted, address_domain(address))
		       : address;
}

const char *address_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at ? at + 1 : "";
}

/* By libidn2: a domain is one in capitals, with wide letters, and as xn--... */
char *domain_ascii(const char *domain, struct pool *pool)
{
	char *made, *kept;

	if (utf8_is_ascii(domain))
		return pool_string(pool, domain);
	if (idn2_to_ascii_8z(domain, &made, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	kept = pool_string(pool, made);
	idn2_free(made);
	return kept;
}

char *domain_unicode(const char *domain, struct pool *pool)
{
	char *rest = domain_ascii(domain, pool), *label, *made;
	struct text read = {.pool = pool};

	if (!rest || !strcasestr(rest, "xn--"))
		return rest;
	while ((label = strsep(&rest, "."))) { /* one may only look like it: the others do not */
		bool is_read = idn2_to_unicode_8z8z(label, &made, 0) == IDN2_OK;

		text_add_string(&read, is_read ? made : label);
		text_add_string(&read, rest ? "." : "");
		if (is_read)
			idn2_free(made);
	}
	return text_get(&read);
}
