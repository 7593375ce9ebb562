/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The most frequent header by far, "PROXY TCP4 a b p q" CR LF, complete and right, decoded in a
 * straight line: a fifth of the instructions that the decoder of pp/decoder.h takes, a step for
 * each byte. It takes nothing that the decoder refuses, and reads it no differently; what it does
 * not take, the decoder judges. selftests/unit/line.c compares the two.
 */
#ifndef PP_LINE_H
#define PP_LINE_H

#ifdef __bpf__ /* a unit test includes this file, too */
#include "kernel.h"
#endif
#include <pp/decoder.h>

#define LINE_SIZE 128 /* bytes that are read, at most: a power of two, and more than PP_V1_MAX */

/* Functions for the verifier to go through once each: not static. */
#ifdef __bpf__
#define LINE_FUNCTION __noinline
#define LINE_UNROLL   _Pragma("unroll")
#else
#define LINE_FUNCTION static
#define LINE_UNROLL
#endif

struct line {
	__u8 bytes[LINE_SIZE];
};

/* Results of line_quad() and line_port(): offset after what was read, shifted by this, and the
 * value; 0: it is not that. */
#define LINE_AT 32

/* Decimal number of up to three digits, without a leading zero, up to 255, and @end after it. */
static __always_inline int line_octet(const struct line *line, __u32 *at, __u8 end, __u32 *value)
{
	/* up to four bytes from here on, of which the last may lie after the line */
	const __u8 *digit = line->bytes + (*at & (LINE_SIZE / 2 - 1));
	__u32 first = digit[0] - '0', second = digit[1] - '0', third = digit[2] - '0', len;

	if (first > 9)
		return 0;
	if (second > 9) {
		*value = first;
		len = 1;
		if (digit[1] != end)
			return 0;
	} else if (!first) {
		return 0;
	} else if (third > 9) {
		*value = first * 10 + second;
		len = 2;
		if (digit[2] != end)
			return 0;
	} else {
		*value = first * 100 + second * 10 + third;
		len = 3;
		if (*value > 255 || digit[3] != end)
			return 0;
	}
	*at += len + 1;
	return 1;
}

/* Dotted quad and a space, @at at most 26: the value is it, in network order. */
LINE_FUNCTION __u64 line_quad(const struct line *line, __u32 at)
{
	__u32 a, b, c, d;
	__u8 quad[4];

	if (!line || !line_octet(line, &at, '.', &a) || !line_octet(line, &at, '.', &b) ||
	    !line_octet(line, &at, '.', &c) || !line_octet(line, &at, ' ', &d))
		return 0;
	quad[0] = a;
	quad[1] = b;
	quad[2] = c;
	quad[3] = d;
	return (__u64)at << LINE_AT | *(__u32 *)quad;
}

/* Port number, and @end after it. */
LINE_FUNCTION __u64 line_port(const struct line *line, __u32 at, __u32 end)
{
	const __u8 *digit;
	__u32 value, next, i;

	if (!line)
		return 0;
	digit = line->bytes + (at & (LINE_SIZE / 2 - 1));
	value = digit[0] - '0';
	if (value > 9)
		return 0;
	LINE_UNROLL
	for (i = 1; i < 5; i++) {
		next = digit[i] - '0';
		if (next > 9)
			break;
		if (!value)
			return 0;
		value = value * 10 + next;
	}
	if (value > 65535 || digit[i] != (end & 0xff))
		return 0;
	return (__u64)(at + i + 1) << LINE_AT | value;
}

/* Decodes the line at the beginning of @len bytes into @record, whose netns_cookie and path and
 * sender stay. Return: 1; or 0, it is not that, and nothing was written. */
static __always_inline int line_decode(const struct line *line, __u32 len, struct pp_record *record)
{
	static const char start[] = "PROXY TCP4 ";
	__u64 source, destination, from, to;
	__u32 i, last;

	if (len < 32)
		return 0;
	LINE_UNROLL
	for (i = 0; i < sizeof(start) - 1; i++)
		if (line->bytes[i] != start[i])
			return 0;
	source = line_quad(line, sizeof(start) - 1);
	if (!source)
		return 0;
	destination = line_quad(line, source >> LINE_AT);
	if (!destination)
		return 0;
	from = line_port(line, destination >> LINE_AT, ' ');
	if (!from)
		return 0;
	to = line_port(line, from >> LINE_AT, '\r');
	if (!to)
		return 0;
	last = to >> LINE_AT;
	if (last >= len || line->bytes[last & (LINE_SIZE - 1)] != '\n')
		return 0;
	record->state = PP_STATE_VALID;
	record->version = 1;
	record->command = PP_PROXY;
	record->family = PP_AF_INET;
	record->transport = PP_SOCK_STREAM;
	record->reason = 0;
	record->flags = 0;
	record->header_len = last + 1;
	record->tlv_len = 0;
	record->src_port = pp_be16((__u16)from);
	record->dst_port = pp_be16((__u16)to);
	__builtin_memset(record->src, 0, 16);
	__builtin_memset(record->dst, 0, 16);
	*(__u32 *)record->src = source;
	*(__u32 *)record->dst = destination;
	record->take = 0;
	record->need = len + 1; /* as the decoder says */
	return 1;
}

#endif
