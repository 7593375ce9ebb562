/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what is pinned to what is wanted, for one set ('ppctl up') or several ('ppctl apply'): all
 * of it, or nothing.
 */
#ifndef PPCTL_ENGINE_H
#define PPCTL_ENGINE_H

#include "plan.h"

enum set_state {
	SET_NONE,
	SET_THERE, /* whole, but perhaps not attached, or with a change that was broken off */
	SET_REST,  /* what a killed 'up' or 'down' has left: of use to nobody */
	SET_LOST,  /* somebody has removed the pin of a list */
};

/* set.c: the set at options.pin */
enum set_state set_state(void);
/* An empty one, marked as one that is being changed. */
int set_make(uint32_t connections);
/* Sets below @dir, @dir itself where one is pinned in it: a list of paths. */
int sets_list(const char *dir, struct words *paths);
/* The set that has the program @gate on a cgroup; or "" where it is not one of this BPF file
 * system.
 */
void set_of_gate(uint32_t gate, char set[PATH_MAX]);

struct job {
	const struct section *wanted;
	const char *pin;
	int exact; /* what is not wanted goes */
	/* what engine_run() finds, and does */
	struct plan plan;
	struct section before;
	enum set_state state;
	int broken;	/* an earlier change was broken off */
	int going_down; /* 'ppctl down' waits for connections */
	int of_another; /* its programs are of another build */
	int unpinned;	/* pins of its programs are gone */
	int opened, taken_back, replaced;
};

/* Finds what is to be changed, and what stands against it. Changes nothing. @ignored: sets that
 * may be on the same cgroups, since they are changed, too. */
int engine_plan(struct job *job, const struct words *ignored);
/* Does all of it, or nothing, for all of them. */
int engine_run(struct job *jobs, size_t count);
void job_free(struct job *job);

#endif
