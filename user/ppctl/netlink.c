// SPDX-License-Identifier: BSD-2-Clause
/*
 * What rtnetlink says of this network namespace: its interfaces, which of them have an address,
 * what there is of clsact, and where an address leads. getifaddrs() would give an address' label
 * for its interface.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/array.h"
#include "../common/prefix.h"
#include "netlink.h"
#include "ppctl.h"

static struct interface *find(struct interfaces *list, unsigned int index)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->entry[i].index == index)
			return &list->entry[i];
	}
	return NULL;
}

/* An interface under another one: its packets continue as that one's, except for a VRF's. */
static int is_port(const struct rtattr *info)
{
	static const char *const kinds[] = {"bridge", "bond", "team"};
	const struct rtattr *attribute;
	int len = RTA_PAYLOAD(info);
	size_t i;

	for (attribute = RTA_DATA(info); RTA_OK(attribute, len);
	     attribute = RTA_NEXT(attribute, len)) {
		if ((attribute->rta_type & NLA_TYPE_MASK) != IFLA_INFO_SLAVE_KIND)
			continue;
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			if (!strcmp(RTA_DATA(attribute), kinds[i]))
				return 1;
		}
	}
	return 0;
}

static void add_link(const struct nlmsghdr *message, void *context)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	struct interface *grown, *interface;
	struct interfaces *list = context;
	const struct rtattr *attribute;
	int len = IFLA_PAYLOAD(message);

	if (message->nlmsg_type != RTM_NEWLINK || find(list, link->ifi_index))
		return;
	grown = array_grow(list->entry, list->count, 1, sizeof(*grown));
	if (!grown)
		return;
	list->entry = grown;
	interface = &grown[list->count++];
	memset(interface, 0, sizeof(*interface));
	interface->index = link->ifi_index;
	interface->type = link->ifi_type;
	for (attribute = IFLA_RTA(link); RTA_OK(attribute, len);
	     attribute = RTA_NEXT(attribute, len)) {
		switch (attribute->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			snprintf(interface->name, sizeof(interface->name), "%s",
				 (const char *)RTA_DATA(attribute));
			break;
		case IFLA_MASTER:
			interface->master = *(const uint32_t *)RTA_DATA(attribute);
			break;
		case IFLA_LINKINFO:
			interface->is_port = is_port(attribute);
			break;
		}
	}
}

static void add_address(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *address = NLMSG_DATA(message);
	struct interface *interface;

	if (message->nlmsg_type != RTM_NEWADDR)
		return;
	interface = find(context, address->ifa_index);
	if (interface)
		interface->addressed = 1;
}

static int by_index(const void *left, const void *right)
{
	const struct interface *one = left, *other = right;

	return one->index < other->index ? -1 : one->index > other->index;
}

/* A packet of a port goes on as its master's, and in a VRF that of this host is the VRF's. */
static void look_at_masters(struct interfaces *list)
{
	struct interface *master;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!list->entry[i].master || !list->entry[i].addressed)
			continue;
		master = find(list, list->entry[i].master);
		if (master)
			master->addressed = 1;
		if (list->entry[i].is_port)
			list->entry[i].addressed = 0;
	}
}

static int read_once(struct interfaces *list)
{
	struct {
		struct nlmsghdr header;
		union {
			struct ifinfomsg link;
			struct ifaddrmsg address;
		};
	} request = {};
	int result;

	list->entry = NULL;
	list->count = 0;
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.link));
	request.header.nlmsg_type = RTM_GETLINK;
	request.link.ifi_family = AF_UNSPEC;
	result = netlink_dump(NETLINK_ROUTE, &request.header, add_link, list);
	if (!result) {
		memset(&request, 0, sizeof(request));
		request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.address));
		request.header.nlmsg_type = RTM_GETADDR;
		request.address.ifa_family = AF_UNSPEC;
		result = netlink_dump(NETLINK_ROUTE, &request.header, add_address, list);
	}
	if (result) {
		free(list->entry);
		list->entry = NULL;
		list->count = 0;
	}
	return result;
}

int interfaces_list(struct interfaces *list)
{
	int tries, result = -EINTR;

	for (tries = 0; tries < NETLINK_TRIES && result == -EINTR; tries++)
		result = read_once(list);
	if (result)
		return error("the interfaces of this network namespace: %s", strerror(-result));
	qsort(list->entry, list->count, sizeof(*list->entry), by_index);
	look_at_masters(list);
	return 0;
}

/* Qdiscs or filters (@type: RTM_GET*) of an interface, below @parent; filters of the priority in
 * @info, or of any. Return: 0, or a negative errno. */
