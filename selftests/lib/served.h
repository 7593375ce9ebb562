/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transparent port in a set that is taken away or replaced while its connections live.
 */
#ifndef SERVED_H
#define SERVED_H

#include "net.h"

#define TRANSPARENT 2541
#define PIN	    "/sys/fs/bpf/pp"
#define SOME	    (256 * 1024) /* bytes: enough for segments on the way both ways */

extern int served_listener; /* on TRANSPARENT */

void served_up(void);
/* Test set-up: served_up(), and the listener. */
int served_setup(void **state);

/* A connection whose header was taken out. */
void open_transparent(struct link *link);
/* And such a one from its beginning to its end. */
void assert_served(void);

/* What a pin below links begins with that is a program, and no link. */
#define CLSACT "pp_clsact_"

/* A line for each pin below @pin/links, with the id of its program. */
void hooks_ids(const char *pin, char *text, size_t size);
/* None of the lines of @before, which is cut up, is in @after. */
void assert_hooks_replaced(char *before, const char *after);

#endif
