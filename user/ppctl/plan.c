// SPDX-License-Identifier: BSD-2-Clause
/*
 * From a set as it is to the set that is wanted: which changes that takes, and in which order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "../common/prefix.h"
#include "plan.h"
#include "drain.h"
#include "interface.h"
#include "port_map.h"

/* What is noted in a policy and is not part of it. */
#define PORT_STATE (PP_PORT_DRAINING | PP_PORT_WAS_SPLIT | PP_PORT_DOWN)

static const char *const kind_names[] = {
	[CHANGE_PROXY] = "proxy",   [CHANGE_SENDER] = "proxy-cgroup", [CHANGE_PORT] = "port",
	[CHANGE_CGROUP] = "cgroup", [CHANGE_INTERFACE] = "interface", [CHANGE_HOOKS] = "hooks",
};

void plan_free(struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->count; i++) {
		free(plan->change[i].text);
		free(plan->change[i].path);
	}
	free(plan->change);
	memset(plan, 0, sizeof(*plan));
}

struct change *plan_add_change(struct plan *plan, char sign, enum change_kind kind,
			       const char *format, ...)
{
	struct change *grown = array_grow(plan->change, plan->count, 1, sizeof(*grown)), *change;
	va_list arguments;
	int len;

	if (!grown) {
		error("%s", strerror(ENOMEM));
		return NULL;
	}
	plan->change = grown;
	change = &grown[plan->count];
	memset(change, 0, sizeof(*change));
	change->sign = sign;
	change->kind = kind;
	va_start(arguments, format);
	len = vasprintf(&change->text, format, arguments);
	va_end(arguments);
	if (len < 0) {
		change->text = NULL;
		error("%s", strerror(ENOMEM));
		return NULL;
	}
	plan->count++;
	return change;
}

static int set_path(struct change *change, const char *path)
{
	change->path = strdup(path);
	return change->path ? 0 : error("%s", strerror(ENOMEM));
}

static void policy_text(const struct pp_port *policy, char text[128])
{
	snprintf(text, 128, "%s%s%s%s, gate %u ms, on-bad %s%s",
		 policy->flags & PP_PORT_TRANSPARENT ? "transparent"
		 : policy->split != PP_SPLIT_NO	     ? "split yes"
						     : "split no",
		 policy->flags & PP_PORT_LOCAL ? ", local" : "",
		 policy->flags & PP_PORT_V1_MIXED ? ", v1-mixed" : "",
		 policy->flags & PP_PORT_NO_LOOKUP ? ", lookup no" : "", policy->gate_ms,
		 policy->on_bad == PP_ON_BAD_DROP ? "drop" : "tell",
		 policy->flags & PP_PORT_DRAINING ? ", draining" : "");
}

static int plan_port(struct plan *plan, char sign, const struct pp_port_key *port,
		     const struct pp_port *policy)
{
	char text[128], name[ENDPOINT_TEXT_MAX];
	struct change *change;

	policy_text(policy, text);
	port_text(port, name);
	change = plan_add_change(plan, sign, CHANGE_PORT, "%s %s", name, text);
	if (!change)
		return -1;
	change->port = *port;
	change->policy = *policy;
	return 0;
}

static const struct wanted_port *find_wanted(const struct section *section,
					     const struct pp_port_key *key)
{
	size_t i;

	for (i = 0; i < section->port_count; i++) {
		if (port_is_same(&section->ports[i].key, key))
			return &section->ports[i];
	}
	return NULL;
}

/* One that drains goes when its connections are gone; those of an address go over to a port that is
 * for the other addresses. */
static int plan_port_away(const struct section *wanted, struct plan *plan, int map,
			  const struct pp_port_key *port, const struct pp_port *policy)
{
	struct pp_port_key any = {.port = port->port};
	struct translated_list list = {};
	char name[ENDPOINT_TEXT_MAX];
	struct change *change;
	size_t left = 0;

	if (policy_translates(policy) && !find_wanted(wanted, &any)) {
		if (translated_read(&list))
			return -1;
		left = translated_on(&list, map, port);
		translated_free(&list);
	}
	port_text(port, name);
	change = left ? plan_add_change(plan, '-', CHANGE_PORT,
					"%s, which waits for connections: %zu", name, left)
		      : plan_add_change(plan, '-', CHANGE_PORT, "%s", name);
	if (!change)
		return -1;
	change->port = *port;
	change->policy = *policy;
	return 0;
}

