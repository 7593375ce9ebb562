/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How far a socket's stream has come: what TCP has accepted, and what the application has read.
 *
 * Sequence numbers are 32 bits wide, and a difference of two of them is 0 again after 4 GiB. So
 * bytes are counted by bytes_received, which has 64 bits, and only a distance that a window bounds
 * (2^30 at most) is computed from sequence numbers.
 */
#ifndef PP_STREAM_H
#define PP_STREAM_H

#include "kernel.h"

#define RCV_SHUTDOWN 1 /* include/net/sock.h */
#define SOCK_DONE    1 /* bit number, include/net/sock.h: tcp_fin() has seen the peer's FIN */

struct stream {
	__u64 accepted; /* bytes of data that TCP has put into the receive queue so far */
	__u64 copied;	/* of these: bytes that the application has read */
	struct tcp_sock *at;
};

static int state_receives(__u32 state)
{
	return state == BPF_TCP_ESTABLISHED || state == BPF_TCP_SYN_RECV ||
	       state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2;
}

/* For a program that has the socket locked, as cgroup/getsockopt has it (Linux 5.3). Its programs
 * have no bpf_skc_to_tcp_sock() (6.1), so members that struct bpf_tcp_sock lacks are read from the
 * kernel's memory, and none that is not needed. Return: 0, or -1. */
static int stream_of(struct bpf_sock *sk, struct stream *stream)
{
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);
	unsigned long flags = 0;
	struct tcp_sock *at;
	__u32 copied_seq = 0;

	if (!tcp)
		return -1;
	/* the verifier allows no arithmetic on sk: read its value */
	if (bpf_probe_read_kernel(&at, sizeof(at), &sk) ||
	    bpf_core_read(&copied_seq, sizeof(copied_seq), &at->copied_seq))
		return -1;
	if (sk->state != BPF_TCP_ESTABLISHED && /* after a FIN it is not */
	    bpf_core_read(&flags, sizeof(flags), &at->inet_conn.icsk_inet.sk.__sk_common.skc_flags))
		return -1;
	stream->at = at;
	/* bytes_received counts the peer's FIN, which has a sequence number, too */
	stream->accepted = tcp->bytes_received - (flags >> SOCK_DONE & 1);
	/* What is unread is in the receive queue, whose size the window bounds: the difference
	 * cannot wrap. Both ends of it may count the FIN, or neither. */
	stream->copied = tcp->bytes_received - (tcp->rcv_nxt - copied_seq);
	if (stream->copied > stream->accepted)
		stream->copied = stream->accepted;
	return 0;
}

/* May more come? */
static int stream_is_open(struct bpf_sock *sk, const struct stream *stream)
{
	struct tcp_sock *at = stream->at;
	__u8 shutdown = 0;

	bpf_core_read(&shutdown, sizeof(shutdown), &at->inet_conn.icsk_inet.sk.sk_shutdown);
	return state_receives(sk->state) && !(shutdown & RCV_SHUTDOWN);
}

/* Is there, or was there, an urgent byte? recv() stops at it, and skips it without counting. */
static int stream_is_urgent(const struct stream *stream)
{
	struct tcp_sock *at = stream->at;
	__u16 urgent = 0;

	bpf_core_read(&urgent, sizeof(urgent), &at->urg_data);
	return urgent != 0;
}

#endif
