// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sockets that have a record, as the iterator pp_count writes them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/array.h"
#include "live.h"
#include "ppctl.h"

#define MAP_ORIGINS "pp_origins"
#define READ_STEP   65536

/* Return: how many bytes @bytes receives, or -1. */
static ssize_t read_all(int iterator, char **bytes)
{
	size_t have = 0;
	ssize_t len;
	char *grown;

	for (;;) {
		grown = array_grow(*bytes, have, READ_STEP, 1);
		if (!grown)
			return -1;
		*bytes = grown;
		len = read(iterator, grown + have, READ_STEP);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len <= 0)
			return len ? -1 : (ssize_t)have;
		have += len;
	}
}

static int add_entries(struct live_list *list, size_t len)
{
	struct connection next, *grown;
	size_t at = 0, left;

	while (at < len) {
		left = len - at;
		memset(&next, 0, sizeof(next));
		memcpy(&next.live, list->bytes + at,
		       left < sizeof(next.live) ? left : sizeof(next.live));
		if (next.live.size != sizeof(next.live) || next.live.magic != PP_LIVE_MAGIC ||
		    left < sizeof(next.live) + next.live.kept)
			return error("the programs at %s are of another build: 'ppctl upgrade' "
				     "replaces them",
				     options.pin);
		grown = array_grow(list->sockets, list->count, 1, sizeof(*list->sockets));
		if (!grown)
			return error("%s", strerror(ENOMEM));
		list->sockets = grown;
		next.header = (const uint8_t *)list->bytes + at + sizeof(next.live);
		grown[list->count++] = next;
		at += sizeof(next.live) + next.live.kept;
	}
	return 0;
}

static int read_iterator(int program, int map, struct live_list *list)
{
	union bpf_iter_link_info info = {.map.map_fd = map};
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info,
			    .iter_info_len = sizeof(info));
	int link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts), iterator = -1;
	ssize_t len = -1;

	if (link >= 0)
		iterator = bpf_iter_create(link);
	if (iterator >= 0)
		len = read_all(iterator, &list->bytes);
	if (len < 0)
		error("listing connections (%s over %s): %s", COUNT_PROGRAM, MAP_ORIGINS,
		      strerror(errno));
	if (iterator >= 0)
		close(iterator);
	if (link >= 0)
		close(link);
	return len < 0 ? -1 : add_entries(list, len);
}

int live_read(struct live_list *list)
{
	int program = pin_open("progs", COUNT_PROGRAM), map = pin_open("maps", MAP_ORIGINS);
	int result = 0;

	memset(list, 0, sizeof(*list));
	if (program >= 0 && map >= 0) /* else there is no set */
		result = read_iterator(program, map, list);
	if (map >= 0)
		close(map);
	if (program >= 0)
		close(program);
	if (result)
		live_free(list);
	return result;
}

void live_free(struct live_list *list)
{
	free(list->sockets);
	free(list->bytes);
	memset(list, 0, sizeof(*list));
}

unsigned int live_state(const struct pp_live *live)
{
	unsigned int state = live->record.state;
	int decoded = state == PP_STATE_VALID || state == PP_STATE_LOCAL || state == PP_STATE_BAD;

	/* a header that is not in its segment any more has been accepted with it */
	if (!decoded || live->settled || live->record.flags & PP_RECORD_SPLIT)
		return state;
	if (live->received)
		return live->received < live->record.header_len ? PP_STATE_FRAGMENTED : state;
	return PP_STATE_PENDING;
}

int64_t live_age_s(const struct pp_live *live)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!live->made_s)
		return -1;
	return now.tv_sec > live->made_s ? now.tv_sec - live->made_s : 0;
}

static int is_v4_mapped(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(address, mapped, sizeof(mapped));
}

void mapped_endpoint(struct sockaddr_storage *endpoint, const uint8_t address[16],
		     unsigned int port)
{
	if (is_v4_mapped(address))
		endpoint_make(endpoint, AF_INET, address + 12, port);
	else
		endpoint_make(endpoint, AF_INET6, address, port);
}

int mapped_matches(const struct prefix *prefix, const uint8_t address[16])
{
	uint8_t wanted[16];
	uint32_t length, i;

	if ((prefix->family == AF_INET) != is_v4_mapped(address))
		return 0;
	prefix_to_mapped(prefix, wanted, &length);
	for (i = 0; i < length; i++) {
		if ((wanted[i / 8] ^ address[i / 8]) >> (7 - i % 8) & 1)
			return 0;
	}
	return 1;
}
