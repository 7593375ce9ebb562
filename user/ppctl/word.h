/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of the command line and of ppsplit.conf, as entries of the maps. Pure: nothing is said, and
 * nothing of the system is asked.
 */
#ifndef PPCTL_WORD_H
#define PPCTL_WORD_H

#include <stdint.h>

#include <pp/maps.h>

#include "../common/endpoint.h"

#define WHY_MAX	    256
#define GATE_MS_MAX 120000

/* A port on any local address (all 0), or on one. */
int port_has_address(const struct pp_port_key *key);
int port_is_same(const struct pp_port_key *left, const struct pp_port_key *right);
/* "25", "192.0.2.1:25", "[2001:db8::1]:25". Return: @text. */
const char *port_text(const struct pp_port_key *key, char text[ENDPOINT_TEXT_MAX]);
/* The parsers return 0; or -1, and @why says what is wrong, and what would be right. */
int port_parse(const char *word, struct pp_port_key *key, char why[WHY_MAX]);
int proxy_parse(const char *word, struct pp_prefix *key, struct pp_proxy *proxy, char why[WHY_MAX]);
/* "3s", "500ms", or a number of milliseconds. */
int gate_parse(const char *word, uint32_t *ms, char why[WHY_MAX]);
int connections_parse(const char *word, uint32_t *connections, char why[WHY_MAX]);
int yes_no_parse(const char *word, uint32_t *yes, char why[WHY_MAX]);
int on_bad_parse(const char *word, uint32_t *on_bad, char why[WHY_MAX]);

#endif
