// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl sweep: removes the sets whose cgroups are gone. A container that has ended leaves its set:
 * nothing can use it any more, and nothing but this removes it, where the engine calls no hook.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ppctl.h"

struct sweep {
	struct json_object *removed;
	int failed;
};

/* Is a process in this cgroup, or below it? One that cannot be read may have some. */
static int is_populated(uint64_t cgroup)
{
	char path[PATH_MAX], file[PATH_MAX + 16], line[64];
	int populated = 1;
	FILE *events;

	if (cgroup == CGROUP_GONE || cgroup_path_of_id(cgroup, path))
		return cgroup != CGROUP_GONE;
	snprintf(file, sizeof(file), "%s/cgroup.events", path);
	events = fopen(file, "re");
	while (events && fgets(line, sizeof(line), events)) {
		if (sscanf(line, "populated %d", &populated) == 1)
			break;
	}
	if (events)
		fclose(events);
	return populated;
}

/* Was the set on cgroups, and are they all gone? With --empty: or without a process. */
static int is_over(const struct cgroup_links *links)
{
	size_t i;

	for (i = 0; i < links->count; i++) {
		if (options.empty ? is_populated(links->link[i].cgroup)
				  : links->link[i].cgroup != CGROUP_GONE)
			return 0;
	}
	return links->count != 0;
}

static void sweep_set(const char *directory, const char *name, void *context)
{
	struct sweep *sweep = context;
	struct cgroup_links links;
	int over;

	/* also one of another version of the maps: only its links are looked at */
	if (pin_check() || cgroup_links_read(&links)) {
		sweep->failed = 1;
		return;
	}
	over = is_over(&links);
	cgroup_links_free(&links);
	if (!over)
		return;
	if (pin_remove_all()) {
		sweep->failed = 1;
		return;
	}
	say("removed: %s, whose cgroup is gone%s", name, options.empty ? " or empty" : "");
	json_object_array_add(sweep->removed, json_object_new_string(directory));
}

int command_sweep(int argc, char **argv)
{
	struct sweep sweep = {};
	struct json_object *object;
	int result;

	(void)argc;
	(void)argv;
	if (pin_lock())
		return -1;
	if (!options.set)
		options.sets = options.pin; /* goes with its last set */
	sweep.removed = json_object_new_array();
	result = choose_some(sweep_set, &sweep) || sweep.failed ? -1 : 0;
	if (!options.json || result) {
		json_object_put(sweep.removed);
		return result;
	}
	object = set_object();
	json_object_object_add(object, "removed", sweep.removed);
	print_json(object);
	return 0;
}
