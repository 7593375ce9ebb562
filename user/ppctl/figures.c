// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections that live, counted by the port that they are on and by the proxy that made them.
 */
#include <stdio.h>
#include <string.h>

#include "../common/array.h"
#include "json.h"
#include "ppctl.h"
#include "status.h"

/* What a connection counts as. A PENDING one and one of which a part of the header is there wait;
 * one without a header in the gate's time may wait still. */
static const char *const words[] = {
	[PP_STATE_NONE] = "strangers",	   [PP_STATE_PENDING] = "waiting",
	[PP_STATE_EXPIRED] = "late",	   [PP_STATE_VALID] = "valid",
	[PP_STATE_LOCAL] = "local",	   [PP_STATE_BAD] = "bad",
	[PP_STATE_FRAGMENTED] = "waiting",
};
static const char *const order[] = {"valid", "local", "waiting", "late", "bad", "strangers"};

static struct json_object *figures_new(void)
{
	struct json_object *entry = json_object_new_object();
	size_t i;

	add_number(entry, "connections", 0);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		add_number(entry, order[i], 0);
	return entry;
}

static void count_in(struct json_object *entry, const struct pp_live *live)
{
	unsigned int state = live_state(live);
	const char *word = state < ARRAY_SIZE(words) ? words[state] : "bad";

	add_number(entry, "connections", number_of(entry, "connections") + 1);
	add_number(entry, word, number_of(entry, word) + 1);
}

/* The port of the connection: on its own address before that on any. */
static struct json_object *port_of(struct json_object *list, const struct pp_live *live)
{
	struct json_object *entry, *found = NULL;
	struct sockaddr_storage endpoint;
	char address[INET6_ADDRSTRLEN];
	const char *own;
	size_t i;

	mapped_endpoint(&endpoint, live->local, live->local_port);
	endpoint_address(&endpoint, address);
	for (i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		own = string_of(entry, "address");
		if (number_of(entry, "port") != live->local_port)
			continue;
		if (!strcmp(own, address))
			return entry;
		if (!*own)
			found = entry;
	}
	return found;
}

/* The proxy in the list with the longest prefix that has the connection's other end in it. */
static struct json_object *proxy_of(struct json_object *list, const struct pp_live *live)
{
	struct json_object *entry, *found = NULL;
	unsigned int longest = 0, length;
	struct prefix prefix;
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		if (prefix_parse(string_of(entry, "proxy"), &prefix) ||
		    !mapped_matches(&prefix, live->remote))
			continue;
		length = prefix.length + 1;
		if (length > longest)
			found = entry;
		longest = length > longest ? length : longest;
	}
	return found;
}

static struct json_object *entry_with_string(struct json_object *list, const char *key,
					     const char *value)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (!strcmp(string_of(json_object_array_get_idx(list, i), key), value))
			return json_object_array_get_idx(list, i);
	}
	return NULL;
}

static void add_entries(struct json_object *to, const char *key, struct json_object *names)
{
	struct json_object *entry;
	size_t i;

	for (i = 0; i < json_object_array_length(names); i++) {
		entry = figures_new();
		json_object_object_add(entry, key,
				       json_object_get(json_object_array_get_idx(names, i)));
		json_object_array_add(to, entry);
	}
}

/* By proxy: not strangers, and those of a proxy cgroup by that. */
static void count_proxy(struct json_object *figures, const struct pp_live *live)
{
	struct json_object *entry = NULL;
	char path[PATH_MAX];

	if (live->record.state == PP_STATE_NONE)
		return;
	if (live->record.sender_cgroup && !cgroup_path_of_id(live->record.sender_cgroup, path))
		entry = entry_with_string(value_of(figures, "by_proxy_cgroup"), "cgroup", path);
	if (!entry)
		entry = proxy_of(value_of(figures, "by_proxy"), live);
	if (entry)
		count_in(entry, live);
}

struct json_object *figures_read(const struct live_list *live, struct json_object *ports,
				 struct json_object *proxies, struct json_object *senders)
{
	struct json_object *figures = json_object_new_object(), *entry;
	struct json_object *by_port = json_object_new_array();
	struct json_object *by_proxy = json_object_new_array(),
			   *by_cgroup = json_object_new_array();
	size_t i;

	for (i = 0; i < json_object_array_length(ports); i++) {
		entry = figures_new();
		add_number(entry, "port", number_of(json_object_array_get_idx(ports, i), "port"));
		if (*string_of(json_object_array_get_idx(ports, i), "address"))
			add_string(entry, "address",
				   string_of(json_object_array_get_idx(ports, i), "address"));
		/* on which somebody could have asked for the origin, and nobody has */
		add_number(entry, "unasked", 0);
		add_number(entry, "asked", 0);
		json_object_array_add(by_port, entry);
	}
	add_entries(by_proxy, "proxy", proxies);
	add_entries(by_cgroup, "cgroup", senders);
	add_number(figures, "total", live->count);
	json_object_object_add(figures, "by_port", by_port);
	json_object_object_add(figures, "by_proxy", by_proxy);
	json_object_object_add(figures, "by_proxy_cgroup", by_cgroup);
	for (i = 0; i < live->count; i++) {
		const struct pp_live *at = &live->sockets[i].live;

		count_proxy(figures, at);
		entry = port_of(by_port, at);
		if (!entry)
			continue;
		count_in(entry, at);
		if (at->asked)
			add_number(entry, "asked", number_of(entry, "asked") + 1);
		else if (live_state(at) == PP_STATE_VALID && live_age_s(at) >= UNASKED_S)
			add_number(entry, "unasked", number_of(entry, "unasked") + 1);
	}
	return figures;
}

void figures_print(struct json_object *entry)
{
	int64_t connections = number_of(entry, "connections"), value;
	const char *between = ":";
	size_t i;

	printf(" %lld connection%s", (long long)connections, connections == 1 ? "" : "s");
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		value = number_of(entry, order[i]);
		if (!value)
			continue;
		printf("%s %lld %s", between, (long long)value, order[i]);
		between = ",";
	}
}
