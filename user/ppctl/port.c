// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl port: served ports and their policies, in pp_ports.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../common/endpoint.h"
#include "interface.h"
#include "json.h"
#include "port_map.h"
#include "ppctl.h"
#include "drain.h"
#include "word.h"

static int parse(const char *text, struct pp_port_key *key)
{
	char why[WHY_MAX];

	return port_parse(text, key, why) ? usage_error("%s", why) : 0;
}

static int port_check(int map, const char *word)
{
	struct pp_port_key key;

	(void)map;
	if (options.interfaces && options.policy.split == PP_SPLIT_NO)
		return usage_error(
			"--interface is for ports with a split: --split yes, or --transparent");
	return parse(word, &key);
}

/* With the policy that the options say. */
static int port_add(int map, const char *word)
{
	struct pp_port_key key;
	int result;

	if (parse(word, &key))
		return -1;
	if (options.policy.split != PP_SPLIT_NO && interfaces_attach())
		return -1;
	result = drain_port_add(map, &key, &options.policy);
	return result == -2 ? port_update_error(map, &key, word, errno) : result;
}

static int port_is_there(int map, const char *word, struct pp_port *policy)
{
	struct pp_port_key key;
	int failed = parse(word, &key);

	return failed ? failed : !port_get(map, &key, policy);
}

static int port_del(int map, const char *word)
{
	char text[ENDPOINT_TEXT_MAX];
	struct pp_port_key key;
	size_t left;

	if (parse(word, &key) || drain_port_del(map, &key, &left))
		return -1;
	if (left)
		say("port %s drains: connections left whose header was taken out: %zu (ppctl "
		    "status)",
		    port_text(&key, text), left);
	return 0;
}

static int port_restore(int map, const char *word, const struct pp_port *policy)
{
	struct pp_port_key key;

	return parse(word, &key) ? -1 : drain_port_add(map, &key, policy);
}

static void add_flag(struct json_object *object, const char *key, const struct pp_port *policy,
		     unsigned int flag)
{
	json_object_object_add(object, key, json_object_new_boolean(!!(policy->flags & flag)));
}

static struct json_object *port_object(const struct pp_port_key *key, const struct pp_port *policy)
{
	struct json_object *object = json_object_new_object();

	port_add_key(object, key);
	json_object_object_add(object, "split",
			       json_object_new_boolean(policy->split != PP_SPLIT_NO));
	add_flag(object, "transparent", policy, PP_PORT_TRANSPARENT);
	add_flag(object, "local", policy, PP_PORT_LOCAL);
	json_object_object_add(object, "gate_ms", json_object_new_int64(policy->gate_ms));
	json_object_object_add(object, "on_bad",
			       json_object_new_string(policy->on_bad == PP_ON_BAD_DROP ? "drop"
										       : "tell"));
	add_flag(object, "v1_mixed", policy, PP_PORT_V1_MIXED);
	json_object_object_add(object, "lookup",
			       json_object_new_boolean(!(policy->flags & PP_PORT_NO_LOOKUP)));
	add_flag(object, "draining", policy, PP_PORT_DRAINING);
	return object;
}

static struct json_object *ports_read(int map)
{
	struct json_object *list = json_object_new_array();
	struct pp_port_key ports[PORTS_MAX];
	struct translated_list translated = {};
	struct json_object *object;
	struct pp_port policy;
	int counted = 0;
	size_t count = ports_list(map, ports), i;

	for (i = 0; i < count; i++) {
		if (port_get(map, &ports[i], &policy))
			continue;
		object = port_object(&ports[i], &policy);
		json_object_array_add(list, object);
		if (!(policy.flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT)))
			continue;
		if (!counted++ && translated_read(&translated))
			break;
		json_object_object_add(
			object, "left",
			json_object_new_int64(translated_on(&translated, map, &ports[i])));
	}
	translated_free(&translated);
	return list;
}

static void print_flag(struct json_object *port, const char *key, const char *text)
{
	if (json_object_get_boolean(json_object_object_get(port, key)))
		printf(", %s", text);
}

static void port_print(struct json_object *port)
{
	char text[ENDPOINT_TEXT_MAX];

	port_name(port, text);
	printf("%-5s split %s", text,
	       json_object_get_boolean(json_object_object_get(port, "split")) ? "yes" : "no");
	print_flag(port, "transparent", "transparent");
	print_flag(port, "local", "local");
	printf(", gate %d ms, on bad header %s",
	       json_object_get_int(json_object_object_get(port, "gate_ms")),
	       json_object_get_string(json_object_object_get(port, "on_bad")));
	print_flag(port, "v1_mixed", "v1 mixed");
	if (!json_object_get_boolean(json_object_object_get(port, "lookup")))
		printf(", lookup no");
	print_flag(port, "draining", "draining: new connections have no split");
	if (json_object_object_get(port, "left"))
		printf(", %d with a split left",
		       json_object_get_int(json_object_object_get(port, "left")));
	printf("\n");
}

static void ports_print(struct json_object *list)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++)
		port_print(json_object_array_get_idx(list, i));
}

const struct list port_list = {
	.name = "ports",
	.map = MAP_PORTS,
	.check = port_check,
	.find = port_is_there,
	.absent = "is not served (ppctl port list)",
	.add = port_add,
	.del = port_del,
	.restore = port_restore,
	.read = ports_read,
	.print = ports_print,
};

int command_port_add(int argc, char **argv)
{
	return list_command_add(&port_list, argc, argv);
}

int command_port_del(int argc, char **argv)
{
	return list_command_del(&port_list, argc, argv);
}

int command_port_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return list_command_list(&port_list);
}
