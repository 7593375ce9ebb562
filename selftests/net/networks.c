// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split on networks that are not a plain cable: that lose, delay, double and reorder packets,
 * with firewalls that follow connections, behind VLANs, bridges and tunnels, with large and small
 * packets; and servers that read and write by other calls than recv() and send(). NETEM_CONNECTIONS
 * says how many connections the bad line gets (200), NETEM_SECONDS for how long at least.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lib/crowd.h"
#include "../lib/net.h"
#include "../lib/proxy.h"

#define SPLIT	    2550
#define TRANSPARENT 2551
#define CABLE	    "cable"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* Each network has a number @n: the server is 10.@n.0.1, the proxy 10.@n.0.2. */
static int here, there;
static char server_ip[2][64], proxy_ip[2][64];

static void on(int netns, const char *command)
{
	netns_enter(netns);
	run(0, "%s", command);
	netns_enter(here);
}

/* The addresses of network @n are the marked proxy's and the server's, from now on. */
static void choose(int n)
{
	snprintf(server_ip[0], sizeof(server_ip[0]), "10.%d.0.1", n);
	snprintf(proxy_ip[0], sizeof(proxy_ip[0]), "10.%d.0.2", n);
	snprintf(server_ip[1], sizeof(server_ip[1]), "fd00:%d::1", n);
	snprintf(proxy_ip[1], sizeof(proxy_ip[1]), "fd00:%d::2", n);
	run(0, "build/bin/ppctl proxy add %s %s", proxy_ip[0], proxy_ip[1]);
}

static void addresses(const char *device)
{
	run(0, "ip addr add %s/24 dev %s && ip -6 addr add %s/64 dev %s nodad && ip link set %s up",
	    server_ip[0], device, server_ip[1], device, device);
	netns_enter(there);
	run(0, "ip addr add %s/24 dev %s && ip -6 addr add %s/64 dev %s nodad && ip link set %s up",
	    proxy_ip[0], device, proxy_ip[1], device, device);
	netns_enter(here);
}

/* The programs on what has addresses now. */
static void attach(void)
{
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
}

/* A pair of devices @device, one here and one there, down and without addresses. */
static void plug(const char *device)
{
	run(0, "ip link add %s type veth peer name peer && ip link set peer netns /proc/%d/fd/%d",
	    device, getpid(), there);
	netns_enter(there);
	run(0, "ip link set peer name %s", device);
	netns_enter(here);
}

static void unplug(const char *device)
{
	run(0, "ip link del %s", device);
}

static int setup(void **state)
{
	net_setup(state);
	here = netns_here();
	there = netns_make();
	return 0;
}

/* Whatever a test that failed has left. */
static int clear(void **state)
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
	const char *at = run(0, "build/bin/ppctl status --json");
	long value = -1;

	while ((at = strstr(at, "\"split\":"))) {
		at += strlen("\"split\":");
		sscanf(at, "%ld", &value);
	}
	assert_true(value >= 0);
	return value;
}

static void count_splits(void)
{
	splits = split_counter();
}

/* @count headers were taken out since then, and nothing had to be guarded. */
static void assert_splits(long count)
{
	long more = split_counter() - splits;

	if (more < count)
		fail_msg("%ld headers of %ld were taken out", more, count);
}

