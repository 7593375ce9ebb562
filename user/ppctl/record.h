/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records, as 'ppctl lookup' and 'ppctl connections' show them.
 */
#ifndef PPCTL_RECORD_H
#define PPCTL_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <json-c/json.h>

#include "live.h"
#include <pp/abi.h>

/* What is known of a connection. */
struct sighting {
	const struct pp_record *record;
	struct sockaddr_storage peer;
	/* the ends of the TCP connection, where they are known to be others than the names, which
	 * in transparent mode are those of the header */
	struct sockaddr_storage proxy, proxy_dst;
	uint64_t received;     /* bytes, while the header is incomplete */
	const uint8_t *header; /* PP_PAGE bytes, with 0 after what is there */
	const uint8_t *tlvs;
	size_t tlvs_len;
};

struct json_object *record_object(const struct sighting *seen);
struct json_object *record_of_live(const struct connection *connection);
void record_print(struct json_object *object);

const char *record_state(unsigned int state);
/* Return: the state, or -1. */
int record_state_find(const char *name);
/* The state that is nearest to @name, or NULL. */
const char *record_state_nearest(const char *name);

#endif
