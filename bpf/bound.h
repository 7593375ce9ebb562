/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A variable length for a helper, in the form that the verifier of Linux 6.1 takes.
 */
#ifndef PP_BOUND_H
#define PP_BOUND_H

#include "kernel.h"
#include <pp/opaque.h>

/* @len, which is from 1 to @max, a power of two: the verifier sees that, and the compiler, which
 * knows it, does not take the mask out. */
static __always_inline __u32 length_within(__u32 len, __u32 max)
{
	len -= 1;
	pp_opaque(len);
	len &= max - 1;
	return len + 1;
}

#endif
