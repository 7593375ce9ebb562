/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The served ports and their policies: pp_ports, and pp_addresses for policies that hold on one
 * local address. A key whose address is all 0 is a port on any address. @map is a descriptor of
 * pp_ports; pp_addresses is opened here.
 */
#ifndef PPCTL_PORT_MAP_H
#define PPCTL_PORT_MAP_H

#include <stddef.h>

#include <json-c/json.h>

#include <pp/maps.h>

#include "word.h"

#define PORTS_MAX 1024 /* the two maps have room for fewer */

/* In JSON: "port", and "address" where it has one; and as text, from there. */
void port_add_key(struct json_object *object, const struct pp_port_key *key);
const char *port_name(struct json_object *object, char text[ENDPOINT_TEXT_MAX]);

/* Return: 0, or -1 with errno. What the policies of both maps say of one another is not in @policy,
 * and is kept in order here, at each change. */
int port_get(int map, const struct pp_port_key *key, struct pp_port *policy);
int port_put(int map, const struct pp_port_key *key, const struct pp_port *policy);
int port_delete(int map, const struct pp_port_key *key);
/* All of them, by port and address. Return: how many. */
size_t ports_list(int map, struct pp_port_key keys[PORTS_MAX]);
/* Of these, the one that a connection to @address (v4-mapped where it is IPv4) and @port is for; or
 * NULL: it is not served. */
const struct pp_port_key *port_match(const struct pp_port_key *keys, size_t count,
				     const __u8 address[16], __u16 port);
/* Is there one with a split, or with what is left of one? */
int ports_have_split(int map);
/* May somebody ask for an origin with pp_lookup(), on any of them, or when there is none yet? */
int ports_have_lookup(int map);
/* What a ppctl that was killed has left: a port without any policy. */
void ports_sweep(int map);

/* Serves no port any more. */
void ports_remove(int map);

/* Says why port_put() failed. Return: -1. */
int port_update_error(int map, const struct pp_port_key *key, const char *what, int error_number);

/* Has a port with this policy, or had it, connections that pp_in translates? */
int policy_translates(const struct pp_port *policy);

#endif
