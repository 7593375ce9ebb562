/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers, valid and not, each with the rule that it stands for. The decoder's unit test goes
 * through them, and so does selftests/net/agree.c, which asks the kernel the same questions.
 */
#ifndef HEADERS_H
#define HEADERS_H

#include <stddef.h>
#include <stdint.h>

#define HEADER_CASE_MAX 20000

struct header_case {
	const char *rule;
	const char *v1;	 /* the text, or */
	const char *hex; /* bytes in hexadecimal; blanks between them; "xx*N" is byte xx N times */
	int want;	 /* as pp_parse(): the length, 0, -EBADMSG; WHOLE: all of the bytes */
	const char *origin; /* as pp_origin_print(), when it is valid */
};

#define WHOLE -1000

extern const struct header_case header_cases[];
extern const size_t header_case_count;

/* v1 lines with addresses of two families, with v1_mixed. */
struct mixed_case {
	const char *line;
	const char *origin; /* as pp_origin_print(); NULL: refused */
	int strict;	    /* taken without the switch too */
};

extern const struct mixed_case mixed_cases[];
extern const size_t mixed_case_count;

/* Writes the bytes of @header to @bytes. Return: how many. */
size_t header_bytes(const struct header_case *header, uint8_t bytes[HEADER_CASE_MAX]);

#endif
