/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/mistakes.md: the words that say what is wrong, of each mistake that it lists.
 */
#ifndef MISTAKES_H
#define MISTAKES_H

#include <stddef.h>

/* Fails the test unless the section "## @title" has @least rows or more, and @is_said is not 0 for
 * the words of each. */
void assert_mistakes_are_said(const char *title, size_t least, int (*is_said)(const char *words));

#endif
