// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split on a bad line, which loses, delays, doubles and reorders packets: each stream is
 * complete, and what is seen on the wire is valid TCP. NETEM_CONNECTIONS says how many connections
 * the line gets (200), NETEM_SECONDS for how long at least.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "../lib/crowd.h"
#include "../lib/netns.h"
#include "../lib/network.h"

#define EDGES (1 << 24)

/* Where the proxy's segments begin and end, and whether the server's SACK blocks do. */
struct wire {
	int fd;
	volatile int stop;
	uint64_t *edges; /* port << 32 | sequence number, +1 */
	long segments, blocks, off;
	unsigned int dropped;
	uint32_t isn[65536]; /* by port */
	char first_off[128];
};

static uint64_t *edge_of(struct wire *wire, uint64_t edge)
{
	uint64_t at = (edge * 0x9e3779b97f4a7c15) >> 40;

	while (wire->edges[at] && wire->edges[at] != edge)
		at = (at + 1) & (EDGES - 1);
	return &wire->edges[at];
}

static void see_segment(struct wire *wire, const uint8_t *ip, size_t len, int outgoing)
{
	size_t ip_len = (ip[0] & 15) * 4, tcp_len, total = ip[2] << 8 | ip[3], at, i;
	const uint8_t *tcp = ip + ip_len;
	uint32_t seq, end;
	uint64_t port;

	if (ip[9] != IPPROTO_TCP || len < ip_len + 20 || len < ip_len + (tcp[12] >> 4) * 4)
		return;
	tcp_len = (tcp[12] >> 4) * 4;
	memcpy(&seq, tcp + 4, 4);
	seq = ntohl(seq);
	if (outgoing) {
		port = (uint64_t)(tcp[0] << 8 | tcp[1] | 0x10000) << 32;
		if (tcp[13] & 2)
			wire->isn[tcp[0] << 8 | tcp[1]] = seq;
		end = seq + total - ip_len - tcp_len + !!(tcp[13] & 1) + !!(tcp[13] & 2);
		*edge_of(wire, port | seq) = port | seq;
		*edge_of(wire, port | end) = port | end;
		/* a FIN has a number, but may go alone */
		if (tcp[13] & 1)
			*edge_of(wire, port | (end - 1)) = port | (end - 1);
		wire->segments++;
		return;
	}
	port = (uint64_t)(tcp[2] << 8 | tcp[3] | 0x10000) << 32;
	for (at = 20; at + 1 < tcp_len && tcp[at];
	     at += tcp[at] == 1 || tcp[at + 1] < 2 ? 1 : tcp[at + 1]) {
		if (tcp[at] != 5)
			continue;
		for (i = at + 2; i + 8 <= at + tcp[at + 1] && i + 8 <= tcp_len; i += 8) {
			uint32_t left, right;

			memcpy(&left, tcp + i, 4);
			memcpy(&right, tcp + i + 4, 4);
			left = ntohl(left);
			right = ntohl(right);
			wire->blocks++;
			if (*edge_of(wire, port | left) && *edge_of(wire, port | right))
				continue;
			if (!wire->off++)
				snprintf(wire->first_off, sizeof(wire->first_off),
					 "ISN + %u to ISN + %u",
					 left - wire->isn[port >> 32 & 0xffff],
					 right - wire->isn[port >> 32 & 0xffff]);
		}
	}
}

static void *watch(void *argument)
{
	struct wire *wire = argument;
	struct pollfd in = {.fd = wire->fd, .events = POLLIN};
	uint8_t packet[160];
	struct sockaddr_ll from;
	socklen_t from_len;
	ssize_t len;

	while (poll(&in, 1, 200) == 1 || !wire->stop) {
		from_len = sizeof(from);
		len = recvfrom(wire->fd, packet, sizeof(packet), MSG_DONTWAIT,
			       (struct sockaddr *)&from, &from_len);
		if (len >= 40 && packet[0] >> 4 == 4)
			see_segment(wire, packet, len, from.sll_pkttype == PACKET_OUTGOING);
	}
	return NULL;
}

static void wire_open(struct wire *wire, const char *device, pthread_t *thread)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int large = 64 << 20;

	memset(wire, 0, sizeof(*wire));
	wire->edges = mmap(NULL, EDGES * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(wire->edges != MAP_FAILED);
	netns_enter(there);
	wire->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(wire->fd >= 0);
	address.sll_ifindex = if_nametoindex(device);
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	assert_int_equal(bind(wire->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	netns_enter(here);
	assert_int_equal(pthread_create(thread, NULL, watch, wire), 0);
}

static void wire_close(struct wire *wire, pthread_t thread)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);

	wire->stop = 1;
	pthread_join(thread, NULL);
	getsockopt(wire->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	wire->dropped = stats.tp_drops;
	close(wire->fd);
	munmap(wire->edges, EDGES * sizeof(uint64_t));
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void loss_delay_doubles_and_reordering(void **state)
{
	const char *wanted = getenv("NETEM_CONNECTIONS"), *seconds = getenv("NETEM_SECONDS");
	unsigned int count = wanted ? atoi(wanted) : 200, rounds;
	time_t until = now_s() + (seconds ? atoi(seconds) : 0), begun = now_s();
	uint64_t bytes = 0, blocks = 0, segments = 0, pieces = 0, connections = 0;
	static struct wire wire;
	pthread_t thread;

	(void)state;
	choose(81);
	plug(CABLE);
	if (strstr(run(0, "tc qdisc add dev " CABLE " root netem delay 1ms 2>&1 || echo none"),
		   "none")) {
		unplug(CABLE);
		skip_because("this kernel has no netem (module sch_netem)");
	}
	addresses(CABLE);
	attach();
	no_offloads(here, CABLE);
	no_offloads(there, CABLE);
	run(0, "tc qdisc change dev " CABLE
	       " root netem loss 3%% delay 5ms 2ms reorder 90%% duplicate 2%% limit 100000");
	on(there, "tc qdisc add dev " CABLE
		  " root netem loss 3% delay 5ms 2ms reorder 90% duplicate 2% limit 100000");
	for (rounds = 0; rounds == 0 || now_s() < until; rounds++) {
		struct crowd crowd = {.from = proxy_ip[0],
				      .to = server_ip[0],
				      .port = rounds & 1 ? NETWORK_TRANSPARENT : NETWORK_SPLIT,
				      .server = here,
				      .proxy = there,
				      .count = count,
				      .parallel = 50,
				      .most = 100000,
				      .seed = 5050 + rounds * 7919};

		wire_open(&wire, CABLE, &thread);
		count_splits();
		crowd_run(&crowd);
		assert_splits(count);
		wire_close(&wire, thread);
		if (wire.off && !wire.dropped)
			fail_msg("%ld of %ld SACK blocks are not on the edges of segments: %s",
				 wire.off, wire.blocks, wire.first_off);
		bytes += crowd.bytes;
		pieces += crowd.pieces;
		blocks += wire.dropped ? 0 : wire.blocks;
		segments += wire.segments;
		connections += count;
	}
	print_message("%llu connections (%llu with headers in pieces), %llu bytes, in %ld s; %llu "
		      "segments of "
		      "the proxy's, %llu SACK blocks, all on their edges\n",
		      (unsigned long long)connections, (unsigned long long)pieces,
		      (unsigned long long)bytes, (long)(now_s() - begun),
		      (unsigned long long)segments, (unsigned long long)blocks);
	assert_true(blocks > 0);
	unplug(CABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(loss_delay_doubles_and_reordering, network_clear),
	};

	return cmocka_run_group_tests_name("network_loss", tests, network_setup, NULL);
}
