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
#include "ppctl.h"
#include "drain.h"
#include "word.h"

/* Return: the port, or negative. */
static int port_of(const char *text)
{
	char why[WHY_MAX];
	uint16_t port;

	return port_parse(text, &port, why) ? usage_error("%s", why) : port;
}

static int port_check(int map, const char *word)
{
	int port = port_of(word);

	(void)map;
	if (options.interfaces && options.policy.split == PP_SPLIT_NO)
		return usage_error(
			"--interface is for ports with a split: --split yes, or --transparent");
	return port < 0 ? port : 0;
}

int policy_translates(const struct pp_port *policy)
{
	return policy->split != PP_SPLIT_NO || policy->flags & PP_PORT_WAS_SPLIT;
}

int ports_have_split(int map)
{
	uint16_t port, *previous = NULL;
	struct pp_port policy;

	while (!bpf_map_get_next_key(map, previous, &port)) {
		if (!bpf_map_lookup_elem(map, &port, &policy) && policy_translates(&policy))
			return 1;
		previous = &port;
	}
	return 0;
}

static int by_port(const void *left, const void *right)
{
	return *(const uint16_t *)left - *(const uint16_t *)right;
}

size_t ports_list(int map, uint16_t ports[PORTS_MAX])
{
	uint16_t *previous = NULL;
	size_t count = 0;

	while (count < PORTS_MAX && !bpf_map_get_next_key(map, previous, &ports[count]))
		previous = &ports[count++];
	qsort(ports, count, sizeof(ports[0]), by_port);
	return count;
}

/* With the policy that the options say. */
static int port_add(int map, const char *word)
{
	int port = port_of(word), result;

	if (port < 0)
		return -1;
	if (options.policy.split != PP_SPLIT_NO && interfaces_attach())
		return -1;
	result = drain_port_add(map, port, &options.policy);
	return result == -2 ? map_update_error(MAP_PORTS, map, word, errno) : result;
}

static int port_find(int map, const char *word, struct pp_port *policy)
{
	int number = port_of(word);
	uint16_t port = number;

	return number < 0 ? number : !bpf_map_lookup_elem(map, &port, policy);
}

static int port_del(int map, const char *word)
{
	int port = port_of(word);

	return port < 0 ? -1 : drain_port_del(map, port);
}

static int port_restore(int map, const char *word, const struct pp_port *policy)
{
	return drain_port_add(map, port_of(word), policy);
}

static void add_flag(struct json_object *object, const char *key, const struct pp_port *policy,
		     unsigned int flag)
{
	json_object_object_add(object, key, json_object_new_boolean(!!(policy->flags & flag)));
}

static struct json_object *port_object(uint16_t port, const struct pp_port *policy)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "port", json_object_new_int(port));
	json_object_object_add(object, "split",
			       json_object_new_boolean(policy->split != PP_SPLIT_NO));
	add_flag(object, "transparent", policy, PP_PORT_TRANSPARENT);
	add_flag(object, "local", policy, PP_PORT_LOCAL);
	json_object_object_add(object, "gate_ms", json_object_new_int64(policy->gate_ms));
	json_object_object_add(object, "on_bad",
			       json_object_new_string(policy->on_bad == PP_ON_BAD_DROP ? "drop"
										       : "tell"));
	add_flag(object, "v1_mixed", policy, PP_PORT_V1_MIXED);
	add_flag(object, "draining", policy, PP_PORT_DRAINING);
	return object;
}

static struct json_object *ports_read(int map)
{
	struct json_object *list = json_object_new_array();
	uint16_t ports[PORTS_MAX];
	struct translated_list translated = {};
	struct json_object *object;
	struct pp_port policy;
	int counted = 0;
	size_t count = ports_list(map, ports), i;

	for (i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(map, &ports[i], &policy))
			continue;
		object = port_object(ports[i], &policy);
		json_object_array_add(list, object);
		if (!(policy.flags & (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT)))
			continue;
		if (!counted++ && translated_read(&translated))
			break;
		json_object_object_add(
			object, "left",
			json_object_new_int64(translated_on(&translated, map, ports[i])));
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
	printf("%-5d split %s", json_object_get_int(json_object_object_get(port, "port")),
	       json_object_get_boolean(json_object_object_get(port, "split")) ? "yes" : "no");
	print_flag(port, "transparent", "transparent");
	print_flag(port, "local", "local");
	printf(", gate %d ms, on bad header %s",
	       json_object_get_int(json_object_object_get(port, "gate_ms")),
	       json_object_get_string(json_object_object_get(port, "on_bad")));
	print_flag(port, "v1_mixed", "v1 mixed");
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
	.find = port_find,
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
