// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl lookup: what the programs know of a connection, by a descriptor of a process or by its two
 * ends. Does not modify the socket: the header stays where it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "../lib/internal.h"
#include "../common/endpoint.h"
#include "../common/number.h"
#include "live.h"
#include "ppctl.h"
#include "record.h"

/* A socket of process @pid, as ours. */
static int fetch_fd(const char *pid_text, const char *fd_text)
{
	uint64_t pid, fd;
	int process, copy;

	if (number_parse(pid_text, 1, INT_MAX, &pid) || number_parse(fd_text, 0, INT_MAX, &fd))
		return usage_error("lookup %s %s: PID and FD are numbers, as in /proc/PID/fd/FD",
				   pid_text, fd_text);
	process = syscall(SYS_pidfd_open, (int)pid, 0);
	if (process < 0)
		return error("process %s: %s", pid_text, strerror(errno));
	copy = syscall(SYS_pidfd_getfd, process, (int)fd, 0);
	close(process);
	if (copy < 0 && errno == EPERM)
		return error("process %s: fetching its descriptor needs root (CAP_SYS_PTRACE)",
			     pid_text);
	if (copy < 0)
		return error("descriptor %s of process %s: %s", fd_text, pid_text, strerror(errno));
	return copy;
}

static int show(struct json_object *object)
{
	if (options.json) {
		print_json(object);
		return 0;
	}
	make_printable(object);
	record_print(object);
	json_object_put(object);
	return 0;
}

static int show_fd(int fd, const struct pp_answer *answer)
{
	static uint8_t header[PP_PAGE], tlvs[PP_HEADER_MAX];
	struct sighting seen = {.record = &answer->record, .header = header, .tlvs = tlvs};
	struct pp_origin origin = {};
	socklen_t len = sizeof(seen.peer), info_len = sizeof(struct tcp_info);
	struct tcp_info info = {};
	int tlvs_len;

	if (getpeername(fd, (struct sockaddr *)&seen.peer, &len))
		seen.peer.ss_family = AF_UNSPEC;
	pp_origin_proxy_from_answer(&origin, answer);
	seen.proxy = origin.proxy;
	seen.proxy_dst = origin.proxy_dst;
	if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len))
		seen.received = info.tcpi_bytes_received;
	pp_sockopt(fd, PP_HEADER, header, sizeof(header));
	tlvs_len = pp_tlvs(fd, tlvs, sizeof(tlvs));
	seen.tlvs_len = tlvs_len > 0 ? tlvs_len : 0;
	return show(record_object(&seen));
}

static int lookup_fd(const char *pid, const char *descriptor)
{
	struct pp_answer answer = {};
	int fd = fetch_fd(pid, descriptor), result;

	if (fd < 0)
		return fd;
	result = pp_sockopt(fd, PP_ORIGIN, &answer, sizeof(answer));
	if (result == -ENOTCONN)
		result =
			error("descriptor %s of process %s is a listening socket: only connections "
			      "have an origin",
			      descriptor, pid);
	else if (result < 0)
		result = error("descriptor %s of process %s: %s", descriptor, pid,
			       pp_strerror(result));
	else
		result = show_fd(fd, &answer);
	close(fd);
	return result;
}

/* The connection that is looked for, and how many there are. */
struct wanted {
	struct sockaddr_storage local, remote;
	int count, failed;
};

static int same_end(const struct sockaddr_storage *wanted, const uint8_t address[16],
		    unsigned int port)
{
	char one[ENDPOINT_TEXT_MAX], other[ENDPOINT_TEXT_MAX];
	struct sockaddr_storage end;

	mapped_endpoint(&end, address, port);
	endpoint_text(wanted, one);
	endpoint_text(&end, other);
	return !strcmp(one, other);
}

static void look_in_set(const char *directory, const char *name, void *context)
{
	struct wanted *wanted = context;
	struct live_list list;
	size_t i;

	(void)directory;
	(void)name;
	if (live_read(&list)) {
		wanted->failed = 1;
	} else {
		for (i = 0; i < list.count; i++) {
			const struct pp_live *live = &list.sockets[i].live;

			if (!same_end(&wanted->local, live->local, live->local_port) ||
			    !same_end(&wanted->remote, live->remote, live->remote_port))
				continue;
			/* the same ends may be in another network namespace: the first is shown */
			if (wanted->count++)
				continue;
			show(record_of_live(&list.sockets[i]));
		}
		live_free(&list);
	}
}

static int end_parse(const char *text, struct sockaddr_storage *end)
{
	socklen_t len;

	if (endpoint_parse(text, 0, end, &len) || !endpoint_port(end))
		return usage_error("lookup: '%s': PID and FD are numbers, as in /proc/PID/fd/FD; "
				   "LOCAL and REMOTE are addresses with ports: 192.0.2.1:25, "
				   "[2001:db8::1]:25",
				   text);
	return 0;
}

static int lookup_ends(const char *local, const char *remote)
{
	struct wanted wanted = {};

	if (end_parse(local, &wanted.local) || end_parse(remote, &wanted.remote))
		return -2;
	if (choose_all(look_in_set, &wanted) || wanted.failed)
		return -1;
	if (!wanted.count)
		return error("no connection of %s from %s has a record (ppctl connections)", local,
			     remote);
	return 0;
}

int command_lookup(int argc, char **argv)
{
	uint64_t number;

	(void)argc;
	if (!number_parse(argv[0], 0, UINT64_MAX, &number))
		return lookup_fd(argv[0], argv[1]);
	return lookup_ends(argv[0], argv[1]);
}
