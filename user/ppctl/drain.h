/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections whose header pp_in has taken out ("translated"), and what waits for the last of them:
 * ports and whole sets that are being removed.
 */
#ifndef PPCTL_DRAIN_H
#define PPCTL_DRAIN_H

#include <stddef.h>
#include <stdint.h>

#include <pp/maps.h>

#define EXIT_DRAINING 2 /* of 'ppctl down': connections are left */

struct translated_list {
	struct pp_translated *sockets;
	size_t count;
};

/* The sockets that are translated now. Return: 0, or -1; free it after 0. */
int translated_read(struct translated_list *list);
void translated_free(struct translated_list *list);
/* How many of these keep @port from being drained. */
size_t translated_on(const struct translated_list *list, int ports_map, uint16_t port);

/* Is the set going down? */
int drain_is_down(void);
/* Goes on with what earlier commands have begun: a port that has drained is removed, and so is a
 * set that is going down. For every command that has the lock. */
int drain_finish(void);
/* 'ppctl up' on a set that is going down: its ports are served again. @taken: receives 1 if it was.
 */
int drain_take_back(int *taken);
/* Serves @port with the policy @wanted. Return: 0, -1, or -2: see errno of the map's update. */
int drain_port_add(int map, uint16_t port, const struct pp_port *wanted);
/* Hooks are about to come where there were none. */
void flows_forget_old(void);
/* Removes @port, at once or when it has drained. */
int drain_port_del(int map, uint16_t port);

/* destroy.c: resets these sockets, in whichever network namespace they are. Return: 0; or -1: the
 * kernel cannot. */
int sockets_destroy(const struct translated_list *list);

#endif
