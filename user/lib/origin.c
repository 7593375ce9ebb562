// SPDX-License-Identifier: BSD-2-Clause
/*
 * struct pp_origin: from records and sockets, and to callers whose struct is older or newer.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "internal.h"

static void fill_ip4(struct sockaddr_storage *to, const uint8_t *address, uint16_t port)
{
	struct sockaddr_in *ip4 = (struct sockaddr_in *)to;

	ip4->sin_family = AF_INET;
	ip4->sin_port = port;
	memcpy(&ip4->sin_addr, address, sizeof(ip4->sin_addr));
}

static void fill_ip6(struct sockaddr_storage *to, const uint8_t *address, uint16_t port)
{
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)to;

	ip6->sin6_family = AF_INET6;
	ip6->sin6_port = port;
	memcpy(&ip6->sin6_addr, address, sizeof(ip6->sin6_addr));
}

static void fill_unix(struct sockaddr_storage *to, const uint8_t *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)to;

	_Static_assert(sizeof(un->sun_path) == PP_V2_UNIX / 2, "the protocol's paths fit");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, sizeof(un->sun_path));
}

void pp_origin_from_record(struct pp_origin *origin, const struct pp_record *record,
			   const uint8_t *header)
{
	memset(origin, 0, sizeof(*origin));
	origin->version = record->version;
	origin->command = record->command;
	origin->header_len = record->header_len;
	origin->sender_cgroup = record->sender_cgroup;
	origin->sender_pid = record->sender_pid;
	origin->sender_uid = record->sender_uid;
	if (record->command == PP_LOCAL)
		return;
	origin->family = record->family;
	origin->transport = record->transport;
	origin->tlv_len = record->tlv_len;
	switch (record->family) {
	case AF_INET:
		fill_ip4(&origin->src, record->src, record->src_port);
		fill_ip4(&origin->dst, record->dst, record->dst_port);
		break;
	case AF_INET6:
		fill_ip6(&origin->src, record->src, record->src_port);
		fill_ip6(&origin->dst, record->dst, record->dst_port);
		break;
	case AF_UNIX:
		fill_unix(&origin->src, header + PP_V2_FIXED);
		fill_unix(&origin->dst, header + PP_V2_FIXED + PP_V2_UNIX / 2);
		break;
	}
}

void pp_origin_proxy_from_answer(struct pp_origin *origin, const struct pp_answer *answer)
{
	struct sockaddr_in6 *proxy = (struct sockaddr_in6 *)&origin->proxy;
	struct sockaddr_in6 *here = (struct sockaddr_in6 *)&origin->proxy_dst;

	switch (answer->proxy_family) {
	case AF_INET:
		fill_ip4(&origin->proxy, answer->proxy, answer->proxy_port);
		fill_ip4(&origin->proxy_dst, answer->proxy_dst, answer->proxy_dst_port);
		break;
	case AF_INET6:
		fill_ip6(&origin->proxy, answer->proxy, answer->proxy_port);
		fill_ip6(&origin->proxy_dst, answer->proxy_dst, answer->proxy_dst_port);
		proxy->sin6_scope_id = answer->proxy_scope;
		here->sin6_scope_id = answer->proxy_scope;
		break;
	}
}

/* IPv4 on an IPv6 socket, to AF_INET. */
static void unmap(struct sockaddr_storage *endpoint)
{
	struct sockaddr_in6 ip6;

	memcpy(&ip6, endpoint, sizeof(ip6));
	if (ip6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&ip6.sin6_addr))
		return;
	memset(endpoint, 0, sizeof(*endpoint));
	fill_ip4(endpoint, ip6.sin6_addr.s6_addr + 12, ip6.sin6_port);
}

void pp_origin_proxy_from_socket(struct pp_origin *origin, int fd)
{
	socklen_t proxy_len = sizeof(origin->proxy), here_len = sizeof(origin->proxy_dst);

	if (getpeername(fd, (struct sockaddr *)&origin->proxy, &proxy_len) ||
	    getsockname(fd, (struct sockaddr *)&origin->proxy_dst, &here_len)) {
		memset(&origin->proxy, 0, sizeof(origin->proxy));
		return;
	}
	unmap(&origin->proxy);
	unmap(&origin->proxy_dst);
}

void pp_origin_give(struct pp_origin *to, size_t size, const struct pp_origin *origin, int found)
{
	size_t known = size < sizeof(*origin) ? size : sizeof(*origin);

	if (!found) {
		to->reason = origin->reason;
		return;
	}
	memcpy(to, origin, known);
	memset((uint8_t *)to + known, 0, size - known);
}
