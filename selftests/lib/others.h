/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What selftests/lib/others.bpf.c counts in its map "hits".
 */
#ifndef OTHERS_H
#define OTHERS_H

enum hit { HIT_ESTABLISHED, HIT_CLOSED, HIT_RTT, HITS };

#endif
