// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resets sockets, by their cookies: SOCK_DESTROY of sock_diag(7), in the network namespace of each.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "netlink.h"
#include "ppctl.h"
#include "translated.h"

#define ALL_STATES 0xfff /* include/net/tcp_states.h */

/* The sockets of one network namespace; what netns_run() has no argument for. */
static struct {
	const struct translated_list *list;
	int failed;
} destruction;

static int is_wanted(const struct inet_diag_msg *socket)
{
	uint64_t cookie = socket->id.idiag_cookie[0] | (uint64_t)socket->id.idiag_cookie[1] << 32;
	size_t i;

	for (i = 0; i < destruction.list->count; i++) {
		if (destruction.list->sockets[i].cookie == cookie)
			return 1;
	}
	return 0;
}

struct message {
	struct nlmsghdr head;
	struct inet_diag_req_v2 request;
};

static void set_message(struct message *message, int type, int flags, int family)
{
	memset(message, 0, sizeof(*message));
	message->head.nlmsg_len = sizeof(*message);
	message->head.nlmsg_type = type;
	message->head.nlmsg_flags = NLM_F_REQUEST | flags;
	message->request.sdiag_family = family;
	message->request.sdiag_protocol = IPPROTO_TCP;
	message->request.idiag_states = ALL_STATES;
}

/* Return: 0, or an errno value. One that has gone meanwhile is gone. */
static int destroy(int netlink, const struct inet_diag_msg *socket)
{
	_Alignas(struct nlmsghdr) char buf[4096];
	const struct nlmsghdr *head = (void *)buf;
	struct message message;
	int result;

	set_message(&message, SOCK_DESTROY, NLM_F_ACK, socket->idiag_family);
	message.request.id = socket->id;
	if (send(netlink, &message, sizeof(message), 0) != sizeof(message) ||
	    recv(netlink, buf, sizeof(buf), 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return errno;
	if (head->nlmsg_type != NLMSG_ERROR)
		return EIO;
	result = -((const struct nlmsgerr *)NLMSG_DATA(head))->error;
	return result == ENOENT ? 0 : result;
}

struct destroyer {
	int netlink; /* not the dump's: there are answers to that still */
	int result;  /* 0, or an errno value */
};

static void destroy_wanted(const struct nlmsghdr *message, void *context)
{
	struct destroyer *destroyer = context;

	if (!destroyer->result && is_wanted(NLMSG_DATA(message)))
		destroyer->result = destroy(destroyer->netlink, NLMSG_DATA(message));
}

/* Return: 0, or an errno value. */
static int destroy_family(struct destroyer *destroyer, int family)
{
	struct message message;
	int tries, result = -EINTR;

	for (tries = 0; tries < NETLINK_TRIES && result == -EINTR; tries++) {
		set_message(&message, SOCK_DIAG_BY_FAMILY, 0, family);
		result = netlink_dump(NETLINK_SOCK_DIAG, &message.head, destroy_wanted, destroyer);
	}
	return destroyer->result ? destroyer->result : -result;
}

/* In the network namespace that the caller is in. */
static int destroy_here(uint64_t cookie)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct destroyer destroyer = {
		.netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
	int result = destroyer.netlink < 0 ? errno : 0;
	size_t i;

	(void)cookie;
	for (i = 0; i < 2 && !result; i++)
		result = destroy_family(&destroyer, families[i]);
	if (destroyer.netlink >= 0)
		close(destroyer.netlink);
	if (result)
		destruction.failed =
			error("SOCK_DESTROY: %s%s", strerror(result),
			      result == EOPNOTSUPP ? ": this kernel was built without "
						     "CONFIG_INET_DIAG_DESTROY; close the "
						     "connections, or end the server"
						   : "");
	return 0;
}

static int is_first_of(const struct translated_list *list, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++) {
		if (list->sockets[k].record.netns_cookie == list->sockets[i].record.netns_cookie)
			return 0;
	}
	return 1;
}

int sockets_destroy(const struct translated_list *list)
{
	size_t i;

	destruction.list = list;
	destruction.failed = 0;
	for (i = 0; i < list->count && !destruction.failed; i++) {
		/* where no way leads there, the sockets are left, and the caller counts them */
		if (is_first_of(list, i))
			netns_run(list->sockets[i].record.netns_cookie, destroy_here);
	}
	return destruction.failed;
}
