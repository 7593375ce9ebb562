// SPDX-License-Identifier: BSD-2-Clause
/*
 * The names of sockets, compared with what an application is to see.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "name.h"
#include "net.h"

static const char *ip_text(const struct sockaddr_storage *address)
{
	static char text[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *ip6 = (const void *)address;
	const struct sockaddr_in *ip4 = (const void *)address;

	return inet_ntop(address->ss_family,
			 address->ss_family == AF_INET ? (const void *)&ip4->sin_addr
						       : &ip6->sin6_addr,
			 text, sizeof(text));
}

const char *name_text(const struct sockaddr_storage *address)
{
	/* the port is at the same place in both families */
	unsigned int port = ntohs(((const struct sockaddr_in *)address)->sin_port);
	static char text[INET6_ADDRSTRLEN + 8];

	snprintf(text, sizeof(text), address->ss_family == AF_INET ? "%s:%u" : "[%s]:%u",
		 ip_text(address), port);
	return text;
}

void assert_peer(int fd, const char *name)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_string_equal(name_text(&peer), name);
}

void assert_peer_address(int fd, const char *address)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_string_equal(ip_text(&peer), address);
}

void assert_own_name(int fd, const char *name)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	assert_string_equal(name_text(&own), name);
}
