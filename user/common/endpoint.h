/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses with a port, IPv4 and IPv6, to text and back. Ports are in host byte order, addresses
 * in network byte order. Another family has no text ("") and port 0.
 */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <netinet/in.h>
#include <sys/socket.h>

#define PORT_MAX	  65535
#define ENDPOINT_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* "192.0.2.7:25", "[2001:db8::7]:25", and a v4-mapped address as it is: "[::ffff:192.0.2.7]:25" */
void endpoint_text(const struct sockaddr_storage *endpoint, char text[ENDPOINT_TEXT_MAX]);
/* The address alone: "192.0.2.7", "2001:db8::7"; a v4-mapped one is the IPv4 one that it holds. */
void endpoint_address(const struct sockaddr_storage *endpoint, char text[INET6_ADDRSTRLEN]);
unsigned int endpoint_port(const struct sockaddr_storage *endpoint);
void endpoint_set_port(struct sockaddr_storage *endpoint, unsigned int port);

/* @address: the 4 or 16 bytes of an address of @family, AF_INET or AF_INET6. Return: the length of
 * the socket address. */
socklen_t endpoint_make(struct sockaddr_storage *endpoint, int family, const void *address,
			unsigned int port);
/* "ADDRESS", which gets @default_port, "ADDRESS:PORT" (IPv4 only), "[ADDRESS]" or "[ADDRESS]:PORT",
 * with a port from 0 to 65535. Return: 0 with @endpoint and its length @len set, or -EINVAL. */
int endpoint_parse(const char *text, unsigned int default_port, struct sockaddr_storage *endpoint,
		   socklen_t *len);

/* An address as text, to the bytes of @family or, where that is AF_UNSPEC, of either. Return: its
 * family, or 0. */
int address_parse(const char *text, int family, unsigned char bytes[16]);

#endif
