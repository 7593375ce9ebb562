// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy: prefixes in pp_proxies. IPv4 is kept v4-mapped, so one trie serves both.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../common/prefix.h"
#include "ppctl.h"
#include "word.h"

static int key_parse(const char *text, struct pp_prefix *key, struct pp_proxy *proxy)
{
	char why[WHY_MAX];

	return proxy_parse(text, key, proxy, why) ? usage_error("%s", why) : 0;
}

static int proxy_check(int map, const char *word)
{
	struct pp_proxy proxy;
	struct pp_prefix key;

	(void)map;
	return key_parse(word, &key, &proxy);
}

/* The trie itself answers with any prefix that has this one in it. */
static int proxy_find(int map, const char *word, struct pp_port *policy)
{
	struct pp_prefix key, other, *previous = NULL;
	struct pp_proxy proxy;

	(void)policy;
	if (key_parse(word, &key, &proxy))
		return -1;
	if (bpf_map_lookup_elem(map, &key, &proxy))
		return 0;
	while (!bpf_map_get_next_key(map, previous, &other)) {
		if (!memcmp(&other, &key, sizeof(key)))
			return 1;
		previous = &other;
	}
	return 0;
}

static int proxy_add(int map, const char *word)
{
	struct pp_proxy proxy;
	struct pp_prefix key;

	if (key_parse(word, &key, &proxy))
		return -1;
	if (bpf_map_update_elem(map, &key, &proxy, BPF_ANY))
		return map_update_error(MAP_PROXIES, map, word, errno);
	return 0;
}

static int proxy_del(int map, const char *word)
{
	struct pp_proxy proxy;
	struct pp_prefix key;

	if (key_parse(word, &key, &proxy))
		return -1;
	if (bpf_map_delete_elem(map, &key))
		return error("%s: %s: %s", MAP_PROXIES, word, strerror(errno));
	return 0;
}

static struct json_object *proxies_read(int map)
{
	struct json_object *list = json_object_new_array();
	char text[PREFIX_TEXT_MAX];
	struct prefix prefix;
	struct pp_prefix key;
	void *previous = NULL;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		prefix_from_mapped(&prefix, key.address, key.length);
		prefix_text(&prefix, text);
		json_object_array_add(list, json_object_new_string(text));
		previous = &key;
	}
	return list;
}

const struct list proxy_list = {
	.name = "proxies",
	.map = MAP_PROXIES,
	.check = proxy_check,
	.find = proxy_find,
	.absent = "is not in the list (ppctl proxy list)",
	.add = proxy_add,
	.del = proxy_del,
	.read = proxies_read,
	.print = list_print_strings,
};

int command_proxy_add(int argc, char **argv)
{
	return list_command_add(&proxy_list, argc, argv);
}

int command_proxy_del(int argc, char **argv)
{
	return list_command_del(&proxy_list, argc, argv);
}

int command_proxy_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return list_command_list(&proxy_list);
}
