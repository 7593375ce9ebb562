/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The version: written by make from VERSION in the Makefile. Included by pp.h.
 */
#ifndef PP_VERSION_H
#define PP_VERSION_H

#define PP_VERSION	  "0.1.0"
#define PP_VERSION_NUMBER 0x000100 /* two digits each: major, minor, patch */

#endif
