// SPDX-License-Identifier: BSD-2-Clause
/*
 * Split ports with many different connections at once, and with bulk both ways through one: each
 * byte is compared with the one that belongs at its place. CROWD_CONNECTIONS (400) and
 * CROWD_BULK_MIB (64 each way) say how much.
 */
#define _GNU_SOURCE

#include "../lib/crowd.h"
#include "../lib/net.h"
#include "../lib/netns.h"

#define SPLIT	    2560
#define TRANSPARENT 2561
#define VETH	    "10.57.0.1"
#define VETH_PROXY  "10.57.0.2"

static int here, there;

static const struct way {
	const char *name, *from, *to;
	unsigned int port;
	int veth;
} ways[] = {
	{"lo, IPv4", PROXY, SERVER, SPLIT, 0},
	{"lo, IPv6, transparent", PROXY6, SERVER6, TRANSPARENT, 0},
	{"veth, IPv4, transparent", VETH_PROXY, VETH, TRANSPARENT, 1},
	{"lo, IPv6", PROXY6, SERVER6, SPLIT, 0},
	{"veth, IPv4", VETH_PROXY, VETH, SPLIT, 1},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int setup(void **state)
{
	net_setup(state);
	here = netns_here();
	there = netns_make();
	netns_connect("crowds", here, VETH, there, VETH_PROXY);
	run(0, "build/bin/ppctl proxy add " VETH_PROXY);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	return 0;
}

static uint64_t number_from(const char *name, uint64_t usual)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : usual;
}

static void random_streams(void **state)
{
	unsigned int count = number_from("CROWD_CONNECTIONS", 400), pieces = 0;
	double begun = now_ms() / 1e3;
	uint64_t bytes = 0;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		struct crowd crowd = {.from = ways[i].from,
				      .to = ways[i].to,
				      .port = ways[i].port,
				      .server = here,
				      .proxy = ways[i].veth ? there : here,
				      .count = count / WAYS,
				      .parallel = 20,
				      .most = 200000,
				      .seed = 4711 * (i + 1)};

		crowd_run(&crowd);
		bytes += crowd.bytes;
		pieces += crowd.pieces;
	}
	print_message("%u connections, %u with headers in pieces, %.1f MiB, in %.0f s\n", count,
		      pieces, bytes / 1048576.0, now_ms() / 1e3 - begun);
	assert_true(pieces > 0 && bytes > 0);
}

static void bulk_both_ways(void **state)
{
	uint64_t most = number_from("CROWD_BULK_MIB", 64) << 20;
	double begun = now_ms() / 1e3;
	uint64_t bytes = 0;
	size_t i;

	(void)state;
	for (i = 1; i < 3; i++) {
		struct crowd crowd = {.from = ways[i].from,
				      .to = ways[i].to,
				      .port = ways[i].port,
				      .server = here,
				      .proxy = ways[i].veth ? there : here,
				      .count = 1,
				      .parallel = 1,
				      .most = most,
				      .all = 1,
				      .seed = 815 * (i + 1)};

		crowd_run(&crowd);
		bytes += crowd.bytes;
	}
	assert_true(bytes == 4 * most);
	print_message("2 connections, %.2f GiB each way of each, in %.0f s\n", most / 1073741824.0,
		      now_ms() / 1e3 - begun);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams),
		cmocka_unit_test(bulk_both_ways),
	};

	return cmocka_run_group_tests_name("crowds", tests, setup, NULL);
}
