// SPDX-License-Identifier: BSD-2-Clause
/*
 * Does a set do what it is there for? Each finding is why it does not, or may not, and what to do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/array.h"
#include "gateway.h"
#include "json.h"
#include "port_map.h"
#include "reach.h"
#include "ppctl.h"
#include "status.h"

const char *const health_names[] = {
	[HEALTH_SERVING] = "serving",
	[HEALTH_DEGRADED] = "degraded",
	[HEALTH_DOWN] = "down",
};

/* A finding that leaves the set as healthy as it is. */
#define NOTE HEALTH_SERVING

static void add_finding(struct json_object *set, enum health level, const char *name,
			const char *remedy, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void add_finding(struct json_object *set, enum health level, const char *name,
			const char *remedy, const char *format, ...)
{
	struct json_object *finding = json_object_new_object();
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	add_string(finding, "finding", name);
	add_string(finding, "level", level == NOTE ? "note" : health_names[level]);
	add_string(finding, "why", text);
	add_string(finding, "do", remedy);
	json_object_array_add(value_of(set, "findings"), finding);
}

/* How many links of @program there are that are on a cgroup. @gone: receives how many are not. */
static int count_attached(struct json_object *set, const char *program, int *gone)
{
	struct json_object *entry;
	int count = 0;
	size_t i;

	*gone = 0;
	for (i = 0; i < length_of(set, "programs"); i++) {
		entry = entry_of(set, "programs", i);
		if (strcmp(string_of(entry, "name"), program))
			continue;
		if (string_of(entry, "cgroup")[0])
			count++;
		else
			*gone += 1;
	}
	return count;
}

static const char started[] =
	"start its unit, with 'ppctl apply' or 'ppctl up' in its ExecStartPre=+";

/* Cgroups that a set was given, and that do not exist: their units are not started. */
static void judge_missing(struct json_object *set)
{
	struct json_object *missing;
	const char *kind, *name;
	size_t i;

	for (i = 0; i < length_of(set, "missing"); i++) {
		missing = entry_of(set, "missing", i);
		kind = string_of(missing, "kind");
		name = string_of(missing, "name");
		if (!strcmp(kind, "cgroup"))
			add_finding(set, length_of(set, "cgroups") ? HEALTH_DEGRADED : HEALTH_DOWN,
				    "cgroup-missing", started, "the cgroup %s does not exist",
				    name);
		else
			add_finding(
				set, HEALTH_DEGRADED, "proxy-cgroup-missing", started,
				"the proxy's cgroup %s does not exist: over loopback nobody else "
				"is believed",
				name);
	}
}

static const char again[] = "'ppctl up' with the cgroup attaches the programs to it again";

static int has_links(struct json_object *set)
{
	int attached, gone = 0;
	size_t i;

	for (i = 0; served_programs[i] && !gone; i++) {
		attached = count_attached(set, served_programs[i], &gone);
		gone += attached;
	}
	return gone;
}

/* Where no port is asked for an origin, pp_getsockopt is not attached. */
static int is_needed(struct json_object *set, const char *program)
{
	size_t i, count = length_of(set, "ports");

	if (strcmp(program, "pp_getsockopt") || !count)
		return 1;
	for (i = 0; i < count; i++) {
		if (is_true(entry_of(set, "ports", i), "lookup"))
			return 1;
	}
	return 0;
}

/* Without the gate, or pp_sockops, there is no record at all. */
static void judge_programs(struct json_object *set)
{
	int attached, gone, all_gone = 0, any_gone = 0;
	enum health level;
	size_t i;

	if (!has_links(set)) {
		add_finding(set, HEALTH_DOWN, "program-missing",
			    "'ppctl up' with all its options attaches them; what bpftool has "
			    "attached is not seen here",
			    "no program is pinned below %s/links", options.pin);
		return;
	}
	for (i = 0; served_programs[i]; i++) {
		attached = count_attached(set, served_programs[i], &gone);
		any_gone |= gone != 0;
		all_gone |= gone && !attached;
		if (attached || gone || !is_needed(set, served_programs[i]))
			continue;
		level = i < 2 ? HEALTH_DOWN : HEALTH_DEGRADED;
		add_finding(set, level, "program-missing",
			    "'ppctl up' with all its options repairs that",
			    "%s is not attached: its pin below %s/links is gone",
			    served_programs[i], options.pin);
	}
	if (all_gone)
		add_finding(set, HEALTH_DOWN, "cgroup-gone", again,
			    "the cgroup is gone, with the programs: its unit was stopped or "
			    "restarted, or another tool has detached them");
	else if (any_gone)
		add_finding(set, HEALTH_DEGRADED, "cgroup-gone", again,
			    "one of the cgroups is gone, with the programs");
}

static void judge_senders(struct json_object *set)
{
	size_t i;

	for (i = 0; i < length_of(set, "proxy_cgroups"); i++) {
		if (strcmp(json_object_get_string(entry_of(set, "proxy_cgroups", i)), "gone"))
			continue;
		add_finding(set, HEALTH_DEGRADED, "proxy-cgroup-gone",
			    "'ppctl proxy-cgroup add PATH' for its new one",
			    "a proxy's cgroup is gone: what its proxy sends over loopback is not "
			    "believed");
	}
}

static void judge_lists(struct json_object *set)
{
	if (!length_of(set, "ports"))
		add_finding(set, HEALTH_DEGRADED, "no-port", "ppctl port add PORT",
			    "no port is served");
	if (!length_of(set, "proxies") && !length_of(set, "proxy_cgroups"))
		add_finding(set, HEALTH_DEGRADED, "no-proxy", "ppctl proxy add ADDRESS",
			    "no proxy is marked, so that all peers are ordinary clients");
	if (is_true(set, "changing"))
		add_finding(set, has_links(set) ? HEALTH_DEGRADED : HEALTH_DOWN,
			    "change-broken-off",
			    "'ppctl apply', or 'ppctl up' with all its options, completes it",
			    "a change of the set is being made, or was broken off");
	if (is_true(set, "going_down"))
		add_finding(set, HEALTH_DOWN, "going-down",
			    "'ppctl down' again when they are gone; 'ppctl up' takes it back",
			    "it is going down, when its connections with a split are gone");
}

static void judge_relay(struct json_object *set, struct json_object *listener)
{
	add_finding(set, HEALTH_DEGRADED, "listener-relay",
		    "publish the port by DNAT, or use the host's network (docs/containers.md)",
		    "the listener %s is %s, a relay: it eats the header, and the server behind it "
		    "gets no origin",
		    string_of(listener, "address"), string_of(listener, "process"));
}

/* Is there a listener of @port? @outside: receives one that is not served. */
static int has_listener(struct json_object *set, struct json_object *port,
			struct json_object **outside)
{
	struct json_object *listener;
	const char *standing;
	int found = 0;
	size_t i;

	*outside = NULL;
	for (i = 0; i < length_of(set, "listeners"); i++) {
		listener = entry_of(set, "listeners", i);
		if (!listener_is_of(listener, port))
			continue;
		standing = string_of(listener, "standing");
		if (!strcmp(standing, "outside"))
			*outside = listener;
		else if (!strcmp(standing, "relay"))
			judge_relay(set, listener);
		else if (!strcmp(standing, "served"))
			found = 1;
		if (is_true(listener, "mptcp"))
			add_finding(set, NOTE, "listener-mptcp",
				    "have proxies speak plain TCP, or the server, too",
				    "%s listens for Multipath TCP", string_of(listener, "address"));
	}
	return found;
}

#define UNASKED "origin-unasked"

static void judge_unasked(struct json_object *set, struct json_object *port)
{
	struct json_object *figures = NULL;
	char remedy[256], name[ENDPOINT_TEXT_MAX], other[ENDPOINT_TEXT_MAX];
	int64_t unasked;
	size_t i;

	port_name(port, name);

	for (i = 0; i < length_of(value_of(set, "connections"), "by_port"); i++) {
		figures = entry_of(value_of(set, "connections"), "by_port", i);
		if (!strcmp(port_name(figures, other), name))
			break;
		figures = NULL;
	}
	unasked = figures ? number_of(figures, "unasked") : 0;
	if (!unasked || number_of(figures, "asked") || is_true(port, "transparent"))
		return;
	snprintf(remedy, sizeof(remedy),
		 "'ppctl port add %s --transparent', unless it is to call pp_lookup()", name);
	add_finding(set, HEALTH_DEGRADED, UNASKED, remedy,
		    "the server on port %s asks for no origin, and %s", name,
		    is_true(port, "split") ? "takes the proxy for its client"
					   : "finds the header in its stream");
}

static int has_finding(struct json_object *set, const char *name)
{
	size_t i;

	for (i = 0; i < length_of(set, "findings"); i++) {
		if (!strcmp(string_of(entry_of(set, "findings", i), "finding"), name))
			return 1;
	}
	return 0;
}

/* The same of connections that did not live for long. Of those that live a server may ask still. */
static void judge_never_asked(struct json_object *set)
{
	struct json_object *counters = value_of(set, "counters");
	int64_t accepted = number_of(counters, "v1") + number_of(counters, "v2") -
			   number_of(counters, "local");
	size_t i;

	if (number_of(counters, "asked") || has_finding(set, UNASKED))
		return;
	for (i = 0; i < length_of(value_of(set, "connections"), "by_port"); i++)
		accepted -=
			number_of(entry_of(value_of(set, "connections"), "by_port", i), "valid");
	for (i = 0; i < length_of(set, "ports"); i++) {
		if (is_true(entry_of(set, "ports", i), "transparent"))
			return;
	}
	if (accepted > 0)
		add_finding(set, HEALTH_DEGRADED, UNASKED,
			    "'ppctl port add PORT --transparent', unless it is to call pp_lookup()",
			    "no server has asked for an origin, of %lld connections with a header",
			    (long long)accepted);
}

/* What is the best of the served listeners of @port for the proxy @text? Return: -1: there is none.
 * @address: receives that of one. */
static int reach_of(struct json_object *set, struct json_object *port, const char *text,
		    const char **address)
{
	struct sockaddr_storage local;
	struct json_object *listener;
	struct prefix proxy;
	int best = -1, one;
	socklen_t len;
	size_t i;

	if (prefix_parse(text, &proxy))
		return -1;
	for (i = 0; i < length_of(set, "listeners"); i++) {
		listener = entry_of(set, "listeners", i);
		if (!listener_is_of(listener, port) ||
		    strcmp(string_of(listener, "standing"), "served") != 0 ||
		    endpoint_parse(string_of(listener, "address"), 0, &local, &len))
			continue;
		one = reach(&local, &proxy);
		if (best >= 0 && one >= best)
			continue;
		best = one;
		*address = string_of(listener, "address");
	}
	return best;
}

/* Proxies that cannot reach the server. A proxy of a proxy cgroup is on this host, and can. */
static void judge_reach(struct json_object *set, struct json_object *port)
{
	size_t count = length_of(set, "proxies"), cut_off = 0, i;
	const char *address = "", *proxy, *one_address = "", *first = NULL;
	char name[ENDPOINT_TEXT_MAX];
	enum reach why = REACHES;
	int one;

	for (i = 0; i < count; i++) {
		proxy = json_object_get_string(entry_of(set, "proxies", i));
		one = reach_of(set, port, proxy, &one_address);
		if (one <= REACHES || cut_off++)
			continue;
		first = proxy;
		address = one_address;
		why = one;
	}
	if (!cut_off)
		return;
	port_name(port, name);
	add_finding(set,
		    cut_off == count && !length_of(set, "proxy_cgroups") ? HEALTH_DEGRADED : NOTE,
		    "listener-unreachable",
		    "have the server listen on the address that its proxies connect to",
		    "the proxy %s does not reach port %s: its server listens on %s%s", first, name,
		    address, why == REACHES_LOOPBACK ? ", the loopback, alone" : " alone");
}

/* In another set's cgroup its connections are passed on, as those of what that one does not serve;
 * else they are reset. */
static void judge_outside(struct json_object *set, struct json_object *listener)
{
	const char *cgroup = string_of(listener, "cgroup"), *other = string_of(listener, "set");

	if (*other)
		add_finding(
			set, HEALTH_DEGRADED, "listener-outside",
			"'ppctl port add' for that set, or restart the server in this one's cgroup",
			"the listener %s is not served: the set %s, which has its cgroup, has not "
			"this port, and proxies' headers get to the server",
			string_of(listener, "address"), other);
	else
		add_finding(
			set, HEALTH_DEGRADED, "listener-outside",
			"restart its server in the cgroup, or name the server's cgroup",
			"the listener %s is not served: it was made outside of the cgroup, %s%s",
			string_of(listener, "address"), *cgroup ? "in " : "in one that is gone",
			cgroup);
}

static void judge_port(struct json_object *set, struct json_object *port)
{
	char name[ENDPOINT_TEXT_MAX];
	struct json_object *outside;
	int found = has_listener(set, port, &outside);

	port_name(port, name);
	if (is_true(port, "draining")) {
		add_finding(set, NOTE, "port-draining", "wait, or 'ppctl port add' serves it again",
			    "port %s is served no more, and %lld connections with a split are left",
			    name, (long long)number_of(port, "left"));
		return;
	}
	if (outside)
		judge_outside(set, outside);
	else if (!found)
		add_finding(set, HEALTH_DEGRADED, "listener-missing",
			    "start the server, or see on which port it listens",
			    "nothing listens on port %s", name);
	else
		judge_reach(set, port);
	judge_unasked(set, port);
}

static void judge_interfaces(struct json_object *set)
{
	struct json_object *interfaces = value_of(set, "interfaces"), *interface;
	int64_t dropped;
	size_t i;

	for (i = 0; i < length_of(interfaces, "here"); i++) {
		interface = entry_of(interfaces, "here", i);
		dropped = number_of(interface, "dropped");
		if (!dropped || is_true(interface, "attached"))
			continue;
		add_finding(set, HEALTH_DEGRADED, "interface-without-hooks",
			    is_true(interface, "wanted")
				    ? "'ppctl up' with the cgroup attaches them"
				    : "'ppctl port add PORT --split yes --interface NAME' attaches "
				      "them",
			    "proxies' segments come by the interface %s, which has no hooks: %lld "
			    "were dropped",
			    string_of(interface, "interface"), (long long)dropped);
	}
}

/* What was counted may be long ago, and does not make a set degraded. */
static void judge_counters(struct json_object *set)
{
	static const struct {
		const char *counter, *why, *remedy;
	} told[] = {
		{"unserved", "connections were reset, of proxies to a listener in no served cgroup",
		 "see the listeners, and restart the server in its cgroup"},
		{"outsiders", "segments came from processes outside of the proxies' cgroups",
		 "'ppctl proxy-cgroup add' for a proxy that is started elsewhere"},
		{"unannounced", "segments were dropped, since their announcement was lost",
		 "have fewer proxies' connections open at once, or restart the proxy"},
		{"bad_unrecorded",
		 "connections were older than the programs, or their proxy's mark",
		 "restart the server after the first 'ppctl up'"},
		{"no_memory", "records could not be stored", "give the kernel more memory"},
		{"forwarded_full", "forwarded connections were reset for want of room",
		 "have fewer connections to published ports"},
	};
	struct json_object *counters = value_of(set, "counters");
	int64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(told); i++) {
		value = number_of(counters, told[i].counter);
		if (value)
			add_finding(set, NOTE, told[i].counter, told[i].remedy, "%lld %s",
				    (long long)value, told[i].why);
	}
}

