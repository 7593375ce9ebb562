// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sockets whose header pp_in has taken out, as pp_count lists them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "ppctl.h"
#include "translated.h"

#define MAP_ORIGINS "pp_origins"

static int read_iterator(int iterator, struct translated_list *list)
{
	struct pp_translated entries[256], *all;
	char *at = (char *)entries;
	size_t have = 0;
	ssize_t len;

	for (;;) {
		len = read(iterator, at + have, sizeof(entries) - have);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len <= 0)
			return len;
		have += len;
		len = have / sizeof(entries[0]);
		all = array_grow(list->sockets, list->count, len, sizeof(entries[0]));
		if (!all)
			return -1;
		list->sockets = all;
		memcpy(all + list->count, entries, len * sizeof(entries[0]));
		list->count += len;
		have -= len * sizeof(entries[0]);
		memmove(at, at + len * sizeof(entries[0]), have);
	}
}

int translated_read(struct translated_list *list)
{
	union bpf_iter_link_info info = {};
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info,
			    .iter_info_len = sizeof(info));
	int program = pin_open("progs", COUNT_PROGRAM);
	int map = pin_open("maps", MAP_ORIGINS), link = -1, iterator = -1, result = -1;

	memset(list, 0, sizeof(*list));
	if (program < 0 || map < 0) { /* no set, or none that splits */
		result = 0;
		goto out;
	}
	info.map.map_fd = map;
	link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);
	if (link >= 0)
		iterator = bpf_iter_create(link);
	if (iterator >= 0)
		result = read_iterator(iterator, list);
	if (result)
		error("counting connections (%s over %s): %s", COUNT_PROGRAM, MAP_ORIGINS,
		      strerror(errno));
out:
	if (iterator >= 0)
		close(iterator);
	if (link >= 0)
		close(link);
	if (map >= 0)
		close(map);
	if (program >= 0)
		close(program);
	return result;
}

void translated_free(struct translated_list *list)
{
	free(list->sockets);
	memset(list, 0, sizeof(*list));
}

/* A port that is not in the list may be that of a server after DNAT. Then no served port is
 * drained, since its proxy may have connected to any of them. */
size_t translated_on(const struct translated_list *list, int ports_map, uint16_t port)
{
	struct pp_port policy;
	size_t i, count = 0;

	for (i = 0; i < list->count; i++) {
		if (list->sockets[i].port == port ||
		    bpf_map_lookup_elem(ports_map, &list->sockets[i].port, &policy))
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
