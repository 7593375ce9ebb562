// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_tlvs() and pp_tlv_next(): the TLVs of a v2 header.
 */
#include <errno.h>

#include "internal.h"

/* The TLVs of @record from byte PP_PAGE on: @buf has the first ones. */
static int read_more(int fd, const struct pp_record *record, uint8_t *buf, size_t size)
{
	uint32_t at, page = 1;
	int result;

	if (record->tlv_len > size)
		return -ENOBUFS;
	for (at = PP_PAGE; at < record->tlv_len; at += result) {
		result = pp_sockopt(fd, PP_TLVS_PAGE(page++), buf + at, record->tlv_len - at);
		if (result <= 0)
			return result ? result : -ENODATA;
	}
	return at;
}

int pp_tlvs(int fd, void *buf, size_t size)
{
	struct pp_record record;
	int result = pp_sockopt(fd, PP_TLVS, buf, size < PP_PAGE ? size : PP_PAGE), error;

	if (result != -ENODATA && result != PP_PAGE)
		return result;
	error = pp_sockopt(fd, PP_ORIGIN, &record, sizeof(record));
	if (error < 0)
		return error;
	if (result == PP_PAGE)
		return read_more(fd, &record, buf, size);
	return record.state == PP_STATE_VALID && !record.tlv_len ? 0 : -ENODATA;
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
