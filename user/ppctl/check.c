// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl check: what is wrong with ppsplit.conf, and what of it cannot work on this system.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/array.h"
#include "../common/endpoint.h"
#include "../common/prefix.h"
#include "gateway.h"
#include "netlink.h"
#include "ppctl.h"
#include "process.h"
#include "reach.h"
#include "word.h"

#define PROBLEMS_SHOWN	 100
#define TCP_LISTEN_STATE 10 /* include/net/tcp_states.h */

/* Where systemd looks for units. */
static const char *const unit_folders[] = {
	"/etc/systemd/system",	  "/run/systemd/system",	   "/run/systemd/transient",
	"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
	"/lib/systemd/system",
};

static int ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* exim@main.service is an instance of exim@.service. */
static int unit_is_known(const char *unit)
{
	const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');
	char template[NAME_MAX + 1], path[PATH_MAX];
	size_t i;

	snprintf(template, sizeof(template), "%.*s%s", at ? (int)(at - unit) + 1 : 0, unit,
		 at ? dot : unit);
	for (i = 0; i < ARRAY_SIZE(unit_folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", unit_folders[i], unit);
		if (!access(path, F_OK))
			return 1;
		snprintf(path, sizeof(path), "%s/%s", unit_folders[i], template);
		if (!access(path, F_OK))
			return 1;
	}
	return 0;
}

/* A slice comes with the first unit in it, and needs no file. */
static int is_unit_without_file(const char *name)
{
	const char *slash = strrchr(name, '/'), *unit = slash ? slash + 1 : name;

	if (access("/run/systemd/system", F_OK))
		return 0;
	return (ends_with(unit, ".service") || ends_with(unit, ".scope")) && !unit_is_known(unit);
}

static void check_cgroup(const struct word *word, const char *key, struct problems *problems)
{
	char path[PATH_MAX];

	switch (cgroup_find(word->text, path)) {
	case CGROUP_FOUND:
		break;
	case CGROUP_MISSING:
		if (is_unit_without_file(word->text))
			problem_add(problems, word->line, 1,
				    "%s %s does not exist, and systemd has no unit of this name: "
				    "is the name right?",
				    key, word->text);
		else
			problem_add(problems, word->line, 1,
				    "%s %s does not exist: 'ppctl apply' has to be called again "
				    "when it does, as in ExecStartPre= of its unit",
				    key, word->text);
		break;
	case CGROUP_NONE:
		problem_add(problems, word->line, 0, "%s %s is not a cgroup v2 directory", key,
			    word->text);
		break;
	case CGROUP_ROOT:
		problem_add(problems, word->line, 0,
			    "%s %s is the root cgroup, every socket of the machine: name the %s",
			    key, word->text, strcmp(key, "cgroup") ? "proxy's" : "mail server's");
		break;
	case CGROUP_UNKNOWN:
		problem_add(problems, word->line, 0, "%s %s: %s: %s", key, word->text, path,
			    strerror(errno));
		break;
	case CGROUP_NOT_MOUNTED:
		problem_add(problems, word->line, 0,
			    "cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
		break;
	}
}

static void check_proxy(const struct section *section, const struct wanted_proxy *proxy,
			struct problems *problems)
{
	char text[PREFIX_TEXT_MAX], own[INET6_ADDRSTRLEN];
	struct prefix prefix;

	prefix_from_mapped(&prefix, proxy->key.address, proxy->key.length);
	prefix_text(&prefix, text);
	if (!prefix.length) {
		problem_add(problems, proxy->line, 1,
			    "proxy %s is every %s address: whoever reaches the port says who he is",
			    text, prefix.family == AF_INET ? "IPv4" : "IPv6");
		return;
	}
	if (!section->senders.count && prefix.length < prefix_bits(&prefix) &&
	    has_own_address(&prefix, 1, own)) {
		problem_add(
			problems, proxy->line, 1,
			"proxy %s has %s in it, an address of this host: any process here, and "
			"whoever comes by a relay here, as container engines have them, would be "
			"believed; name the proxies alone",
			text, own);
		return;
	}
	switch (route_type(&prefix)) {
	case RTN_LOCAL:
		if (!section->senders.count)
			problem_add(
				problems, proxy->line, 1,
				"proxy %s is this host: any process here would be believed, and "
				"whoever comes by a relay here, as container engines have them; "
				"name the proxy's cgroup with proxy-cgroup",
				text);
		break;
	case RTN_UNREACHABLE:
	case RTN_BLACKHOLE:
	case RTN_PROHIBIT:
	case -1:
		problem_add(problems, proxy->line, 1,
			    "proxy %s: there is no route to it: nothing can come from there", text);
		break;
	}
}

struct listening {
	int any, ipv6;
	int reached;		      /* 1: a proxy can connect to one of them */
	int cut_off;		      /* enum reach, for one that cannot */
	char text[ENDPOINT_TEXT_MAX]; /* where that listens */
};

static void look_at_reach(const struct section *section, const struct pp_port_key *bound, int ipv6,
			  struct listening *listening)
{
	struct sockaddr_storage local;
	struct prefix address, proxy;
	enum reach one;
	size_t i;

	listening->reached |= section->senders.count || !section->proxy_count;
	prefix_from_mapped(&address, bound->address, 8 * sizeof(bound->address));
	if (!port_has_address(bound) && !ipv6)
		address.family = AF_INET;
	endpoint_make(&local, address.family, address.address, bound->port);
	for (i = 0; i < section->proxy_count && !listening->reached; i++) {
		prefix_from_mapped(&proxy, section->proxies[i].key.address,
				   section->proxies[i].key.length);
		one = reach(&local, &proxy);
		listening->reached = one == REACHES;
		listening->cut_off = one;
		endpoint_text(&local, listening->text);
	}
}

/* The local address of a line of /proc/net/tcp, in words of host byte order; v4-mapped where it is
 * IPv4, and all 0 where it is any. Return: 0, or -1. */
static int listed_address(const char *hex, uint8_t address[16])
{
	static const uint8_t mapped[] = {[10] = 0xff, [11] = 0xff};
	uint32_t word[4] = {};
	size_t count = strlen(hex) / 8, i;

	if (count != 1 && count != ARRAY_SIZE(word))
		return -1;
	for (i = 0; i < count; i++) {
		if (sscanf(hex + 8 * i, "%8x", &word[i]) != 1)
			return -1;
	}
	memset(address, 0, 16);
	if (count > 1) {
		memcpy(address, word, sizeof(word));
	} else if (word[0]) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + sizeof(mapped), word, sizeof(word[0]));
	}
	return 0;
}

