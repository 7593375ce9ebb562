// SPDX-License-Identifier: BSD-2-Clause
/*
 * The container's state, and its cgroup.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci.h"

/* A set is called as the first characters of the container's id. */
static void make_set_name(char set[SET_NAME_MAX + 1], const char *id)
{
	size_t i;

	snprintf(set, SET_NAME_MAX + 1, "%s", id);
	for (i = 0; set[i]; i++) {
		if (!isalnum((unsigned char)set[i]) && set[i] != '-')
			set[i] = '_';
	}
}

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

int container_read(struct container *container, const char *text)
{
	struct json_object *value;

	memset(container, 0, sizeof(*container));
	container->state = json_tokener_parse(text);
	if (!json_object_is_type(container->state, json_type_object) ||
	    !string_of(container->state, "id")[0]) {
		say("standard input is not the state of a container, an object in JSON with an id: "
		    "an OCI runtime calls this program");
		container_free(container);
		return -1;
	}
	make_set_name(container->set, string_of(container->state, "id"));
	container->stopped = !strcmp(string_of(container->state, "status"), "stopped");
	if (json_object_object_get_ex(container->state, "pid", &value))
		container->pid = json_object_get_int(value);
	json_object_object_get_ex(container->state, "annotations", &container->annotations);
	return 0;
}

void container_free(struct container *container)
{
	json_object_put(container->state);
	memset(container, 0, sizeof(*container));
}

/* The line of cgroup v2 in /proc/PID/cgroup is "0::/PATH". */
int container_cgroup(const struct container *container, char cgroup[PATH_MAX])
{
	char file[64], line[PATH_MAX];
	FILE *lines;

	cgroup[0] = 0;
	snprintf(file, sizeof(file), "/proc/%d/cgroup", container->pid);
	lines = container->pid > 0 ? fopen(file, "re") : NULL;
	if (!lines) {
		say("container %s: the state has no process (pid %d): the hook's stage is "
		    "createRuntime",
		    container->set, container->pid);
		return -1;
	}
	while (fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "0::/", 4))
			snprintf(cgroup, PATH_MAX, "%s", line + 4);
	}
	fclose(lines);
	if (cgroup[0] && strncmp(cgroup, "..", 2))
		return 0;
	say("container %s: it has no cgroup v2 of its own (%s): ppsplit would serve other "
	    "processes, "
	    "too",
	    container->set, file);
	return -1;
}
