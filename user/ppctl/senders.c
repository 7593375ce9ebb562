// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy-cgroup: the cgroups of proxies on this host, each with a link of pp_sender. While
 * there is one, pp_config says that no other process is believed over loopback.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"

static void link_name(uint64_t cgroup, char name[64])
{
	snprintf(name, 64, SENDER_LINK_PREFIX "%llu", (unsigned long long)cgroup);
}

/* What is to be called for the links of pp_sender alone. */
struct sender_walk {
	int (*each)(const char *link, const char *path, void *context);
	void *context;
};

static int each_sender_link(const char *name, const char *path, void *context)
{
	const struct sender_walk *walk = context;

	if (strncmp(name, SENDER_LINK_PREFIX, strlen(SENDER_LINK_PREFIX)))
		return 0;
	return walk->each(name, path, walk->context);
}

int sender_links(int (*each)(const char *link, const char *path, void *context), void *context)
{
	struct sender_walk walk = {each, context};

	return pin_each("links", each_sender_link, &walk);
}

static int add_cgroup(const char *link, const char *path, void *list)
{
	char cgroup[PATH_MAX];

	(void)path;
	if (!cgroup_of_link(link, cgroup))
		json_object_array_add(list, json_object_new_string(cgroup[0] ? cgroup : "gone"));
	return 0;
}

static struct json_object *senders_read(int map)
{
	struct json_object *list = json_object_new_array();

	(void)map;
	sender_links(add_cgroup, list);
	return list;
}

/* A unit that is started again has a new cgroup, under the same name. */
static int remove_if_gone(const char *name, const char *path, void *unused)
{
	char cgroup[PATH_MAX];

	(void)unused;
	return !cgroup_of_link(name, cgroup) && !cgroup[0] ? pin_remove_link(path) : 0;
}

int senders_sweep(void)
{
	return sender_links(remove_if_gone, NULL);
}

/* Over loopback only proxy cgroups are believed, as long as one is there, or is configured. */
int senders_follow(int map)
{
	struct json_object *left = senders_read(map);
	size_t count = json_object_array_length(left);
	struct configured configured;

	json_object_put(left);
	if (configured_read(&configured))
		return -1;
	count += configured.senders.count;
	configured_free(&configured);
	return config_change(map, PP_CONFIG_PROXY_CGROUP, count != 0);
}

static int sender_check(int map, const char *word)
{
	struct problems problems = {};
	struct words words = {};
	char cgroup[PATH_MAX];
	int result = 0;

	(void)map;
	section_add_word(&words, word, 0, "proxy-cgroup", &problems);
	if (problems.errors)
		result = usage_error("%s",
				     problems.count ? problems.problem[0].text : strerror(ENOMEM));
	problems_free(&problems);
	section_free(&(struct section){.senders = words});
	return result ? result : cgroup_resolve("--proxy-cgroup", word, cgroup);
}

int sender_is_attached(uint64_t cgroup)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char name[64];
	int link, result;

	link_name(cgroup, name);
	link = pin_open("links", name);
	if (link < 0)
		return 0;
	result = !bpf_obj_get_info_by_fd(link, &info, &len) && info.cgroup.cgroup_id == cgroup;
	close(link);
	return result;
}

int sender_attach(int map, const char *cgroup)
{
	uint64_t id = cgroup_id_of_path(cgroup);
	int program, result;
	char name[64];

	if (senders_sweep())
		return -1;
	if (sender_is_attached(id))
		return 0;
	program = pin_open("progs", SENDER_PROGRAM);
	if (program < 0)
		return error("%s/progs/%s: %s", options.pin, SENDER_PROGRAM, strerror(errno));
	link_name(id, name);
	/* first, or processes outside of the cgroup would be believed for a moment still */
	result = config_change(map, PP_CONFIG_PROXY_CGROUP, 1);
	if (!result)
		result = cgroup_attach(program, BPF_CGROUP_SOCK_OPS, SENDER_PROGRAM, cgroup, name);
	close(program);
	return result;
}

int sender_detach(uint64_t cgroup)
{
	char path[PATH_MAX], name[64];

	link_name(cgroup, name);
	pin_path(path, "links", name);
	return pin_remove_link(path);
}

/* Are two names of one cgroup? */
static int is_same_cgroup(const char *left, const char *right)
{
	char left_path[PATH_MAX], right_path[PATH_MAX];

	return !strcmp(left, right) ||
	       (cgroup_find(left, left_path) == CGROUP_FOUND &&
		cgroup_find(right, right_path) == CGROUP_FOUND && !strcmp(left_path, right_path));
}

/* Adds @name to what is configured, or, without @add, removes it. Return: 0, 1: it is not there, or
 * -1. */
static int configured_change(const char *name, int add)
{
	struct problems problems = {};
	struct configured configured;
	struct words *senders = &configured.senders;
	size_t i, kept = 0, before;
	int result;

	if (configured_read(&configured))
		return -1;
	before = senders->count;
	for (i = 0; i < before; i++) {
		if (is_same_cgroup(senders->word[i].text, name))
			free(senders->word[i].text);
		else
			senders->word[kept++] = senders->word[i];
	}
	senders->count = kept;
	if (add)
		section_add_word(senders, name, 0, "proxy-cgroup", &problems);
	result = problems.errors ? error("%s: not a name of a cgroup", name) : 0;
	if (!result)
		result = configured_write(&configured.cgroups, senders);
	if (!result && !add && kept == before)
		result = 1;
	problems_free(&problems);
	configured_free(&configured);
	return result;
}

static int sender_add(int map, const char *word)
{
	char cgroup[PATH_MAX];
	int result;

	if (cgroup_resolve("--proxy-cgroup", word, cgroup))
		return -1;
	result = sender_attach(map, cgroup);
	if (!result)
		result = configured_change(word, 1);
	if (result)
		senders_follow(map);
	return result;
}

/* Is it attached, or configured? One that does not exist now may be the latter. */
static int sender_find(int map, const char *word, struct pp_port *policy)
{
	struct configured configured;
	char cgroup[PATH_MAX];
	int found = 0;
	size_t i;

	(void)map;
	(void)policy;
	if (cgroup_find(word, cgroup) == CGROUP_FOUND)
		found = sender_is_attached(cgroup_id_of_path(cgroup));
	if (configured_read(&configured))
		return -1;
	for (i = 0; i < configured.senders.count; i++)
		found |= is_same_cgroup(configured.senders.word[i].text, word);
	configured_free(&configured);
	return found;
}

static int sender_del(int map, const char *word)
{
	char cgroup[PATH_MAX];

	if (configured_change(word, 0) < 0)
		return -1;
	if (cgroup_find(word, cgroup) == CGROUP_FOUND && sender_detach(cgroup_id_of_path(cgroup)))
		return -1;
	return senders_sweep() || senders_follow(map) ? -1 : 0;
}

const struct list proxy_cgroup_list = {
	.name = "proxy_cgroups",
	.map = MAP_CONFIG,
	.check = sender_check,
	.find = sender_find,
	.absent = "is not a proxy's cgroup (ppctl proxy-cgroup list)",
	.add = sender_add,
	.del = sender_del,
	.read = senders_read,
	.print = list_print_strings,
};

int command_proxy_cgroup_add(int argc, char **argv)
{
	return list_command_add(&proxy_cgroup_list, argc, argv);
}

int command_proxy_cgroup_del(int argc, char **argv)
{
	return list_command_del(&proxy_cgroup_list, argc, argv);
}

int command_proxy_cgroup_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return list_command_list(&proxy_cgroup_list);
}
