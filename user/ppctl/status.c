// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl status: does each set do what it is there for, what does it serve, what has it counted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/array.h"
#include "drain.h"
#include "interface.h"
#include "json.h"
#include "port_map.h"
#include "ppctl.h"
#include "status.h"

/* The maps without which nothing can be said of a set. */
static const char *const needed[] = {MAP_PORTS,	 MAP_PROXIES, MAP_STATS,
				     MAP_CONFIG, MAP_GUARDED, MAP_ONLY};
enum { PORTS, PROXIES, STATS, NEEDED = ARRAY_SIZE(needed) };

static void close_maps(const int maps[NEEDED])
{
	size_t i;

	for (i = 0; i < NEEDED; i++) {
		if (maps[i] >= 0)
			close(maps[i]);
	}
}

/* Return: 1; 0: pins are missing. */
static int open_maps(int maps[NEEDED])
{
	size_t i;
	int result = 1;

	for (i = 0; i < NEEDED; i++) {
		maps[i] = pin_open("maps", needed[i]);
		if (maps[i] < 0)
			result = 0;
	}
	return result;
}

/* Return: 0, or -1 after an error. */
static int read_set(struct json_object *set, const int maps[NEEDED])
{
	struct json_object *cgroups = json_object_new_array(), *interfaces;
	struct json_object *ports, *proxies, *senders;
	struct live_list live;
	int unseen, here;

	json_object_object_add(set, "cgroups", cgroups);
	json_object_object_add(set, "missing", configured_missing());
	add_boolean(set, "changing", set_is_broken());
	add_boolean(set, "going_down", drain_is_down());
	json_object_object_add(set, "programs", programs_read(cgroups));
	json_object_object_add(set, "maps", maps_read());
	ports = port_list.read(maps[PORTS]);
	json_object_object_add(set, "ports", ports);
	proxies = proxy_list.read(maps[PROXIES]);
	json_object_object_add(set, "proxies", proxies);
	senders = proxy_cgroup_list.read(-1);
	json_object_object_add(set, "proxy_cgroups", senders);
	json_object_object_add(set, "listeners",
			       listeners_read(maps[PORTS], cgroups, &unseen, &here));
	add_boolean(set, "unseen_namespaces", unseen);
	interfaces = interfaces_read(here || unseen);
	if (!interfaces || live_read(&live))
		return -1;
	json_object_object_add(set, "interfaces", interfaces);
	json_object_object_add(set, "connections", figures_read(&live, ports, proxies, senders));
	live_free(&live);
	json_object_object_add(set, "refused", peers_read("pp_refused"));
	json_object_object_add(set, "unmarked", peers_read("pp_unmarked"));
	json_object_object_add(set, "counters", stats_read(maps[STATS]));
	return 0;
}

#define PEERS_SHOWN 10

struct states {
	struct json_object *sets;
	enum health worst;
	int failed;
};

static void worsen(struct states *states, enum health health)
{
	if (health > states->worst)
		states->worst = health;
}

static struct json_object *set_new(const char *name)
{
	struct json_object *set = json_object_new_object();

	add_string(set, "name", name);
	add_string(set, "pin", options.pin);
	return set;
}

static void add_set(const char *directory, const char *name, void *context)
{
	struct states *states = context;
	struct json_object *set;
	int maps[NEEDED], opened;

	(void)directory;
	set = set_new(name);
	json_object_array_add(states->sets, set);
	opened = open_maps(maps);
	if (!opened)
		worsen(states,
		       health_set(set, HEALTH_DOWN, "half-removed", "pins of the set are missing",
				  "'ppctl down', and 'ppctl up' with all its options, make "
				  "it anew"));
	else if (!read_set(set, maps))
		worsen(states, health_judge(set));
	else
		states->failed = 1;
	close_maps(maps);
}

/* Nothing is pinned. */
static void add_none(struct states *states)
{
	struct json_object *set;
	char why[PATH_MAX + 64];

	set = set_new(choose_name(options.pin));
	json_object_array_add(states->sets, set);
	snprintf(why, sizeof(why), "nothing is up at %s", options.pin);
	worsen(states, health_set(set, HEALTH_DOWN, "not-up", why,
				  "start with 'ppctl up --cgroup PATH', or name another directory "
				  "with --pin"));
}

struct json_object *status_read(enum health *worst)
{
	struct states states = {.sets = json_object_new_array()};

	if (choose_some(add_set, &states))
		states.failed = 1;
	else if (!json_object_array_length(states.sets))
		add_none(&states);
	*worst = states.worst;
	if (!states.failed)
		return states.sets;
	json_object_put(states.sets);
	return NULL;
}