/* Connections over IPv4 and IPv6, to both ports. */
static void meet(unsigned int count, uint64_t most)
{
	unsigned int i;

	count_splits();
	for (i = 0; i < 4; i++) {
		struct crowd crowd = {.from = proxy_ip[i & 1],
				      .to = server_ip[i & 1],
				      .port = i & 2 ? TRANSPARENT : SPLIT,
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

/* ---- a bad line ---- */

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

/* No segments larger than the wire's, in neither direction. */
static void no_offloads(int netns, const char *device)
{
	static const unsigned int commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
	struct ethtool_value value = {0};
	struct ifreq request = {.ifr_data = (void *)&value};
	size_t i;
	int fd;

	netns_enter(netns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		value.cmd = commands[i];
		assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	}
	close(fd);
	netns_enter(here);
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
				      .port = rounds & 1 ? TRANSPARENT : SPLIT,
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

/* ---- firewalls ---- */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void a_firewall_that_follows_connections(void **state)
{
	const char *rules;

	(void)state;
	if (strstr(run(0, "nft add table inet pp 2>&1 && nft add chain inet pp c && nft add rule "
			  "inet pp c ct state "
			  "invalid counter drop 2>&1 || echo none"),
		   "none"))
		skip_because("this kernel has no connection tracking for nftables (module nft_ct)");
	run(0, "nft delete table inet pp");
	choose(82);
	plug(CABLE);
	addresses(CABLE);
	attach();
	sysctl_set("net/netfilter/nf_conntrack_tcp_loose", "0");
	write_file("/tmp/rules",
		   "table inet pp {\n"
		   "	chain input {\n"
		   "		type filter hook input priority 0; policy accept;\n"
		   "		meta l4proto != tcp accept\n"
		   "		ct state invalid counter drop\n"
		   "		ct state new tcp flags & (fin|syn|rst|ack) != syn counter drop\n"
		   "		ct state new,established,related accept\n"
		   "		counter drop\n"
		   "	}\n"
		   "	chain output {\n"
		   "		type filter hook output priority 0; policy accept;\n"
		   "		meta l4proto != tcp accept\n"
		   "		ct state invalid counter drop\n"
		   "	}\n"
		   "}\n");
	run(0, "nft -f /tmp/rules");
	meet(120, 200000);
	rules = run(0, "nft list table inet pp | grep -c 'counter packets 0 '");
	if (atoi(rules) != 4)
		fail_msg("%s", run(0, "nft list table inet pp"));
	run(0, "nft delete table inet pp");
	sysctl_set("net/netfilter/nf_conntrack_tcp_loose", "1");
	unplug(CABLE);
}

static void strict_reverse_path_filters(void **state)
{
	(void)state;
	choose(83);
	plug(CABLE);
	addresses(CABLE);
	attach();
	sysctl_set("net/ipv4/conf/all/rp_filter", "1");
	sysctl_set("net/ipv4/conf/" CABLE "/rp_filter", "1");
	meet(40, 50000);
	sysctl_set("net/ipv4/conf/all/rp_filter", "0");
	unplug(CABLE);
}

/* ---- devices ---- */

static void make_vlan(void)
{
	plug(CABLE);
	run(0, "ip link set " CABLE " up");
	/* not on lo, which takes none */
	if (strstr(run(0, "ip link add link " CABLE " name vlan7 type vlan id 7 || echo none"),
		   "none"))
		skip_because("this kernel has no VLANs (module 8021q)");
	on(there,
	   "ip link set " CABLE " up && ip link add link " CABLE " name vlan7 type vlan id 7");
	addresses("vlan7");
}

static void a_vlan(void **state)
{
	(void)state;
	choose(84);
	make_vlan();
	attach();
	meet(40, 50000);
	unplug(CABLE);
}

/* Hooks on both: the lower one sees the packet with its tag beside it. */
static void a_vlan_on_a_device_with_an_address(void **state)
{
	(void)state;
	choose(85);
	make_vlan();
	run(0, "ip addr add 10.185.0.1/24 dev " CABLE);
	attach();
	meet(40, 50000);
	unplug(CABLE);
}

static int make_bridge(void)
{
	if (strstr(run(0, "ip link add pp-bridge type bridge 2>&1 || echo none"), "none"))
		return -1;
	plug(CABLE);
	run(0, "ip link set " CABLE " master pp-bridge up");
	run(0,
	    "ip addr add %s/24 dev pp-bridge && ip -6 addr add %s/64 dev pp-bridge nodad && "
	    "ip link set pp-bridge up",
	    server_ip[0], server_ip[1]);
	netns_enter(there);
	run(0,
	    "ip addr add %s/24 dev " CABLE " && ip -6 addr add %s/64 dev " CABLE
	    " nodad && ip link set " CABLE " up",
	    proxy_ip[0], proxy_ip[1]);
	netns_enter(here);
	return 0;
}

static void end_bridge(void)
{
	unplug(CABLE);
	unplug("pp-bridge");
}

static void a_bridge(void **state)
{
	(void)state;
	choose(86);
	if (make_bridge())
		skip_because("this kernel has no bridges (module bridge)");
	attach();
	meet(40, 50000);
	end_bridge();
}

static void a_bridge_and_its_port(void **state)
{
	(void)state;
	choose(87);
	if (make_bridge())
		skip_because("this kernel has no bridges (module bridge)");
	run(0, "ip addr add 10.187.0.1/32 dev " CABLE); /* so that it is hooked as well */
	attach();
	meet(40, 50000);
	end_bridge();
}

/* Carries packets between the two ends of a tunnel. */
static void *carry(void *argument)
{
	int *ends = argument;
	struct pollfd in[] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLIN}};
	static uint8_t packet[65536];
	ssize_t len;
	int i;

	while (!ends[2]) {
		if (poll(in, 2, 100) < 1)
			continue;
		for (i = 0; i < 2; i++) {
			len = in[i].revents & POLLIN ? read(ends[i], packet, sizeof(packet)) : 0;
			if (len > 0 && write(ends[!i], packet, len) < 0)
				continue; /* lost, as on any line */
		}
	}
	return NULL;
}

static int open_tun(int netns)
{
	struct ifreq request = {.ifr_name = "tunnel", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd;

	netns_enter(netns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request)) {
		close(fd);
		fd = -1;
	}
	netns_enter(here);
	return fd;
}

static void a_tunnel_without_ethernet(void **state)
{
	int ends[3] = {open_tun(here), -1, 0};
	pthread_t carrier;

	(void)state;
	if (ends[0] < 0)
		skip_because("no tunnels here: /dev/net/tun: %s", strerror(errno));
	ends[1] = open_tun(there);
	assert_true(ends[1] >= 0);
	choose(88);
	addresses("tunnel");
	attach();
	assert_int_equal(pthread_create(&carrier, NULL, carry, ends), 0);
	meet(40, 50000);
	ends[2] = 1;
	pthread_join(carrier, NULL);
	close_both(ends[0], ends[1]);
}

static void an_xdp_program_in_the_driver(void **state)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "BSD", pass, 2, NULL), result;

	(void)state;
	assert_true(program >= 0);
	choose(89);
	plug(CABLE);
	addresses(CABLE);
	result = bpf_xdp_attach(if_nametoindex(CABLE), program, XDP_FLAGS_DRV_MODE, NULL);
	if (result)
		fail_msg("XDP on veth: %s", strerror(-result));
	attach();
	meet(40, 200000);
	unplug(CABLE);
	close(program);
}

