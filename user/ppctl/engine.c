// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sets as they are wanted. First it is found out what differs, and what stands against it; then a
 * set is marked as one that is being changed, changed, compared again, and unmarked. What fails is
 * taken back; what is killed leaves the mark, and the next call completes it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "engine.h"
#include "build.h"
#include "drain.h"
#include "interface.h"
#include "port_map.h"
#include "upgrade.h"

void job_free(struct job *job)
{
	plan_free(&job->plan);
	section_free(&job->before);
}

/* Which of these sets has the program @gate on a cgroup? */
static int find_gate(const struct words *paths, uint32_t gate, char set[PATH_MAX])
{
	const char *pin = options.pin;
	struct cgroup_links links;
	size_t i, k;
	int found = 0;

	for (i = 0; i < paths->count && !found; i++) {
		options.pin = paths->word[i].text;
		if (!cgroup_links_read(&links)) {
			for (k = 0; k < links.count; k++)
				found |= links.link[k].program_id == gate;
		}
		cgroup_links_free(&links);
		if (found)
			snprintf(set, PATH_MAX, "%s", paths->word[i].text);
	}
	options.pin = pin;
	return found;
}

void set_of_gate(uint32_t gate, char set[PATH_MAX])
{
	char root[PATH_MAX], dir[2 * PATH_MAX];
	struct words paths = {};
	struct dirent *entry;
	int found = 0;
	DIR *folder;

	set[0] = 0;
	if (pin_root(root))
		return;
	folder = opendir(root);
	while (folder && !found && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(dir, sizeof(dir), "%s/%s", root, entry->d_name);
		if (!sets_list(dir, &paths))
			found = find_gate(&paths, gate, set);
		section_free(&(struct section){.cgroups = paths});
	}
	if (folder)
		closedir(folder);
}

static int is_ignored(const struct words *ignored, const char *set)
{
	size_t i;

	for (i = 0; ignored && i < ignored->count; i++) {
		if (!strcmp(ignored->word[i].text, set))
			return 1;
	}
	return 0;
}

/* The kernel would run the programs of both for each packet. */
static int check_other_sets(const struct section *wanted, const struct words *ignored)
{
	char path[PATH_MAX], where[PATH_MAX], set[PATH_MAX];
	uint32_t gate;
	size_t i;

	for (i = 0; i < wanted->cgroups.count; i++) {
		if (cgroup_find(wanted->cgroups.word[i].text, path) > CGROUP_ROOT)
			continue;
		gate = cgroup_other_set(path, where);
		if (!gate)
			continue;
		set_of_gate(gate, set);
		/* what is left of this one is removed first */
		if (!strcmp(set, options.pin) || is_ignored(ignored, set))
			continue;
		return error("cgroup %s is served by another set already, %s%s (%s): 'ppctl down' "
			     "of that one first, or name another cgroup",
			     path,
			     set[0] ? "pinned at " : "which is not pinned on this BPF file system",
			     set, where);
	}
	return 0;
}

/* Names and streams of the connections there need the programs. */
static int check_cgroups_that_go(const struct plan *plan)
{
	struct translated_list list;
	const char *cgroup = NULL;
	size_t i, left;

	for (i = 0; i < plan->count; i++) {
		if (plan->change[i].kind == CHANGE_CGROUP && plan->change[i].sign == '-' &&
		    plan->change[i].cgroup)
			cgroup = plan->change[i].path;
	}
	if (!cgroup)
		return 0;
	if (translated_read(&list))
		return -1;
	left = list.count;
	translated_free(&list);
	if (!left)
		return 0;
	return error("cgroup %s cannot be left out while the set has connections whose header was "
		     "taken out of the stream (%zu): stop its server, then apply again; nothing "
		     "was changed",
		     cgroup, left);
}

static int programs_are_pinned(void)
{
	size_t i;

	for (i = 0; cgroup_program(i); i++) {
		if (!pin_exists("progs", cgroup_program(i)))
			return 0;
	}
	return 1;
}

/* What is left of a set is removed first: all that is wanted is to come. */
static int plan_from_nothing(struct job *job)
{
	char nowhere[PATH_MAX];
	int result;

	snprintf(nowhere, sizeof(nowhere), "%s/none", job->pin);
	options.pin = nowhere;
	result = plan_make(job->wanted, job->exact, &job->plan);
	options.pin = job->pin;
	return result;
}

/* The maps of a set keep their size: another one would lose what its connections have. */
static void say_connections(const struct section *wanted)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int map = pin_open("maps", "pp_senders"); /* as many entries as connections */

	if (map < 0)
		return;
	if (!bpf_obj_get_info_by_fd(map, &info, &len) && wanted->connections &&
	    info.max_entries != wanted->connections)
		warn("connections %u: the set at %s is made for %u, and stays so until 'ppctl "
		     "down'",
		     wanted->connections, options.pin, info.max_entries);
	close(map);
}

int engine_plan(struct job *job, const struct words *ignored)
{
	options.pin = job->pin;
	if (pin_check() || version_check())
		return -1;
	job->state = set_state();
	if (job->state == SET_LOST && !job->exact)
		return error("a list of the set at %s is gone from %s/maps: 'ppctl down' removes "
			     "the rest, then 'ppctl up' with all options makes it anew",
			     options.pin, options.pin);
	if (check_other_sets(job->wanted, ignored) || section_of_set(&job->before))
		return -1;
	if (job->state != SET_THERE)
		return plan_from_nothing(job);
	say_connections(job->wanted);
	job->broken = set_is_broken();
	job->going_down = drain_is_down();
	job->of_another = !build_is_same();
	job->unpinned = !programs_are_pinned();
	return plan_make(job->wanted, job->exact, &job->plan) || check_cgroups_that_go(&job->plan)
		       ? -1
		       : 0;
}

