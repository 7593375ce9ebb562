// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listening sockets on served ports, from sock_diag(7). A socket belongs to the cgroup in which its
 * listener was created: one made elsewhere (socket activation, a start script) is not served, and
 * nothing but this shows it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
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
#include "ppctl.h"

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

static void listener_add(struct json_object *list, const struct inet_diag_msg *socket,
			 const struct rtattr *attribute, int len, const char *inside)
{
	char text[ENDPOINT_TEXT_MAX], path[PATH_MAX] = "";
	struct json_object *object = json_object_new_object();
	struct sockaddr_storage endpoint;
	uint64_t cgroup_id = 0;
	int mptcp = 0;

	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len)) {
		if (attribute->rta_type == INET_DIAG_CGROUP_ID)
			memcpy(&cgroup_id, RTA_DATA(attribute), sizeof(cgroup_id));
		if ((attribute->rta_type & NLA_TYPE_MASK) == INET_DIAG_ULP_INFO)
			mptcp = is_mptcp(attribute);
	}
	endpoint_make(&endpoint, socket->idiag_family, socket->id.idiag_src,
		      ntohs(socket->id.idiag_sport));
	endpoint_text(&endpoint, text);
	if (cgroup_path_of_id(cgroup_id, path))
		path[0] = 0;
	json_object_object_add(object, "address", json_object_new_string(text));
	json_object_object_add(object, "cgroup", json_object_new_string(path));
	json_object_object_add(object, "mptcp", json_object_new_boolean(mptcp));
	if (inside[0])
		json_object_object_add(object, "inside",
				       json_object_new_boolean(is_below(path, inside)));
	json_object_array_add(list, object);
}

static int ask(int netlink, int family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 request;
	} message = {
		.head = {.nlmsg_len = sizeof(message),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = family,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_ext = 1 << (INET_DIAG_INFO - 1), /* with it comes the ULP */
			    .idiag_states = 1 << TCP_LISTEN_STATE},
	};

	return send(netlink, &message, sizeof(message), 0) == sizeof(message) ? 0 : -1;
}

/* Reads one dump. Return: 0 when it is over. */
static int collect(int netlink, int ports_map, const char *inside, struct json_object *list)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	const struct inet_diag_msg *socket;
	const struct nlmsghdr *head;
	struct pp_port policy;
	uint16_t port;
	int len;

	for (;;) {
		len = recv(netlink, buf, sizeof(buf), 0);
		if (len <= 0)
			return -1;
		for (head = (void *)buf; NLMSG_OK(head, (unsigned int)len);
		     head = NLMSG_NEXT(head, len)) {
			if (head->nlmsg_type == NLMSG_DONE)
				return 0;
			if (head->nlmsg_type == NLMSG_ERROR)
				return -1;
			socket = NLMSG_DATA(head);
			port = ntohs(socket->id.idiag_sport);
			if (bpf_map_lookup_elem(ports_map, &port, &policy))
				continue;
			listener_add(list, socket, (const struct rtattr *)(socket + 1),
				     NLMSG_PAYLOAD(head, sizeof(*socket)), inside);
		}
	}
}

struct json_object *listeners_read(int ports_map, const char *inside)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct json_object *list = json_object_new_array();
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	size_t i;

	for (i = 0; netlink >= 0 && i < ARRAY_SIZE(families); i++) {
		if (ask(netlink, families[i]) || collect(netlink, ports_map, inside, list))
			break;
	}
	if (netlink >= 0)
		close(netlink);
	return list;
}
