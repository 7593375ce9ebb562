/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_getsockopt: answers PP_HEADER and PP_TLVS, the raw bytes of a header, in pages.
 */
#ifndef PP_SOCKOPT_BYTES_H
#define PP_SOCKOPT_BYTES_H

#include "kernel.h"
#include "large.h"
#include "maps.h"
#include "record.h"
#include "sockopt.h"
#include "stream.h"

struct byte_copy {
	struct bpf_sockopt *ctx;
	const __u8 *from; /* a buffer of PP_SHORT, PP_WINDOW or PP_PAGE bytes */
	const __u8 *next; /* the page after that one; or NULL */
	__u32 at;	  /* of @from */
	__u32 len;
	__u32 copied;
};

static inline __attribute__((always_inline)) long copy_byte_of(__u32 i, struct byte_copy *copy,
							       const __u8 *from, __u32 size)
{
	__u8 *to = copy->ctx->optval + (i & (PP_PAGE - 1));

	if (!from || i >= copy->len || to + 1 > (__u8 *)copy->ctx->optval_end)
		return 1;
	*to = from[(copy->at + i) & (size - 1)];
	copy->copied = i + 1;
	return 0;
}

static long copy_byte(__u32 i, void *context)
{
	struct byte_copy *copy = context;

	return copy_byte_of(i, copy, copy->from, PP_WINDOW);
}

static long copy_byte_short(__u32 i, void *context)
{
	struct byte_copy *copy = context;

	return copy_byte_of(i, copy, copy->from, PP_SHORT);
}

static long copy_byte_large(__u32 i, void *context)
{
	struct byte_copy *copy = context;

	return copy_byte_of(i, copy, copy->at + i < PP_PAGE ? copy->from : copy->next, PP_PAGE);
}

/* A page of TLVs is in two pages of the header. Return: 0; or -1: none is kept. */
static int copy_large(struct byte_copy *copy, struct bpf_sock *sk)
{
	__u32 n = copy->at / PP_PAGE;
	struct pp_large_page *page = large_page(sk, n, 0), *next = large_page(sk, n + 1, 0);

	if (!page)
		return -1;
	copy->from = page->bytes;
	copy->next = next ? next->bytes : NULL;
	copy->at %= PP_PAGE;
	bpf_loop(PP_PAGE, copy_byte_large, copy, 0);
	return 0;
}

static int copy_small(struct byte_copy *copy, struct bpf_sock *sk)
{
	/* of a header that was decoded once more, pp_short has the first version */
	struct pp_extra *small = bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	struct pp_short *brief = small ? NULL : bpf_sk_storage_get(&pp_short, sk, 0, 0);

	if (small) {
		copy->from = small->bytes;
		bpf_loop(PP_WINDOW, copy_byte, copy, 0);
	} else if (brief) {
		copy->from = brief->bytes;
		bpf_loop(PP_SHORT, copy_byte_short, copy, 0);
	} else {
		return -1;
	}
	return 0;
}

/* The header's bytes from @from on, of which a page is answered: the one that begins @page
 * pages after @from. */
static int answer_bytes(struct bpf_sockopt *ctx, struct bpf_sock *sk,
			const struct pp_record *record, __u32 from, __u32 page)
{
	struct byte_copy copy = {ctx, NULL, NULL, from + page * PP_PAGE, PP_PAGE, 0};

	if (copy.at >= record->header_len)
		return answer_error(ctx, -ENODATA);
	if (copy.at + copy.len > record->header_len)
		copy.len = record->header_len - copy.at;
	if (record->flags & PP_RECORD_LARGE ? copy_large(&copy, sk) : copy_small(&copy, sk))
		return answer_error(ctx, -ENODATA);
	if (copy.copied != copy.len)
		return answer_error(ctx, -ENOBUFS);
	return answer_length(ctx, copy.len);
}

/* As record_refresh() has it: TCP may refuse the segment still that ended the header. */
static int is_accepted(const struct pp_socket *socket, struct bpf_sock *sk)
{
	struct stream stream;

	return socket->settled || (!stream_of(sk, &stream) && is_settled(socket, stream.accepted));
}

static __noinline int answer_header(struct bpf_sockopt *ctx, struct bpf_sock *sk,
				    const struct pp_socket *socket, int tlvs, __u32 page)
{
	const struct pp_record *record;

	if (!socket || !is_accepted(socket, sk))
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
