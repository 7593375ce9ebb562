// SPDX-License-Identifier: BSD-2-Clause
/*
 * Split and transparent ports, and connections to them.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "transparent.h"

int listener;

int transparent_setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	run(0, "build/bin/ppctl port add %d --transparent --local --gate 30000", BOTH_NAMES);
	run(0, "build/bin/ppctl port add %d --transparent --gate 900", SHORT);
	listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

int accept_from(int here, const char *origin)
{
	struct pollfd in = {.fd = here, .events = POLLIN};
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	if (poll(&in, 1, SOON_MS) != 1)
		fail_msg("nothing to accept within %d ms", SOON_MS);
	fd = accept4(here, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_string_equal(name_text(&peer), origin);
	return fd;
}

void open_pair(int *client, int *server)
{
	*client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(*client, LINE);
	*server = accept_from(listener, ORIGIN);
}

void assert_readable(int fd, int wanted)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&in, 1, wanted ? SOON_MS : 0), wanted);
}
