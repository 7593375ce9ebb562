/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address prefixes (CIDR): "192.0.2.0/24", "2001:db8::/64"; an address alone is a prefix of all its
 * bits. A v4-mapped prefix of 96 bits and more is the IPv4 prefix that it holds.
 */
#ifndef COMMON_PREFIX_H
#define COMMON_PREFIX_H

#include <netinet/in.h>
#include <stdint.h>

#define PREFIX_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("/128"))

struct prefix {
	int family;	     /* AF_INET or AF_INET6 */
	unsigned int length; /* bits: 0 to 32, or 0 to 128 */
	uint8_t address[16]; /* network byte order; 4 bytes of it for IPv4 */
};

/* Bits after the length may be set: see prefix_has_host_bits(). Return: 0; or, with @prefix as it
 * was, -EINVAL: no address; -ERANGE: the length is not a number that this kind of address has. */
int prefix_parse(const char *text, struct prefix *prefix);
void prefix_text(const struct prefix *prefix, char text[PREFIX_TEXT_MAX]);
/* Are bits after the length set, as in 192.0.2.7/24? */
int prefix_has_host_bits(const struct prefix *prefix);
/* Bits of an address of the kind: 32 or 128. */
unsigned int prefix_bits(const struct prefix *prefix);

/* Is the address @text in @prefix? One of the other family, or what is no address, is not; so ::/0
 * has all IPv6 addresses and no IPv4 address. */
int prefix_matches(const struct prefix *prefix, const char *text);

/* The same as one of IPv6, in which IPv4 is v4-mapped, with a length of 0 to 128. */
void prefix_to_mapped(const struct prefix *prefix, uint8_t address[16], uint32_t *length);
void prefix_from_mapped(struct prefix *prefix, const uint8_t address[16], uint32_t length);

#endif
