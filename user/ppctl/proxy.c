// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy: prefixes in pp_proxies. IPv4 is kept v4-mapped, so one trie serves both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int proxy_add(const char *word, void *map)
{
	struct pp_proxy proxy = {0};
	struct pp_prefix prefix;
	int fd = *(int *)map;

	if (prefix_parse(word, &prefix))
		return -1;
	if (bpf_map_update_elem(fd, &prefix, &proxy, BPF_ANY))
		return map_update_error(MAP_PROXIES, fd, word, errno);
	return 0;
}

static int proxy_del(const char *word, void *map)
{
	struct pp_prefix prefix;

	if (prefix_parse(word, &prefix))
		return -1;
	if (!bpf_map_delete_elem(*(int *)map, &prefix))
		return 0;
	if (errno == ENOENT)
		return error("%s is not in the list (ppctl proxy list)", word);
	return error("%s: %s: %s", MAP_PROXIES, word, strerror(errno));
}

struct json_object *proxies_read(int map)
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

void proxies_print(struct json_object *list)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++)
		printf("%s\n", json_object_get_string(json_object_array_get_idx(list, i)));
}

int proxies_add(const char *list)
{
	int map = pin_open_map(MAP_PROXIES), result;

	if (map < 0)
		return -1;
	result = for_each_word(list, proxy_add, &map);
	close(map);
	return result;
}

static int proxy_list(int map)
{
	struct json_object *list = proxies_read(map);

	if (options.json) {
		print_json(list);
		return 0;
	}
	proxies_print(list);
	json_object_put(list);
	return 0;
}

int command_proxy(int argc, char **argv)
{
	int (*each)(const char *word, void *map) = NULL;
	int map, i, result = 0;

	if (argc == 1 && !strcmp(argv[0], "list"))
		each = NULL;
	else if (argc >= 2 && !strcmp(argv[0], "add"))
		each = proxy_add;
	else if (argc >= 2 && !strcmp(argv[0], "del"))
		each = proxy_del;
	else
		return error("usage: ppctl proxy add|del PREFIX..., or ppctl proxy list");

	map = pin_open_map(MAP_PROXIES);
	if (map < 0)
		return -1;
	for (i = 1; i < argc && !result; i++)
		result = for_each_word(argv[i], each, &map);
	if (!each)
		result = proxy_list(map);
	close(map);
	return result;
}
