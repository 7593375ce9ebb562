// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy: prefixes in pp_proxies. IPv4 is kept v4-mapped, so one trie serves both.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../common/prefix.h"
#include "ppctl.h"

/* @key: receives the prefix @text, as pp_proxies has it. */
static int key_parse(const char *text, struct pp_prefix *key)
{
	struct prefix prefix;

	switch (prefix_parse(text, &prefix)) {
	case 0:
		break;
	case -ERANGE:
		return error("'%s': the prefix length is not a number from 0 to %d", text,
			     strchr(text, ':') ? 128 : 32);
	default:
		return error("'%s' is not an address prefix: 192.0.2.7, 192.0.2.0/24 or "
			     "2001:db8::/64",
			     text);
	}
	if (prefix_has_host_bits(&prefix))
		return error("'%s' has bits set after the prefix length: which network is meant?",
			     text);
	prefix_to_mapped(&prefix, key->address, &key->length);
	return 0;
}

static int proxy_check(int map, const char *word)
{
	struct pp_prefix key;

	(void)map;
	return key_parse(word, &key);
}

static int proxy_add(int map, const char *word)
{
	struct pp_proxy proxy = {0};
	struct pp_prefix key;

	if (key_parse(word, &key))
		return -1;
	if (bpf_map_update_elem(map, &key, &proxy, BPF_ANY))
		return map_update_error(MAP_PROXIES, map, word, errno);
	return 0;
}

static int proxy_del(int map, const char *word)
{
	struct pp_prefix key;

	if (key_parse(word, &key))
		return -1;
	if (!bpf_map_delete_elem(map, &key))
		return 0;
	if (errno == ENOENT)
		return error("%s is not in the list (ppctl proxy list)", word);
	return error("%s: %s: %s", MAP_PROXIES, word, strerror(errno));
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
