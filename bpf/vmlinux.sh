#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Prints vmlinux.h: from the C dump of a kernel's BTF on standard input, the types and members that
# bpf/ reads, and no others. CO-RE finds each member's real place at load time, by name.
set -eu

awk '
function want(type, members,    n, i, list) {
	order[++types] = type
	n = split(members, list, " ")
	for (i = 1; i <= n; i++)
		wanted[type, list[i]] = 1
}
BEGIN {
	want("net", "net_cookie")
	want("net_device", "nd_net")
	want("sk_buff", "dev ip_summed")
	want("kernfs_node", "id")
	want("bpf_prog_aux", "name")
	want("bpf_prog", "aux")
	want("bpf_prog_array_item", "prog")
	want("bpf_prog_array", "items")
	want("cgroup_bpf", "effective")
	want("cgroup", "kn bpf")
	want("sock_cgroup_data", "cgroup")
	want("sock_common", "skc_cookie skc_daddr skc_dport skc_family skc_flags skc_listener skc_net skc_num skc_rcv_saddr skc_rcv_wnd skc_state skc_v6_daddr skc_v6_rcv_saddr")
	want("inode", "i_ino")
	want("socket_alloc", "vfs_inode")
	want("sock", "__sk_common sk_backlog sk_uid sk_shutdown sk_cgrp_data sk_socket")
	want("inet_sock", "sk inet_sport")
	want("fastopen_queue", "max_qlen")
	want("request_sock_queue", "fastopenq")
	want("inet_connection_sock", "icsk_inet icsk_accept_queue")
	want("tcp_sock", "inet_conn bytes_received rcv_nxt copied_seq write_seq urg_data is_mptcp")
	want("request_sock", "__req_common")
	want("inet_request_sock", "req rcv_wscale")
	want("tcp_request_sock", "req snt_synack rcv_isn snt_isn")
	want("bpf_iter_meta", "seq")
	want("bpf_iter__bpf_sk_storage_map", "meta sk value")
}
/^struct [a-z_0-9]+ \{$/ { type = $2; next }
/^};?/ { type = "" }
# a member, or one of a union without a name at all: CO-RE looks into that by itself
type != "" && /^\t+[^\t}]/ {
	member = $0
	sub(/[:;].*/, "", member)
	sub(/\[.*/, "", member)
	sub(/.*[ *]/, "", member)
	if ((type, member) in wanted) {
		sub(/^\t+/, "\t")
		body[type] = body[type] $0 "\n"
		delete wanted[type, member]
	}
}
# a struct whose type has no name; of its members, the one that is read
type == "sock" && /^\t} sk_backlog;$/ {
	body[type] = body[type] "\tstruct {\n\t\tint len;\n\t} sk_backlog;\n"
	delete wanted[type, "sk_backlog"]
}
END {
	for (key in wanted) {
		split(key, part, SUBSEP)
		printf "vmlinux.sh: struct %s has no member %s in this BTF\n", part[1], part[2] > "/dev/stderr"
		exit 1
	}
	print "/* SPDX-License-Identifier: GPL-2.0-only */"
	print "/*"
	print " * Kernel types that bpf/ reads, with the members that it reads: made by `make vmlinux.h` from a"
	print " * kernel\047s BTF. CO-RE finds each member by name, so offsets here mean nothing."
	print " */"
	print "#ifndef VMLINUX_H\n#define VMLINUX_H\n"
	print "#include <linux/in6.h>\n#include <linux/types.h>\n"
	print "typedef _Bool bool;\ntypedef __u8 u8;\ntypedef __u16 u16;\ntypedef __u32 u32;\ntypedef __u64 u64;\n"
	print "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n"
	print "typedef struct {\n\tstruct net *net;\n} possible_net_t;\n"
	print "typedef struct {\n\t__u32 val;\n} kuid_t;\n"
	print "typedef struct {\n\t__s64 counter;\n} atomic64_t;\n"
	for (i = 1; i <= types; i++)
		printf "struct %s {\n%s};\n\n", order[i], body[order[i]]
	print "#pragma clang attribute pop\n"
	print "#endif"
}'