static int is_same_policy(const struct pp_port *left, const struct pp_port *right)
{
	return left->split == right->split && left->on_bad == right->on_bad &&
	       left->gate_ms == right->gate_ms &&
	       (left->flags & ~PORT_STATE) == (right->flags & ~PORT_STATE);
}

/* A set that is going down gets its ports back before they are compared. */
static int is_served(const struct pp_port *policy)
{
	return !(policy->flags & PP_PORT_DRAINING) || policy->flags & PP_PORT_DOWN;
}

/* @split: those with a split first, since without any the hooks go. */
static int plan_wanted_ports(const struct section *wanted, int map, int split, struct plan *plan)
{
	const struct wanted_port *port;
	struct pp_port policy;
	int there;
	size_t i;

	for (i = 0; i < wanted->port_count; i++) {
		port = &wanted->ports[i];
		if ((port->policy.split != PP_SPLIT_NO) != split)
			continue;
		there = map >= 0 && !port_get(map, &port->key, &policy) && is_served(&policy);
		if (there && is_same_policy(&policy, &port->policy))
			continue;
		if (plan_port(plan, there ? '~' : '+', &port->key, &port->policy))
			return -1;
	}
	return 0;
}

static int plan_ports(const struct section *wanted, int exact, struct plan *plan)
{
	int map = pin_open("maps", MAP_PORTS), result = 0;
	struct pp_port_key keys[PORTS_MAX];
	size_t count = map >= 0 ? ports_list(map, keys) : 0, occupied = 0, i;
	struct pp_port policy;

	for (i = 0; !result && i < count; i++) {
		if (port_get(map, &keys[i], &policy) || find_wanted(wanted, &keys[i]))
			continue;
		occupied += !exact || !is_served(&policy);
		if (exact && is_served(&policy))
			result = plan_port_away(wanted, plan, map, &keys[i], &policy);
	}
	if (occupied + wanted->port_count > SET_PORTS_MAX)
		result = error("%s has room for %d ports: %zu are there or drain, and these are "
			       "%zu; none was added",
			       MAP_PORTS, SET_PORTS_MAX, occupied, wanted->port_count);
	if (!result)
		result = plan_wanted_ports(wanted, map, 1, plan);
	if (!result)
		result = plan_wanted_ports(wanted, map, 0, plan);
	if (map >= 0)
		close(map);
	return result;
}

static int plan_proxy(struct plan *plan, char sign, const struct pp_prefix *key,
		      const struct pp_proxy *value)
{
	char text[PREFIX_TEXT_MAX];
	struct change *change;
	struct prefix prefix;

	prefix_from_mapped(&prefix, key->address, key->length);
	prefix_text(&prefix, text);
	change = plan_add_change(plan, sign, CHANGE_PROXY, "%s", text);
	if (!change)
		return -1;
	change->key = *key;
	change->proxy = *value;
	return 0;
}

static int plan_proxies(const struct section *wanted, int exact, struct plan *plan)
{
	int map = pin_open("maps", MAP_PROXIES), result = 0, there;
	const struct wanted_proxy *proxy;
	struct pp_prefix key, *previous = NULL;
	struct proxy_index index = {};
	size_t occupied = 0, i;
	struct pp_proxy value;

	while (map >= 0 && !result && !bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (proxy_index_find(&index, wanted, &key) ||
		    bpf_map_lookup_elem(map, &key, &value))
			continue;
		occupied += !exact;
		if (exact)
			result = plan_proxy(plan, '-', &key, &value);
	}
	proxy_index_free(&index);
	if (occupied + wanted->proxy_count > SET_PROXIES_MAX)
		result = error("%s has room for %d proxies: %zu are there, and these are %zu; "
			       "none was added",
			       MAP_PROXIES, SET_PROXIES_MAX, occupied, wanted->proxy_count);
	for (i = 0; !result && i < wanted->proxy_count; i++) {
		proxy = &wanted->proxies[i];
		there = map >= 0 && !bpf_map_lookup_elem(map, &proxy->key, &value);
		if (!there || value.flags != proxy->value.flags)
			result = plan_proxy(plan, there ? '~' : '+', &proxy->key, &proxy->value);
	}
	if (map >= 0)
		close(map);
	return result;
}

