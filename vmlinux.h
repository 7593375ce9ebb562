/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel types that bpf/ reads, with the members that it reads: made by `make vmlinux.h` from a
 * kernel's BTF. CO-RE finds each member by name, so offsets here mean nothing.
 */
#ifndef VMLINUX_H
#define VMLINUX_H

#include <linux/in6.h>
#include <linux/types.h>

typedef _Bool bool;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct net {
	u64 net_cookie;
};

struct net_device {
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	__u8 ip_summed: 2;
};

struct kernfs_node {
	u64 id;
};

struct bpf_prog_aux {
	char name[16];
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct bpf_prog_array_item {
	struct bpf_prog *prog;
};

struct bpf_prog_array {
	struct bpf_prog_array_item items[0];
};

struct cgroup_bpf {
	struct bpf_prog_array *effective[38];
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_bpf bpf;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	short unsigned int skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	long unsigned int skc_flags;
	struct sock *skc_listener;
	u32 skc_rcv_wnd;
};

struct inode {
	long unsigned int i_ino;
};

struct socket_alloc {
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	struct {
		int len;
	} sk_backlog;
	struct socket *sk_socket;
	kuid_t sk_uid;
	u8 sk_shutdown;
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct fastopen_queue {
	int max_qlen;
};

struct request_sock_queue {
	struct fastopen_queue fastopenq;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 copied_seq;
	u16 urg_data;
	u32 write_seq;
	u32 rcv_nxt;
	u64 bytes_received;
	bool is_mptcp;
};

struct request_sock {
	struct sock_common __req_common;
};

struct inet_request_sock {
	struct request_sock req;
	u16 rcv_wscale: 4;
};

struct tcp_request_sock {
	struct inet_request_sock req;
	u64 snt_synack;
	u32 rcv_isn;
	u32 snt_isn;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

#endif
