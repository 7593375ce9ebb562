// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers that were refused, or sent no header in time, and peers that send one and are no proxies:
 * what pp_refused and pp_unmarked remember.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/rtnetlink.h>

#include "../common/clock.h"
#include "../common/prefix.h"
#include "json.h"
#include "live.h"
#include "netlink.h"
#include "ppctl.h"
#include "status.h"

#define PEERS_MAX 512 /* entries of each map */

struct noted {
	struct pp_peer_key key;
	struct pp_peer peer;
};

static int by_time(const void *left, const void *right)
{
	const struct noted *a = left, *b = right;

	if (a->peer.last_ns != b->peer.last_ns)
		return a->peer.last_ns < b->peer.last_ns ? 1 : -1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

/* A map that a program fills meanwhile may never come to an end. */
static size_t read_map(const char *name, struct noted noted[PEERS_MAX])
{
	struct pp_peer_key *previous = NULL;
	int map = pin_open("maps", name), tries = 2 * PEERS_MAX;
	size_t count = 0;

	if (map < 0)
		return 0;
	while (count < PEERS_MAX && tries-- &&
	       !bpf_map_get_next_key(map, previous, &noted[count].key)) {
		previous = &noted[count].key;
		if (!bpf_map_lookup_elem(map, previous, &noted[count].peer))
			count++;
	}
	close(map);
	qsort(noted, count, sizeof(noted[0]), by_time);
	return count;
}

static struct json_object *peer_object(const struct noted *noted)
{
	struct json_object *object = json_object_new_object();
	int64_t ago_ms = clock_ms() - (int64_t)(noted->peer.last_ns / 1000000);
	struct sockaddr_storage endpoint;
	char text[INET6_ADDRSTRLEN];
	struct prefix prefix;
	const char *name, *meaning;

	mapped_endpoint(&endpoint, noted->key.address, 0);
	endpoint_address(&endpoint, text);
	add_string(object, "peer", text);
	prefix_from_mapped(&prefix, noted->key.address, 8 * sizeof(noted->key.address));
	add_boolean(object, "own", route_type(&prefix) == RTN_LOCAL);
	add_number(object, "port", noted->peer.port);
	json_object_object_add(object, "count", json_object_new_uint64(noted->peer.count));
	add_number(object, "ago_s", ago_ms > 0 ? ago_ms / 1000 : 0);
	if (noted->peer.kind == PP_EVENT_EXPIRED)
		add_string(object, "reason", "expired");
	if (noted->peer.kind == PP_EVENT_REFUSED) {
		reason_names(noted->peer.reason, &name, &meaning);
		add_string(object, "reason", name);
		add_string(object, "meaning", meaning);
	}
	return object;
}

struct json_object *peers_read(const char *map)
{
	struct json_object *list = json_object_new_array();
	struct noted noted[PEERS_MAX];
	size_t count = read_map(map, noted), i;

	for (i = 0; i < count; i++)
		json_object_array_add(list, peer_object(&noted[i]));
	return list;
}

const char *peer_when(struct json_object *peer, char text[PEER_WHEN_MAX])
{
	long long count = number_of(peer, "count"), ago = number_of(peer, "ago_s");

	if (count == 1)
		snprintf(text, PEER_WHEN_MAX, "once, %lld s ago, on port %lld", ago,
			 (long long)number_of(peer, "port"));
	else
		snprintf(text, PEER_WHEN_MAX, "%lld times, the last %lld s ago, on port %lld",
			 count, ago, (long long)number_of(peer, "port"));
	return text;
}
