/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_opaque(value): the compiler knows nothing of @value from here on. The verifier of Linux 6.1
 * and the compiler disagree on what is superfluous: the former loses the bounds of an exclusive or,
 * and wants a mask before a variable offset or length, which the latter would take out.
 */
#ifndef PP_OPAQUE_H
#define PP_OPAQUE_H

#ifdef __bpf__
#define pp_opaque(value) asm volatile("" : "+r"(value))
#else
#define pp_opaque(value) ((void)0)
#endif

#endif