static int has_name(const struct words *words, const char *name)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		if (!strcmp(words->word[i].text, name))
			return 1;
	}
	return 0;
}

/* Is the cgroup @id one of these? */
static int has_cgroup(const struct words *words, uint64_t id)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < words->count; i++) {
		if (cgroup_find(words->word[i].text, path) <= CGROUP_ROOT &&
		    cgroup_id_of_path(path) == id)
			return 1;
	}
	return 0;
}

static int plan_cgroup(struct plan *plan, char sign, enum change_kind kind, const char *name,
		       const char *path, uint64_t id)
{
	struct change *change = plan_add_change(plan, sign, kind, "%s%s", name,
						path || sign == '-' ? "" : ", when it exists");

	if (!change)
		return -1;
	change->cgroup = id;
	return path ? set_path(change, path) : 0;
}

/* Names that are wanted: @is_on says whether the programs are there. */
static int plan_wanted_cgroups(const struct words *wanted, const struct words *configured,
			       enum change_kind kind,
			       int (*is_on)(const struct cgroup_links *links, uint64_t id),
			       const struct cgroup_links *links, struct plan *plan)
{
	char path[PATH_MAX];
	const char *name;
	uint64_t id;
	size_t i;

	for (i = 0; i < wanted->count; i++) {
		name = wanted->word[i].text;
		switch (cgroup_find(name, path)) {
		case CGROUP_FOUND:
		case CGROUP_ROOT:
			id = cgroup_id_of_path(path);
			if (!is_on(links, id) && plan_cgroup(plan, '+', kind, name, path, id))
				return -1;
			break;
		case CGROUP_MISSING:
			if (!has_name(configured, name) &&
			    plan_cgroup(plan, '+', kind, name, NULL, 0))
				return -1;
			break;
		case CGROUP_UNKNOWN:
			return error("%s %s: %s: %s", kind_names[kind], name, path,
				     strerror(errno));
		default:
			return error("%s %s: not a cgroup v2 directory", kind_names[kind], name);
		}
	}
	return 0;
}

/* Names that nothing is attached for, and that are not wanted any more: their cgroup does not
 * exist, or is a new one of that name. @is_on says whether a program is there. */
static int plan_forgotten(const struct words *wanted, const struct words *configured,
			  enum change_kind kind,
			  int (*is_on)(const struct cgroup_links *links, uint64_t id),
			  const struct cgroup_links *links, struct plan *plan)
{
	char path[PATH_MAX];
	const char *name;
	uint64_t id;
	size_t i;

	for (i = 0; i < configured->count; i++) {
		name = configured->word[i].text;
		if (has_name(wanted, name))
			continue;
		if (cgroup_find(name, path) != CGROUP_MISSING) {
			id = cgroup_id_of_path(path);
			if (is_on(links, id) || has_cgroup(wanted, id))
				continue;
		}
		if (plan_cgroup(plan, '-', kind, name, NULL, 0))
			return -1;
	}
	return 0;
}

static int has_programs(const struct cgroup_links *links, uint64_t id)
{
	return cgroup_links_whole(links, id);
}

static int has_sender(const struct cgroup_links *links, uint64_t id)
{
	(void)links;
	return sender_is_attached(id);
}

/* Of those that are attached. */
static int plan_unwanted(const struct words *wanted, enum change_kind kind, uint64_t id,
			 struct plan *plan)
{
	char path[PATH_MAX];
	size_t i;

	if (id == CGROUP_GONE || has_cgroup(wanted, id))
		return 0;
	for (i = 0; i < plan->count; i++) {
		if (plan->change[i].kind == kind && plan->change[i].cgroup == id)
			return 0; /* another of its programs */
	}
	if (cgroup_path_of_id(id, path)) {
		if (errno == ESTALE) /* it is gone, and the kernel will see that soon */
			return 0;
	}
	return plan_cgroup(plan, '-', kind, path, path, id);
}

/* What sender_links() passes on. */
struct unwanted {
	const struct words *wanted;
	struct plan *plan;
};

static int plan_unwanted_sender(const char *link, const char *path, void *context)
{
	struct unwanted *unwanted = context;
	unsigned long long id;

	(void)path;
	if (sscanf(link, SENDER_LINK_PREFIX "%llu", &id) != 1 || !sender_is_attached(id))
		return 0;
	return plan_unwanted(unwanted->wanted, CHANGE_SENDER, id, unwanted->plan);
}

