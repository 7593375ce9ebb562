/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses that relays of container engines have.
 */
#ifndef PPCTL_GATEWAY_H
#define PPCTL_GATEWAY_H

#include <netinet/in.h>

#include <json-c/json.h>

#include "../common/prefix.h"

/* An address of this host in @prefix: of a container engine's bridge, for example. @with_loopback:
 * those of lo count. Return: 1, or 0. */
int has_own_address(const struct prefix *prefix, int with_loopback, char text[INET6_ADDRSTRLEN]);
/* The default gateways of containers, in the other network namespaces of these cgroups' processes:
 * an array of texts. */
struct json_object *gateways_read(struct json_object *cgroups);

#endif
