// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listening sockets on served ports, from sock_diag(7). A socket belongs to the cgroup in which its
 * listener was created: one made elsewhere (socket activation, a start script) is not served, and
 * nothing but this shows it.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "../common/array.h"
#include "../common/endpoint.h"
#include "../common/prefix.h"
#include "engine.h"
#include "json.h"
#include "netlink.h"
#include "port_map.h"
#include "ppctl.h"
#include "process.h"

#define TCP_LISTEN_STATE 10 /* include/net/tcp_states.h */

static int is_below(const char *path, const char *cgroup)
{
	size_t len = strlen(cgroup);

	return len && !strncmp(path, cgroup, len) && (!path[len] || path[len] == '/');
}

/* An MPTCP socket listens on a TCP socket that has the ULP "mptcp". */
static int is_mptcp(const struct rtattr *ulp)
{
	const struct rtattr *attribute = RTA_DATA(ulp);
	int len = RTA_PAYLOAD(ulp);

	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len)) {
		if (attribute->rta_type == INET_ULP_INFO_NAME &&
		    RTA_PAYLOAD(attribute) >= sizeof("mptcp") &&
		    !strcmp(RTA_DATA(attribute), "mptcp"))
			return 1;
	}
	return 0;
}

static int is_inside(const char *path, struct json_object *cgroups)
{
	size_t i;

	for (i = 0; i < json_object_array_length(cgroups); i++) {
		if (is_below(path, json_object_get_string(json_object_array_get_idx(cgroups, i))))
			return 1;
	}
	return 0;
}

/* A set's. */
struct served {
	struct pp_port_key ports[PORTS_MAX];
	size_t count;
};

/* What listeners_read() is about. */
struct listening {
	struct json_object *list, *cgroups;
	struct owner *owners; /* in the list's order */
	size_t count;
	struct served served;
	uint64_t netns_cookie; /* the namespace that is looked at */
	int elsewhere;	       /* it is another than ppctl's */
};

/* v4-mapped where it is IPv4, and all 0 where it is any. */
static void own_address(const struct inet_diag_msg *socket, uint8_t address[16])
{
	struct prefix prefix = {.family = socket->idiag_family, .length = 32};
	uint32_t bits;

	memcpy(prefix.address, socket->id.idiag_src, sizeof(prefix.address));
	if (prefix.family == AF_INET6)
		prefix.length = 128;
	if (prefix.family == AF_INET && !socket->id.idiag_src[0])
		memset(address, 0, 16);
	else
		prefix_to_mapped(&prefix, address, &bits);
}

/* One that is bound to any address has its port on each. */
static int is_on_served_port(const struct served *served, const struct inet_diag_msg *socket)
{
	static const uint8_t any[16];
	uint16_t port = ntohs(socket->id.idiag_sport);
	uint8_t address[16];
	size_t i;

	own_address(socket, address);
	if (memcmp(address, any, sizeof(any)))
		return port_match(served->ports, served->count, address, port) != NULL;
	for (i = 0; i < served->count; i++) {
		if (served->ports[i].port == port)
			return 1;
	}
	return 0;
}

/* Is @cgroup another set's, which serves the port, too? @set: receives where that is pinned; or "".
 */
static int is_served_beside(const char *cgroup, const struct inet_diag_msg *socket,
			    char set[PATH_MAX])
{
	const char *pin = options.pin;
	struct served served = {};
	uint32_t gate;
	int map;

	set[0] = 0;
	gate = *cgroup ? cgroup_gate_of_other(cgroup) : 0;
	if (!gate)
		return 0;
	set_of_gate(gate, set);
	if (!set[0])
		return 0;
	options.pin = set;
	map = pin_open("maps", MAP_PORTS);
	if (map >= 0) {
		served.count = ports_list(map, served.ports);
		close(map);
	}
	options.pin = pin;
	return is_on_served_port(&served, socket);
}

static void add_standing_of_sets(const struct listening *listening, struct json_object *object,
				 const struct inet_diag_msg *socket, int inside)
{
	char set[PATH_MAX] = "";
	int beside;

	beside = !inside && is_served_beside(string_of(object, "cgroup"), socket, set);
	if (json_object_array_length(listening->cgroups))
		add_boolean(object, "inside", inside);
	add_string(object, "set", set);
	if (beside)
		add_string(object, "standing", "beside");
}

