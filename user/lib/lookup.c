// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_lookup() and pp_lookup_wait(): ask the programs, and take the header out of the stream.
 */
#include <errno.h>

#include "internal.h"

/* Why a look-up returns -EAGAIN. */
enum step {
	STEP_NOTHING, /* no new byte of the header has arrived */
	STEP_PIECE,   /* a piece of the header was taken */
	STEP_BUSY,    /* another thread or process is taking the header */
};

static int fill_unix(int fd, const struct pp_record *record, struct pp_origin *origin)
{
	uint8_t header[PP_PAGE];
	int result = pp_sockopt(fd, PP_HEADER, header, sizeof(header));

	if (result < 0)
		return result;
	pp_origin_from_record(origin, record, header);
	return 0;
}

static int discard(int fd, const struct pp_record *record)
{
	return pp_discard(fd, record->take, record->flags & PP_RECORD_URGENT);
}

static int lookup_complete(int fd, const struct pp_record *record, struct pp_origin *origin,
			   enum step *step)
{
	int gone = record->flags & (PP_RECORD_TAKEN | PP_RECORD_SPLIT);

	*step = STEP_BUSY;
	if (!gone && !record->take)
		return -EAGAIN;
	/* After any other error the stream is gone, with the rest of the header. */
	if (!gone && discard(fd, record) == -EAGAIN)
		return -EAGAIN;
	if (record->state == PP_STATE_VALID && record->family == AF_UNIX)
		return fill_unix(fd, record, origin);
	pp_origin_from_record(origin, record, NULL);
	return 0;
}

static int lookup(int fd, struct pp_origin *origin, enum step *step)
{
	struct pp_answer answer = {}; /* older programs answer the record alone */
	const struct pp_record *record = &answer.record;
	int result;

	origin->reason = PP_REASON_NONE;
	*step = STEP_NOTHING;
	result = pp_sockopt(fd, PP_TAKE, &answer, sizeof(answer));
	if (result < 0)
		return result;
	switch (record->state) {
	case PP_STATE_NONE:
		return -ENOENT;
	case PP_STATE_EXPIRED:
		return -ETIMEDOUT;
	case PP_STATE_BAD:
		return pp_bad(origin, record->reason);
	case PP_STATE_VALID:
	case PP_STATE_LOCAL:
		result = lookup_complete(fd, record, origin, step);
		if (!result)
			pp_origin_proxy_from_answer(origin, &answer);
		return result;
	case PP_STATE_FRAGMENTED:
		if (record->take && discard(fd, record) == 0)
			*step = STEP_PIECE;
		return -EAGAIN;
	default:
		return -EAGAIN;
	}
}

int pp_lookup_sized(int fd, struct pp_origin *origin, size_t size)
{
	struct pp_origin found;
	enum step step;
	int result;

	if (size < PP_ORIGIN_FIRST_SIZE)
		return -EINVAL;
	result = lookup(fd, &found, &step);
	pp_origin_give(origin, size, &found, !result);
	return result;
}

static int lookup_wait(int fd, struct pp_origin *origin, int timeout_ms)
{
	struct pp_wait wait = {.deadline = pp_deadline(timeout_ms)};
	enum step step;
	int result;

	for (;;) {
		result = lookup(fd, origin, &step);
		if (result != -EAGAIN)
			return result;
		if (wait.closed && step == STEP_NOTHING)
			return pp_bad(origin, PP_BAD_CLOSED);
		if (step == STEP_BUSY)
			result = pp_pause(&wait);
		else
			result = pp_wait_input(fd, &wait, step == STEP_PIECE);
		if (result)
			return result;
	}
}

int pp_lookup_wait_sized(int fd, struct pp_origin *origin, size_t size, int timeout_ms)
{
	struct pp_origin found;
	int result;

	if (size < PP_ORIGIN_FIRST_SIZE)
		return -EINVAL;
	result = lookup_wait(fd, &found, timeout_ms);
	pp_origin_give(origin, size, &found, !result);
	return result;
}
