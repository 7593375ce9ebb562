// SPDX-License-Identifier: BSD-2-Clause
/*
 * The container's state, and its cgroup.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci.h"

#define HASH_LEN  17 /* "-" and 16 digits */
#define NAME_KEPT (SET_NAME_MAX - HASH_LEN)

/* FNV-1a */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * 0x100000001b3;
	return value;
}

/* A set is called as the first characters of the container's id. Those that engines make are random
 * numbers; of others that are too long for a set, or have other characters, the first ones may be
 * another container's, too. */
static void make_set_name(char set[SET_NAME_MAX + 1], const char *id)
{
	size_t len = strlen(id), i;
	int whole;

	whole = len <= SET_NAME_MAX || strspn(id, "0123456789abcdef") == len;
	snprintf(set, SET_NAME_MAX + 1, "%.*s", SET_NAME_MAX, id);
	for (i = 0; set[i]; i++) {
		if (isalnum((unsigned char)set[i]) || strchr("-_", set[i]))
			continue;
		set[i] = '_';
		whole = 0;
	}
	if (!whole)
		snprintf(set + (i < NAME_KEPT ? i : NAME_KEPT), HASH_LEN + 1, "-%016llx",
			 (unsigned long long)hash(id));
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
	container->process = -1;
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
	if (container->process >= 0)
		close(container->process);
	memset(container, 0, sizeof(*container));
	container->process = -1;
}

/* The line of cgroup v2 in /proc/PID/cgroup is "0::/PATH". @folder: of the process, in /proc.
 * Return: 0, with an empty path for the root; or -1. */
static int read_cgroup(int folder, char cgroup[PATH_MAX])
{
	int fd = openat(folder, "cgroup", O_RDONLY | O_CLOEXEC), result = -1;
	FILE *lines = fd >= 0 ? fdopen(fd, "r") : NULL;
	char line[PATH_MAX];
	size_t len;

	while (lines && fgets(line, sizeof(line), lines)) {
		len = strlen(line);
		if (strncmp(line, "0::/", 4) || line[len - 1] != '\n')
			continue;
		line[len - 1] = 0;
		snprintf(cgroup, PATH_MAX, "%s", line + 4);
		result = 0;
	}
	if (lines)
		fclose(lines);
	return result;
}

/* Is this process, and so the runtime's, in @cgroup or below it? */
static int has_this_process(const char *cgroup)
{
	int folder = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC), result;
	char own[PATH_MAX];
	size_t len = strlen(cgroup);

	result = folder < 0 || read_cgroup(folder, own) ||
		 (!strncmp(own, cgroup, len) && (!own[len] || own[len] == '/'));
	if (folder >= 0)
		close(folder);
	return result;
}

int container_cgroup(struct container *container, char cgroup[PATH_MAX])
{
	char folder[64], path[PATH_MAX];

	/* by one descriptor: the number may be another process's when this one ends */
	snprintf(folder, sizeof(folder), "/proc/%d", container->pid);
	if (container->pid > 0)
		container->process = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (container->process < 0) {
		say("container %s: the state has no process (pid %d): the hook's stage is "
		    "createRuntime",
		    container->set, container->pid);
		return -1;
	}
	if (read_cgroup(container->process, path) || !path[0] || !strncmp(path, "..", 2)) {
		say("container %s: it has no cgroup v2 of its own (%s/cgroup): ppsplit would serve "
		    "other processes, too",
		    container->set, folder);
		return -1;
	}
	if (has_this_process(path)) {
		say("container %s: its cgroup %s is the runtime's, too: ppsplit would serve other "
		    "processes, too; let the engine make one for it",
		    container->set, path);
		return -1;
	}
	/* "self" and "parent" are names of ppctl's */
	if (snprintf(cgroup, PATH_MAX, "./%s", path) < PATH_MAX)
		return 0;
	say("container %s: the name of its cgroup is too long", container->set);
	return -1;
}
