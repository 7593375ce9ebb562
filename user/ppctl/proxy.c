// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy: prefixes in pp_proxies. IPv4 is kept v4-mapped, so one trie serves both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "ppctl.h"

#define MAPPED_BITS 96

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static int is_mapped(const struct pp_prefix *prefix)
{
	return prefix->length >= MAPPED_BITS && !memcmp(prefix->address, mapped, sizeof(mapped));
}

static int has_host_bits(const struct pp_prefix *prefix)
{
	uint32_t bit;

	for (bit = prefix->length; bit < 128; bit++) {
		if (prefix->address[bit / 8] & (0x80 >> bit % 8))
			return 1;
	}
	return 0;
}

static int prefix_parse(const char *text, struct pp_prefix *prefix)
{
	char address[INET6_ADDRSTRLEN + 1], *end;
	size_t len = strcspn(text, "/");
	long bits, max;

	memset(prefix, 0, sizeof(*prefix));
	if (len >= sizeof(address))
		return error("'%s' is not an address prefix", text);
	memcpy(address, text, len);
	address[len] = 0;
	if (inet_pton(AF_INET, address, prefix->address + sizeof(mapped)) == 1) {
		memcpy(prefix->address, mapped, sizeof(mapped));
		max = 32;
	} else if (inet_pton(AF_INET6, address, prefix->address) == 1) {
		max = 128;
	} else {
		return error("'%s' is not an address prefix: 192.0.2.7, 192.0.2.0/24 or "
			     "2001:db8::/64",
			     text);
	}
	bits = max;
	if (text[len]) {
		bits = strtol(text + len + 1, &end, 10);
		if (text[len + 1] < '0' || text[len + 1] > '9' || *end || bits > max)
			return error("'%s': the prefix length is not a number from 0 to %ld", text,
				     max);
	}
	prefix->length = max == 32 ? MAPPED_BITS + bits : bits;
	if (has_host_bits(prefix))
		return error("'%s' has bits set behind the prefix length: which network is meant?",
			     text);
	return 0;
}

static void prefix_print(const struct pp_prefix *prefix, char *text, size_t size)
{
	char address[INET6_ADDRSTRLEN];

	if (is_mapped(prefix)) {
		inet_ntop(AF_INET, prefix->address + sizeof(mapped), address, sizeof(address));
		snprintf(text, size, "%s/%u", address, prefix->length - MAPPED_BITS);
	} else {
		inet_ntop(AF_INET6, prefix->address, address, sizeof(address));
		snprintf(text, size, "%s/%u", address, prefix->length);
	}
}

static int proxy_check(int map, const char *word)
{
	struct pp_prefix prefix;

	(void)map;
	return prefix_parse(word, &prefix);
}

static int proxy_add(int map, const char *word)
{
	struct pp_proxy proxy = {0};
	struct pp_prefix prefix;

	if (prefix_parse(word, &prefix))
		return -1;
	if (bpf_map_update_elem(map, &prefix, &proxy, BPF_ANY))
		return map_update_error(MAP_PROXIES, map, word, errno);
	return 0;
}

static int proxy_del(int map, const char *word)
{
	struct pp_prefix prefix;

	if (prefix_parse(word, &prefix))
		return -1;
	if (!bpf_map_delete_elem(map, &prefix))
		return 0;
	if (errno == ENOENT)
		return error("%s is not in the list (ppctl proxy list)", word);
	return error("%s: %s: %s", MAP_PROXIES, word, strerror(errno));
}

static struct json_object *proxies_read(int map)
{
	struct json_object *list = json_object_new_array();
	struct pp_prefix prefix;
	char text[INET6_ADDRSTRLEN + 8];
	void *previous = NULL;

	while (!bpf_map_get_next_key(map, previous, &prefix)) {
		prefix_print(&prefix, text, sizeof(text));
		json_object_array_add(list, json_object_new_string(text));
		previous = &prefix;
	}
	return list;
}

const struct list proxy_list = {
	.name = "proxy",
	.word = "PREFIX",
	.map = MAP_PROXIES,
	.check = proxy_check,
	.add = proxy_add,
	.del = proxy_del,
	.read = proxies_read,
	.print = list_print_strings,
};

int command_proxy(int argc, char **argv)
{
	return list_command(&proxy_list, argc, argv);
}