static int dump_tc(int type, unsigned int index, uint32_t parent, uint32_t info,
		   netlink_answer *each, void *context)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg tc;
	} request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.tc)), .nlmsg_type = type},
		.tc = {.tcm_family = AF_UNSPEC,
		       .tcm_ifindex = index,
		       .tcm_parent = parent,
		       .tcm_info = info},
	};
	int tries, result = -EINTR;

	for (tries = 0; tries < NETLINK_TRIES && result == -EINTR; tries++)
		result = netlink_dump(NETLINK_ROUTE, &request.header, each, context);
	return result;
}

static uint32_t clsact_side(int egress)
{
	return TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

static void see_filter(const struct nlmsghdr *message, void *context)
{
	if (message->nlmsg_type == RTM_NEWTFILTER)
		*(int *)context = 1;
}

int clsact_has_filters(unsigned int index)
{
	int found = 0, egress;

	for (egress = 0; egress < 2 && !found; egress++) {
		if (dump_tc(RTM_GETTFILTER, index, clsact_side(egress), 0, see_filter, &found))
			return -1;
	}
	return found;
}

struct program_scan {
	struct clsact_program *list;
	uint32_t first; /* handle */
	size_t count, max;
};

static const struct rtattr *find_attribute(const struct rtattr *attribute, int len, int type)
{
	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len)) {
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return attribute;
	}
	return NULL;
}

/* A dump that began anew, since something had changed, tells again of those that were there. */
static void see_program(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *filter = NLMSG_DATA(message);
	const struct rtattr *kind, *nested, *id;
	struct program_scan *scan = context;
	size_t i;

	if (message->nlmsg_type != RTM_NEWTFILTER || filter->tcm_handle < scan->first ||
	    filter->tcm_handle - scan->first >= scan->max)
		return;
	kind = find_attribute(TCA_RTA(filter), TCA_PAYLOAD(message), TCA_KIND);
	if (!kind || strcmp(RTA_DATA(kind), "bpf"))
		return;
	nested = find_attribute(TCA_RTA(filter), TCA_PAYLOAD(message), TCA_OPTIONS);
	id = nested ? find_attribute(RTA_DATA(nested), RTA_PAYLOAD(nested), TCA_BPF_ID) : NULL;
	if (!id)
		return;
	for (i = 0; i < scan->count && scan->list[i].handle != filter->tcm_handle; i++)
		;
	scan->list[i].handle = filter->tcm_handle;
	scan->list[i].id = *(const uint32_t *)RTA_DATA(id);
	scan->count += i == scan->count;
}

int clsact_programs(unsigned int index, int egress, unsigned int priority, uint32_t first,
		    struct clsact_program *list, size_t max)
{
	struct program_scan scan = {.list = list, .first = first, .max = max};
	int result = dump_tc(RTM_GETTFILTER, index, clsact_side(egress),
			     TC_H_MAKE(priority << 16, 0), see_program, &scan);

	return result ? result : (int)scan.count;
}

struct qdisc_scan {
	unsigned int index;
	int found;
};

static void see_qdisc(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *qdisc = NLMSG_DATA(message);
	struct qdisc_scan *scan = context;
	const struct rtattr *kind;

	if (message->nlmsg_type != RTM_NEWQDISC || (unsigned int)qdisc->tcm_ifindex != scan->index)
		return;
	kind = find_attribute(TCA_RTA(qdisc), TCA_PAYLOAD(message), TCA_KIND);
	if (kind && !strcmp(RTA_DATA(kind), "ingress"))
		scan->found = 1;
}

int has_ingress_qdisc(unsigned int index)
{
	struct qdisc_scan scan = {.index = index};

	dump_tc(RTM_GETQDISC, index, 0, 0, see_qdisc, &scan);
	return scan.found;
}

int route_type(const struct prefix *prefix)
{
	unsigned int len = prefix->family == AF_INET ? 4 : 16;
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t address[16];
	} message = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) + RTA_LENGTH(len),
			 .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = prefix->family, .rtm_dst_len = len * 8},
		.attribute = {.rta_len = RTA_LENGTH(len), .rta_type = RTA_DST},
	};
	_Alignas(struct nlmsghdr) char buf[4096];
	const struct nlmsghdr *head = (void *)buf;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), type = -2;
	ssize_t got = -1;

	memcpy(message.address, prefix->address, len);
	if (fd >= 0 && send(fd, &message, message.head.nlmsg_len, 0) >= 0)
		got = recv(fd, buf, sizeof(buf), 0);
	if (got > 0 && NLMSG_OK(head, (unsigned int)got)) {
		if (head->nlmsg_type == RTM_NEWROUTE)
			type = ((const struct rtmsg *)NLMSG_DATA(head))->rtm_type;
		else if (head->nlmsg_type == NLMSG_ERROR)
			type = -1;
	}
	if (fd >= 0)
		close(fd);
	return type;
}
