// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_lookup() and pp_lookup_wait(): ask the programs, and take the header out of the stream.
 */
#include <errno.h>

#include "internal.h"

/* The kernel has the addresses, but it holds no header of this size: check the rest here. */
static int lookup_large(int fd, struct pp_record *record, struct pp_origin *origin)
{
	uint8_t header[PP_HEADER_MAX];
	int len, result;

	if (!(record->flags & PP_RECORD_TAKEN)) {
		len = pp_peek(fd, header, record->header_len);
		if (len < 0)
			return len == -EAGAIN ? -EAGAIN : -EBADMSG;
		result = pp_parse_need(header, len, origin, &record->need);
		if (result <= 0)
			return result ? result : -EAGAIN;
		result = pp_sockopt(fd, PP_TAKE_CHECKED, record, sizeof(*record));
		if (result < 0)
			return result;
		if (record->take)
			return pp_discard(fd, record->take);
	}
	if (record->family == AF_UNIX && pp_sockopt(fd, PP_HEADER, header, sizeof(header)) < 0)
		return -EMSGSIZE;
	pp_origin_from_record(origin, record, header);
	return 0;
}

static int lookup_valid(int fd, const struct pp_record *record, struct pp_origin *origin)
{
	uint8_t header[PP_WINDOW];
	int result;

	if (record->take) {
		result = pp_discard(fd, record->take);
		if (result)
			return result;
	}
	if (record->state == PP_STATE_VALID && record->family == AF_UNIX) {
		result = pp_sockopt(fd, PP_HEADER, header, sizeof(header));
		if (result < 0)
			return result;
	}
	pp_origin_from_record(origin, record, header);
	return 0;
}

/* pp_lookup() that also says, with -EAGAIN, how many bytes of stream have to be there first; 0: the
 * header comes without any. */
static int lookup(int fd, struct pp_origin *origin, uint32_t *need)
{
	struct pp_record record;
	int result = pp_sockopt(fd, PP_TAKE, &record, sizeof(record));

	if (result < 0)
		return result;
	switch (record.state) {
	case PP_STATE_NONE:
		return -ENOENT;
	case PP_STATE_EXPIRED:
		return -ETIMEDOUT;
	case PP_STATE_BAD:
		return -EBADMSG;
	case PP_STATE_VALID:
	case PP_STATE_LOCAL:
		return lookup_valid(fd, &record, origin);
	case PP_STATE_FRAGMENTED:
		result = -EAGAIN;
		if (record.flags & PP_RECORD_LARGE)
			result = lookup_large(fd, &record, origin);
		*need = record.need;
		return result;
	default:
		*need = record.flags & PP_RECORD_SILENT ? 0 : record.need;
		return -EAGAIN;
	}
}

int pp_lookup(int fd, struct pp_origin *origin)
{
	uint32_t need;

	return lookup(fd, origin, &need);
}

/* Waits until it helps to ask again. @needed, @pauses: of the wait before, 0 at first. Return: 0,
 * or a negative errno. */
static int wait_for_header(int fd, uint32_t need, uint32_t *needed, unsigned int *pauses,
			   int64_t deadline)
{
	int result;

	if (!need) {
		result = pp_wait_silent(fd, (*pauses)++, deadline);
	} else {
		if (need == *needed) /* poll() and the programs disagree: do not spin */
			pp_pause();
		result = pp_wait_readable(fd, need, deadline);
	}
	*needed = need;
	return result < 0 ? result : 0;
}

int pp_lookup_wait(int fd, struct pp_origin *origin, int timeout_ms)
{
	int64_t deadline = pp_deadline(timeout_ms);
	uint32_t need = 1, needed = 0;
	unsigned int pauses = 0;
	int result;

	for (;;) {
		result = lookup(fd, origin, &need);
		if (result != -EAGAIN)
			return result;
		result = wait_for_header(fd, need, &needed, &pauses, deadline);
		if (result)
			return result;
	}
}