static int set_flag(__u32 flag, int on)
{
	int map = pin_open_map(MAP_CONFIG), result;

	if (map < 0)
		return -1;
	result = config_change(map, flag, on);
	close(map);
	return result;
}

/* Names that were given before stay, unless they are to go. */
static int note_names(const struct section *wanted, int exact)
{
	struct problems problems = {};
	struct configured configured;
	int result;
	size_t i;

	if (exact)
		return configured_write(&wanted->cgroups, &wanted->senders);
	if (configured_read(&configured))
		return -1;
	for (i = 0; i < wanted->senders.count; i++)
		section_add_word(&configured.senders, wanted->senders.word[i].text, 0,
				 "proxy-cgroup", &problems);
	result = problems.errors ? error("%s", strerror(ENOMEM))
				 : configured_write(&wanted->cgroups, &configured.senders);
	problems_free(&problems);
	configured_free(&configured);
	return result;
}

/* Is there anything to do? Hooks that are missing are looked for in any case. */
static int is_due(const struct job *job)
{
	return plan_first(&job->plan) || job->state != SET_THERE || job->broken ||
	       job->going_down || job->of_another || job->unpinned;
}

/* A set of this build, marked, and not going down. */
static int open_set(struct job *job)
{
	options.pin = job->pin;
	if (!is_due(job))
		return drain_finish();
	job->opened = 1;
	if (job->state != SET_THERE) {
		if (job->state != SET_NONE && pin_remove_all())
			return -1;
		if (pin_make_directories() || set_make(job->wanted->connections))
			return -1;
		/* some of it may have been part of the rest */
		plan_free(&job->plan);
		if (plan_make(job->wanted, job->exact, &job->plan))
			return -1;
	} else if (set_flag(PP_CONFIG_CHANGING, 1)) {
		return -1;
	}
	if (!build_is_same() || !programs_are_pinned()) {
		if (upgrade())
			return -1;
		job->replaced = job->state == SET_THERE;
	}
	if (drain_take_back(&job->taken_back) || note_names(job->wanted, job->exact))
		return -1;
	/* before anything is believed, and until senders_follow() */
	return job->wanted->senders.count ? set_flag(PP_CONFIG_PROXY_CGROUP, 1) : 0;
}

static int take_away(struct job *job)
{
	options.pin = job->pin;
	return job->opened ? plan_take_away(&job->plan) : 0;
}

static int add(struct job *job)
{
	options.pin = job->pin;
	return job->opened ? plan_add(&job->plan) : 0;
}

/* Interfaces may have come, and hooks may have gone; or the last port with a split has. */
static int look_at_interfaces(void)
{
	int map = pin_open_map(MAP_PORTS), result;

	if (map < 0)
		return -1;
	result = ports_have_split(map) ? interfaces_attach() : interfaces_detach();
	close(map);
	return result;
}

static int follow_senders(void)
{
	int map = pin_open_map(MAP_CONFIG), result;

	if (map < 0)
		return -1;
	result = senders_follow(map);
	close(map);
	return result;
}

/* Is the set what it was to be? */
static int verify(const struct job *job)
{
	const struct change *first;
	struct plan left;
	int result = 0;

	if (plan_make(job->wanted, job->exact, &left))
		return -1;
	first = plan_first(&left);
	if (first)
		result = error("the set at %s is not what it was to be: %c %s", options.pin,
			       first->sign, first->text);
	plan_free(&left);
	return result;
}

static int close_set(struct job *job)
{
	options.pin = job->pin;
	if (look_at_interfaces() || cgroup_programs_detach(CGROUP_GONE))
		return -1;
	if (!job->opened)
		return 0;
	if (senders_sweep() || follow_senders() || verify(job))
		return -1;
	return set_flag(PP_CONFIG_CHANGING, 0);
}

/* Return: 0, or -1: the mark stays. */
static int take_back(struct job *job)
{
	struct job back = {.wanted = &job->before, .pin = job->pin, .exact = 1, .opened = 1};
	int result;

	options.pin = job->pin;
	if (job->state != SET_THERE)
		return pin_remove_all();
	if (plan_make(back.wanted, 1, &back.plan))
		return -1;
	result = note_names(back.wanted, 1) || take_away(&back) || add(&back) || follow_senders() ||
		 verify(&back);
	/* a change that was broken off before is still not complete */
	if (!result && !job->broken)
		result = set_flag(PP_CONFIG_CHANGING, 0);
	plan_free(&back.plan);
	return result ? -1 : 0;
}

static void take_all_back(struct job *jobs, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (jobs[i].opened && take_back(&jobs[i]))
			set_say_broken();
	}
}

int engine_run(struct job *jobs, size_t count)
{
	static int (*const stages[])(struct job * job) = {open_set, take_away, add, close_set};
	size_t stage, i;

	for (stage = 0; stage < ARRAY_SIZE(stages); stage++) {
		for (i = 0; i < count; i++) {
			if (stages[stage](&jobs[i])) {
				take_all_back(jobs, count);
				return -1;
			}
		}
	}
	return 0;
}
