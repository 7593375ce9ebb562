// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sockets whose header pp_in has taken out, of those that live.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "live.h"
#include "port_map.h"
#include "ppctl.h"
#include "translated.h"

int translated_read(struct translated_list *list)
{
	struct live_list live;
	size_t i;

	memset(list, 0, sizeof(*list));
	if (live_read(&live))
		return -1;
	list->sockets = calloc(live.count + 1, sizeof(*list->sockets));
	for (i = 0; list->sockets && i < live.count; i++) {
		if (live.sockets[i].live.cut)
			list->sockets[list->count++] = live.sockets[i].live;
	}
	live_free(&live);
	return list->sockets ? 0 : error("%s", strerror(ENOMEM));
}

void translated_free(struct translated_list *list)
{
	free(list->sockets);
	memset(list, 0, sizeof(*list));
}

/* A port that is not in the list may be that of a server after DNAT. Then no served port is
 * drained, since its proxy may have connected to any of them. */
size_t translated_on(const struct translated_list *list, int ports_map,
		     const struct pp_port_key *port)
{
	struct pp_port_key keys[PORTS_MAX];
	size_t served = ports_list(ports_map, keys), i, count = 0;
	const struct pp_port_key *found;

	for (i = 0; i < list->count; i++) {
		found = port_match(keys, served, list->sockets[i].local,
				   list->sockets[i].local_port);
		if (!found || port_is_same(found, port))
			count++;
	}
	return count;
}

size_t translated_orphans(const struct translated_list *list)
{
	size_t i, count = 0;

	for (i = 0; i < list->count; i++)
		count += list->sockets[i].orphan;
	return count;
}