/* Of a published port: the server is in another network namespace. */
static int is_placeholder(uint64_t inode)
{
	struct owner owner = {.inode = inode};

	owners_find(&owner, 1);
	return listener_is_of_engine(owner.name);
}

static void look_for_listener(const char *file, const struct section *section,
			      const struct pp_port_key *port, int ipv6, struct listening *listening)
{
	struct pp_port_key bound = {};
	unsigned int local_port, state;
	FILE *table = fopen(file, "re");
	unsigned long long inode;
	char line[512], hex[33];

	while (table && fgets(line, sizeof(line), table)) {
		if (sscanf(line,
			   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u "
			   "%*u %llu",
			   hex, &local_port, &state, &inode) != 4 ||
		    local_port != port->port || state != TCP_LISTEN_STATE ||
		    listed_address(hex, bound.address))
			continue;
		bound.port = local_port;
		if (port_has_address(port) && port_has_address(&bound) &&
		    !port_is_same(&bound, port))
			continue;
		listening->any = 1;
		if (is_placeholder(inode)) {
			listening->ipv6 = listening->reached = 1;
			continue;
		}
		listening->ipv6 |= ipv6;
		look_at_reach(section, &bound, ipv6, listening);
	}
	if (table)
		fclose(table);
}

static void check_port(const struct section *section, const struct wanted_port *port,
		       struct problems *problems)
{
	struct listening listening = {};
	char text[ENDPOINT_TEXT_MAX];
	struct prefix prefix;

	port_text(&port->key, text);
	if (port_has_address(&port->key)) {
		prefix_from_mapped(&prefix, port->key.address, 8 * sizeof(port->key.address));
		if (route_type(&prefix) != RTN_LOCAL)
			problem_add(problems, port->line, 1,
				    "port %s: the address is none of this network namespace's own",
				    text);
	}
	look_for_listener("/proc/self/net/tcp", section, &port->key, 0, &listening);
	look_for_listener("/proc/self/net/tcp6", section, &port->key, 1, &listening);
	if (!listening.any)
		problem_add(problems, port->line, 1,
			    "port %s has no listener in this network namespace: the server is not "
			    "started, or is in another one",
			    text);
	else if (!listening.reached)
		problem_add(problems, port->line, 1,
			    "port %s is reached by no proxy: its server listens on %s%s; have it "
			    "listen on the address that the proxies connect to",
			    text, listening.text,
			    listening.cut_off == REACHES_LOOPBACK ? ", the loopback, alone"
								  : " alone");
	else if (port->policy.flags & PP_PORT_TRANSPARENT && !listening.ipv6)
		problem_add(problems, port->line, 1,
			    "port %s is transparent, and listens on IPv4 only: it is told of an "
			    "IPv6 client as 192.0.0.8; have the server listen on [::]",
			    text);
}

