/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports and whole sets that are being removed: they wait for the last connection whose header
 * pp_in has taken out.
 */
#ifndef PPCTL_DRAIN_H
#define PPCTL_DRAIN_H

#include <stdint.h>

#include <pp/maps.h>

#include "translated.h"

/* Is the set going down? */
int drain_is_down(void);
/* Goes on with what earlier commands have begun: a port that has drained is removed, and so is a
 * set that is going down. For every command that has the lock. */
int drain_finish(void);
/* 'ppctl up' on a set that is going down: its ports are served again. @taken: receives 1 if it was.
 */
int drain_take_back(int *taken);
/* Serves @port with the policy @wanted. Return: 0, -1, or -2: see errno of the map's update. */
int drain_port_add(int map, const struct pp_port_key *port, const struct pp_port *wanted);
/* down.c: removes the set at options.pin. Return: 0; 1: when its connections are gone; or -1. */
int drain_remove(void);
/* How many connections keep it from being removed at once. Changes nothing. Return: 0, or -1. */
int drain_left(size_t *left);
/* Removes @port, at once or when it has drained. @waits_for: receives how many connections;
 * or NULL. */
int drain_port_del(int map, const struct pp_port_key *port, size_t *waits_for);

/* Sets the whole set going down: all ports drain. @list: receives the connections that are left; a
 * header that was on its way meanwhile has its socket after that. After 0, free it. Return: 0, or
 * -1. */
int drain_begin(int ports, struct translated_list *list);

#endif
