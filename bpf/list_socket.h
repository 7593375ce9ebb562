/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_count, iter/bpf_sk_storage_map: writes what is known of a socket, for ppctl.
 */
#ifndef PP_LIST_SOCKET_H
#define PP_LIST_SOCKET_H

#include "kernel.h"
#include "address.h"
#include "bound.h"
#include "large.h"
#include "maps.h"
#include "stream.h"

#define SOCK_DEAD 0 /* include/net/sock.h, enum sock_flags */

/* Not with direct loads: the verifier knows where the arrays in struct in6_addr begin, and lets
 * nothing but a byte be loaded there. */
static void list_ends(struct pp_live *live, struct sock *sk)
{
	live->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	live->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	live->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (live->family == PP_AF_INET) {
		map_v4(live->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
		map_v4(live->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		return;
	}
	bpf_core_read(live->remote, sizeof(live->remote), &sk->__sk_common.skc_v6_daddr);
	bpf_core_read(live->local, sizeof(live->local), &sk->__sk_common.skc_v6_rcv_saddr);
}

/* struct socket is the first member of struct socket_alloc. None: it is orphaned, or accept() has
 * not taken it yet. */
static __u64 inode_of(struct sock *sk)
{
	struct socket_alloc *socket = (struct socket_alloc *)BPF_CORE_READ(sk, sk_socket);

	return socket ? BPF_CORE_READ(socket, vfs_inode.i_ino) : 0;
}

/* As stream_of() has it, without a lock: the numbers may be of different moments. */
static void list_stream(struct pp_live *live, struct tcp_sock *tcp)
{
	__u64 received = BPF_CORE_READ(tcp, bytes_received);
	__u32 unread = BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq);
	__u64 copied = received - unread;

	live->received =
		received -
		(BPF_CORE_READ(tcp, inet_conn.icsk_inet.sk.__sk_common.skc_flags) >> SOCK_DONE & 1);
	if (live->cut ||
	    (copied >= live->record.header_len && copied <= received && live->record.header_len))
		live->record.flags |= PP_RECORD_TAKEN;
}

/* How many bytes are kept of a header larger than PP_WINDOW; 0: none, or it is no such header. */
static __u32 list_large_len(struct sock *sk, const struct pp_socket *socket)
{
	const __u8 flags = PP_RECORD_LARGE | PP_RECORD_KEPT;
	__u32 have = socket->have;

	if ((socket->record.flags & flags) != flags || !have || have > PP_HEADER_MAX)
		return 0;
	return large_page(sk, (have - 1) / PP_PAGE, 0) ? have : 0;
}

static void list_large(struct seq_file *seq, struct sock *sk, __u32 len)
{
	struct pp_large_page *page;
	__u32 n, part;

	for (n = 0; n < PP_PAGES && n * PP_PAGE < len; n++) {
		page = large_page(sk, n, 0);
		if (!page)
			return;
		part = len - n * PP_PAGE;
		if (part > PP_PAGE)
			part = PP_PAGE;
		bpf_seq_write(seq, page->bytes, length_within(part, PP_PAGE));
	}
}

/* A closed socket may be open in its process still, but sends and receives nothing any more. */
static void list_socket(struct seq_file *seq, struct sock *sk, struct pp_socket *socket)
{
	struct pp_live live = {.size = sizeof(live), .magic = PP_LIVE_MAGIC};
	struct pp_extra *extra;
	struct pp_short *brief;
	__u32 large, kept;

	live.tcp_state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (live.tcp_state == BPF_TCP_CLOSE)
		return;
	live.record = socket->record;
	live.cut = socket->cut;
	live.made_s = socket->made_s;
	live.asked = socket->asked;
	live.settled = socket->settled;
	live.cookie = bpf_get_socket_cookie(sk);
	live.inode = inode_of(sk);
	live.orphan = BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DEAD & 1;
	list_ends(&live, sk);
	list_stream(&live, (struct tcp_sock *)sk);

	large = list_large_len(sk, socket);
	extra = large ? NULL : bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	brief = large || extra ? NULL : bpf_sk_storage_get(&pp_short, sk, 0, 0);
	kept = large ? large : extra ? extra->len : brief ? live.record.header_len : 0;
	if (!large && kept > (extra ? PP_WINDOW : PP_SHORT))
		kept = 0;
	live.kept = kept;
	bpf_seq_write(seq, &live, sizeof(live));
	asm volatile(""
		     : "+r"(kept)); /* the verifier sees the two limits below, and not that above */
	if (large)
		list_large(seq, sk, large);
	else if (extra && kept <= PP_WINDOW)
		bpf_seq_write(seq, extra->bytes, kept);
	else if (brief && kept <= PP_SHORT)
		bpf_seq_write(seq, brief->bytes, kept);
}

#endif
