// SPDX-License-Identifier: BSD-2-Clause
/*
 * A split port behind devices that leave different work to others: checksums that are partial,
 * complete or checked already, segments of 64 KiB or of the MTU's size, tunnels. The proxy is the
 * kernel's own TCP, on another host as far as can be told: nothing of what it sends has to be sent
 * again.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <linux/ethtool.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include "../lib/net.h"
#include "../lib/netns.h"
#include "../lib/wire.h"

#define SPLIT	   2540
#define SPLIT_BOTH 2541
#define LARGEST	   400000 /* bytes of payload */

static uint8_t stream[PP_HEADER_MAX + LARGEST], back[LARGEST];
static int ip4, both, here, there;

static int setup(void **state)
{
	net_setup(state);
	here = netns_here();
	there = netns_make();
	netns_connect("cable", here, "10.78.0.1", there, "10.78.0.2");
	run(0, "ip -6 addr add fd78::1/64 dev cable nodad");
	netns_enter(there);
	run(0, "ip -6 addr add fd78::2/64 dev cable nodad");
	/* on a slow machine these find losses where there are none */
	sysctl_set("net/ipv4/tcp_early_retrans", "0");
	sysctl_set("net/ipv4/tcp_recovery", "0");
	netns_enter(here);
	run(0, "build/bin/ppctl proxy add 10.78.0.2 fd78::2 10.79.0.2");
	run(0, "build/bin/ppctl port add %d,%d --split yes --gate 30000", SPLIT, SPLIT_BOTH);
	ip4 = listen_on("0.0.0.0", SPLIT);
	both = listen_on("::", SPLIT_BOTH);
	fill_pattern(back, sizeof(back), 3);
	return 0;
}

static void *send_back(void *argument)
{
	const int *server = argument;
	size_t at;
	ssize_t now;

	for (at = 0; at < sizeof(back); at += now) {
		now = send(*server, back + at, sizeof(back) - at, MSG_NOSIGNAL);
		if (now <= 0)
			break;
	}
	return NULL;
}

static unsigned int retransmitted(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_total_retrans;
}

struct path {
	const char *name, *from, *to;
	unsigned int port;
};

static const struct path paths[] = {
	{"IPv4", "10.78.0.2", "10.78.0.1", SPLIT},
	{"v4-mapped", "10.78.0.2", "10.78.0.1", SPLIT_BOTH},
	{"IPv6", "fd78::2", "fd78::1", SPLIT_BOTH},
};

struct sender {
	int fd;
	size_t len;
};

static void *send_stream(void *argument)
{
	const struct sender *sender = argument;
	size_t at;
	ssize_t now;

	for (at = 0; at < sender->len; at += now) {
		now = send(sender->fd, stream + at, sender->len - at, MSG_NOSIGNAL);
		if (now <= 0)
			break;
	}
	return NULL;
}

/* In one send(): a header of @header bytes (0: LINE), and @payload bytes; then as much the other
 * way. */
static unsigned int transfer(const char *what, const struct path *path, size_t header,
			     size_t payload, int answer)
{
	struct sender sender;
	int server;
	pthread_t thread;
	unsigned int again;

	if (header)
		make_v2(stream, header);
	else
		memcpy(stream, LINE, header = LINE_LEN);
	fill_pattern(stream + header, payload, header + payload);
	netns_enter(there);
	sender.fd = connect_to(path->from, path->to, path->port);
	netns_enter(here);
	sender.len = header + payload;
	pthread_create(&thread, NULL, send_stream, &sender);
	server = accept_within(path->port == SPLIT ? ip4 : both, 15000);
	if (server < 0)
		fail_msg("%s, %s, header of %zu, payload of %zu: no connection", what, path->name,
			 header, payload);
	assert_origin(server, header == LINE_LEN ? LINE_ORIGIN : V2_ORIGIN);
	assert_reads(server, stream + header, payload);
	pthread_join(thread, NULL);
	await_acknowledged(sender.fd);
	again = retransmitted(sender.fd);
	if (answer) {
		pthread_create(&thread, NULL, send_back, &server);
		assert_reads(sender.fd, back, sizeof(back));
		pthread_join(thread, NULL);
		await_acknowledged(server);
	}
	reset(sender.fd);
	close(server);
	return again;
}

/* On a slow machine something may be sent again for no reason, but not each time. */
static void check(const char *what, const struct path *path, size_t header, size_t payload,
		  int answer)
{
	int tries;

	for (tries = 0; tries < 4; tries++) {
		if (!transfer(what, path, header, payload, answer))
			return;
	}
	fail_msg("%s, %s, header of %zu, payload of %zu: sent again each time", what, path->name,
		 header, payload);
}

