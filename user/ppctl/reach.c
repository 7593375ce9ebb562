// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which proxies can connect to a listening socket at all: a server that listens on the loopback
 * alone, as Debian's Exim does at first, is there for this host.
 */
#include <netinet/in.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "netlink.h"
#include "reach.h"

/* 127.0.0.0/8, ::1, and the first as IPv6 has it */
static int is_loopback(const struct sockaddr_storage *local)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)local;
	const struct sockaddr_in *four = (const struct sockaddr_in *)local;

	if (local->ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
		six->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}

/* Is an address of this host in it? */
static int is_here(const struct prefix *proxy)
{
	return prefix_matches(proxy, "127.0.0.1") || prefix_matches(proxy, "::1") ||
	       route_type(proxy) == RTN_LOCAL;
}

enum reach reach(const struct sockaddr_storage *local, const struct prefix *proxy)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)local;
	int family = local->ss_family;

	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		family = AF_INET;
	/* [::] takes IPv4, too, or another socket does */
	if (family != proxy->family &&
	    !(family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)))
		return REACHES_FAMILY;
	return is_loopback(local) && !is_here(proxy) ? REACHES_LOOPBACK : REACHES;
}