/* Peers of the last hour, some of each kind. What a stranger can bring about leaves the set as
 * healthy as it is. */
#define PEERS_RECENT_S 3600
#define PEERS_TOLD     3

static void judge_refused(struct json_object *set)
{
	struct json_object *peer;
	char when[PEER_WHEN_MAX];
	size_t i;

	for (i = 0; i < length_of(set, "refused") && i < PEERS_TOLD; i++) {
		peer = entry_of(set, "refused", i);
		if (number_of(peer, "ago_s") > PEERS_RECENT_S)
			break;
		peer_when(peer, when);
		if (strcmp(string_of(peer, "reason"), "expired")) {
			add_finding(set, NOTE, "peer-refused",
				    "'ppctl monitor' shows each; see ppctl(8) for the reason",
				    "%s was refused %s: %s", string_of(peer, "peer"), when,
				    string_of(peer, "meaning"));
			continue;
		}
		add_finding(set, NOTE, "peer-late",
			    "have it send PROXY headers, or take it from the list of proxies",
			    "the proxy %s sent no header in time %s", string_of(peer, "peer"),
			    when);
	}
}

static const char *gateway_in(const struct prefix *proxy, struct json_object *gateways)
{
	const char *text;
	size_t i;

	for (i = 0; i < json_object_array_length(gateways); i++) {
		text = json_object_get_string(json_object_array_get_idx(gateways, i));
		if (prefix_matches(proxy, text))
			return text;
	}
	return NULL;
}

