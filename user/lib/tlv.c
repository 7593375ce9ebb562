// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_tlvs() and pp_tlv_next(): what a v2 header says beside the addresses.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* TLVs of a header that the kernel does not hold, and that is still in the stream. */
static int tlvs_of_large(int fd, const struct pp_record *record, void *buf, size_t size)
{
	uint8_t header[PP_HEADER_MAX];
	struct pp_origin origin;
	int len;

	if (record->flags & PP_RECORD_TAKEN)
		return -EMSGSIZE;
	len = pp_peek(fd, header, record->header_len);
	if (len < 0 || pp_parse(header, len, &origin) <= 0)
		return -ENODATA;
	if (origin.tlv_len > size)
		return -ENOBUFS;
	memcpy(buf, header + origin.header_len - origin.tlv_len, origin.tlv_len);
	return origin.tlv_len;
}

int pp_tlvs(int fd, void *buf, size_t size)
{
	struct pp_record record;
	int result = pp_sockopt(fd, PP_TLVS, buf, size);

	if (result != -ENODATA)
		return result;
	result = pp_sockopt(fd, PP_ORIGIN, &record, sizeof(record));
	if (result < 0)
		return result;
	if (record.state == PP_STATE_VALID && !record.tlv_len)
		return 0;
	if (record.state == PP_STATE_FRAGMENTED && record.flags & PP_RECORD_LARGE)
		return tlvs_of_large(fd, &record, buf, size);
	return -ENODATA;
}

int pp_tlv_next(const void *tlvs, size_t len, size_t *offset, struct pp_tlv *tlv)
{
	const uint8_t *at = (const uint8_t *)tlvs + *offset;
	size_t left = len - *offset, value_len;

	if (*offset >= len)
		return *offset == len ? 0 : -EBADMSG;
	if (left < PP_TLV_HEAD)
		return -EBADMSG;
	value_len = at[1] << 8 | at[2];
	if (value_len > left - PP_TLV_HEAD)
		return -EBADMSG;
	tlv->type = at[0];
	tlv->len = value_len;
	tlv->value = at + PP_TLV_HEAD;
	*offset += PP_TLV_HEAD + value_len;
	return 1;
}
