// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_parse(): the decoder of pp/decoder.h on bytes in memory.
 */
#include <errno.h>

#include "internal.h"

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

int pp_parse_sized(const void *buf, size_t len, struct pp_origin *origin, size_t size)
{
	struct pp_origin found;
	uint32_t need;
	int result;

	if (size < PP_ORIGIN_FIRST_SIZE)
		return -EINVAL;
	result = pp_parse_need(buf, len, &found, &need);
	pp_origin_give(origin, size, &found, result > 0);
	return result;
}