/* Marks that whoever comes by a relay has. A firewall may let the balancer alone come there. */
static void judge_marks(struct json_object *set)
{
	static const char remedy[] =
		"name the balancer, or have a firewall admit none but it to the published port "
		"(docs/containers.md)";
	struct json_object *gateways = gateways_read(value_of(set, "cgroups"));
	const char *text, *gateway;
	char own[INET6_ADDRSTRLEN];
	struct prefix proxy;
	size_t i;

	for (i = 0; i < length_of(set, "proxies") && !length_of(set, "proxy_cgroups"); i++) {
		text = json_object_get_string(entry_of(set, "proxies", i));
		if (prefix_parse(text, &proxy) || !proxy.length)
			continue;
		gateway = gateway_in(&proxy, gateways);
		if (has_own_address(&proxy, 0, own))
			add_finding(set, NOTE, "proxy-is-here", remedy,
				    "the proxy %s has an address of this host, %s: who comes by a "
				    "relay here is believed",
				    text, own);
		else if (gateway)
			add_finding(set, NOTE, "proxy-is-gateway", remedy,
				    "the proxy %s has a container's gateway, %s: who comes by a "
				    "relay there is believed",
				    text, gateway);
	}
	json_object_put(gateways);
}

/* An address of this host is that of a proxy here, or of whatever relays to a container. */
static void unmarked_remedy(struct json_object *peer, char remedy[192])
{
	const char *address = string_of(peer, "peer");

	if (is_true(peer, "own") && (!strncmp(address, "127.", 4) || !strcmp(address, "::1")))
		snprintf(remedy, 192, "'ppctl proxy-cgroup add', if it is a proxy of yours");
	else if (is_true(peer, "own"))
		snprintf(
			remedy, 192,
			"'ppctl proxy-cgroup add' for a proxy of yours on this host; a container "
			"engine's relay has to go, and is never to be marked (docs/containers.md)");
	else
		snprintf(remedy, 192, "'ppctl proxy add %s', if it is a proxy of yours",
			 string_of(peer, "peer"));
}

