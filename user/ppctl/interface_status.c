// SPDX-License-Identifier: BSD-2-Clause
/*
 * What 'ppctl status' says of interfaces: their hooks, and what was dropped for want of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "json.h"
#include "interface.h"
#include "ppctl.h"

/* How much the guard has dropped. */
static uint64_t guarded(int map, uint64_t cookie, unsigned int index)
{
	struct pp_interface key = {.netns_cookie = cookie, .index = index};
	uint64_t count;

	return bpf_map_lookup_elem(map, &key, &count) ? 0 : count;
}

static const char *hooks_of(uint64_t cookie, unsigned int index)
{
	int in = hook_is_attached(IN, cookie, index), out = hook_is_attached(OUT, cookie, index);

	if (in && out)
		return has_tcx() ? "tcx" : "clsact";
	if (in)
		return "in";
	return out ? "out" : "none";
}

static void add_interface(struct json_object *list, int only, int guarded_map, uint64_t cookie,
			  const struct interface *interface)
{
	uint64_t dropped = guarded(guarded_map, cookie, interface->index);
	const char *hooks = hooks_of(cookie, interface->index);
	int wanted = interface_is_wanted(only, cookie, interface);
	struct json_object *object;

	if (!wanted && !interface->addressed && !strcmp(hooks, "none") && !dropped)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "interface", json_object_new_string(interface->name));
	json_object_object_add(object, "index", json_object_new_int64(interface->index));
	json_object_object_add(object, "wanted", json_object_new_boolean(wanted));
	json_object_object_add(object, "hooks", json_object_new_string(hooks));
	json_object_object_add(
		object, "attached",
		json_object_new_boolean(hooks_are_attached(cookie, interface->index)));
	json_object_object_add(object, "dropped", json_object_new_int64(dropped));
	json_object_array_add(list, object);
}

/* Names of --interface that no interface has. */
static void add_absent(struct json_object *list, int only, uint64_t cookie,
		       const struct interfaces *there)
{
	struct pp_interface_name key, *previous = NULL;
	struct json_object *object;

	while (!bpf_map_get_next_key(only, previous, &key)) {
		previous = &key;
		if (key.netns_cookie != cookie || interface_by_name(there, key.name))
			continue;
		object = json_object_new_object();
		json_object_object_add(object, "interface", json_object_new_string(key.name));
		json_object_object_add(object, "wanted", json_object_new_boolean(1));
		json_object_object_add(object, "hooks", json_object_new_string("absent"));
		json_object_object_add(object, "attached", json_object_new_boolean(0));
		json_object_object_add(object, "dropped", json_object_new_int64(0));
		json_object_array_add(list, object);
	}
}

/* The other namespaces in which there are hooks, or something was dropped. */
struct others {
	struct json_object *list;
	uint64_t cookie; /* of this one */
};

static struct json_object *other_namespace(const struct others *others, uint64_t cookie)
{
	struct json_object *object;
	size_t i;

	for (i = 0; i < json_object_array_length(others->list); i++) {
		object = json_object_array_get_idx(others->list, i);
		if (json_object_get_uint64(json_object_object_get(object, "netns_cookie")) ==
		    cookie)
			return object;
	}
	object = json_object_new_object();
	json_object_object_add(object, "netns_cookie", json_object_new_uint64(cookie));
	json_object_object_add(object, "loaded", json_object_new_boolean(0));
	json_object_object_add(object, "dropped", json_object_new_int64(0));
	json_object_array_add(others->list, object);
	return object;
}

static int add_namespace(const char *name, const char *path, void *context)
{
	struct others *others = context;
	struct json_object *object;
	uint64_t cookie;

	(void)path;
	if (hook_parse_program(name, &cookie) || cookie == others->cookie)
		return 0;
	object = other_namespace(others, cookie);
	json_object_object_add(object, "loaded", json_object_new_boolean(1));
	return 0;
}

static void add_guarded(struct others *others, int map)
{
	struct pp_interface key, *previous = NULL;
	struct json_object *object;
	int64_t sum;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == others->cookie)
			continue;
		object = other_namespace(others, key.netns_cookie);
		sum = json_object_get_int64(json_object_object_get(object, "dropped"));
		sum += guarded(map, key.netns_cookie, key.index);
		json_object_object_add(object, "dropped", json_object_new_int64(sum));
	}
}

