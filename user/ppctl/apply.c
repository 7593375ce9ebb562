// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl apply: makes the sets below the pin directory what ppsplit.conf says.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/array.h"
#include "engine.h"
#include "build.h"
#include "drain.h"
#include "interface.h"
#include "upgrade.h"

/* What 'ppctl apply' is about. */
struct application {
	const char *dir;
	struct config config;
	struct words pins; /* of the sections, in their order */
	struct words sets; /* that are there */
	struct words gone; /* of these: no section names them */
	struct job *jobs;
	struct json_object *changes;
};

static int has_word(const struct words *words, const char *text)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		if (!strcmp(words->word[i].text, text))
			return 1;
	}
	return 0;
}

static const char *set_name(const struct application *application, const char *pin)
{
	return pin + strlen(application->dir) + 1;
}

static int find_sets(struct application *application)
{
	struct problems problems = {};
	char pin[PATH_MAX];
	int result = sets_list(application->dir, &application->sets);
	size_t i;

	for (i = 0; i < application->config.count; i++) {
		snprintf(pin, sizeof(pin), "%s/%s", application->dir,
			 application->config.sections[i].name);
		section_add_word(&application->pins, pin, 0, "set", &problems);
	}
	for (i = 0; i < application->sets.count; i++) {
		if (!strcmp(application->sets.word[i].text, application->dir))
			warn("the set at %s is of 'ppctl up', and stays as it is: 'ppctl down' "
			     "removes it",
			     application->dir);
		else if (!has_word(&application->pins, application->sets.word[i].text))
			section_add_word(&application->gone, application->sets.word[i].text, 0,
					 "set", &problems);
	}
	if (problems.errors)
		result = error("%s", problems.count ? problems.problem[0].text : strerror(ENOMEM));
	problems_free(&problems);
	return result;
}

static void list_line(struct application *application, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void list_line(struct application *application, const char *format, ...)
{
	va_list arguments;
	char line[256];

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	json_object_array_add(application->changes, json_object_new_string(line));
}

/* What becomes of the set as a whole. */
static void list_state(struct application *application, const struct job *job)
{
	const char *name = job->wanted->name;

	if (job->state == SET_REST || job->state == SET_LOST)
		list_line(application, "- what is left of the set %s", name);
	if (job->state != SET_THERE)
		list_line(application, "+ set %s", name);
	if (job->going_down)
		list_line(application, "~ going down no more (%s)", name);
	if (job->broken)
		list_line(application, "~ a change that was broken off (%s)", name);
	if (job->of_another)
		list_line(application, "~ programs of another build (%s)", name);
	else if (job->unpinned)
		list_line(application, "~ programs that are not pinned any more (%s)", name);
}

static int plan_gone(struct application *application, const char *pin)
{
	const char *name = set_name(application, pin);
	size_t left;

	options.pin = pin;
	if (pin_check() || version_check() || drain_left(&left))
		return -1;
	if (left)
		list_line(application, "- set %s, which waits for connections: %zu", name, left);
	else
		list_line(application, "- set %s", name);
	return 0;
}

static int plan_all(struct application *application)
{
	struct words others = {};
	struct problems problems = {};
	struct job *job;
	int result = 0;
	size_t i;

	application->jobs = calloc(application->config.count + 1, sizeof(*application->jobs));
	if (!application->jobs)
		return error("%s", strerror(ENOMEM));
	/* the file was checked: what sets of it have now, others of them may have then */
	for (i = 0; i < application->pins.count; i++)
		section_add_word(&others, application->pins.word[i].text, 0, "", &problems);
	for (i = 0; i < application->gone.count; i++) {
		section_add_word(&others, application->gone.word[i].text, 0, "", &problems);
		result |= plan_gone(application, application->gone.word[i].text);
	}
	for (i = 0; i < application->config.count && !result; i++) {
		job = &application->jobs[i];
		job->wanted = &application->config.sections[i];
		job->pin = application->pins.word[i].text;
		job->exact = 1;
		result = engine_plan(job, &others);
		if (result)
			break;
		list_state(application, job);
		plan_list(&job->plan, job->wanted->name, application->changes);
	}
	problems_free(&problems);
	section_free(&(struct section){.cgroups = others});
	return result ? -1 : 0;
}

/* Sets that no section names, as 'ppctl down' removes them. */
static int remove_gone(struct application *application)
{
	size_t i;
	int result;

	for (i = 0; i < application->gone.count; i++) {
		options.pin = application->gone.word[i].text;
		result = drain_remove();
		if (result < 0)
			return -1;
	}
	return 0;
}

static void say_missing(const struct section *section, struct json_object *all)
{
	struct json_object *list = names_missing(&section->cgroups, &section->senders), *one;
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		json_object_object_add(one, "set", json_object_new_string(section->name));
		json_object_array_add(all, json_object_get(one));
		if (!options.json)
			warn("[serve %s]: %s %s does not exist: 'ppctl apply' again when it does, "
			     "as in ExecStartPre= of its unit",
			     section->name,
			     json_object_get_string(json_object_object_get(one, "kind")),
			     json_object_get_string(json_object_object_get(one, "name")));
	}
	json_object_put(list);
}

static void report(struct application *application)
{
	struct json_object *object = json_object_new_object(), *missing = json_object_new_array();
	size_t i;

	make_printable(application->changes);
	for (i = 0; !options.json && i < json_object_array_length(application->changes); i++)
		printf("%s\n",
		       json_object_get_string(json_object_array_get_idx(application->changes, i)));
	for (i = 0; i < application->config.count; i++)
		say_missing(&application->config.sections[i], missing);
	json_object_object_add(object, "dry_run", json_object_new_boolean(options.dry_run));
	json_object_object_add(object, "changes", json_object_get(application->changes));
	json_object_object_add(object, "missing", missing);
	if (options.json)
		print_json(object);
	else
		json_object_put(object);
}

static int run(struct application *application)
{
	/* sets that go first: their cgroups may be wanted by others */
	if (!options.dry_run &&
	    (remove_gone(application) || engine_run(application->jobs, application->config.count)))
		return -1;
	report(application);
	return 0;
}

static void application_free(struct application *application)
{
	size_t i;

	for (i = 0; application->jobs && i < application->config.count; i++)
		job_free(&application->jobs[i]);
	free(application->jobs);
	section_free(&(struct section){.cgroups = application->pins,
				       .senders = application->sets,
				       .interfaces = application->gone});
	config_free(&application->config);
	json_object_put(application->changes);
}

int command_apply(int argc, char **argv)
{
	struct application application = {.dir = options.pin};
	int result;

	if (config_load(argc ? argv[0] : DEFAULT_CONFIG, &application.config, 0))
		return -1;
	application.changes = json_object_new_array();
	options.names_later = 1;
	result = check_system() || pin_lock() || pin_check();
	options.sets = application.dir;
	result = result || find_sets(&application) || plan_all(&application) || run(&application);
	options.pin = application.dir;
	application_free(&application);
	return result ? -1 : 0;
}