static void check_path(const char *what, const struct path *path, int much)
{
	static const struct {
		size_t header, payload;
	} sizes[] = {{0, 0},
		     {0, 1},
		     {0, 2},
		     {0, 43},
		     {0, 1000},
		     {0, 1405},
		     {0, 1406},
		     {0, 10000},
		     {0, 65000},
		     {0, LARGEST},
		     {28, 0},
		     {28, 1},
		     {28, 100000},
		     {55, 0},
		     {55, 9},
		     {55, 70000},
		     {300, 1},
		     {301, 2},
		     {301, 20000},
		     {1024, 3},
		     {1025, 30000},
		     {1448, 0},
		     {1448, 1448},
		     {4000, 0},
		     {4001, 5},
		     {4096, 70000},
		     {PP_HEADER_MAX, 0},
		     {PP_HEADER_MAX, 100000}};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (much || is_my_share())
			check(what, path, sizes[i].header, sizes[i].payload, i == 1 || i == 15);
	}
}

static void set(int netns, uint32_t command, int on)
{
	wire_offload("cable", netns, command, on);
}

/* Of both ends: checksums made by the device, scatter and gather, segmentation, and what was
 * joined. */
static const struct offloads {
	const char *name;
	int checksums, segments, joined;
} offloads[] = {
	{"as it is", 1, 1, 0},
	{"no segments made by the device", 1, 0, 0},
	{"no checksums made by the device", 0, 0, 0},
	{"checksums, joined segments", 1, 0, 1},
	{"no checksums, joined segments", 0, 0, 1},
};

static void whatever_the_device_does(void **state)
{
	const struct offloads *way;
	size_t i, p;
	int end;

	(void)state;
	for (i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
		way = &offloads[i];
		for (end = 0; end < 2; end++) {
			set(end ? there : here, ETHTOOL_STXCSUM, way->checksums);
			set(end ? there : here, ETHTOOL_SSG, way->segments);
			set(end ? there : here, ETHTOOL_STSO, way->segments);
			set(end ? there : here, ETHTOOL_SGSO, way->segments);
			set(end ? there : here, ETHTOOL_SGRO, way->joined);
		}
		for (p = 0; p < 3; p++)
			check_path(way->name, &paths[p], 0);
	}
	for (end = 0; end < 2; end++) {
		set(end ? there : here, ETHTOOL_STXCSUM, 1);
		set(end ? there : here, ETHTOOL_SSG, 1);
		set(end ? there : here, ETHTOOL_STSO, 1);
		set(end ? there : here, ETHTOOL_SGSO, 1);
		set(end ? there : here, ETHTOOL_SGRO, 0);
	}
}

static void set_mtu(int mtu)
{
	run(0, "ip link set cable mtu %d", mtu);
	netns_enter(there);
	run(0, "ip link set cable mtu %d", mtu);
	netns_enter(here);
}

static void small_and_large_mtus(void **state)
{
	static const int mtus[] = {1280, 9000, 65000};
	size_t i, p;

	(void)state;
	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		set_mtu(mtus[i]);
		for (p = 0; p < 3; p++)
			check_path(mtus[i] == 1280   ? "MTU of 1280"
				   : mtus[i] == 9000 ? "MTU of 9000"
						     : "MTU of 65000",
				   &paths[p], 0);
	}
	set_mtu(576); /* IPv4 only */
	check_path("MTU of 576", &paths[0], 0);
	set_mtu(1500);
	run(0, "ip -6 addr replace fd78::1/64 dev cable nodad");
	netns_enter(there);
	run(0, "ip -6 addr replace fd78::2/64 dev cable nodad");
	netns_enter(here);
}

/* What comes out of a VXLAN tunnel with checksums has one that was summed up: CHECKSUM_COMPLETE. */
static void in_a_tunnel(void **state)
{
	static const struct path path = {"VXLAN", "10.79.0.2", "10.79.0.1", SPLIT};
	const char *make = "ip link add tunnel type vxlan id 7 local 10.78.0.%d remote 10.78.0.%d "
			   "dstport 4789 udpcsum || echo none";
	int end;

	(void)state;
	if (strstr(run(0, make, 1, 2), "none"))
		skip_because("this kernel has no VXLAN (module vxlan)");
	run(0, "ip addr add 10.79.0.1/24 dev tunnel && ip link set tunnel up");
	netns_enter(there);
	run(0, make, 2, 1);
	run(0, "ip addr add 10.79.0.2/24 dev tunnel && ip link set tunnel up");
	netns_enter(here);
	run(0, "build/bin/ppctl port add %d,%d --split yes --gate 30000", SPLIT, SPLIT_BOTH);
	for (end = 0; end < 2; end++) {
		set(end ? there : here, ETHTOOL_STXCSUM, 0);
		wire_offload("tunnel", end ? there : here, ETHTOOL_STXCSUM, 0);
	}
	check_path("a tunnel, no offloads", &path, 1);
	for (end = 0; end < 2; end++)
		set(end ? there : here, ETHTOOL_STXCSUM, 1);
	check_path("a tunnel", &path, 1);
	run(0, "ip link del tunnel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_the_device_does),
		cmocka_unit_test(small_and_large_mtus),
		cmocka_unit_test(in_a_tunnel),
	};

	return run_share("split_offloads", tests, setup, NULL);
}