/* Are there hooks in other namespaces, and none here? A pod's set has them in the pod's, and no
 * process here. */
static int is_apart(const struct others *others)
{
	size_t i;

	if (hook_has_programs(others->cookie))
		return 0;
	for (i = 0; i < json_object_array_length(others->list); i++) {
		if (is_true(json_object_array_get_idx(others->list, i), "loaded"))
			return 1;
	}
	return 0;
}

struct json_object *interfaces_read(int serves_here)
{
	struct json_object *object = json_object_new_object(), *here = json_object_new_array();
	struct others others = {.list = json_object_new_array()};
	int only = pin_open_map(MAP_ONLY), drops = pin_open_map(MAP_GUARDED);
	struct interfaces list;
	size_t i;

	libbpf_set_print(NULL);
	json_object_object_add(object, "here", here);
	json_object_object_add(object, "other_namespaces", others.list);
	if (only < 0 || drops < 0 || netns_cookie(&others.cookie) || interfaces_list(&list)) {
		json_object_put(object);
		object = NULL;
		goto out;
	}
	json_object_object_add(object, "netns_cookie", json_object_new_uint64(others.cookie));
	for (i = 0; i < list.count; i++)
		add_interface(here, only, drops, others.cookie, &list.entry[i]);
	add_absent(here, only, others.cookie, &list);
	pin_each("progs", add_namespace, &others);
	json_object_object_add(object, "apart",
			       json_object_new_boolean(!serves_here && is_apart(&others)));
	add_guarded(&others, drops);
	free(list.entry);
out:
	if (only >= 0)
		close(only);
	if (drops >= 0)
		close(drops);
	return object;
}

static void print_interface(struct json_object *interface, const char *cgroup, int apart)
{
	const char *hooks = json_object_get_string(json_object_object_get(interface, "hooks"));
	int64_t dropped = json_object_get_int64(json_object_object_get(interface, "dropped"));

	printf("  %-15s ", json_object_get_string(json_object_object_get(interface, "interface")));
	if (!strcmp(hooks, "absent"))
		printf("not there: named by --interface");
	else if (json_object_get_boolean(json_object_object_get(interface, "attached")))
		printf("%s", hooks);
	else if (apart && !strcmp(hooks, "none"))
		printf("no hooks: the set has them in another network namespace");
	else if (json_object_get_boolean(json_object_object_get(interface, "wanted")))
		printf("%s: what proxies send by it to a port with a split is dropped; 'ppctl up "
		       "--cgroup "
		       "%s' attaches them",
		       strcmp(hooks, "none") ? "HALF OF ITS HOOKS" : "NO HOOKS",
		       *cgroup ? cgroup : "PATH");
	else
		printf("no hooks: not named by --interface");
	if (dropped)
		printf(", %lld segments dropped by the guard", (long long)dropped);
	if (dropped && json_object_get_boolean(json_object_object_get(interface, "attached")))
		printf(" (if that still grows, another tc program comes before pp_in)");
	printf("\n");
}

void interfaces_print(struct json_object *interfaces, const char *cgroup)
{
	struct json_object *list = json_object_object_get(interfaces, "here"), *object;
	int apart = is_true(interfaces, "apart");
	size_t i;

	printf("interfaces of this network namespace\n");
	for (i = 0; i < json_object_array_length(list); i++)
		print_interface(json_object_array_get_idx(list, i), cgroup, apart);
	list = json_object_object_get(interfaces, "other_namespaces");
	if (json_object_array_length(list))
		printf("other network namespaces\n");
	for (i = 0; i < json_object_array_length(list); i++) {
		object = json_object_array_get_idx(list, i);
		printf("  cookie %-8llu %s",
		       (unsigned long long)json_object_get_uint64(
			       json_object_object_get(object, "netns_cookie")),
		       json_object_get_boolean(json_object_object_get(object, "loaded"))
			       ? "hooks"
			       : "no hooks");
		if (json_object_get_int64(json_object_object_get(object, "dropped")))
			printf(", %lld segments dropped by the guard: proxies' packets reached it "
			       "past "
			       "the hooks, or for a published port that is not served",
			       (long long)json_object_get_int64(
				       json_object_object_get(object, "dropped")));
		printf("\n");
	}
	if (json_object_array_length(list))
		printf("  a packet that has passed hooks in one of them needs none here\n");
}