static int plan_cgroups(const struct section *wanted, int exact, struct plan *plan)
{
	struct unwanted unwanted = {.wanted = &wanted->senders, .plan = plan};
	struct configured configured;
	struct cgroup_links links;
	int result = cgroup_links_read(&links);
	size_t i;

	if (configured_read(&configured))
		result = -1;
	for (i = 0; exact && !result && i < links.count; i++)
		result = plan_unwanted(&wanted->cgroups, CHANGE_CGROUP, links.link[i].cgroup, plan);
	if (exact && !result) {
		result = sender_links(plan_unwanted_sender, &unwanted) ||
			 plan_forgotten(&wanted->cgroups, &configured.cgroups, CHANGE_CGROUP,
					cgroup_links_any, &links, plan) ||
			 plan_forgotten(&wanted->senders, &configured.senders, CHANGE_SENDER,
					has_sender, &links, plan);
	}
	if (!result)
		result = plan_wanted_cgroups(&wanted->senders, &configured.senders, CHANGE_SENDER,
					     has_sender, &links, plan) ||
			 plan_wanted_cgroups(&wanted->cgroups, &configured.cgroups, CHANGE_CGROUP,
					     has_programs, &links, plan);
	configured_free(&configured);
	cgroup_links_free(&links);
	return result ? -1 : 0;
}

static int plan_interface(struct plan *plan, char sign, const char *name)
{
	struct change *change = plan_add_change(plan, sign, CHANGE_INTERFACE, "%s", name);

	return change ? set_path(change, name) : -1;
}

static void interface_key(struct pp_interface_name *key, uint64_t cookie, const char *name)
{
	memset(key, 0, sizeof(*key));
	key->netns_cookie = cookie;
	snprintf(key->name, sizeof(key->name), "%s", name);
}

/* Those of this network namespace. */
static int plan_interfaces(const struct section *wanted, int exact, struct plan *plan)
{
	struct pp_interface_name key, *previous = NULL;
	int map = pin_open("maps", MAP_ONLY), result = 0;
	uint64_t cookie;
	__u32 value;
	size_t i;

	if (netns_cookie(&cookie))
		result = -1;
	while (exact && map >= 0 && !result && !bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == cookie && !has_name(&wanted->interfaces, key.name))
			result = plan_interface(plan, '-', key.name);
	}
	for (i = 0; !result && i < wanted->interfaces.count; i++) {
		interface_key(&key, cookie, wanted->interfaces.word[i].text);
		if (map < 0 || bpf_map_lookup_elem(map, &key, &value))
			result = plan_interface(plan, '+', wanted->interfaces.word[i].text);
	}
	if (map >= 0)
		close(map);
	return result;
}

int plan_make(const struct section *wanted, int exact, struct plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	if (plan_interfaces(wanted, exact, plan) || plan_ports(wanted, exact, plan) ||
	    plan_cgroups(wanted, exact, plan) || plan_proxies(wanted, exact, plan) ||
	    (exact && plan_hooks(wanted, plan))) {
		plan_free(plan);
		return -1;
	}
	return 0;
}

const struct change *plan_first(const struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->count; i++) {
		if (plan->change[i].kind != CHANGE_HOOKS)
			return &plan->change[i];
	}
	return NULL;
}

void plan_list(const struct plan *plan, const char *set, struct json_object *list)
{
	const struct change *change;
	char *line;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		change = &plan->change[i];
		if (asprintf(&line, "%c %s %s%s%s%s", change->sign, kind_names[change->kind],
			     change->text, *set ? " (" : "", set, *set ? ")" : "") < 0)
			continue;
		json_object_array_add(list, json_object_new_string(line));
		free(line);
	}
}

static int delete_proxy(const struct change *change)
{
	int map = pin_open_map(MAP_PROXIES), result = 0;

	if (map < 0)
		return -1;
	if (bpf_map_delete_elem(map, &change->key) && errno != ENOENT)
		result = error("%s: %s: %s", MAP_PROXIES, change->text, strerror(errno));
	close(map);
	return result;
}

static int put_proxy(const struct change *change)
{
	int map = pin_open_map(MAP_PROXIES), result = 0;

	if (map < 0)
		return -1;
	if (bpf_map_update_elem(map, &change->key, &change->proxy, BPF_ANY))
		result = map_update_error(MAP_PROXIES, map, change->text, errno);
	close(map);
	return result;
}

