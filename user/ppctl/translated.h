/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections whose header pp_in has taken out ("translated"): the sockets, what to do to them, and
 * what the maps remember of them.
 */
#ifndef PPCTL_TRANSLATED_H
#define PPCTL_TRANSLATED_H

#include <stddef.h>
#include <stdint.h>

#include <pp/maps.h>

struct translated_list {
	struct pp_live *sockets;
	size_t count;
};

/* The sockets that are translated now. Return: 0, or -1; free it after 0. */
int translated_read(struct translated_list *list);
void translated_free(struct translated_list *list);
/* How many of these keep @port from being drained. */
size_t translated_on(const struct translated_list *list, int ports_map,
		     const struct pp_port_key *port);
/* How many of these no process has any more. */
size_t translated_orphans(const struct translated_list *list);

/* destroy.c: resets these sockets, in whichever network namespace they are. Return: 0; or -1: the
 * kernel cannot. */
int sockets_destroy(const struct translated_list *list);

/* flow.c: what pp_flows and pp_forwarded have from before @port is served, this time. */
void flows_forget_port(int map, const struct pp_port_key *port);
/* Hooks are about to come where there were none. */
void flows_forget_old(void);

#endif
