/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of 'ppctl status' share; 'ppctl metrics' prints the same in another way.
 *
 * The state of a set is a JSON object, as docs/json.md has it under "status".
 */
#ifndef PPCTL_STATUS_H
#define PPCTL_STATUS_H

#include <stddef.h>

#include <json-c/json.h>

#include "live.h"

/* Health of a set, as monitoring plugins exit with it. */
enum health {
	HEALTH_SERVING = 0,
	HEALTH_DEGRADED = 1,
	HEALTH_DOWN = 2,
};

extern const char *const health_names[];

/* status.c: the state of each set that is asked for, with its health. @worst: receives that of the
 * worst. Return: an array; or NULL after an error. */
struct json_object *status_read(enum health *worst);

/* programs.c: programs and their links; and the cgroups they are on, each once, in @cgroups */
struct json_object *programs_read(struct json_object *cgroups);
struct json_object *maps_read(void);
void programs_print(struct json_object *programs);
void maps_print(struct json_object *maps);
extern const char *const served_programs[]; /* on each cgroup, up to NULL */

/* health.c: adds "health" and "findings" to the state of a set. Return: its health. */
enum health health_judge(struct json_object *set);
/* A set of which nothing but @why and what to @do is known. */
enum health health_set(struct json_object *set, enum health health, const char *finding,
		       const char *why, const char *remedy);

/* peers.c: pp_refused or pp_unmarked, the latest first */
struct json_object *peers_read(const char *map);
/* "12 times, the last 3 s ago, on port 25". Return: @text. */
#define PEER_WHEN_MAX 96
const char *peer_when(struct json_object *peer, char text[PEER_WHEN_MAX]);

/* A server that means to ask for the origin of a connection has done so after this time. */
#define UNASKED_S 5

/* figures.c: live connections by port and by proxy */
struct json_object *figures_read(const struct live_list *live, struct json_object *ports,
				 struct json_object *proxies, struct json_object *senders);
/* " 3 connections: 2 valid, 1 bad" of an entry */
void figures_print(struct json_object *entry);

#endif
