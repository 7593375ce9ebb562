// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ways on which the tests of the split send segments.
 */
#include "way.h"

struct way ways[WAYS] = {
	{"veth, IPv4", WIRE_VETH, 0, 0, 0, -1},
	{"veth, IPv4, timestamps", WIRE_VETH, 0, 0, 1, -1},
	{"veth, v4-mapped, partial checksums", WIRE_VETH, 1, 1, 1, -1},
	{"veth, IPv6, timestamps", WIRE_VETH6, 0, 0, 1, -1},
	{"veth, IPv6, partial checksums", WIRE_VETH6, 0, 1, 0, -1},
	{"lo, IPv4, timestamps", WIRE_LO, 0, 0, 1, -1},
	{"lo, v4-mapped, partial checksums", WIRE_LO, 1, 1, 1, -1},
	{"lo, IPv6, partial checksums", WIRE_LO6, 0, 1, 1, -1},
};

uint32_t way_isn = 4000000000; /* numbers begin anew now and then */

int ways_setup(void **state)
{
	int ip4, both;
	size_t i;

	wires_make();
	net_setup(state);
	wires_mark();
	run(0, "build/bin/ppctl port add %d,%d --split yes --gate 30000", SPLIT, SPLIT_BOTH);
	ip4 = listen_on("0.0.0.0", SPLIT);
	both = listen_on("::", SPLIT_BOTH);
	for (i = 0; i < WAYS; i++)
		ways[i].listener =
			wires[ways[i].wire].family == AF_INET && !ways[i].mapped ? ip4 : both;
	return 0;
}

void way_open(struct peer *peer, struct way *way)
{
	int both = wires[way->wire].family == AF_INET6 || way->mapped;

	memset(peer, 0, sizeof(*peer));
	wires[way->wire].name = way->name;
	wires[way->wire].partial = way->partial;
	peer_open(peer, &wires[way->wire], both ? SPLIT_BOTH : SPLIT, way_isn, way->stamps);
	way_isn += 100000007;
	peer_say(peer, 0);
}

int way_accept(struct peer *peer, struct way *way, const char *origin)
{
	int server = accept_within(way->listener, SOON_MS);

	if (server < 0)
		fail_msg("%s: no connection", peer->wire->name);
	assert_origin(server, origin);
	return server;
}

void way_check(struct peer *peer, int server, const char *payload, uint32_t len)
{
	if (*payload)
		assert_reads_text(server, payload);
	assert_nothing_to_read(server);
	/* the client first: pp_in expects greetings where there were some, and acknowledges later
	 */
	peer_write(peer, "NOOP\r\n", 6);
	assert_reads_text(server, "NOOP\r\n");
	send_text(server, "250 ok\r\n");
	peer_expect(peer, TH_ACK | TH_PUSH, len + strlen(payload) + 6);
	peer_write(peer, "QUIT\r\n", 6);
	assert_reads_text(server, "QUIT\r\n");
	send_text(server, "221 bye\r\n"); /* or the acknowledgement would be a delayed one */
	peer_expect(peer, TH_ACK | TH_PUSH, len + strlen(payload) + 12);
	peer_say(peer, 0);
}

void way_end(struct peer *peer, int server)
{
	peer_say(peer, TH_RST);
	close(server);
}
