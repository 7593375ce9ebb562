/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Socket addresses from text, for the tests and their tools.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Fills @to from an IPv4 or IPv6 @address. Return: its length; ends the program where it is
 * neither. */
static inline socklen_t address_fill(struct sockaddr_storage *to, const char *address,
				     unsigned int port)
{
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *ip4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, address, &ip4->sin_addr) == 1) {
		ip4->sin_family = AF_INET;
		ip4->sin_port = htons(port);
		return sizeof(*ip4);
	}
	if (inet_pton(AF_INET6, address, &ip6->sin6_addr) != 1) {
		fprintf(stderr, "%s: not an address\n", address);
		exit(2);
	}
	ip6->sin6_family = AF_INET6;
	ip6->sin6_port = htons(port);
	return sizeof(*ip6);
}

/* A TCP socket that is connected from @from (NULL: any) to @address. Return: it, or -1 with errno.
 */
static inline int address_connect(const char *from, const char *address, unsigned int port)
{
	struct sockaddr_storage local, remote;
	socklen_t len = address_fill(&remote, address, port);
	int fd = socket(remote.ss_family, SOCK_STREAM, 0);

	if (fd >= 0 && from && bind(fd, (struct sockaddr *)&local, address_fill(&local, from, 0)))
		return -1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&remote, len))
		return -1;
	return fd;
}

#endif
