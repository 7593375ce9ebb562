/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which proxies can connect to a listening socket at all.
 */
#ifndef PPCTL_REACH_H
#define PPCTL_REACH_H

#include <sys/socket.h>

#include "../common/prefix.h"

enum reach {
	REACHES,
	REACHES_LOOPBACK, /* no: it listens on the loopback, and the proxy is on another host */
	REACHES_FAMILY,	  /* no: one is of IPv4, and the other of IPv6 */
};

/* Can a proxy of @proxy connect to what listens on @local? */
enum reach reach(const struct sockaddr_storage *local, const struct prefix *proxy);

#endif
