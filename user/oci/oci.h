/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of ppsplit-oci-hook share.
 */
#ifndef OCI_H
#define OCI_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>

#include <json-c/json.h>

#define SET_NAME_MAX  32 /* of ppctl's names for sets */
#define ARGUMENTS_MAX 64 /* of ppctl */

/* Says what went wrong, on standard error: the runtime shows that. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* state.c: a container, as the runtime describes it (state.md of the OCI runtime specification) */
struct container {
	struct json_object *state, *annotations; /* the second may be NULL */
	char set[SET_NAME_MAX + 1];		 /* its name for ppctl */
	int pid;				 /* of its first process, in this PID namespace */
	int process;				 /* its folder in /proc, open; or -1 */
	int stopped;
};

/* Return: 0, or -1 after an error. */
int container_read(struct container *container, const char *text);
void container_free(struct container *container);
/* The cgroup of its first process, below where cgroup2 is mounted. Return: 0, or -1 after an error.
 */
int container_cgroup(struct container *container, char cgroup[PATH_MAX]);

/* policy.c: adds the options of 'ppctl up' that the annotations make to the *@count in @argv; which
 * live as long as the annotations. Return: 0, or -1 after an error. */
int policy_arguments(struct json_object *annotations, char *argv[ARGUMENTS_MAX], size_t *count);

#endif
