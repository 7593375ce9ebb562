// SPDX-License-Identifier: BSD-2-Clause
/*
 * "self" and "parent": the cgroup that ppctl itself is in, or the one above it. A container does
 * not know its cgroup's name: in a cgroup namespace it is "/". But where a mount shows the cgroup,
 * as the host's does, ppctl finds itself in the list of its processes.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ppctl.h"

/* What is looked for below each mount. */
struct own {
	char path[PATH_MAX]; /* of the mount that shows most above it */
	size_t mount_len;    /* how much of it is the mount's */
	int found;
};

/* The kernel lists a process by its number in the namespace of who reads. */
static int has_this_process(const char *cgroup, void *unused)
{
	char path[PATH_MAX + 16], line[32];
	FILE *processes;
	int found = 0;

	(void)unused;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	processes = fopen(path, "re");
	while (processes && !found && fgets(line, sizeof(line), processes))
		found = atoi(line) == getpid();
	if (processes)
		fclose(processes);
	return found;
}

static int look_at_mount(const char *mount, void *context)
{
	size_t mount_len = strlen(mount);
	struct own *own = context;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", mount);
	if (cgroup_walk(path, has_this_process, NULL) &&
	    (!own->found || strlen(path) - mount_len > strlen(own->path) - own->mount_len)) {
		memcpy(own->path, path, sizeof(path));
		own->mount_len = mount_len;
		own->found = 1;
	}
	return 0;
}

int cgroup_name_own(struct word *word)
{
	int parent = !strcmp(word->text, OWN_PARENT);
	struct own own = {};
	char *below, *slash, *name;

	if (!parent && strcmp(word->text, OWN_SELF))
		return 0;
	cgroup_each_mount(look_at_mount, &own);
	below = own.path + own.mount_len;
	if (own.found && parent) {
		slash = strrchr(below, '/');
		own.found = slash != NULL;
		if (slash)
			*slash = 0;
	}
	if (!own.found)
		return -1;
	/* a name below the mount is right on the host, too; the mount itself has none */
	name = strdup(*below ? below + 1 : own.path);
	if (!name)
		return -1;
	free(word->text);
	word->text = name;
	return 0;
}
