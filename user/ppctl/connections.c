// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl connections: the connections that live, whose they are, and which process has them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../common/array.h"
#include "../common/name.h"
#include "json.h"
#include "ppctl.h"
#include "process.h"
#include "record.h"
#include "word.h"

#define FILTERS_MAX 64

/* What is to be shown; an empty list: all. */
static struct {
	struct pp_port_key ports[FILTERS_MAX];
	struct prefix proxies[FILTERS_MAX], clients[FILTERS_MAX];
	unsigned int states[FILTERS_MAX];
	size_t port_count, proxy_count, client_count, state_count;
} filter;

static int check_room(size_t count, const char *option)
{
	return count < FILTERS_MAX ? 0 : usage_error("%s: more than %d", option, FILTERS_MAX);
}

static int add_port(int unused, const char *word)
{
	char why[WHY_MAX];

	(void)unused;
	if (check_room(filter.port_count, "--port"))
		return -2;
	if (port_parse(word, &filter.ports[filter.port_count], why))
		return usage_error("--port: %s", why);
	filter.port_count++;
	return 0;
}

static int parse_prefix(const char *option, const char *word, struct prefix *prefix)
{
	if (prefix_parse(word, prefix) || prefix_has_host_bits(prefix))
		return usage_error("%s: '%s' is not an address prefix: 192.0.2.7, 192.0.2.0/24 or "
				   "2001:db8::/64",
				   option, word);
	return 0;
}

static int add_proxy(int unused, const char *word)
{
	(void)unused;
	if (check_room(filter.proxy_count, "--proxy") ||
	    parse_prefix("--proxy", word, &filter.proxies[filter.proxy_count]))
		return -2;
	filter.proxy_count++;
	return 0;
}

static int add_client(int unused, const char *word)
{
	(void)unused;
	if (check_room(filter.client_count, "--client") ||
	    parse_prefix("--client", word, &filter.clients[filter.client_count]))
		return -2;
	filter.client_count++;
	return 0;
}

static int add_state(int unused, const char *word)
{
	char suggestion[SUGGESTION_MAX];
	int state = record_state_find(word);

	(void)unused;
	if (state < 0)
		return usage_error("--state: '%s' is none%s", word,
				   name_suggestion(suggestion, "", record_state_nearest(word)));
	if (check_room(filter.state_count, "--state"))
		return -2;
	filter.states[filter.state_count++] = state;
	return 0;
}

static int read_filters(void)
{
	static const struct {
		const char **words;
		int (*add)(int unused, const char *word);
	} lists[] = {{&options.ports, add_port},
		     {&options.proxies, add_proxy},
		     {&options.clients, add_client},
		     {&options.states, add_state}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		if (*lists[i].words && for_each_word(*lists[i].words, lists[i].add, -1))
			return -2;
	}
	return 0;
}

static int has_address(const struct prefix *prefixes, size_t count, const uint8_t address[16])
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (mapped_matches(&prefixes[i], address))
			return 1;
	}
	return !count;
}

/* The client's address is in a valid record of IPv4 or IPv6. */
static int has_client(const struct pp_live *live)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct pp_record *record = &live->record;
	uint8_t address[16];

	if (!filter.client_count)
		return 1;
	if (live_state(live) != PP_STATE_VALID ||
	    (record->family != AF_INET && record->family != AF_INET6))
		return 0;
	memcpy(address, record->src, 16);
	if (record->family == AF_INET) {
		memcpy(address, mapped, 12);
		memcpy(address + 12, record->src, 4);
	}
	return has_address(filter.clients, filter.client_count, address);
}

static int is_wanted(const struct pp_live *live)
{
	unsigned int state = live_state(live);
	int wanted = !filter.port_count;
	size_t i;

	for (i = 0; i < filter.port_count; i++)
		wanted |= filter.ports[i].port == live->local_port &&
			  (!port_has_address(&filter.ports[i]) ||
			   !memcmp(filter.ports[i].address, live->local, sizeof(live->local)));
	if (!wanted || !has_address(filter.proxies, filter.proxy_count, live->remote) ||
	    !has_client(live))
		return 0;
	wanted = !filter.state_count;
	for (i = 0; i < filter.state_count; i++)
		wanted |= filter.states[i] == state;
	return wanted;
}

/* What is collected over all sets. */
struct collection {
	struct json_object *list;
	struct owner *owners; /* by the place in the list */
	size_t count;
	int failed;
};