static void check_section(struct section *section, struct problems *problems)
{
	size_t i;

	for (i = 0; i < section->cgroups.count; i++) {
		if (cgroup_name_own(&section->cgroups.word[i]))
			problem_add(problems, section->cgroups.word[i].line, 0,
				    "cgroup %s: " OWN_UNSEEN, section->cgroups.word[i].text);
		else
			check_cgroup(&section->cgroups.word[i], "cgroup", problems);
	}
	for (i = 0; i < section->senders.count; i++)
		check_cgroup(&section->senders.word[i], "proxy-cgroup", problems);
	for (i = 0; i < section->proxy_count; i++)
		check_proxy(section, &section->proxies[i], problems);
	for (i = 0; i < section->port_count; i++)
		check_port(section, &section->ports[i], problems);
	for (i = 0; i < section->interfaces.count; i++) {
		if (!if_nametoindex(section->interfaces.word[i].text))
			problem_add(problems, section->interfaces.word[i].line, 1,
				    "interface %s does not exist in this network namespace: what "
				    "proxies send by it to a port with a split is dropped",
				    section->interfaces.word[i].text);
	}
}

static void print_problem(const char *file, const struct problem *problem)
{
	const char *kind = problem->warning ? "warning: " : "";

	if (problem->line)
		print_line(stderr, "", "%s:%u: %s%s", file, problem->line, kind, problem->text);
	else
		print_line(stderr, "", "%s: %s%s", file, kind, problem->text);
}

static void print_problems_json(const char *file, const struct problems *problems)
{
	struct json_object *object = json_object_new_object(), *list = json_object_new_array(),
			   *one;
	size_t i;

	for (i = 0; i < problems->count; i++) {
		one = json_object_new_object();
		json_object_object_add(one, "line", json_object_new_int(problems->problem[i].line));
		json_object_object_add(
			one, "level",
			json_object_new_string(problems->problem[i].warning ? "warning" : "error"));
		json_object_object_add(one, "text",
				       json_object_new_string(problems->problem[i].text));
		json_object_array_add(list, one);
	}
	json_object_object_add(object, "file", json_object_new_string(file));
	json_object_object_add(object, "problems", list);
	print_json(object);
}

static void print_problems(const char *file, const struct problems *problems, int with_warnings)
{
	size_t i, shown = 0, more = 0;

	for (i = 0; i < problems->count; i++) {
		if (!with_warnings && problems->problem[i].warning)
			continue;
		if (shown < PROBLEMS_SHOWN)
			print_problem(file, &problems->problem[i]);
		else
			more++;
		shown++;
	}
	if (more)
		print_line(stderr, "", "%s: and %zu more", file, more);
}

/* @with_warnings: who may have changed the file is one of them; else it is an error. */
static int config_read(const char *file, struct config *config, int with_warnings,
		       struct problems *problems)
{
	size_t len;
	char *text = config_file_read(file, &len, with_warnings, problems);

	memset(config, 0, sizeof(*config));
	if (!text)
		return -1;
	config_parse(config, text, len, problems);
	free(text);
	return 0;
}

int config_load(const char *file, struct config *config, int with_warnings)
{
	struct problems problems = {};
	size_t i;
	int result;

	if (config_read(file, config, with_warnings, &problems))
		return -1;
	for (i = 0; i < config->count; i++)
		check_section(&config->sections[i], &problems);
	problems_sort(&problems);
	if (problems.no_memory)
		error("%s", strerror(ENOMEM));
	if (options.json && (with_warnings || problems.errors))
		print_problems_json(file, &problems);
	else if (!options.json)
		print_problems(file, &problems, with_warnings);
	result = problems.errors || problems.no_memory ? -1 : 0;
	problems_free(&problems);
	if (result)
		config_free(config);
	return result;
}

int command_check(int argc, char **argv)
{
	const char *file = argc ? argv[0] : DEFAULT_CONFIG;
	struct config config;
	size_t count;

	if (config_load(file, &config, 1))
		return -1;
	count = config.count;
	config_free(&config);
	say("%s: sections: %zu, no error", file, count);
	return 0;
}