static void packets_of_9000_and_of_576_bytes(void **state)
{
	static const int mtus[] = {9000, 576, 1280};
	char command[128];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		choose(90 + i);
		plug(CABLE);
		snprintf(command, sizeof(command), "ip link set " CABLE " mtu %d", mtus[i]);
		run(0, "%s", command);
		on(there, command);
		if (mtus[i] < 1280) { /* IPv6 wants more */
			snprintf(server_ip[1], sizeof(server_ip[1]), "10.%d.1.1", (int)(90 + i));
			snprintf(proxy_ip[1], sizeof(proxy_ip[1]), "10.%d.1.2", (int)(90 + i));
			run(0, "build/bin/ppctl proxy add %s", proxy_ip[1]);
			run(0, "ip addr add %s/24 dev " CABLE, server_ip[0]);
			run(0, "ip addr add %s/24 dev " CABLE " && ip link set " CABLE " up",
			    server_ip[1]);
			netns_enter(there);
			run(0, "ip addr add %s/24 dev " CABLE, proxy_ip[0]);
			run(0, "ip addr add %s/24 dev " CABLE " && ip link set " CABLE " up",
			    proxy_ip[1]);
			netns_enter(here);
		} else {
			addresses(CABLE);
		}
		attach();
		meet(40, 200000);
		unplug(CABLE);
	}
}

