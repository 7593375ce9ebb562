/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_getsockopt: answers PP_HEADER and PP_TLVS, the raw bytes of a header, in pages.
 */
#ifndef PP_SOCKOPT_BYTES_H
#define PP_SOCKOPT_BYTES_H

#include "kernel.h"
#include "maps.h"
#include "sockopt.h"

struct byte_copy {
	struct bpf_sockopt *ctx;
	const __u8 *from; /* a buffer of PP_SHORT, PP_WINDOW or PP_HEADER_MAX bytes */
	__u32 at;
	__u32 len;
	__u32 copied;
};

static inline __attribute__((always_inline)) long copy_byte_of(__u32 i, struct byte_copy *copy,
							       __u32 size)
{
	__u8 *to = copy->ctx->optval + (i & (PP_PAGE - 1));

	if (i >= copy->len || to + 1 > (__u8 *)copy->ctx->optval_end)
		return 1;
	*to = copy->from[(copy->at + i) & (size - 1)];
	copy->copied = i + 1;
	return 0;
}

static long copy_byte(__u32 i, void *copy)
{
	return copy_byte_of(i, copy, PP_WINDOW);
}

static long copy_byte_short(__u32 i, void *copy)
{
	return copy_byte_of(i, copy, PP_SHORT);
}

static long copy_byte_large(__u32 i, void *copy)
{
	return copy_byte_of(i, copy, PP_HEADER_MAX);
}

/* The header's bytes from @from to @end, of which a page is answered: the one that begins @page
 * pages after @from. */
static int answer_bytes(struct bpf_sockopt *ctx, struct bpf_sock *sk,
			const struct pp_record *record, __u32 from, __u32 page)
{
	struct byte_copy copy = {ctx, NULL, from + page * PP_PAGE, PP_PAGE, 0};
	struct pp_extra *small;
	struct pp_short *brief;
	struct pp_large *large;

	if (copy.at >= record->header_len)
		return answer_error(ctx, -ENODATA);
	if (copy.at + copy.len > record->header_len)
		copy.len = record->header_len - copy.at;
	if (record->flags & PP_RECORD_LARGE) {
		large = bpf_sk_storage_get(&pp_large, sk, 0, 0);
		if (!large)
			return answer_error(ctx, -ENODATA);
		copy.from = large->bytes;
		bpf_loop(PP_PAGE, copy_byte_large, &copy, 0);
	} else {
		/* of a header that was decoded once more, pp_short has the first version */
		small = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
		brief = small ? NULL : bpf_sk_storage_get(&pp_short, sk, 0, 0);
		if (small) {
			copy.from = small->bytes;
			bpf_loop(PP_WINDOW, copy_byte, &copy, 0);
		} else if (brief) {
			copy.from = brief->bytes;
			bpf_loop(PP_SHORT, copy_byte_short, &copy, 0);
		} else {
			return answer_error(ctx, -ENODATA);
		}
	}
	if (copy.copied != copy.len)
		return answer_error(ctx, -ENOBUFS);
	return answer_length(ctx, copy.len);
}

static __noinline int answer_header(struct bpf_sockopt *ctx, struct bpf_sock *sk,
				    const struct pp_socket *socket, int tlvs, __u32 page)
{
	const struct pp_record *record;

	if (!socket)
		return answer_error(ctx, -ENODATA);
	record = &socket->record;
	if (record->state != PP_STATE_VALID || !(record->flags & PP_RECORD_KEPT))
		return answer_error(ctx, -ENODATA);
	if (!tlvs)
		return answer_bytes(ctx, sk, record, 0, page);
	if (!record->tlv_len) /* an optlen of 0 would not be copied out */
		return answer_error(ctx, -ENODATA);
	return answer_bytes(ctx, sk, record, record->header_len - record->tlv_len, page);
}

#endif
