/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests of pp_lookup(): headers of three sizes by number, and a thread that sends in
 * pieces.
 */
#ifndef LOOKUPS_H
#define LOOKUPS_H

#include <pthread.h>

#include "net.h"

#define HEADERS 3 /* a line, and v2 of 100 and of LARGE bytes */
#define LARGE	PP_HEADER_MAX

size_t make_header(int which, uint8_t *bytes);
const char *origin_of(int which);
void assert_origin_is(const struct pp_origin *origin, const char *wanted);

/* Socket options of SOL_SOCKET. */
int option_of(int fd, int option);
int set_option(int fd, int option, int value);

/* @count pieces, each after a pause: a thread's start routine. */
struct pieces {
	int fd;
	const uint8_t *bytes;
	size_t len, count;
	unsigned int pause_us;
};

void *send_pieces(void *pieces);

#endif