/* Large segments from GSO to GRO, and none of either. */
static void with_and_without_offloads(void **state)
{
	(void)state;
	choose(93);
	plug(CABLE);
	addresses(CABLE);
	attach();
	meet(16, 4000000);
	no_offloads(here, CABLE);
	no_offloads(there, CABLE);
	meet(16, 4000000);
	unplug(CABLE);
}

/* BIG TCP. The header's packet is never so large: the window of the SYN-ACK ends before. */
static void packets_of_more_than_64_kib(void **state)
{
	enum { LEN = 400000 };
	uint8_t *bytes = malloc(LINE_LEN + LEN);
	int large = 4 << 20, where, client, server, i;

	(void)state;
	choose(97);
	plug(CABLE);
	if (strstr(run(0, "ip link set " CABLE
			  " gso_max_size 200000 gro_max_size 200000 2>&1 || echo none"),
		   "none"))
		skip_because("this kernel, or its ip, has no BIG TCP");
	run(0, "ip link set " CABLE " mtu 9000");
	on(there, "ip link set " CABLE " mtu 9000 gso_max_size 200000 gro_max_size 200000");
	addresses(CABLE);
	attach();
	on(there, "ip -6 route change fd00:97::/64 dev " CABLE " proto kernel initcwnd 100 || "
		  "ip -6 route replace fd00:97::1/128 dev " CABLE " initcwnd 100");
	where = listen_on(server_ip[1], SPLIT);
	setsockopt(where, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	memcpy(bytes, LINE, LINE_LEN);
	fill_pattern(bytes + LINE_LEN, LEN, 97);
	for (i = 0; i < 5; i++) {
		netns_enter(there);
		client = connect_to(proxy_ip[1], server_ip[1], SPLIT);
		netns_enter(here);
		send_all(client, bytes, LINE_LEN + LEN);
		server = accept_within(where, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, LINE_ORIGIN);
		assert_reads(server, bytes + LINE_LEN, LEN);
		close_both(client, server);
	}
	close(where);
	free(bytes);
	unplug(CABLE);
}

/* ---- servers ---- */

static int listener;

static void serve_here(int n)
{
	choose(n);
	plug(CABLE);
	addresses(CABLE);
	attach();
	listener = listen_on(server_ip[0], TRANSPARENT);
}

static void serve_no_more(void)
{
	close(listener);
	unplug(CABLE);
}

static void open_pair(int *client, int *server, const char *bytes)
{
	netns_enter(there);
	*client = connect_to(proxy_ip[0], server_ip[0], TRANSPARENT);
	netns_enter(here);
	send_text(*client, bytes);
	*server = accept_within(listener, SOON_MS);
	assert_true(*server >= 0);
	assert_origin(*server, LINE_ORIGIN);
}

#define PART (3 << 20)

struct half {
	int fd;
	uint32_t seed;
	int by_splice;
	const char *wrong;
};

/* Sends a file's bytes, by sendfile(), or from file to pipe to socket by splice(). */
static void *send_file(void *argument)
{
	struct half *half = argument;
	uint8_t *bytes = malloc(PART);
	int file, pipes[2];
	off_t at = 0;
	ssize_t now, out;

	fill_pattern(bytes, PART, half->seed);
	file = memfd_create("stream", MFD_CLOEXEC);
	if (write(file, bytes, PART) != PART || pipe2(pipes, O_CLOEXEC))
		half->wrong = "setting up";
	free(bytes);
	while (!half->wrong && at < PART) {
		if (!half->by_splice) {
			now = sendfile(half->fd, file, &at, PART - at);
			if (now <= 0)
				half->wrong = "sendfile";
			continue;
		}
		now = splice(file, &at, pipes[1], NULL, 65536, SPLICE_F_MOVE);
		if (now <= 0)
			half->wrong = "splice from a file";
		for (; !half->wrong && now > 0; now -= out) {
			out = splice(pipes[0], NULL, half->fd, NULL, now,
				     SPLICE_F_MOVE | SPLICE_F_MORE);
			if (out <= 0)
				half->wrong = "splice to a socket";
		}
	}
	shutdown(half->fd, SHUT_WR);
	close_both(pipes[0], pipes[1]);
	close(file);
	return NULL;
}

/* Reads them, by splice() from socket to pipe to file where @by_splice. */
static const char *receive_file(int fd, uint32_t seed, int by_splice)
{
	uint8_t *wanted = malloc(PART), *got = malloc(PART + 1);
	int file = memfd_create("got", MFD_CLOEXEC), pipes[2];
	const char *wrong = NULL;
	ssize_t now, out;
	size_t total = 0;

	fill_pattern(wanted, PART, seed);
	if (pipe2(pipes, O_CLOEXEC))
		wrong = "pipe";
	while (!wrong && total <= PART) {
		if (by_splice) {
			now = splice(fd, NULL, pipes[1], NULL, 65536, SPLICE_F_MOVE);
			for (out = 0; now > 0 && out < now;)
				out += splice(pipes[0], NULL, file, NULL, now - out, SPLICE_F_MOVE);
		} else {
			now = recv(fd, got + total, PART + 1 - total, 0);
		}
		if (now < 0)
			wrong = strerror(errno);
		if (now <= 0)
			break;
		total += now;
	}
	if (by_splice && pread(file, got, PART, 0) != PART)
		wrong = wrong ? wrong : "the file is short";
	if (!wrong && (total != PART || memcmp(wanted, got, PART)))
		wrong = "not what was sent";
	free(wanted);
	free(got);
	close_both(pipes[0], pipes[1]);
	close(file);
	return wrong;
}

static void check_files(int by_splice, int glued)
{
	struct half up = {.seed = 1, .by_splice = by_splice},
		    down = {.seed = 2, .by_splice = by_splice};
	const char *wrong;
	int client, server, way;
	pthread_t thread;

	open_pair(&client, &server, glued ? LINE "EHLO x\r\n" : LINE);
	if (glued)
		assert_reads_text(server, "EHLO x\r\n");
	up.fd = client;
	down.fd = server;
	for (way = 0; way < 2; way++) {
		assert_int_equal(pthread_create(&thread, NULL, send_file, way ? &down : &up), 0);
		wrong = receive_file(way ? client : server, way ? 2 : 1, by_splice);
		pthread_join(thread, NULL);
		if (wrong || up.wrong || down.wrong)
			fail_msg("%s, %s: %s, %s, %s", by_splice ? "splice" : "sendfile",
				 way ? "down" : "up", wrong, up.wrong, down.wrong);
	}
	close_both(client, server);
}

static void sendfile_and_splice_both_ways(void **state)
{
	int i;

	(void)state;
	serve_here(94);
	for (i = 0; i < 4; i++)
		check_files(i & 1, i & 2);
	serve_no_more();
}

static void epoll_accept_and_wait(void **state)
{
	struct epoll_event event = {.events = EPOLLIN}, got;
	int poller = epoll_create1(EPOLL_CLOEXEC), client, server, i;

	(void)state;
	serve_here(95);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	assert_int_equal(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event), 0);
	for (i = 0; i < 20; i++) {
		netns_enter(there);
		client = connect_to(proxy_ip[0], server_ip[0], TRANSPARENT);
		netns_enter(here);
		assert_int_equal(epoll_wait(poller, &got, 1, 20), 0); /* the header is not there */
		send_text(client, i & 1 ? LINE "EHLO x\r\n" : LINE);
		assert_int_equal(epoll_wait(poller, &got, 1, SOON_MS), 1);
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		assert_true(server >= 0);
		event.events = EPOLLIN | (i & 2 ? EPOLLET : 0);
		assert_int_equal(epoll_ctl(poller, EPOLL_CTL_ADD, server, &event), 0);
		if (!(i & 1)) {
			assert_int_equal(epoll_wait(poller, &got, 1, 20), 0);
			send_text(client, "EHLO x\r\n");
		}
		assert_int_equal(epoll_wait(poller, &got, 1, SOON_MS), 1);
		assert_true(got.events & EPOLLIN);
		assert_reads_text(server, "EHLO x\r\n");
		assert_int_equal(epoll_wait(poller, &got, 1, 20), 0);
		close_both(client, server);
	}
	close(poller);
	serve_no_more();
}

