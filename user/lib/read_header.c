// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_read_header(): the job of the programs in user space.
 */
#include <errno.h>

#include "internal.h"

int pp_read_header(int fd, struct pp_origin *origin, int timeout_ms)
{
	int64_t deadline = pp_deadline(timeout_ms);
	int len, result, seen = 0, closed = 0;
	uint8_t header[PP_HEADER_MAX];
	uint32_t need = 1;

	for (;;) {
		len = pp_peek(fd, header, sizeof(header));
		if (len < 0 && len != -EAGAIN && len != -EINTR)
			return len;
		if (len > 0) {
			result = pp_parse_need(header, len, origin, &need);
			if (result < 0)
				return result;
			if (result > 0)
				return pp_discard(fd, result);
		}
		if (len == 0 || closed)
			return -EBADMSG;
		if (len > 0 && len == seen)
			pp_pause();
		seen = len;
		result = pp_wait_readable(fd, need, deadline);
		if (result < 0)
			return result;
		closed = result == PP_PEER_CLOSED;
	}
}
