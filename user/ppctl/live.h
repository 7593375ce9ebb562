/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of a set that live, as pp_count lists them, and what is made of that.
 */
#ifndef PPCTL_LIVE_H
#define PPCTL_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "../common/endpoint.h"
#include "../common/prefix.h"
#include <pp/maps.h>

struct connection {
	struct pp_live live;
	const uint8_t *header; /* live.kept bytes of it */
};

struct live_list {
	struct connection *sockets;
	size_t count;
	char *bytes; /* as the kernel has written them */
};

/* Those that have a record now. Return: 0, or -1; free it after 0. */
int live_read(struct live_list *list);
void live_free(struct live_list *list);

/* The record as a server would be told it now: see record_refresh() in bpf/sockopt.h. */
unsigned int live_state(const struct pp_live *live);
/* Seconds, or -1: it is not known. */
int64_t live_age_s(const struct pp_live *live);

/* An address of the maps, as people write it. */
void mapped_endpoint(struct sockaddr_storage *endpoint, const uint8_t address[16],
		     unsigned int port);
/* Is @address in @prefix? IPv4 is v4-mapped; as with proxies, ::/0 has no IPv4 address in it. */
int mapped_matches(const struct prefix *prefix, const uint8_t address[16]);

#endif
