// SPDX-License-Identifier: BSD-2-Clause
/*
 * Address prefixes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "endpoint.h"
#include "number.h"
#include "prefix.h"

#define MAPPED_BITS 96

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

unsigned int prefix_bits(const struct prefix *prefix)
{
	return prefix->family == AF_INET ? 32 : 128;
}

void prefix_to_mapped(const struct prefix *prefix, uint8_t address[16], uint32_t *length)
{
	if (prefix->family == AF_INET) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + sizeof(mapped), prefix->address, 4);
		*length = MAPPED_BITS + prefix->length;
	} else {
		memcpy(address, prefix->address, 16);
		*length = prefix->length;
	}
}

void prefix_from_mapped(struct prefix *prefix, const uint8_t address[16], uint32_t length)
{
	memset(prefix, 0, sizeof(*prefix));
	if (length >= MAPPED_BITS && !memcmp(address, mapped, sizeof(mapped))) {
		prefix->family = AF_INET;
		prefix->length = length - MAPPED_BITS;
		memcpy(prefix->address, address + sizeof(mapped), 4);
	} else {
		prefix->family = AF_INET6;
		prefix->length = length;
		memcpy(prefix->address, address, 16);
	}
}

int prefix_parse(const char *text, struct prefix *prefix)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	struct prefix parsed = {};
	uint64_t length;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = 0;
	parsed.family = address_parse(address, AF_UNSPEC, parsed.address);
	if (!parsed.family)
		return -EINVAL;
	length = prefix_bits(&parsed);
	if (text[len] && number_parse(text + len + 1, 0, length, &length))
		return -ERANGE;
	parsed.length = length;
	*prefix = parsed;
	if (parsed.family == AF_INET6)
		prefix_from_mapped(prefix, parsed.address, parsed.length);
	return 0;
}

void prefix_text(const struct prefix *prefix, char text[PREFIX_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(prefix->family, prefix->address, address, sizeof(address));
	snprintf(text, PREFIX_TEXT_MAX, "%s/%u", address, prefix->length);
}

/* Bit @bit of @bytes, the first one being 0. */
static int bit_of(const uint8_t *bytes, unsigned int bit)
{
	return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

int prefix_has_host_bits(const struct prefix *prefix)
{
	unsigned int bit;

	for (bit = prefix->length; bit < prefix_bits(prefix); bit++) {
		if (bit_of(prefix->address, bit))
			return 1;
	}
	return 0;
}

int prefix_matches(const struct prefix *prefix, const char *text)
{
	struct prefix host;
	unsigned int bit;

	if (strchr(text, '/') || prefix_parse(text, &host) || host.family != prefix->family)
		return 0;
	for (bit = 0; bit < prefix->length; bit++) {
		if (bit_of(prefix->address, bit) != bit_of(host.address, bit))
			return 0;
	}
	return 1;
}
