/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A header larger than PP_WINDOW, kept with its socket: in pages.
 */
#ifndef PP_LARGE_H
#define PP_LARGE_H

#include "kernel.h"
#include "maps.h"

/* Page @n of the header of @sk, a struct bpf_sock or a struct sock; or NULL. */
static struct pp_large_page *large_page(void *sk, __u32 n, __u64 flags)
{
	switch (n) {
	case 0:
		return bpf_sk_storage_get(&pp_large_0, sk, 0, flags);
	case 1:
		return bpf_sk_storage_get(&pp_large_1, sk, 0, flags);
	case 2:
		return bpf_sk_storage_get(&pp_large_2, sk, 0, flags);
	case 3:
		return bpf_sk_storage_get(&pp_large_3, sk, 0, flags);
	}
	return NULL;
}

/* Copies to @large what is kept. Return: 0; or -1: nothing is. */
static __noinline int large_load(struct bpf_sock *sk, struct pp_large *large)
{
	struct pp_large_page *page;
	__u32 n;

	for (n = 0; n < PP_PAGES; n++) {
		page = large_page(sk, n, 0);
		if (!page)
			break;
		if (bpf_probe_read_kernel(large->bytes + n * PP_PAGE, PP_PAGE, page->bytes))
			return -1;
	}
	return n ? 0 : -1;
}

/* Keeps @large, of a header of @header_len bytes. Return: 0, or -1. */
static __noinline int large_keep(struct bpf_sock *sk, const struct pp_large *large,
				 __u32 header_len)
{
	struct pp_large_page *page;
	__u32 n;

	for (n = 0; n < PP_PAGES && n * PP_PAGE < header_len; n++) {
		page = large_page(sk, n, BPF_SK_STORAGE_GET_F_CREATE);
		if (!page) {
			count(PP_STAT_NO_MEMORY);
			return -1;
		}
		if (bpf_probe_read_kernel(page->bytes, PP_PAGE, large->bytes + n * PP_PAGE))
			return -1;
	}
	return 0;
}

#endif