static int delete_port(const struct change *change)
{
	int map = pin_open_map(MAP_PORTS), result;

	if (map < 0)
		return -1;
	result = drain_port_del(map, &change->port, NULL);
	close(map);
	return result;
}

static int put_port(const struct change *change)
{
	int map = pin_open_map(MAP_PORTS), result = 0;

	if (map < 0)
		return -1;
	if (change->policy.split != PP_SPLIT_NO)
		result = interfaces_attach();
	if (!result)
		result = drain_port_add(map, &change->port, &change->policy);
	if (result == -2)
		result = port_update_error(map, &change->port, change->text, errno);
	close(map);
	return result;
}

static int put_interface(const struct change *change)
{
	int map = pin_open_map(MAP_ONLY), result = 0;
	struct pp_interface_name key;
	uint64_t cookie;
	__u32 value = 0;

	if (map < 0 || netns_cookie(&cookie)) {
		if (map >= 0)
			close(map);
		return -1;
	}
	interface_key(&key, cookie, change->path);
	if (change->sign == '-')
		bpf_map_delete_elem(map, &key);
	else if (bpf_map_update_elem(map, &key, &value, BPF_ANY))
		result = map_update_error(MAP_ONLY, map, change->path, errno);
	close(map);
	return result;
}

static int put_sender(const struct change *change)
{
	int map = pin_open_map(MAP_CONFIG), result;

	if (map < 0)
		return -1;
	result = sender_attach(map, change->path);
	close(map);
	return result;
}

static int take_away(const struct change *change)
{
	switch (change->kind) {
	case CHANGE_PROXY:
		return delete_proxy(change);
	case CHANGE_SENDER:
		return change->cgroup ? sender_detach(change->cgroup) : 0;
	case CHANGE_PORT:
		return delete_port(change);
	case CHANGE_CGROUP:
		return change->cgroup ? cgroup_programs_detach(change->cgroup) : 0;
	case CHANGE_INTERFACE: /* with those that come */
	case CHANGE_HOOKS:
		break;
	}
	return 0;
}

static int put(const struct change *change)
{
	switch (change->kind) {
	case CHANGE_PROXY:
		return put_proxy(change);
	case CHANGE_SENDER:
		return change->path ? put_sender(change) : 0;
	case CHANGE_PORT:
		return put_port(change);
	case CHANGE_CGROUP:
		return change->path ? cgroup_programs_attach(change->path) : 0;
	case CHANGE_INTERFACE:
		return put_interface(change);
	case CHANGE_HOOKS:
		break;
	}
	return 0;
}

static int each_change(const struct plan *plan, enum change_kind kind, int comes,
		       int (*act)(const struct change *change))
{
	size_t i;

	for (i = 0; i < plan->count; i++) {
		if (plan->change[i].kind == kind && (plan->change[i].sign != '-') == comes &&
		    act(&plan->change[i]))
			return -1;
	}
	return 0;
}

/* Does a port on one address come in the place of the port on all of them, or the other way round?
 */
static int has_counterpart(const struct plan *plan, const struct change *change)
{
	const struct change *other;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		other = &plan->change[i];
		if (other->kind == CHANGE_PORT && other->port.port == change->port.port &&
		    (other->sign == '-') != (change->sign == '-') &&
		    port_has_address(&other->port) != port_has_address(&change->port))
			return 1;
	}
	return 0;
}

static int each_port(const struct plan *plan, int comes, int with_counterpart,
		     int (*act)(const struct change *change))
{
	const struct change *change;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		change = &plan->change[i];
		if (change->kind == CHANGE_PORT && (change->sign != '-') == comes &&
		    has_counterpart(plan, change) == with_counterpart && act(change))
			return -1;
	}
	return 0;
}

/* Where a port comes in another's place, it comes first: in the moment between, a proxy's header
 * would reach the server's stream. Others come after those that go, since there may be no room. */
static int replace_ports(const struct plan *plan)
{
	return each_port(plan, 0, 0, take_away) || each_port(plan, 1, 1, put) ||
	       each_port(plan, 0, 1, take_away);
}

int plan_take_away(const struct plan *plan)
{
	/* names of interfaces that come first: without any, all are meant */
	if (each_change(plan, CHANGE_PROXY, 0, take_away) ||
	    each_change(plan, CHANGE_SENDER, 0, take_away) ||
	    each_change(plan, CHANGE_INTERFACE, 1, put) || replace_ports(plan) ||
	    each_change(plan, CHANGE_CGROUP, 0, take_away))
		return -1;
	return 0;
}