static void listener_add(struct listening *listening, const struct inet_diag_msg *socket,
			 const struct rtattr *attribute, int len)
{
	char text[ENDPOINT_TEXT_MAX], path[PATH_MAX] = "";
	struct sockaddr_storage endpoint;
	struct json_object *object;
	struct owner *owners;
	uint64_t cgroup_id = 0;
	int mptcp = 0, inside;

	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len)) {
		if (attribute->rta_type == INET_DIAG_CGROUP_ID)
			memcpy(&cgroup_id, RTA_DATA(attribute), sizeof(cgroup_id));
		if ((attribute->rta_type & NLA_TYPE_MASK) == INET_DIAG_ULP_INFO)
			mptcp = is_mptcp(attribute);
	}
	if (cgroup_path_of_id(cgroup_id, path) && errno == ESTALE)
		path[0] = 0;
	inside = is_inside(path, listening->cgroups);
	if (listening->elsewhere && !inside) /* another container's own business */
		return;
	endpoint_make(&endpoint, socket->idiag_family, socket->id.idiag_src,
		      ntohs(socket->id.idiag_sport));
	endpoint_text(&endpoint, text);
	object = json_object_new_object();
	add_string(object, "address", text);
	add_number(object, "port", ntohs(socket->id.idiag_sport));
	add_string(object, "cgroup", path);
	add_boolean(object, "mptcp", mptcp);
	add_standing_of_sets(listening, object, socket, inside);
	json_object_object_add(object, "netns_cookie",
			       json_object_new_uint64(listening->netns_cookie));
	json_object_array_add(listening->list, object);
	owners = array_grow(listening->owners, listening->count, 1, sizeof(*owners));
	if (!owners)
		return;
	listening->owners = owners;
	owners[listening->count++] = (struct owner){.inode = socket->idiag_inode};
}

static void see_listener(const struct nlmsghdr *message, void *context)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(message);
	struct listening *listening = context;

	if (is_on_served_port(&listening->served, socket))
		listener_add(listening, socket, (const struct rtattr *)(socket + 1),
			     NLMSG_PAYLOAD(message, sizeof(*socket)));
}

static void read_namespace(struct listening *listening)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 request;
	} message = {
		.head = {.nlmsg_len = sizeof(message), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
		.request = {.sdiag_protocol = IPPROTO_TCP,
			    .idiag_ext = 1 << (INET_DIAG_INFO - 1), /* with it comes the ULP */
			    .idiag_states = 1 << TCP_LISTEN_STATE},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		message.request.sdiag_family = families[i];
		netlink_dump(NETLINK_SOCK_DIAG, &message.head, see_listener, listening);
	}
}

static int was_read(struct json_object *list, uint64_t cookie)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (json_object_get_uint64(
			    value_of(json_object_array_get_idx(list, i), "netns_cookie")) == cookie)
			return 1;
	}
	return 0;
}

static void read_other(uint64_t cookie, void *context)
{
	struct listening *listening = context;

	if (was_read(listening->list, cookie)) /* for another cgroup of the set */
		return;
	listening->netns_cookie = cookie;
	listening->elsewhere = 1;
	read_namespace(listening);
}

/* Of container engines: what holds a published port that DNAT forwards, and what relays it. A relay
 * eats the header, and the server sees an address of the host for its client. */
static const struct {
	const char *process;
	int relays;
} engines[] = {
	{"conmon", 0},		{"docker-proxy", 1}, {"rootlessport", 1},
	{"rootlessport-ch", 1}, {"slirp4netns", 1},  {"pasta", 1},
	{"pasta.avx2", 1},	{"passt", 1},	     {"passt.avx2", 1},
};

int listener_is_of_engine(const char *process)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		if (!strcmp(process, engines[i].process))
			return 1;
	}
	return 0;
}

static const char *standing_of(struct json_object *listener, const char *process, int elsewhere)
{
	int inside = is_true(listener, "inside");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		if (!strcmp(process, engines[i].process))
			return inside && engines[i].relays ? "relay" : "placeholder";
	}
	if (inside || !value_of(listener, "inside"))
		return "served";
	if (value_of(listener, "standing"))
		return "beside";
	return elsewhere ? "other" : "outside";
}