/* "pp: serving ports 25, 465: 3 connections", "mail: degraded: nothing listens on port 25" */
static void print_first_line(struct json_object *set)
{
	size_t i, worse = 0;
	const char *health = string_of(set, "health"), *first = NULL;
	char port[ENDPOINT_TEXT_MAX];

	printf("%s: %s", string_of(set, "name"), health);
	for (i = 0; i < length_of(set, "findings"); i++) {
		if (strcmp(string_of(entry_of(set, "findings", i), "level"), health))
			continue;
		if (!first)
			first = string_of(entry_of(set, "findings", i), "why");
		worse++;
	}
	if (first)
		printf(": %s", first);
	if (worse > 1)
		printf("; and %zu more", worse - 1);
	for (i = 0; !first && i < length_of(set, "ports"); i++)
		printf("%s%s", i ? ", " : " ports ", port_name(entry_of(set, "ports", i), port));
	if (!first)
		printf(": %lld connections",
		       (long long)number_of(value_of(set, "connections"), "total"));
	printf("\n");
}

static void print_findings(struct json_object *set)
{
	struct json_object *finding;
	size_t i;

	for (i = 0; i < length_of(set, "findings"); i++) {
		finding = entry_of(set, "findings", i);
		printf("  %s: %s\n", string_of(finding, "why"), string_of(finding, "do"));
	}
}

static void print_figures(struct json_object *entry)
{
	printf("       ");
	figures_print(entry);
	printf("\n");
}

/* @by: the figures, in the list's order. */
static void print_list(struct json_object *set, const char *title, const struct list *list,
		       const char *by)
{
	struct json_object *one;
	size_t i;

	if (!length_of(set, list->name))
		return;
	printf("%s\n", title);
	for (i = 0; i < length_of(set, list->name); i++) {
		one = json_object_new_array();
		json_object_array_add(one, json_object_get(entry_of(set, list->name, i)));
		list->print(one);
		json_object_put(one);
		print_figures(entry_of(value_of(set, "connections"), by, i));
	}
}

/* Those of the last time; -v: all that are remembered. */
static void print_refused(struct json_object *set)
{
	size_t count = length_of(set, "refused"), i;
	struct json_object *peer;
	char when[PEER_WHEN_MAX];

	if (count)
		printf("refused\n");
	for (i = 0; i < count && (options.verbose || i < PEERS_SHOWN); i++) {
		peer = entry_of(set, "refused", i);
		printf("  %s: %s: %s\n", string_of(peer, "peer"), peer_when(peer, when),
		       string_of(peer, "reason"));
	}
	if (i < count)
		printf("  and %zu more (-v)\n", count - i);
}

static int has_split(struct json_object *set)
{
	size_t i;

	for (i = 0; i < length_of(set, "ports"); i++) {
		if (is_true(entry_of(set, "ports", i), "split") ||
		    value_of(entry_of(set, "ports", i), "left"))
			return 1;
	}
	return 0;
}

static void print_set(struct json_object *set)
{
	struct json_object *interfaces = value_of(set, "interfaces");
	const char *cgroup = "";
	size_t i;

	print_first_line(set);
	print_findings(set);
	if (!value_of(set, "counters"))
		return;
	printf("pinned at %s\n", string_of(set, "pin"));
	for (i = 0; i < length_of(set, "cgroups"); i++) {
		cgroup = json_object_get_string(entry_of(set, "cgroups", i));
		printf("cgroup    %s\n", cgroup);
	}
	print_list(set, "ports", &port_list, "by_port");
	print_list(set, "proxies", &proxy_list, "by_proxy");
	print_list(set, "proxy cgroups", &proxy_cgroup_list, "by_proxy_cgroup");
	print_refused(set);
	if (length_of(set, "ports"))
		listeners_print(value_of(set, "listeners"),
				json_object_get_uint64(value_of(interfaces, "netns_cookie")),
				has_split(set));
	if (has_split(set))
		interfaces_print(interfaces, cgroup);
	if (options.verbose) {
		programs_print(value_of(set, "programs"));
		maps_print(value_of(set, "maps"));
	}
	printf("counters\n");
	stats_print(value_of(set, "counters"), options.verbose);
}

int command_status(int argc, char **argv)
{
	struct json_object *sets, *object;
	enum health worst;
	size_t i;

	(void)argc;
	(void)argv;
	sets = status_read(&worst);
	if (!sets)
		return -1;
	if (options.json) {
		object = json_object_new_object();
		add_string(object, "health", health_names[worst]);
		json_object_object_add(object, "sets", sets);
		print_json(object);
		return worst;
	}
	make_printable(sets);
	for (i = 0; i < json_object_array_length(sets); i++) {
		if (i)
			printf("\n");
		print_set(json_object_array_get_idx(sets, i));
	}
	json_object_put(sets);
	return worst;
}
