// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses with a port, to text and back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "endpoint.h"
#include "number.h"

void endpoint_text(const struct sockaddr_storage *endpoint, char text[ENDPOINT_TEXT_MAX])
{
	const struct sockaddr_in6 *ip6 = (const void *)endpoint;
	char address[INET6_ADDRSTRLEN];

	text[0] = 0;
	if (endpoint->ss_family == AF_INET) {
		endpoint_address(endpoint, address);
		snprintf(text, ENDPOINT_TEXT_MAX, "%s:%u", address, endpoint_port(endpoint));
	} else if (endpoint->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &ip6->sin6_addr, address, sizeof(address));
		snprintf(text, ENDPOINT_TEXT_MAX, "[%s]:%u", address, endpoint_port(endpoint));
	}
}

void endpoint_address(const struct sockaddr_storage *endpoint, char text[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *ip6 = (const void *)endpoint;
	const struct sockaddr_in *ip4 = (const void *)endpoint;

	text[0] = 0;
	if (endpoint->ss_family == AF_INET)
		inet_ntop(AF_INET, &ip4->sin_addr, text, INET6_ADDRSTRLEN);
	else if (endpoint->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr))
		inet_ntop(AF_INET, ip6->sin6_addr.s6_addr + 12, text, INET6_ADDRSTRLEN);
	else if (endpoint->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &ip6->sin6_addr, text, INET6_ADDRSTRLEN);
}

unsigned int endpoint_port(const struct sockaddr_storage *endpoint)
{
	if (endpoint->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)endpoint)->sin_port);
	if (endpoint->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)endpoint)->sin6_port);
	return 0;
}

void endpoint_set_port(struct sockaddr_storage *endpoint, unsigned int port)
{
	if (endpoint->ss_family == AF_INET)
		((struct sockaddr_in *)endpoint)->sin_port = htons(port);
	else if (endpoint->ss_family == AF_INET6)
		((struct sockaddr_in6 *)endpoint)->sin6_port = htons(port);
}

socklen_t endpoint_make(struct sockaddr_storage *endpoint, int family, const void *address,
			unsigned int port)
{
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)endpoint;
	struct sockaddr_in *ip4 = (struct sockaddr_in *)endpoint;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->ss_family = family;
	endpoint_set_port(endpoint, port);
	if (family == AF_INET) {
		memcpy(&ip4->sin_addr, address, sizeof(ip4->sin_addr));
		return sizeof(*ip4);
	}
	memcpy(&ip6->sin6_addr, address, sizeof(ip6->sin6_addr));
	return sizeof(*ip6);
}

int address_parse(const char *text, int family, unsigned char bytes[16])
{
	if (family != AF_INET6 && inet_pton(AF_INET, text, bytes) == 1)
		return AF_INET;
	if (family != AF_INET && inet_pton(AF_INET6, text, bytes) == 1)
		return AF_INET6;
	return 0;
}

/* Splits @text. @port: receives what follows the colon, or NULL without one. Return: the length of
 * the address at *@address, or -EINVAL. */
static int split(const char *text, const char **address, const char **port)
{
	const char *end;

	*port = NULL;
	*address = text;
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		*port = end[1] ? end + 2 : NULL;
		(*address)++;
		return end - *address;
	}
	end = strchr(text, ':');
	if (!end || strchr(end + 1, ':')) /* more than one: IPv6 */
		return strlen(text);
	*port = end + 1;
	return end - text;
}

int endpoint_parse(const char *text, unsigned int default_port, struct sockaddr_storage *endpoint,
		   socklen_t *len)
{
	char host[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	const char *address, *port;
	uint64_t number = default_port;
	int host_len = split(text, &address, &port), family;

	if (host_len < 0 || host_len >= (int)sizeof(host))
		return -EINVAL;
	memcpy(host, address, host_len);
	host[host_len] = 0;
	if (port && number_parse(port, 0, PORT_MAX, &number))
		return -EINVAL;
	family = address_parse(host, AF_UNSPEC, bytes);
	if (!family)
		return -EINVAL;
	*len = endpoint_make(endpoint, family, bytes, number);
	return 0;
}
