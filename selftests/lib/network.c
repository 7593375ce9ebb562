// SPDX-License-Identifier: BSD-2-Clause
/*
 * Networks between this namespace and another.
 */
#include <linux/ethtool.h>

#include "crowd.h"
#include "netns.h"
#include "network.h"
#include "wire.h"

int here, there;
char server_ip[2][64], proxy_ip[2][64];

void on(int netns, const char *command)
{
	netns_enter(netns);
	run(0, "%s", command);
	netns_enter(here);
}

void choose(int n)
{
	snprintf(server_ip[0], sizeof(server_ip[0]), "10.%d.0.1", n);
	snprintf(proxy_ip[0], sizeof(proxy_ip[0]), "10.%d.0.2", n);
	snprintf(server_ip[1], sizeof(server_ip[1]), "fd00:%d::1", n);
	snprintf(proxy_ip[1], sizeof(proxy_ip[1]), "fd00:%d::2", n);
	run(0, "build/bin/ppctl proxy add %s %s", proxy_ip[0], proxy_ip[1]);
}

void addresses(const char *device)
{
	run(0, "ip addr add %s/24 dev %s && ip -6 addr add %s/64 dev %s nodad && ip link set %s up",
	    server_ip[0], device, server_ip[1], device, device);
	netns_enter(there);
	run(0, "ip addr add %s/24 dev %s && ip -6 addr add %s/64 dev %s nodad && ip link set %s up",
	    proxy_ip[0], device, proxy_ip[1], device, device);
	netns_enter(here);
}

void attach(void)
{
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", NETWORK_SPLIT);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", NETWORK_TRANSPARENT);
}

void plug(const char *device)
{
	run(0, "ip link add %s type veth peer name peer && ip link set peer netns /proc/%d/fd/%d",
	    device, getpid(), there);
	netns_enter(there);
	run(0, "ip link set peer name %s", device);
	netns_enter(here);
}

void unplug(const char *device)
{
	run(0, "ip link del %s", device);
}

int network_setup(void **state)
{
	net_setup(state);
	here = netns_here();
	there = netns_make();
	return 0;
}

int network_clear(void **state)
{
	(void)state;
	netns_enter(here);
	run(0, "for device in " CABLE " pp-bridge; do ip link del $device 2>/dev/null; done; true");
	return 0;
}

static long splits;

/* The counter of that name: ports have a word that is the same. */
static long split_counter(void)
{
	const char *at = status_text("--json");
	long value = -1;

	while ((at = strstr(at, "\"split\":"))) {
		at += strlen("\"split\":");
		sscanf(at, "%ld", &value);
	}
	assert_true(value >= 0);
	return value;
}

void count_splits(void)
{
	splits = split_counter();
}

void assert_splits(long count)
{
	long more = split_counter() - splits;

	if (more < count)
		fail_msg("%ld headers of %ld were taken out", more, count);
}

void meet(unsigned int count, uint64_t most)
{
	unsigned int i;

	count_splits();
	for (i = 0; i < 4; i++) {
		struct crowd crowd = {.from = proxy_ip[i & 1],
				      .to = server_ip[i & 1],
				      .port = i & 2 ? NETWORK_TRANSPARENT : NETWORK_SPLIT,
				      .server = here,
				      .proxy = there,
				      .count = count / 4,
				      .parallel = 10,
				      .most = most,
				      .seed = 1000 * i + count};

		crowd_run(&crowd);
	}
	assert_splits(count / 4 * 4);
}

void no_offloads(int netns, const char *device)
{
	wire_offload(device, netns, ETHTOOL_STSO, 0);
	wire_offload(device, netns, ETHTOOL_SGSO, 0);
	wire_offload(device, netns, ETHTOOL_SGRO, 0);
}
