// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_parse(): the decoder of pp/header.h on bytes in memory, and origins from records.
 */
#include <errno.h>
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

int pp_bad(struct pp_origin *origin, uint8_t reason)
{
	origin->reason = reason;
	return -EBADMSG;
}

int pp_parse_need(const void *buf, size_t len, struct pp_origin *origin, uint32_t *need)
{
	struct pp_decoder decoder = {.v1_mixed = 0};
	struct pp_record record;
	int result;

	if (len > PP_HEADER_MAX)
		len = PP_HEADER_MAX;
	result = pp_decode(&decoder, &record, buf, len);
	*need = record.need;
	origin->reason = PP_REASON_NONE;
	if (result == PP_MORE)
		return 0;
	if (result < 0)
		return pp_bad(origin, -result);
	pp_origin_from_record(origin, &record, buf);
	return record.header_len;
}

int pp_parse(const void *buf, size_t len, struct pp_origin *origin)
{
	uint32_t need;

	return pp_parse_need(buf, len, origin, &need);
}
