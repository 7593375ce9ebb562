// SPDX-License-Identifier: BSD-2-Clause
/*
 * A dump of netlink: one request, and what the kernel lists for it.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "netlink.h"

int netlink_dump(int protocol, struct nlmsghdr *request, netlink_answer *each, void *context)
{
	static char answer[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message;
	int fd, result = 1, interrupted = 0;
	ssize_t len;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		result = -errno;
	while (result > 0) {
		len = recv(fd, answer, sizeof(answer), MSG_TRUNC);
		if (len <= 0 || len > (ssize_t)sizeof(answer)) {
			result = len < 0 ? -errno : len ? -EMSGSIZE : -EIO;
			break;
		}
		for (message = (struct nlmsghdr *)answer; NLMSG_OK(message, len);
		     message = NLMSG_NEXT(message, len)) {
			interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
			if (message->nlmsg_type == NLMSG_DONE) {
				result = 0;
				break;
			}
			if (message->nlmsg_type == NLMSG_ERROR) {
				result = ((struct nlmsgerr *)NLMSG_DATA(message))->error;
				break;
			}
			each(message, context);
		}
	}
	close(fd);
	return !result && interrupted ? -EINTR : result;
}
