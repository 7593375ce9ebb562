// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers by number, and how they are sent.
 */
#include "lookups.h"

size_t make_header(int which, uint8_t *bytes)
{
	if (which == 0) {
		memcpy(bytes, LINE, LINE_LEN);
		return LINE_LEN;
	}
	return make_v2(bytes, which == 1 ? 100 : LARGE);
}

const char *origin_of(int which)
{
	return which == 0 ? LINE_ORIGIN : V2_ORIGIN;
}

void assert_origin_is(const struct pp_origin *origin, const char *wanted)
{
	char text[PP_ORIGIN_PRINT_MAX];

	pp_origin_print(origin, text, sizeof(text));
	assert_string_equal(text, wanted);
}

int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, option, &value, &len);
	return value;
}

int set_option(int fd, int option, int value)
{
	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

void *send_pieces(void *argument)
{
	struct pieces *pieces = argument;
	size_t i, from, to;

	for (i = 0; i < pieces->count; i++) {
		usleep(pieces->pause_us);
		from = pieces->len * i / pieces->count;
		to = pieces->len * (i + 1) / pieces->count;
		send_all(pieces->fd, pieces->bytes + from, to - from);
	}
	return NULL;
}
