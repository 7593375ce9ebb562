// SPDX-License-Identifier: BSD-2-Clause
/*
 * Words of the command line and of ppsplit.conf, as entries of the maps.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/endpoint.h"
#include "../common/number.h"
#include "../common/prefix.h"
#include "config.h"
#include "word.h"

#define MAPPED_BITS 96

/* Return: -1. */
static int fail(char why[WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(char why[WHY_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, WHY_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

int port_has_address(const struct pp_port_key *key)
{
	static const __u8 any[sizeof(key->address)];

	return memcmp(key->address, any, sizeof(any)) != 0;
}

int port_is_same(const struct pp_port_key *left, const struct pp_port_key *right)
{
	return left->port == right->port &&
	       !memcmp(left->address, right->address, sizeof(left->address));
}

const char *port_text(const struct pp_port_key *key, char text[ENDPOINT_TEXT_MAX])
{
	struct sockaddr_storage endpoint;
	struct prefix prefix;

	if (!port_has_address(key)) {
		snprintf(text, ENDPOINT_TEXT_MAX, "%u", key->port);
		return text;
	}
	prefix_from_mapped(&prefix, key->address, 8 * sizeof(key->address));
	endpoint_make(&endpoint, prefix.family, prefix.address, key->port);
	endpoint_text(&endpoint, text);
	return text;
}

/* One with an address. */
static int local_parse(const char *word, struct pp_port_key *key, char why[WHY_MAX])
{
	struct sockaddr_storage endpoint;
	char address[INET6_ADDRSTRLEN];
	struct prefix prefix;
	socklen_t len;
	uint32_t bits;

	if (endpoint_parse(word, 0, &endpoint, &len) || !endpoint_port(&endpoint))
		return fail(why,
			    "'%.64s' is not a port: a number from 1 to 65535, alone or as "
			    "192.0.2.1:25 or [2001:db8::1]:25",
			    word);
	endpoint_address(&endpoint, address);
	if (!strcmp(address, "0.0.0.0") || !strcmp(address, "::"))
		return fail(why, "'%.64s' is every address: say port %u", word,
			    endpoint_port(&endpoint));
	prefix_parse(address, &prefix);
	prefix_to_mapped(&prefix, key->address, &bits);
	key->port = endpoint_port(&endpoint);
	return 0;
}

int port_parse(const char *word, struct pp_port_key *key, char why[WHY_MAX])
{
	uint64_t number;

	memset(key, 0, sizeof(*key));
	if (number_parse(word, 1, PORT_MAX, &number))
		return local_parse(word, key, why);
	key->port = number;
	return 0;
}

/* Is an IPv4 address in the prefix, although it is one of IPv6? */
static int covers_mapped(const struct pp_prefix *key)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
	unsigned int bit;

	if (key->length >= MAPPED_BITS)
		return 0;
	for (bit = 0; bit < key->length; bit++) {
		if ((key->address[bit / 8] ^ mapped[bit / 8]) >> (7 - bit % 8) & 1)
			return 0;
	}
	return 1;
}

int proxy_parse(const char *word, struct pp_prefix *key, struct pp_proxy *proxy, char why[WHY_MAX])
{
	struct prefix prefix;

	switch (prefix_parse(word, &prefix)) {
	case 0:
		break;
	case -ERANGE:
		return fail(why, "'%.64s': the prefix length is not a number from 0 to %d", word,
			    strchr(word, ':') ? 128 : 32);
	default:
		return fail(why,
			    "'%.64s' is not an address prefix: 192.0.2.7, 192.0.2.0/24 or "
			    "2001:db8::/64",
			    word);
	}
	if (prefix_has_host_bits(&prefix))
		return fail(why,
			    "'%.64s' has bits set after the prefix length: which network is "
			    "meant?",
			    word);
	memset(key, 0, sizeof(*key));
	prefix_to_mapped(&prefix, key->address, &key->length);
	proxy->flags = covers_mapped(key) ? PP_PROXY_NOT_IPV4 : 0;
	return 0;
}

static int ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

int gate_parse(const char *word, uint32_t *ms, char why[WHY_MAX])
{
	size_t digits = strspn(word, "0123456789");
	uint64_t number = 0;
	char text[32];
	int result;

	if (!word[digits] || (digits && !strcmp(word + digits, "ms"))) {
		snprintf(text, sizeof(text), "%.*s", (int)digits, word);
		result = digits < sizeof(text) ? number_parse(text, 0, GATE_MS_MAX, &number)
					       : -ERANGE;
	} else {
		result = ends_with(word, "s") ? time_parse(word, GATE_MS_MAX, &number) : -EINVAL;
	}
	if (result == -ERANGE)
		return fail(why, "'%.64s' is longer than %d s, which is the most", word,
			    GATE_MS_MAX / 1000);
	if (result)
		return fail(why, "'%.64s' is not a time: 3s, 500ms or a number of milliseconds",
			    word);
	*ms = number;
	return 0;
}

int connections_parse(const char *word, uint32_t *connections, char why[WHY_MAX])
{
	uint64_t number;

	if (number_parse(word, CONNECTIONS_LEAST, CONNECTIONS_MOST, &number))
		return fail(why, "'%.64s' is not a number of connections, from %d to %d", word,
			    CONNECTIONS_LEAST, CONNECTIONS_MOST);
	*connections = number;
	return 0;
}

int yes_no_parse(const char *word, uint32_t *yes, char why[WHY_MAX])
{
	if (strcmp(word, "yes") && strcmp(word, "no"))
		return fail(why, "'%.64s' is neither yes nor no", word);
	*yes = word[0] == 'y';
	return 0;
}

int on_bad_parse(const char *word, uint32_t *on_bad, char why[WHY_MAX])
{
	if (strcmp(word, "tell") && strcmp(word, "drop"))
		return fail(why, "'%.64s' is neither tell nor drop", word);
	*on_bad = word[0] == 't' ? PP_ON_BAD_TELL : PP_ON_BAD_DROP;
	return 0;
}