/* Keys that both ends know already. Return: 0, or -1 with errno. */
static int start_tls(int fd, int server)
{
	struct tls12_crypto_info_aes_gcm_128 keys[2] = {0};
	int i;

	for (i = 0; i < 2; i++) {
		keys[i].info.version = TLS_1_2_VERSION;
		keys[i].info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memset(keys[i].key, 'a' + i, sizeof(keys[i].key));
		memset(keys[i].salt, 'A' + i, sizeof(keys[i].salt));
	}
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
			       setsockopt(fd, SOL_TLS, TLS_TX, &keys[server], sizeof(keys[0])) ||
			       setsockopt(fd, SOL_TLS, TLS_RX, &keys[!server], sizeof(keys[0]))
		       ? -1
		       : 0;
}

struct pumped {
	int fd;
	const char *wrong;
};

static void *pump_client(void *argument)
{
	struct pumped *pumped = argument;
	const char *wrong = pump(pumped->fd, 77, 1 << 20, 1 << 20, 0);

	if (wrong)
		pumped->wrong = strdup(wrong);
	return NULL;
}

static void tls_in_the_kernel(void **state)
{
	int i, client, server, none;
	struct pumped pumped = {0};
	const char *wrong;
	pthread_t thread;

	(void)state;
	serve_here(96);
	for (i = 0; i < 4; i++) {
		open_pair(&client, &server, i & 1 ? LINE "EHLO x\r\n" : LINE);
		if (i & 1)
			assert_reads_text(server, "EHLO x\r\n");
		if (i & 2) {
			send_text(server, "220\r\n");
			assert_reads_text(client, "220\r\n");
		}
		none = start_tls(server, 1) ? errno : 0;
		if (none == ENOENT || none == ENOPROTOOPT) {
			close_both(client, server);
			serve_no_more();
			skip_because("this kernel has no TLS (module tls): %s", strerror(none));
		}
		if (none || start_tls(client, 0))
			fail_msg("TLS: %s", strerror(errno));
		pumped.fd = client;
		assert_int_equal(pthread_create(&thread, NULL, pump_client, &pumped), 0);
		wrong = pump(server, 77, 1 << 20, 1 << 20, 1);
		pthread_join(thread, NULL);
		if (wrong || pumped.wrong)
			fail_msg("server: %s, client: %s", wrong, pumped.wrong);
		close_both(client, server);
	}
	serve_no_more();
}

