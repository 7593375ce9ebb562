// SPDX-License-Identifier: BSD-2-Clause
/*
 * A transparent port, and whether it is served.
 */
#include "name.h"
#include "served.h"

int served_listener;

void served_up(void)
{
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP --port %d --gate 30000 --proxy %s", PORT,
	    PROXY);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
}

int served_setup(void **state)
{
	(void)state;
	served_up();
	served_listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

void open_transparent(struct link *link)
{
	link->client = connect_to(PROXY, SERVER, TRANSPARENT);
	link->server = accept_line(served_listener, link->client);
	assert_peer_address(link->server, "192.0.2.7");
}

void assert_served(void)
{
	struct link link;

	open_transparent(&link);
	send_text(link.client, PAYLOAD);
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
}
