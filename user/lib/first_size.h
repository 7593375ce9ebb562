/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the first programs have of struct pp_origin: all up to reserved. It never changes: the
 * functions without a size, as symbols, fill so much of it.
 */
#ifndef PP_FIRST_SIZE_H
#define PP_FIRST_SIZE_H

#define PP_ORIGIN_FIRST_SIZE 288

#endif
