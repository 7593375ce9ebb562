/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of a set that is up, replaced by those of this ppctl.
 */
#ifndef PPCTL_UPGRADE_H
#define PPCTL_UPGRADE_H

#include <stdint.h>

#include <bpf/libbpf.h>

/* Is a pinned map, which @info describes, of the kind that this build wants? */
int map_fits(const struct bpf_map *map, const struct bpf_map_info *info);

/* up.c: the object of this build, not loaded, without its tc programs. Return: NULL after an error.
 */
struct pp_bpf;
struct pp_bpf *build_open(void);
/* The same with nothing but these, for the network namespace with this cookie. */
struct pp_bpf *build_open_tc(uint64_t cookie);
struct bpf_object *build_object(struct pp_bpf *build);
int build_load(struct pp_bpf *build);
void build_close(struct pp_bpf *build);
/* A number that tells builds from one another. */
uint64_t build_id(void);

/* Notes which build the set's programs are of: last, when all are. */
int build_write(void);
int build_is_same(void);

/* Is a set that is not whole, as this build would have it, to be completed and not made anew, since
 * connections live that only its maps know? */
int upgrade_is_due(void);
/* Replaces every program where it is attached. On a failure the old ones are put back. @cgroup: for
 * those of the mail server's cgroup that are not attached; NULL: where the others are. */
int upgrade(const char *cgroup);

#endif
