/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of the programs that are up, for the net tests; @name: as it is pinned.
 */
#ifndef MAP_H
#define MAP_H

#define MAP_KEY_MAX 128 /* bytes of any map's key */

/* A descriptor, or a failed test. */
int map_open(const char *name);
/* How many entries it has. */
int entries(const char *name);
/* Waits until it has none, fails after SOON_MS. */
void assert_empties(const char *map);
/* Removes all of its entries. */
void map_clear(const char *name);

#endif
