/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_count, iter/bpf_sk_storage_map: writes what is known of a socket, for ppctl.
 */
#ifndef PP_LIST_SOCKET_H
#define PP_LIST_SOCKET_H

#include "kernel.h"
#include "address.h"
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

/* A closed socket may be open in its process still, but sends and receives nothing any more. */
static void list_socket(struct seq_file *seq, struct sock *sk, struct pp_socket *socket)
{
	struct pp_live live = {.size = sizeof(live), .magic = PP_LIVE_MAGIC};
	struct pp_extra *extra;
	struct pp_large *large;
	struct pp_short *brief;
	__u32 kept;

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

	large = bpf_sk_storage_get(&pp_large, sk, 0, 0);
	extra = large ? NULL : bpf_sk_storage_get(&pp_extra, sk, 0, 0);
	brief = large || extra ? NULL : bpf_sk_storage_get(&pp_short, sk, 0, 0);
	kept = large ? large->len : extra ? extra->len : brief ? live.record.header_len : 0;
	if (kept > (large ? PP_HEADER_MAX : extra ? PP_WINDOW : PP_SHORT))
		kept = 0;
	live.kept = kept;
	bpf_seq_write(seq, &live, sizeof(live));
	asm volatile(""
		     : "+r"(kept)); /* the verifier sees the two limits below, and not that above */
	if (large && kept <= PP_HEADER_MAX)
		bpf_seq_write(seq, large->bytes, kept);
	else if (extra && kept <= PP_WINDOW)
		bpf_seq_write(seq, extra->bytes, kept);
	else if (brief && kept <= PP_SHORT)
		bpf_seq_write(seq, brief->bytes, kept);
}

#endif
