// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split on devices that are not a plain cable: VLANs, bridges, tunnels, XDP in the driver; with
 * large and small packets, with offloads and without.
 *
 * check: both long
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lib/netns.h"
#include "../lib/network.h"

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
	where = listen_on(server_ip[1], NETWORK_SPLIT);
	setsockopt(where, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	memcpy(bytes, LINE, LINE_LEN);
	fill_pattern(bytes + LINE_LEN, LEN, 97);
	for (i = 0; i < 5; i++) {
		netns_enter(there);
		client = connect_to(proxy_ip[1], server_ip[1], NETWORK_SPLIT);
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

int main(void)
{
	/* not natively, for want of modules */
	static const char *const always[] = {"a_vlan", "a_vlan_on_a_device_with_an_address", NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_vlan, network_clear),
		cmocka_unit_test_teardown(a_vlan_on_a_device_with_an_address, network_clear),
		cmocka_unit_test_teardown(a_bridge, network_clear),
		cmocka_unit_test_teardown(a_bridge_and_its_port, network_clear),
		cmocka_unit_test_teardown(a_tunnel_without_ethernet, network_clear),
		cmocka_unit_test_teardown(an_xdp_program_in_the_driver, network_clear),
		cmocka_unit_test_teardown(packets_of_9000_and_of_576_bytes, network_clear),
		cmocka_unit_test_teardown(with_and_without_offloads, network_clear),
		cmocka_unit_test_teardown(packets_of_more_than_64_kib, network_clear),
	};

	return run_share("network_devices", tests, network_setup, always);
}
