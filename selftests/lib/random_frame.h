/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random packets: of one of the contexts or of nobody's, right or damaged in one of many ways.
 */
#ifndef RANDOM_FRAME_H
#define RANDOM_FRAME_H

#include "frame.h"

/* A frame of the proxy's or, with @out, of the server's, of up to @max bytes. Return: 1 when its
 * payload is that of its context's stream. */
int random_frame(struct frame *frame, int out, size_t max);

#endif
