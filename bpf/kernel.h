/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel's types, numbers and helpers, for each header here.
 */
#ifndef PP_KERNEL_H
#define PP_KERNEL_H

/*
 * As libbpf has it, and the value that it returns stays. Where no caller looks at the value
 * clang makes the function void and leaves anything in r0, and the verifier refuses a pointer to
 * the stack there.
 */
#define __noinline __attribute__((noinline, used))

#include "vmlinux.h"
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#endif
