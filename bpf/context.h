/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Access to the context that a program is called with.
 */
#ifndef PP_CONTEXT_H
#define PP_CONTEXT_H

#include "kernel.h"

/* The compiler merges accesses to neighbouring context fields, which the verifier refuses. */
#define CONTEXT_FIELD(field) (*(volatile typeof(field) *)&(field))

/* What is read after this was not read before it by the CPU, either: arm64 reorders loads. An
 * atomic operation that returns its value is the only full barrier that BPF has. */
static void full_barrier(void)
{
	volatile __u64 word = 0;

	__sync_val_compare_and_swap(&word, 0, 1);
}

#endif