int plan_add(const struct plan *plan)
{
	static const enum change_kind order[] = {CHANGE_SENDER, CHANGE_PROXY, CHANGE_CGROUP};
	size_t i;

	/* those names again: they went with the hooks, if there was no port with a split */
	if (each_change(plan, CHANGE_INTERFACE, 1, put) ||
	    each_change(plan, CHANGE_INTERFACE, 0, put_interface) || each_port(plan, 1, 0, put))
		return -1;
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		if (each_change(plan, order[i], 1, put))
			return -1;
	}
	return 0;
}

/* As wanted by nobody but the maps. */
static int read_ports(struct section *section)
{
	int map = pin_open("maps", MAP_PORTS);
	struct pp_port_key keys[PORTS_MAX];
	size_t count = map >= 0 ? ports_list(map, keys) : 0, i;
	struct pp_port policy;
	int result = 0;

	section->ports = calloc(count + 1, sizeof(*section->ports));
	if (!section->ports)
		result = error("%s", strerror(ENOMEM));
	for (i = 0; !result && i < count; i++) {
		if (port_get(map, &keys[i], &policy) || !is_served(&policy))
			continue;
		policy.flags &= ~PORT_STATE;
		section->ports[section->port_count++] =
			(struct wanted_port){.key = keys[i], .policy = policy};
	}
	if (map >= 0)
		close(map);
	return result;
}

static int read_proxies(struct section *section)
{
	int map = pin_open("maps", MAP_PROXIES), result = 0;
	struct pp_prefix key, *previous = NULL;
	struct wanted_proxy *grown;
	struct pp_proxy value;

	while (map >= 0 && !result && !bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(map, &key, &value))
			continue;
		grown = array_grow(section->proxies, section->proxy_count, 1, sizeof(*grown));
		if (!grown) {
			result = error("%s", strerror(ENOMEM));
			break;
		}
		section->proxies = grown;
		grown[section->proxy_count++] = (struct wanted_proxy){.key = key, .value = value};
	}
	if (map >= 0)
		close(map);
	return result;
}

static void read_interfaces(struct section *section, struct problems *problems)
{
	struct pp_interface_name key, *previous = NULL;
	int map = pin_open("maps", MAP_ONLY);
	uint64_t cookie;

	if (map < 0)
		return;
	while (!netns_cookie(&cookie) && !bpf_map_get_next_key(map, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == cookie)
			section_add_word(&section->interfaces, key.name, 0, "interface", problems);
	}
	close(map);
}

static int read_sender(const char *link, const char *path, void *context)
{
	struct problems problems = {};
	char cgroup[PATH_MAX];
	int result;

	(void)path;
	if (!cgroup_of_link(link, cgroup) && cgroup[0])
		section_add_word(context, cgroup, 0, "proxy-cgroup", &problems);
	result = problems.errors ? -1 : 0;
	problems_free(&problems);
	return result;
}

/* Of a set of a build that had no pp_configured. */
static int read_links(struct section *section, struct problems *problems)
{
	struct cgroup_links links;
	char path[PATH_MAX];
	size_t i;

	if (cgroup_links_read(&links)) {
		cgroup_links_free(&links);
		return -1;
	}
	for (i = 0; i < links.count; i++) {
		if (links.link[i].cgroup && !cgroup_path_of_id(links.link[i].cgroup, path))
			section_add_word(&section->cgroups, path, 0, "cgroup", problems);
	}
	cgroup_links_free(&links);
	return 0;
}

int section_of_set(struct section *section)
{
	struct problems problems = {};
	struct configured configured;
	int result;

	memset(section, 0, sizeof(*section));
	if (configured_read(&configured))
		return -1;
	section->cgroups = configured.cgroups;
	section->senders = configured.senders;
	result = section->cgroups.count ? 0 : read_links(section, &problems);
	if (!result && !section->senders.count)
		result = sender_links(read_sender, &section->senders);
	read_interfaces(section, &problems);
	if (problems.errors)
		result = error("the set at %s cannot be read", options.pin);
	problems_free(&problems);
	if (!result && !read_ports(section) && !read_proxies(section))
		return 0;
	section_free(section);
	return -1;
}
