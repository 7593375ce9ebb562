/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The sockmap split. pp_sockops puts the socket of a new connection into pp_split; pp_strip, an
 * sk_skb verdict, takes the header out of what the application is to read; and with the MTA's first
 * send the socket leaves again, native from then on.
 *
 * How the kernel goes along (6.1 to 7.2): while the socket is not accepted, the verdict does not
 * run and data waits in the receive queue. It runs on recv(), when a segment comes, and when
 * SO_RCVLOWAT is set, which is what pp_getpeer does within accept().
 */
#ifndef PP_STRIP_H
#define PP_STRIP_H

#define SOL_SOCKET  1
#define SO_RCVLOWAT 18

static int set_rcvlowat(struct bpf_sock_ops *ops, int bytes)
{
	return bpf_setsockopt(ops, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

/* Takes a new connection's socket into pp_split, and says so in its record. */
static void split_enter(struct bpf_sock_ops *ops, struct pp_handoff *handoff)
{
	struct pp_socket *socket = &handoff->socket;
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct pp_cut cut = {};
	int rcvlowat = 1;

	bpf_getsockopt(ops, SOL_SOCKET, SO_RCVLOWAT, &rcvlowat, sizeof(rcvlowat));
	cut.rcvlowat = rcvlowat;
	cut.next_seq = socket->first_seq + socket->record.header_len;
	cut.raised = handoff->more; /* see strip() */
	if (bpf_map_update_elem(&pp_cut, &cookie, &cut, BPF_NOEXIST))
		goto full;
	if (handoff->more)
		set_rcvlowat(ops, socket->record.header_len + 1);
	if (bpf_sock_hash_update(ops, &pp_split, &cookie, BPF_NOEXIST)) {
		bpf_map_delete_elem(&pp_cut, &cookie);
		goto full;
	}
	bpf_sock_ops_cb_flags_set(ops, CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) |
					       BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG |
					       BPF_SOCK_OPS_STATE_CB_FLAG);
	socket->cookie = cookie;
	socket->record.flags |= PP_RECORD_SPLIT;
	return;
full:
	/* The header stays in the stream, and the origin is told to nobody: see peername.h. */
	count(PP_STAT_NO_MEMORY);
	socket->record.state = PP_STATE_BAD;
	socket->record.reason = PP_BAD_MISSED;
}

/* Callbacks are the socket's and not a program's: STATE_CB stays, another program may have asked
 * for it, too. */
static void split_forget(struct bpf_sock_ops *ops)
{
	bpf_sock_ops_cb_flags_set(ops, CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) &
					       ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

/*
 * Called while a segment of the MTA's goes out, in its own context, with the socket locked. The
 * socket can leave when everything that came has been read (so the header is gone, and nothing is
 * queued in the sockmap) and copied_seq is exact. A socket that stays is slower, and in a long
 * transfer was seen to stall (6.18): so as soon as it is safe.
 */
static void split_leave(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct pp_socket *socket;
	struct tcp_sock *tcp;
	struct pp_cut *cut;
	__u64 cookie;
	__u32 rcvlowat;

	if (!ops->skb_len || !sk) /* a bare ACK */
		return;
	socket = bpf_sk_storage_get(&pp_origins, sk, 0, 0);
	if (!socket)
		return;
	cookie = socket->cookie;
	cut = bpf_map_lookup_elem(&pp_cut, &cookie);
	if (!cut)
		return;
	if (!cut->started) /* accepted without an address, and it speaks first: run pp_strip */
		set_rcvlowat(ops, cut->rcvlowat);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return;
	if (cut->lag) { /* never: do not ask at each segment */
		if (!cut->raised)
			set_rcvlowat(ops, cut->lag + 1);
		cut->raised = 1;
		bpf_sock_ops_cb_flags_set(ops, CONTEXT_FIELD(ops->bpf_sock_ops_cb_flags) &
						       ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		return;
	}
	if (tcp->copied_seq != tcp->rcv_nxt)
		return;
	rcvlowat = cut->rcvlowat;
	bpf_map_delete_elem(&pp_split, &cookie);
	bpf_map_delete_elem(&pp_cut, &cookie);
	set_rcvlowat(ops, rcvlowat);
	split_forget(ops);
	count(PP_STAT_NATIVE);
}

static void split_closed(struct bpf_sock_ops *ops)
{
	__u64 cookie = bpf_get_socket_cookie(ops);

	if (ops->args[1] == BPF_TCP_CLOSE)
		bpf_map_delete_elem(&pp_cut, &cookie);
}

/*
 * Where header and payload share a segment, the kernel's copied_seq stays a header's length behind
 * for ever, and poll() would see that as input. SO_RCVLOWAT one above exactly that length cures it.
 * It is set before there is a reader, where the gate saw the payload; else in accept(),
 * getpeername() or with the first send, where the kernel has joined two segments in the receive
 * queue. Higher than that it must never be: the kernel calls pp_strip only once so many bytes are
 * there, and less would be stuck.
 *
 * What lies before cut->next_seq is cut off the segment's front: the header, and where a segment
 * comes again in a larger one, what has been passed on already (tcp_read_skb() does not look at
 * sequence numbers). They are in the skb's control block, where sk_skb programs see it as cb[]:
 * TCP_SKB_CB(skb) begins with seq.
 */
static int strip(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct pp_cut *cut = bpf_map_lookup_elem(&pp_cut, &cookie);
	__u32 seq, len, early, header;

	if (!cut)
		return SK_PASS;
	seq = skb->cb[0];
	len = skb->len;
	early = cut->next_seq - seq;
	header = !cut->started;
	cut->started = 1;
	if ((__s32)early <= 0) {
		cut->next_seq = seq + len;
		return SK_PASS;
	}
	if (header)
		count(PP_STAT_SPLIT);
	if (early >= len) /* all of it: the kernel counts a dropped segment as read */
		return SK_DROP;
	if (bpf_skb_adjust_room(skb, -(__s32)early, 0, 0))
		return SK_DROP;
	if (header)
		cut->lag = early;
	cut->next_seq = seq + len;
	return SK_PASS;
}

#endif