int main(void)
{
	/* not natively, for want of modules */
	static const char *const always[] = {"loss_delay_doubles_and_reordering", "a_vlan",
					     "a_vlan_on_a_device_with_an_address",
					     "tls_in_the_kernel", NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(loss_delay_doubles_and_reordering, clear),
		cmocka_unit_test_teardown(a_firewall_that_follows_connections, clear),
		cmocka_unit_test_teardown(strict_reverse_path_filters, clear),
		cmocka_unit_test_teardown(a_vlan, clear),
		cmocka_unit_test_teardown(a_vlan_on_a_device_with_an_address, clear),
		cmocka_unit_test_teardown(a_bridge, clear),
		cmocka_unit_test_teardown(a_bridge_and_its_port, clear),
		cmocka_unit_test_teardown(a_tunnel_without_ethernet, clear),
		cmocka_unit_test_teardown(an_xdp_program_in_the_driver, clear),
		cmocka_unit_test_teardown(packets_of_9000_and_of_576_bytes, clear),
		cmocka_unit_test_teardown(with_and_without_offloads, clear),
		cmocka_unit_test_teardown(packets_of_more_than_64_kib, clear),
		cmocka_unit_test_teardown(sendfile_and_splice_both_ways, clear),
		cmocka_unit_test_teardown(epoll_accept_and_wait, clear),
		cmocka_unit_test_teardown(tls_in_the_kernel, clear),
	};

	return run_share("networks", tests, setup, always);
}
