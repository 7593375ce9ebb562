/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners on the ports that most tests need: one with a gate, one without.
 */
#ifndef LISTENERS_H
#define LISTENERS_H

extern int gated_listener, open_listener; /* on PORT and OPEN */

/* Group set-up: net_setup(), and both listeners. */
int listeners_setup(void **state);

#endif
