// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl proxy-cgroup: the cgroups of proxies on this host, each with a link of pp_sender. While
 * there is one, pp_config says that no other process is believed over loopback.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "ppctl.h"

static void link_name(const char *cgroup, char name[64])
{
	struct stat st;

	/* the inode of a cgroup's directory is its id */
	if (stat(cgroup, &st))
		st.st_ino = 0;
	snprintf(name, 64, SENDER_LINK_PREFIX "%llu", (unsigned long long)st.st_ino);
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
	if (!cgroup_of_link(name, cgroup) && !cgroup[0])
		pin_remove_link(path);
	return 0;
}

/* Over loopback only proxy cgroups are believed, as long as there is one. */
static int config_follow(int map)
{
	struct json_object *left = senders_read(map);
	size_t count = json_object_array_length(left);

	json_object_put(left);
	return config_change(map, PP_CONFIG_PROXY_CGROUP, count != 0);
}

static int sender_check(int map, const char *word)
{
	char cgroup[PATH_MAX];

	(void)map;
	return cgroup_resolve("--proxy-cgroup", word, cgroup);
}

static int sender_add(int map, const char *word)
{
	char cgroup[PATH_MAX], path[PATH_MAX], name[64];
	int program, result;

	if (cgroup_resolve("--proxy-cgroup", word, cgroup))
		return -1;
	sender_links(remove_if_gone, NULL);
	link_name(cgroup, name);
	pin_path(path, "links", name);
	if (access(path, F_OK) == 0)
		return 0;
	pin_path(path, "progs", SENDER_PROGRAM);
	program = bpf_obj_get(path);
	if (program < 0)
		return error("%s: %s", path, strerror(errno));
	/* first, or processes outside of the cgroup would still be believed for a moment */
	result = config_change(map, PP_CONFIG_PROXY_CGROUP, 1);
	if (!result)
		result = cgroup_attach(program, BPF_CGROUP_SOCK_OPS, SENDER_PROGRAM, cgroup, name);
	close(program);
	if (result)
		config_follow(map);
	return result;
}

/* @path: receives where the link is pinned, if there is one. */
static int find_link(const char *word, char path[PATH_MAX])
{
	char cgroup[PATH_MAX], name[64];

	if (cgroup_resolve("--proxy-cgroup", word, cgroup))
		return -1;
	link_name(cgroup, name);
	pin_path(path, "links", name);
	return !access(path, F_OK);
}

static int sender_find(int map, const char *word, struct pp_port *policy)
{
	char path[PATH_MAX];

	(void)map;
	(void)policy;
	return find_link(word, path);
}

static int sender_del(int map, const char *word)
{
	char path[PATH_MAX];

	if (find_link(word, path) < 0)
		return -1;
	pin_remove_link(path);
	return config_follow(map);
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
