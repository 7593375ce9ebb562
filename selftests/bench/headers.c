// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of the benchmark's proxy.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include <linux/types.h>

#include <pp/crc32c.h>
#include <pp/decoder.h>

#include "headers.h"

#define LINE6 "PROXY TCP6 2001:db8::7 2001:db8:5050::1:25 4711 25\r\n"

#define CLIENT4	 "192.0.2.7"
#define CLIENT6	 "2001:db8::7"
#define SERVICE4 "198.51.100.1"
#define SERVICE6 "2001:db8:5050::1:25"

#define TLV_AUTHORITY 0x02
#define TLV_CRC32C    0x03

static size_t put_addresses(char *to, int family)
{
	static const unsigned char ports[4] = {0x12, 0x67, 0, 25};
	int size = family == AF_INET ? 4 : 16;

	inet_pton(family, family == AF_INET ? CLIENT4 : CLIENT6, to);
	inet_pton(family, family == AF_INET ? SERVICE4 : SERVICE6, to + size);
	memcpy(to + 2 * size, ports, sizeof(ports));
	return 2 * size + sizeof(ports);
}

static size_t put_tlv(char *to, int type, int len, int fill)
{
	to[0] = type;
	to[1] = len >> 8;
	to[2] = len;
	memset(to + 3, fill, len);
	return 3 + len;
}

static void put_crc(char *header, size_t len)
{
	uint32_t crc = PP_CRC32C_START;
	size_t i;

	for (i = 0; i < len; i++)
		crc = pp_crc32c_byte(crc, header[i]);
	crc = htonl(~crc);
	memcpy(header + len - sizeof(crc), &crc, sizeof(crc));
}

size_t header_make(char header[HEADER_SIZE], const struct header_kind *kind)
{
	const char *line = kind->family == AF_INET ? LINE : LINE6;
	size_t len = 16;

	if (kind->version == 1) {
		strcpy(header, line);
		return strlen(line);
	}
	memcpy(header, pp_v2_signature, 12);
	header[12] = 0x21;
	header[13] = kind->family == AF_INET ? 0x11 : 0x21;
	len += put_addresses(header + len, kind->family);
	if (kind->tlv)
		len += put_tlv(header + len, TLV_AUTHORITY, kind->tlv, 'x');
	if (kind->crc)
		len += put_tlv(header + len, TLV_CRC32C, 4, 0);
	header[14] = (len - 16) >> 8;
	header[15] = len - 16;
	if (kind->crc)
		put_crc(header, len);
	return len;
}

int is_client(const struct sockaddr_storage *peer)
{
	static const unsigned char client4[4] = {192, 0, 2, 7};
	static const unsigned char client6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};

	if (peer->ss_family == AF_INET)
		return !memcmp(&((const struct sockaddr_in *)peer)->sin_addr, client4, 4);
	return !memcmp(&((const struct sockaddr_in6 *)peer)->sin6_addr, client6, 16);
}
