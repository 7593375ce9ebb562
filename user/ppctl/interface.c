// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interfaces that pp_in and pp_out are attached to, for ports with a split: those of this network
 * namespace that have an address, and lo. From Linux 6.6 on by tcx links, before by clsact.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ppctl.h"

/* libbpf 1.1 has no names for these; it passes the numbers on. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

/* Of clsact filters: fixed, so that a second run replaces the first one's. */
#define CLSACT_HANDLE	0x5050
#define CLSACT_PRIORITY 0x5050

#define PIN_TCX	   "pp_tcx_"    /* links/pp_tcx_in_IFINDEX: a link */
#define PIN_CLSACT "pp_clsact_" /* links/pp_clsact_in_IFINDEX: the program, which says that a filter is there */

static const struct way {
	const char *name;
	int tcx;
	enum bpf_tc_attach_point clsact;
	const char *program, *bare; /* for devices with an Ethernet header, and without */
} ways[] = {
	{"in", ATTACH_TCX_INGRESS, BPF_TC_INGRESS, "pp_in", "pp_in_bare"},
	{"out", ATTACH_TCX_EGRESS, BPF_TC_EGRESS, "pp_out", "pp_out_bare"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void hook_path(char path[PATH_MAX], const char *kind, const struct way *way,
		      unsigned int interface)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s_%u", kind, way->name, interface);
	pin_path(path, "links", name);
}

/* Has the device a link-layer header? Return: 1, 0; or -1, of a kind that is not known. */
static int has_ethernet(const char *name)
{
	struct ifreq request = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	result = ioctl(fd, SIOCGIFHWADDR, &request);
	close(fd);
	if (result)
		return -1;
	switch (request.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return 1;
	case ARPHRD_NONE:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
		return 0;
	}
	return -1;
}

static int attach_clsact(const struct way *way, unsigned int interface, int program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .handle = CLSACT_HANDLE,
			    .priority = CLSACT_PRIORITY, .flags = BPF_TC_F_REPLACE);
	char path[PATH_MAX];
	int result;

	bpf_tc_hook_create(&hook); /* may be there already */
	hook.attach_point = way->clsact;
	result = bpf_tc_attach(&hook, &opts);
	if (result)
		return result;
	hook_path(path, PIN_CLSACT, way, interface);
	if (bpf_obj_pin(program, path) && errno != EEXIST)
		return -errno;
	return 0;
}

static int attach(const struct way *way, unsigned int interface, int program)
{
	char path[PATH_MAX];
	int link;

	link = bpf_link_create(program, interface, way->tcx, NULL);
	if (link < 0) /* before Linux 6.6 */
		return attach_clsact(way, interface, program);
	hook_path(path, PIN_TCX, way, interface);
	unlink(path); /* of an interface that is gone, and had this number */
	if (bpf_obj_pin(link, path)) {
		close(link);
		return -errno;
	}
	chmod(path, 0600);
	close(link);
	return 0;
}

/* Is the pinned hook one that works? A link loses its interface when that goes. */
static int is_attached(const struct way *way, unsigned int interface)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];
	int link;

	hook_path(path, PIN_CLSACT, way, interface);
	if (!access(path, F_OK)) {
		DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface,
				    .attach_point = way->clsact);
		DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
				    .priority = CLSACT_PRIORITY);

		return !bpf_tc_query(&hook, &opts);
	}
	hook_path(path, PIN_TCX, way, interface);
	link = bpf_obj_get(path);
	if (link < 0)
		return 0;
	/* the first word of what a tcx link says is its interface's number */
	if (bpf_obj_get_info_by_fd(link, &info, &len))
		memset(&info, 0, sizeof(info));
	close(link);
	return *(const __u32 *)&info.tracing == interface;
}

static int interface_attach(const char *name)
{
	unsigned int interface = if_nametoindex(name);
	int ethernet = has_ethernet(name), program, result;
	char path[PATH_MAX];
	size_t i;

	if (!interface)
		return error("there is no interface %s in this network namespace", name);
	if (ethernet < 0)
		return error("%s is of a kind that pp_in cannot read (neither Ethernet nor a "
			     "tunnel); name the others with --interface",
			     name);
	for (i = 0; i < COUNT(ways); i++) {
		if (is_attached(&ways[i], interface))
			continue;
		pin_path(path, "progs", ethernet ? ways[i].program : ways[i].bare);
		program = bpf_obj_get(path);
		if (program < 0)
			return error("%s: %s", path, strerror(errno));
		result = attach(&ways[i], interface, program);
		close(program);
		if (result)
			return error("attaching %s to %s: %s", ways[i].program, name,
				     strerror(-result));
	}
	return 0;
}

static int is_named(const char *name)
{
	char words[1024], *word, *rest;

	if (!options.interfaces)
		return 1;
	snprintf(words, sizeof(words), "%s", options.interfaces);
	for (word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		if (!strcmp(word, name))
			return 1;
	}
	return 0;
}

/* Calls @each for the interfaces that have an address, once each. */
static int each_interface(int (*each)(const char *name, void *context), void *context)
{
	char seen[4096] = " ", word[IFNAMSIZ + 3];
	struct ifaddrs *list, *entry;
	int result = 0;

	if (getifaddrs(&list))
		return error("the interfaces: %s", strerror(errno));
	for (entry = list; entry && !result; entry = entry->ifa_next) {
		if (!entry->ifa_addr || (entry->ifa_addr->sa_family != AF_INET &&
					 entry->ifa_addr->sa_family != AF_INET6))
			continue;
		snprintf(word, sizeof(word), " %s ", entry->ifa_name);
		if (strstr(seen, word))
			continue;
		if (strlen(seen) + strlen(word) < sizeof(seen))
			strcat(seen, word + 1);
		result = each(entry->ifa_name, context);
	}
	freeifaddrs(list);
	return result;
}

static int attach_if_named(const char *name, void *unused)
{
	(void)unused;
	return is_named(name) ? interface_attach(name) : 0;
}

int interfaces_attach(void)
{
	libbpf_set_print(NULL);
	return each_interface(attach_if_named, NULL);
}

static void detach_clsact(const char *name)
{
	unsigned int interface;
	size_t i;

	for (i = 0; i < COUNT(ways); i++) {
		char format[32];

		snprintf(format, sizeof(format), PIN_CLSACT "%s_%%u", ways[i].name);
		if (sscanf(name, format, &interface) == 1) {
			DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface,
					    .attach_point = ways[i].clsact);
			DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
					    .priority = CLSACT_PRIORITY);

			bpf_tc_detach(&hook, &opts);
		}
	}
}

void interfaces_detach(void)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	libbpf_set_print(NULL);
	pin_path(folder, "links", "");
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		pin_path(path, "links", entry->d_name);
		if (!strncmp(entry->d_name, PIN_CLSACT, strlen(PIN_CLSACT))) {
			detach_clsact(entry->d_name);
			unlink(path);
		} else if (!strncmp(entry->d_name, PIN_TCX, strlen(PIN_TCX))) {
			pin_remove_link(path);
		}
	}
	if (dir)
		closedir(dir);
}

static int add_interface(const char *name, void *list)
{
	unsigned int interface = if_nametoindex(name);
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "interface", json_object_new_string(name));
	json_object_object_add(object, "attached",
			       json_object_new_boolean(is_attached(&ways[0], interface) &&
						       is_attached(&ways[1], interface)));
	json_object_array_add(list, object);
	return 0;
}

struct json_object *interfaces_read(void)
{
	struct json_object *list = json_object_new_array();

	libbpf_set_print(NULL);
	each_interface(add_interface, list);
	return list;
}
