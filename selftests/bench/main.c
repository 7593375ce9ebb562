// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: bench [--json FILE] [--instructions] [--count N] [--rounds N] [--row TEXT] [GROUP...]
 *
 * The benchmark, under selftests/tools/lab and after selftests/bench/setup, which starts it.
 * Without a GROUP all of them. --instructions: in a guest under QEMU -icount, where a nanosecond is
 * an instruction, and few rounds are enough.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <json-c/json.h>

#include "bench.h"
#include "place.h"

#define GROUPS_MAX 32

static const struct group *all[GROUPS_MAX];
static size_t count;

static void list_groups(void)
{
	static const struct group *const others[] = {
		&stream_group,	    &loss_group,	   &calls_group,
		&sender_group,	    &growth_proxies_group, &growth_ports_group,
		&growth_live_group, &idle_group,	   &apply_group,
	};
	size_t i;

	for (i = 0; i < connect_group_count; i++)
		all[count++] = &connect_groups[i];
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		all[count++] = others[i];
}

static int usage(void)
{
	size_t i;

	fprintf(stderr, "usage: bench [--json FILE] [--instructions] [--count N] [--rounds N] "
			"[--row TEXT] [GROUP...]\ngroups:\n");
	for (i = 0; i < count; i++)
		fprintf(stderr, "  %-16s %s\n", all[i]->name, all[i]->title);
	return 2;
}

static int is_group(const char *name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strcmp(all[i]->name, name))
			return 1;
	}
	return 0;
}

static int is_wanted(const struct group *group, char **names, int named)
{
	int i;

	for (i = 0; i < named; i++) {
		if (!strcmp(group->name, names[i]))
			return 1;
	}
	return !named;
}

static struct json_object *json_begin(const struct setting *setting, struct json_object *results)
{
	struct json_object *object = json_object_new_object();
	struct utsname kernel;

	uname(&kernel);
	json_object_object_add(object, "kernel", json_object_new_string(kernel.release));
	json_object_object_add(object, "instructions", json_object_new_boolean(setting->guest));
	json_object_object_add(object, "groups", results);
	return object;
}

/* Return: how many arguments were options; or -1. */
static int read_options(int argc, char **argv, struct setting *setting, const char **file)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--instructions"))
			setting->guest = 1;
		else if (!strcmp(argv[i], "--json") && i + 1 < argc)
			*file = argv[++i];
		else if (!strcmp(argv[i], "--row") && i + 1 < argc)
			setting->row = argv[++i];
		else if (!strcmp(argv[i], "--count") && i + 1 < argc)
			setting->count = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
			setting->rounds = atoi(argv[++i]);
		else
			return -1;
	}
	if (setting->count < 0 || setting->rounds < 0 || setting->rounds > ROUNDS_MAX)
		return -1;
	return i;
}

int main(int argc, char **argv)
{
	struct json_object *results = json_object_new_array(), *object;
	struct setting setting = {};
	const char *file = NULL;
	int first, i;
	size_t k;

	list_groups();
	first = read_options(argc, argv, &setting, &file);
	for (i = first; first > 0 && i < argc; i++) {
		if (!is_group(argv[i]))
			first = -1;
	}
	if (first < 0)
		return usage();
	place_setup();
	for (k = 0; k < count; k++) {
		if (is_wanted(all[k], argv + first, argc - first))
			group_run(all[k], &setting, results);
	}
	object = json_begin(&setting, results);
	if (file && json_object_to_file_ext(file, object, JSON_C_TO_STRING_PRETTY))
		fail(file);
	json_object_put(object);
	return 0;
}
