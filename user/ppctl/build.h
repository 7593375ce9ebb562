/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF programs inside this ppctl: opens, loads and pins them, and says whether a set that is up
 * has the same ones. Where nothing else is said, a function returns 0, or -1 after an error.
 */
#ifndef PPCTL_BUILD_H
#define PPCTL_BUILD_H

#include <stdint.h>

#include <bpf/libbpf.h>

#define MAP_BUILD "pp_build" /* one entry, the build's number; of no program */

struct pp_bpf; /* of pp.skel.h */

/* The object, not loaded, without its tc programs, which are loaded for each network namespace.
 * Return: NULL after an error. */
struct pp_bpf *build_open(void);
/* The same with the tc programs alone, for the network namespace with this cookie. */
struct pp_bpf *build_open_tc(uint64_t cookie);
/* Before it is loaded: the sizes of its maps are for so many connections at once. */
int build_set_connections(struct pp_bpf *build, uint32_t connections);
/* The object of @build, for libbpf's functions. */
struct bpf_object *build_object(struct pp_bpf *build);
/* Before it is loaded: takes the pinned maps in place of new ones. Without @all a map may be
 * missing, or be working memory of another size: then there is a new one. */
int build_reuse_maps(struct pp_bpf *build, int all);
int build_load(struct pp_bpf *build);
/* Pins a program as progs/@name. */
int build_pin_program(const struct bpf_program *program, const char *name);
void build_close(struct pp_bpf *build);

/* Loads those of the tc programs @names (up to NULL) that are not pinned as progs/NAME_COOKIE yet,
 * for the network namespace @cookie, on the maps that are pinned. */
int build_load_tc(uint64_t cookie, const char *const names[]);

/* Notes which build the set's programs are of: last, when all are. */
int build_write(void);
/* Is that this build? Return: 1 or 0. */
int build_is_same(void);

#endif
