// SPDX-License-Identifier: BSD-2-Clause
/*
 * A set: what is pinned in one directory. pp_build is its mark: it comes when all maps and programs
 * are pinned, before anything is attached, and goes first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "build.h"
#include "engine.h"
#include "upgrade.h"

static const char *const list_maps[] = {MAP_PORTS, MAP_PROXIES, MAP_CONFIG};

static int has_lists(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list_maps); i++) {
		if (!pin_exists("maps", list_maps[i]))
			return 0;
	}
	return 1;
}

enum set_state set_state(void)
{
	int marked = pin_exists("maps", MAP_BUILD);

	if (has_lists() && (marked || upgrade_is_due()))
		return SET_THERE;
	if (marked)
		return SET_LOST;
	return pin_has_any() ? SET_REST : SET_NONE;
}

int set_is_broken(void)
{
	struct pp_config config = {};
	int map = pin_open("maps", MAP_CONFIG);
	__u32 zero = 0;

	if (map < 0)
		return pin_exists("maps", MAP_PORTS);
	if (bpf_map_lookup_elem(map, &zero, &config))
		config.flags = 0;
	close(map);
	return !!(config.flags & PP_CONFIG_CHANGING);
}

void set_say_broken(void)
{
	if (set_is_broken())
		warn("the last change of the set at %s was broken off: 'ppctl apply', or 'ppctl "
		     "up' with all its options, completes it",
		     options.pin);
}

/* What choose_each() passes on. */
struct listing {
	struct words *paths;
	struct problems problems;
};

static void list_set(const char *directory, const char *name, void *context)
{
	struct listing *listing = context;

	(void)name;
	section_add_word(listing->paths, directory, 0, "set", &listing->problems);
}

int sets_list(const char *dir, struct words *paths)
{
	struct listing listing = {.paths = paths};
	const char *pin = options.pin;
	int result;

	memset(paths, 0, sizeof(*paths));
	options.pin = dir;
	result = choose_each(list_set, &listing) ? error("%s: %s", dir, strerror(errno)) : 0;
	options.pin = pin;
	if (listing.problems.errors)
		result = -1;
	problems_free(&listing.problems);
	return result;
}