static void add_connection(struct collection *collection, const char *set,
			   const struct connection *connection)
{
	const struct pp_live *live = &connection->live;
	struct json_object *object = record_of_live(connection);
	struct owner owner = {.inode = live->inode}, *grown;
	struct sockaddr_storage local;
	char text[ENDPOINT_TEXT_MAX];

	grown = array_grow(collection->owners, collection->count, 1, sizeof(*grown));
	if (!grown) {
		json_object_put(object);
		collection->failed = 1;
		return;
	}
	collection->owners = grown;
	grown[collection->count++] = owner;
	mapped_endpoint(&local, live->local, live->local_port);
	endpoint_text(&local, text);
	add_string(object, "set", set);
	add_string(object, "local", text);
	add_number(object, "port", live->local_port);
	if (live_age_s(live) >= 0)
		add_number(object, "age_s", live_age_s(live));
	json_object_object_add(object, "cookie", json_object_new_uint64(live->cookie));
	json_object_object_add(object, "netns_cookie",
			       json_object_new_uint64(live->record.netns_cookie));
	json_object_array_add(collection->list, object);
}

static void add_set(const char *directory, const char *name, void *context)
{
	struct collection *collection = context;
	struct live_list list;
	size_t i;

	(void)directory;
	if (live_read(&list)) {
		collection->failed = 1;
	} else {
		for (i = 0; i < list.count; i++) {
			if (is_wanted(&list.sockets[i].live))
				add_connection(collection, name, &list.sockets[i]);
		}
		live_free(&list);
	}
}

static void add_owners(struct collection *collection)
{
	struct json_object *object;
	struct owner *owner;
	size_t i;

	owners_find(collection->owners, collection->count);
	for (i = 0; i < collection->count; i++) {
		owner = &collection->owners[i];
		if (!owner->pid)
			continue;
		object = json_object_array_get_idx(collection->list, i);
		add_number(object, "pid", owner->pid);
		add_string(object, "process", owner->name);
	}
}

/* "authority=mx.example, ssl, 0xe3" */
static void print_tlvs(struct json_object *tlvs)
{
	size_t i, count = tlvs ? json_object_array_length(tlvs) : 0;
	struct json_object *tlv;
	const char *text;

	for (i = 0; i < count; i++) {
		tlv = json_object_array_get_idx(tlvs, i);
		text = string_of(tlv, "text");
		printf("%s", i ? ", " : "  ");
		if (strcmp(string_of(tlv, "name"), "other"))
			printf("%s", string_of(tlv, "name"));
		else
			printf("0x%02x", (unsigned int)number_of(tlv, "type"));
		if (text[0] && strlen(text) <= 64)
			printf("=%s", text);
	}
}

static void print_connection(struct json_object *object)
{
	const char *client = string_of(object, "source"), *process = string_of(object, "process");
	char owner[64] = "-", age[32] = "-";

	if (process[0])
		snprintf(owner, sizeof(owner), "%s[%lld]", process,
			 (long long)number_of(object, "pid"));
	if (value_of(object, "age_s"))
		snprintf(age, sizeof(age), "%llds", (long long)number_of(object, "age_s"));
	printf("%-24s %-24s %-24s %-10s %6lld %6s %s", client[0] ? client : "-",
	       string_of(object, "peer"), string_of(object, "local"), string_of(object, "state"),
	       (long long)number_of(object, "header_len"), age, owner);
	if (value_of(object, "reason"))
		printf("  %s", string_of(object, "meaning"));
	print_tlvs(value_of(object, "tlvs"));
	printf("\n");
}

static void print_connections(struct json_object *list)
{
	size_t i;

	if (!json_object_array_length(list))
		return;
	printf("%-24s %-24s %-24s %-10s %6s %6s %s\n", "CLIENT", "PROXY", "SERVER", "STATE",
	       "HEADER", "AGE", "PROCESS");
	for (i = 0; i < json_object_array_length(list); i++)
		print_connection(json_object_array_get_idx(list, i));
}

int command_connections(int argc, char **argv)
{
	struct collection collection = {.list = json_object_new_array()};
	struct json_object *object;

	(void)argc;
	(void)argv;
	if (read_filters())
		return -2;
	if (choose_all(add_set, &collection) || collection.failed)
		return -1;
	add_owners(&collection);
	if (options.json) {
		object = json_object_new_object();
		json_object_object_add(object, "connections", collection.list);
		print_json(object);
	} else {
		make_printable(collection.list);
		print_connections(collection.list);
		json_object_put(collection.list);
	}
	free(collection.owners);
	return 0;
}
