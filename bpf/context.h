/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Access to the context that a program is called with.
 */
#ifndef PP_CONTEXT_H
#define PP_CONTEXT_H

#include "kernel.h"

/* The compiler merges accesses to neighbouring context fields, which the verifier refuses. */
#define CONTEXT_FIELD(field) (*(volatile typeof(field) *)&(field))

#endif