/* @apart: all processes of the cgroups are in other network namespaces, so that a listener here
 * that is in none of the cgroups is another server's. */
static void add_standings(struct listening *listening, uint64_t here, int apart)
{
	struct json_object *listener;
	const char *process;
	size_t i;

	owners_find(listening->owners, listening->count);
	for (i = 0; i < json_object_array_length(listening->list); i++) {
		listener = json_object_array_get_idx(listening->list, i);
		process = i < listening->count ? listening->owners[i].name : "";
		add_string(listener, "process", process);
		add_string(listener, "standing",
			   standing_of(listener, process,
				       apart && json_object_get_uint64(value_of(
							listener, "netns_cookie")) == here));
	}
	free(listening->owners);
}

struct json_object *listeners_read(int ports_map, struct json_object *cgroups, int *unseen,
				   int *here)
{
	struct listening listening = {.list = json_object_new_array(), .cgroups = cgroups};
	uint64_t own = 0;
	size_t i;

	*here = 0;
	listening.served.count = ports_list(ports_map, listening.served.ports);
	netns_cookie(&own);
	listening.netns_cookie = own;
	read_namespace(&listening);
	*unseen = 0;
	for (i = 0; i < json_object_array_length(cgroups); i++) {
		if (netns_each_of_cgroup(
			    json_object_get_string(json_object_array_get_idx(cgroups, i)),
			    read_other, &listening, here))
			*unseen = 1;
	}
	add_standings(&listening, own, !*here && listening.netns_cookie != own);
	return listening.list;
}

/* One that is bound to any address is of a port on each. */
int listener_is_of(struct json_object *listener, struct json_object *port)
{
	const char *bound = string_of(listener, "address");
	char name[ENDPOINT_TEXT_MAX];

	if (number_of(listener, "port") != number_of(port, "port"))
		return 0;
	return !value_of(port, "address") || !strcmp(bound, port_name(port, name)) ||
	       !strncmp(bound, "0.0.0.0:", 8) || !strncmp(bound, "[::]:", 5);
}

static void listener_print(struct json_object *listener, uint64_t here)
{
	uint64_t cookie = json_object_get_uint64(value_of(listener, "netns_cookie"));
	const char *standing = string_of(listener, "standing");

	printf("  %s", string_of(listener, "address"));
	if (cookie != here)
		printf("  in the network namespace %llu", (unsigned long long)cookie);
	if (is_true(listener, "mptcp"))
		printf("  MPTCP");
	if (!strcmp(standing, "outside") && *string_of(listener, "set"))
		printf("  NOT SERVED: the set %s, which has its cgroup, has not this port",
		       string_of(listener, "set"));
	else if (!strcmp(standing, "outside"))
		printf("  NOT SERVED: made outside of the cgroup");
	else if (!strcmp(standing, "beside"))
		printf("  served by the set %s", string_of(listener, "set"));
	else if (!strcmp(standing, "relay"))
		printf("  RELAY: %s", string_of(listener, "process"));
	else if (!strcmp(standing, "placeholder"))
		printf("  %s's, of a published port", string_of(listener, "process"));
	else if (!strcmp(standing, "other"))
		printf("  another server's");
	printf("\n");
}

void listeners_print(struct json_object *listeners, uint64_t here, int any_split)
{
	int any_outside = 0, any_mptcp = 0;
	struct json_object *listener;
	size_t i;

	printf("listeners\n");
	for (i = 0; i < json_object_array_length(listeners); i++) {
		listener = json_object_array_get_idx(listeners, i);
		any_mptcp |= is_true(listener, "mptcp");
		any_outside |= !strcmp(string_of(listener, "standing"), "outside") &&
			       !*string_of(listener, "set");
		listener_print(listener, here);
	}
	if (!json_object_array_length(listeners))
		printf("  none\n");
	if (any_outside && any_split)
		printf("  NOT SERVED, on a port with a split: proxies' connections to it are "
		       "reset\n");
	if (any_mptcp)
		printf("  MPTCP: proxies must speak plain TCP to it; their Multipath SYNs are "
		       "dropped until they fall back\n");
}
