/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Copies a segment's payload into memory, for the decoder: alone, or after what came before it.
 */
#ifndef PP_PAYLOAD_H
#define PP_PAYLOAD_H

#include "kernel.h"
#include <pp/opaque.h>
#include "bound.h"
#include "maps.h"
#include "segment.h"

/* Copies up to PP_WINDOW payload bytes to @to. Return: how many, or -1. */
static int segment_load(struct __sk_buff *skb, const struct segment *segment, __u8 *to)
{
	__u32 len = segment->payload_len;

	if (len == 0)
		return -1;
	if (len > PP_WINDOW)
		len = PP_WINDOW;
	len = length_within(len, PP_WINDOW);
	if (bpf_skb_load_bytes(skb, segment->payload_at, to, len))
		return -1;
	return len;
}

struct large_copy {
	struct __sk_buff *skb;
	struct pp_large *to;
	__u32 from; /* offset in the skb */
	__u32 at;   /* offset in @to */
	__u32 end;  /* of it */
	int failed;
};

static long large_step(__u32 round, void *context)
{
	struct large_copy *copy = context;
	__u32 len = copy->end - copy->at, at = copy->at;

	(void)round;
	if (copy->at >= copy->end)
		return 1;
	if (len > PP_LARGE_SLACK)
		len = PP_LARGE_SLACK;
	copy->at += len;
	len = length_within(len, PP_LARGE_SLACK);
	at &= PP_HEADER_MAX - 1;
	copy->failed = bpf_skb_load_bytes(copy->skb, copy->from, copy->to->bytes + at, len) != 0;
	copy->from += len;
	return copy->failed;
}

/* Copies the payload to @to, from byte @at of it on, up to byte @end. Return: offset after the
 * last byte copied, or -1. */
static int segment_load_large(struct __sk_buff *skb, const struct segment *segment,
			      struct pp_large *to, __u32 at, __u32 end)
{
	struct large_copy copy = {skb, to, segment->payload_at, at, at + segment->payload_len, 0};

	if (copy.end > end)
		copy.end = end;
	bpf_loop(PP_HEADER_MAX / PP_LARGE_SLACK, large_step, &copy, 0);
	return copy.failed ? -1 : (int)copy.at;
}

/* work->joined becomes the first @have bytes, from @kept, and after them the segment's payload.
 * Return: how many bytes of the stream that is, PP_WINDOW at most; or -1. */
static int join_segments(struct __sk_buff *skb, const struct segment *segment, struct pp_work *work,
			 const struct pp_extra *kept, __u32 have)
{
	int len;

	if (have >= PP_WINDOW)
		return -1;
	if (kept)
		__builtin_memcpy(work->joined.bytes, kept->bytes, PP_WINDOW);
	pp_opaque(have); /* or the compiler removes the mask, which the 6.1 verifier needs */
	have &= PP_WINDOW - 1;
	len = segment_load(skb, segment, work->joined.bytes + have);
	if (len < 0)
		return -1;
	return have + len > PP_WINDOW ? PP_WINDOW : have + len;
}

#endif