static void judge_unmarked(struct json_object *set)
{
	struct json_object *peer;
	char when[PEER_WHEN_MAX], remedy[192];
	size_t i;

	for (i = 0; i < length_of(set, "unmarked") && i < PEERS_TOLD; i++) {
		peer = entry_of(set, "unmarked", i);
		if (number_of(peer, "ago_s") > PEERS_RECENT_S)
			break;
		unmarked_remedy(peer, remedy);
		add_finding(set, NOTE, "peer-unmarked", remedy,
			    "%s sends PROXY headers to port %lld and is not marked: %s",
			    string_of(peer, "peer"), (long long)number_of(peer, "port"),
			    peer_when(peer, when));
	}
}

static enum health level_of(struct json_object *finding)
{
	size_t i;

	for (i = HEALTH_DEGRADED; i <= HEALTH_DOWN; i++) {
		if (!strcmp(string_of(finding, "level"), health_names[i]))
			return i;
	}
	return NOTE;
}

/* The set's health is that of its worst finding. */
static enum health conclude(struct json_object *set)
{
	enum health worst = HEALTH_SERVING, level;
	size_t i;

	for (i = 0; i < length_of(set, "findings"); i++) {
		level = level_of(entry_of(set, "findings", i));
		worst = level > worst ? level : worst;
	}
	add_string(set, "health", health_names[worst]);
	return worst;
}

enum health health_judge(struct json_object *set)
{
	size_t i;

	json_object_object_add(set, "findings", json_object_new_array());
	judge_missing(set);
	if (!is_true(set, "changing") && (length_of(set, "cgroups") || !length_of(set, "missing")))
		judge_programs(set);
	judge_lists(set);
	judge_senders(set);
	judge_marks(set);
	for (i = 0; i < length_of(set, "ports"); i++)
		judge_port(set, entry_of(set, "ports", i));
	judge_never_asked(set);
	judge_interfaces(set);
	if (is_true(set, "unseen_namespaces"))
		add_finding(set, NOTE, "namespaces-unseen", "call ppctl as root",
			    "not all network namespaces of the cgroup could be looked at");
	judge_refused(set);
	judge_unmarked(set);
	judge_counters(set);
	return conclude(set);
}

enum health health_set(struct json_object *set, enum health health, const char *finding,
		       const char *why, const char *remedy)
{
	json_object_object_add(set, "findings", json_object_new_array());
	add_finding(set, health, finding, remedy, "%s", why);
	return conclude(set);
}
