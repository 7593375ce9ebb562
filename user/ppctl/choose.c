// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sets: what one 'ppctl up' makes, pinned in the directory of --pin itself, or in one of it that
 * has the name of --set.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ppctl.h"

#define NAME_MAX_LEN 64

/* Return: 1, 0; or -1 with errno: it cannot be seen. */
static int is_set(const char *directory)
{
	char path[PATH_MAX + 16];
	struct stat st;

	snprintf(path, sizeof(path), "%s/maps", directory);
	if (!stat(path, &st))
		return S_ISDIR(st.st_mode);
	return errno == ENOENT ? 0 : -1;
}

/* Return: 0, or -1 with errno. */
static int visit_directory(const char *directory, const char *name,
			   void (*each)(const char *directory, const char *name, void *context),
			   void *context)
{
	int set = is_set(directory);

	if (set > 0)
		each(directory, name, context);
	/* a pin of another program, a symbolic link to anything */
	return set < 0 && !(name && (errno == ENOTDIR || errno == ELOOP)) ? -1 : 0;
}

int choose_each(void (*each)(const char *directory, const char *name, void *context), void *context)
{
	int result = visit_directory(options.pin, NULL, each, context), number = errno;
	DIR *dir = result ? NULL : opendir(options.pin);
	char directory[PATH_MAX];
	struct dirent *entry;

	if (!dir) {
		errno = result ? number : errno;
		return result || errno != ENOENT ? -1 : 0;
	}
	while (!result && (errno = 0, entry = readdir(dir))) {
		if (!is_set_name(entry->d_name))
			continue;
		snprintf(directory, sizeof(directory), "%s/%s", options.pin, entry->d_name);
		result = visit_directory(directory, entry->d_name, each, context);
	}
	number = errno;
	closedir(dir);
	errno = number;
	return number && (result || !entry) ? -1 : 0;
}

/* Return: -1. */
static int unseen(void)
{
	return error("%s: %s%s", options.pin, strerror(errno),
		     errno == EACCES || errno == EPERM ? " (needs root)" : "");
}

const char *choose_name(const char *directory)
{
	const char *slash = strrchr(directory, '/');

	return slash && slash[1] ? slash + 1 : directory;
}

/* What is to be called for each set, with options.pin being its directory. */
struct visit {
	void (*each)(const char *directory, const char *name, void *context);
	void *context;
	int count;
};

static void visit_set(const char *directory, const char *name, void *context)
{
	const char *pin = options.pin;
	struct visit *visit = context;

	options.pin = directory;
	visit->each(directory, name ? name : choose_name(directory), visit->context);
	visit->count++;
	options.pin = pin;
}

/* Return: how many sets there are; -1 after an error. */
static int visit_sets(void (*each)(const char *directory, const char *name, void *context),
		      void *context)
{
	struct visit visit = {each, context, 0};

	if (options.set ? visit_directory(options.pin, NULL, visit_set, &visit)
			: choose_each(visit_set, &visit))
		return unseen();
	return visit.count;
}

int choose_some(void (*each)(const char *directory, const char *name, void *context), void *context)
{
	return visit_sets(each, context) < 0 ? -1 : 0;
}

int choose_all(void (*each)(const char *directory, const char *name, void *context), void *context)
{
	int count = visit_sets(each, context);

	if (count)
		return count < 0 ? -1 : 0;
	return error("nothing is up at %s: start with 'ppctl up --cgroup PATH', or name another "
		     "directory with --pin",
		     options.pin);
}

struct found {
	int count;
	char directory[PATH_MAX]; /* of one */
	char names[1024];	  /* of all, as an option */
};

static void add_found(const char *directory, const char *name, void *context)
{
	struct found *found = context;
	size_t have = strlen(found->names);

	snprintf(found->names + have, sizeof(found->names) - have, "%s%s %s", have ? ", " : "",
		 name ? "--set" : "--pin", name ? name : directory);
	snprintf(found->directory, sizeof(found->directory), "%s", directory);
	found->count++;
}

int choose_set(enum which_set which)
{
	static struct found found;
	static char directory[PATH_MAX];

	if (options.set) {
		options.sets = options.pin;
		snprintf(directory, sizeof(directory), "%s/%s", options.pin, options.set);
		options.pin = directory;
		return 0;
	}
	if (which != FOR_THE_ONLY_SET || options.pin_given)
		return 0;
	if (choose_each(add_found, &found))
		return unseen();
	if (found.count > 1)
		return usage_error("%d sets are up; which one: %s?", found.count, found.names);
	if (found.count)
		options.pin = found.directory;
	return 0;
}

struct json_object *set_object(void)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "pin", json_object_new_string(options.pin));
	return object;
}
