/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pp_in: whose is the listener that a connection is being made to? Several sets may have hooks on
 * one interface and serve one port number, each for its own cgroups.
 */
#ifndef PP_SERVED_H
#define PP_SERVED_H

#include "kernel.h"
#include "maps.h"

enum listener_of {
	OF_THIS_SET, /* pp_gate has seen a SYN to it */
	OF_NO_SET,
	OF_ANOTHER_SET, /* or of this one, and it has seen no SYN yet */
};

#define EFFECTIVE_MAX 64 /* BPF_CGROUP_MAX_PROGS */
#define GATE_NAME     "pp_gate"

/* The programs that the kernel runs for packets that come to sockets of one cgroup. */
struct gate_scan {
	struct bpf_prog_array *programs;
	int found;
};

static long gate_step(__u32 round, void *context)
{
	struct gate_scan *scan = context;
	char name[sizeof(GATE_NAME)] = {};
	struct bpf_prog_array_item *item;
	struct bpf_prog_aux *aux = NULL;
	struct bpf_prog *program = NULL;

	item = (void *)scan->programs + bpf_core_field_offset(scan->programs->items) +
	       round * bpf_core_type_size(struct bpf_prog_array_item);
	if (bpf_core_read(&program, sizeof(program), &item->prog) || !program ||
	    bpf_core_read(&aux, sizeof(aux), &program->aux) ||
	    bpf_core_read(name, sizeof(name), &aux->name))
		return 1;
	scan->found = !__builtin_memcmp(name, GATE_NAME, sizeof(GATE_NAME));
	return scan->found;
}

/* Has the cgroup of this socket a gate? Its own set's pp_in, on the same interface, knows what to
 * do then. */
static int has_gate(struct sock *listener)
{
	struct gate_scan scan = {};
	struct cgroup *cgroup = NULL;

	if (bpf_core_read(&cgroup, sizeof(cgroup), &listener->sk_cgrp_data.cgroup) || !cgroup ||
	    bpf_core_read(&scan.programs, sizeof(scan.programs), &cgroup->bpf.effective[0]) ||
	    !scan.programs) /* CGROUP_INET_INGRESS is the first one */
		return 0;
	bpf_loop(EFFECTIVE_MAX, gate_step, &scan, 0);
	return scan.found;
}

static int is_of_this_set(struct sock *listener)
{
	__u64 cookie = 0;

	return listener &&
	       !bpf_core_read(&cookie, sizeof(cookie), &listener->__sk_common.skc_cookie) &&
	       bpf_map_lookup_elem(&pp_listeners, &cookie);
}

/* @listener: may be NULL */
static enum listener_of whose_listener(struct sock *listener)
{
	if (is_of_this_set(listener))
		return OF_THIS_SET;
	return listener && has_gate(listener) ? OF_ANOTHER_SET : OF_NO_SET;
}

#endif
