// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pinned maps, opened by name.
 */
#include <limits.h>

#include <bpf/bpf.h>

#include "map.h"
#include "net.h"

int map_open(const char *name)
{
	char path[PATH_MAX];
	int map;

	snprintf(path, sizeof(path), "/sys/fs/bpf/pp/maps/%s", name);
	map = bpf_obj_get(path);
	if (map < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return map;
}

int entries(const char *name)
{
	char keys[2][MAP_KEY_MAX], *previous = NULL;
	int map = map_open(name), count = 0;

	while (!bpf_map_get_next_key(map, previous, keys[count & 1]))
		previous = keys[count++ & 1];
	close(map);
	return count;
}

void assert_empties(const char *map)
{
	int tries;

	for (tries = 0; tries < SOON_MS / 10; tries++) {
		if (!entries(map))
			return;
		usleep(10000);
	}
	fail_msg("%s has %d entries left", map, entries(map));
}

void map_clear(const char *name)
{
	char key[MAP_KEY_MAX];
	int map = map_open(name);

	while (!bpf_map_get_next_key(map, NULL, key))
		bpf_map_delete_elem(map, key);
	close(map);
}
