/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A header with an urgent byte in it, sent by a thread; for the tests of all that take headers.
 */
#ifndef URGENT_H
#define URGENT_H

#include <stddef.h>
#include <stdint.h>

enum arrival {
	TOGETHER, /* in one segment */
	APART,	  /* the urgent byte ends the first of two segments */
	LATE,	  /* the reader waits already, for each of them */
	ARRIVALS
};

/* Byte @position of the header @bytes is the urgent one; @payload comes after the header. */
struct urgent {
	int fd;
	const uint8_t *bytes;
	size_t len, position;
	const char *payload;
	enum arrival arrival;
};

/* A thread's start routine. */
void *send_urgent(void *urgent);

#endif
