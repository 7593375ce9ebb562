// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text for people: origins, errors, the version.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "internal.h"

#define ENDPOINT_MAX 128

static void endpoint_print(const struct sockaddr_storage *endpoint, char *buf, size_t size)
{
	const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)endpoint;
	const struct sockaddr_in *ip4 = (const struct sockaddr_in *)endpoint;
	const struct sockaddr_un *un = (const struct sockaddr_un *)endpoint;
	char address[INET6_ADDRSTRLEN];
	size_t i;

	switch (endpoint->ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &ip4->sin_addr, address, sizeof(address));
		snprintf(buf, size, "%s:%u", address, ntohs(ip4->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &ip6->sin6_addr, address, sizeof(address));
		snprintf(buf, size, "[%s]:%u", address, ntohs(ip6->sin6_port));
		break;
	default:
		/* An abstract name begins with a zero. A sender must not be able to break a log
		 * line.
		 */
		snprintf(buf, size, "%s%.*s", un->sun_path[0] ? "" : "@",
			 (int)sizeof(un->sun_path) - !un->sun_path[0],
			 un->sun_path + !un->sun_path[0]);
		for (i = 0; buf[i]; i++) {
			if (buf[i] < 0x21 || buf[i] > 0x7e)
				buf[i] = '?';
		}
	}
}

int pp_origin_print(const struct pp_origin *origin, char *buf, size_t size)
{
	static const char *const transports[] = {"UNSPEC", "TCP", "UDP"};
	static const char *const unix_transports[] = {"UNSPEC", "UNIX", "UNIX-DGRAM"};
	const char *const *names = origin->family == AF_UNIX ? unix_transports : transports;
	char source[ENDPOINT_MAX], destination[ENDPOINT_MAX];

	if (origin->command == PP_LOCAL)
		return snprintf(buf, size, "LOCAL v%u", origin->version);
	if (origin->family == AF_UNSPEC)
		return snprintf(buf, size, "PROXY v%u UNSPEC", origin->version);
	endpoint_print(&origin->src, source, sizeof(source));
	endpoint_print(&origin->dst, destination, sizeof(destination));
	return snprintf(buf, size, "PROXY v%u %s %s -> %s", origin->version,
			names[origin->transport % 3], source, destination);
}

const char *pp_strerror(int error)
{
	switch (error) {
	case 0:
		return "success";
	case -EAGAIN:
		return "no PROXY header yet";
	case -ETIMEDOUT:
		return "no PROXY header in time";
	case -ENOENT:
		return "not from a marked proxy";
	case -EBADMSG:
		return "not a valid PROXY header";
	case -ENOPROTOOPT:
		return "no ppsplit programs on this socket's cgroup";
	case -ENODATA:
		return "no valid PROXY header to answer from";
	case -ENOBUFS:
		return "buffer too small";
	case -EBUSY:
		return "the application has read a part of the PROXY header itself";
	case -ENOTCONN:
		return "not a connection";
	}
	return strerror(error < 0 ? -error : error);
}

const char *pp_reason_text(int reason)
{
	switch (reason) {
	case PP_REASON_NONE:
		return "no rule is broken";
	case PP_BAD_SIGNATURE:
		return "it begins with neither \"PROXY \" nor the v2 signature";
	case PP_BAD_VERSION:
		return "the version in the v2 header is not 2";
	case PP_BAD_COMMAND:
		return "the command is neither LOCAL nor PROXY";
	case PP_BAD_FAMILY:
		return "the address family or transport is unknown";
	case PP_BAD_ADDRESS:
		return "an address is malformed or of another family";
	case PP_BAD_PORT:
		return "a port is malformed or over 65535";
	case PP_BAD_LINE:
		return "CR LF is not where the line has to end";
	case PP_BAD_LENGTH:
		return "the length is too short for the address family";
	case PP_BAD_TLV:
		return "a TLV runs past its end or has a wrong size";
	case PP_BAD_CHECKSUM:
		return "the CRC32C checksum is wrong";
	case PP_BAD_TOO_LARGE:
		return "it is larger than 16384 bytes";
	case PP_BAD_CLOSED:
		return "the peer closed before it was complete";
	case PP_BAD_MISSED:
		return "bytes arrived that the programs did not see";
	case PP_BAD_SENDER:
		return "a process outside of the proxies' cgroups sent it";
	case PP_BAD_UNRECORDED:
		return "the connection was not recorded from its start";
	case PP_BAD_MPTCP:
		return "the connection is Multipath TCP";
	}
	return "unknown reason";
}

const char *pp_version(void)
{
	return PP_VERSION;
}
