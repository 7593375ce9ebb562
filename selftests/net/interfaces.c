// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which interfaces the split's hooks are attached to: all with an address or those that are named,
 * also bridges, VRFs and tunnels; interfaces that come, go and move. By tcx, or by clsact on 6.1.
 *
 * check: both long
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "../lib/address.h"
#include "../lib/crowd.h"
#include "../lib/interfaces.h"
#include "../lib/netns.h"

static void assert_unhooked(const char *name)
{
	assert_says(status_of(name),
		    " NO HOOKS: what proxies send by it to a port with a split is dropped; "
		    "'ppctl up --cgroup /");
}

static void serves_lo(void)
{
	int listener = listen_on(SERVER, SPLIT), client = connect_to(PROXY, SERVER, SPLIT);

	close_both(client, served(listener, client));
	close(listener);
}

static void lo_and_all_interfaces_with_an_address_get_hooks(void **state)
{
	int there = link_up();

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("lo");
	assert_hooked(LINK);
	assert_int_equal(programs_on(LINK), 2);
	serves_lo();
	serves_link(there);
	/* nothing more is done where nothing is to be done */
	run(0, PPCTL "port add %d --split yes --gate 30000 && " PPCTL "up --cgroup $LAB_CGROUP",
	    SPLIT);
	assert_int_equal(programs_on(LINK), 2);
	/* the last port with a split takes them with it */
	run(0, PPCTL "port add 2551 --split yes && " PPCTL "port del 2551");
	assert_int_equal(programs_on(LINK), 2);
	run(0, PPCTL "port add %d", SPLIT);
	assert_bare(LINK);
	assert_null(strstr(status_text(""), "interfaces of"));
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_int_equal(programs_on(LINK), 2);
	run(0, PPCTL "port del %d", SPLIT);
	assert_bare(LINK);
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links $LAB_BPFFS/pp/progs | grep -E "
	       "'_(in|out|tcx|clsact)_')\"");
	close(there);
}

static void an_interface_that_comes_later_is_told_and_its_proxies_wait(void **state)
{
	int there, listener, client, server;
	long before;

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	there = link_up();
	assert_unhooked(LINK);
	assert_int_equal(dropped_on(LINK), 0);
	listener = listen_on(OWN, SPLIT);
	client = connect_there(there, PEER, OWN);
	send_text(client, LINE);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_unhooked(LINK);
	assert_true(dropped_on(LINK) >= 2); /* the bare ACK, and the header */
	assert_int_equal(dropped_on("lo"), 0);
	serves_lo();
	before = dropped_on(LINK);
	assert_true(counter("guarded") >= before);
	/* a second look, and the header that is sent again gets in */
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	exchange(client, server, 3);
	close_both(client, server);
	close_both(listener, there);
}

static void only_the_interfaces_that_are_named_get_hooks(void **state)
{
	int there = link_up();

	(void)state;
	assert_says(run(1, PPCTL "port add %d --split yes --gate 30000 --interface nothing0",
			SPLIT),
		    "--interface nothing0: there is none of this name in this network namespace");
	assert_says(run(2, PPCTL "port add %d --interface " LINK, SPLIT),
		    "--interface is for ports with");
	assert_null(strstr(run(0, PPCTL "port list"), SPLIT_TEXT));
	run(0, PPCTL "port add %d --split yes --gate 30000 --interface " LINK, SPLIT);
	assert_hooked(LINK);
	assert_bare("lo");
	serves_link(there);
	run(0, "ip addr add 10.72.0.1/24 dev lo");
	assert_says(status_of("lo"), " no hooks: not named by --interface");
	/* that holds later, too */
	run(0, PPCTL "port add 2551 --split yes && " PPCTL "up --cgroup $LAB_CGROUP");
	assert_bare("lo");
	/* one that is not there is no reason to take the others */
	run(0, "ip link del " LINK);
	assert_says(status_of(LINK), " not there: named by --interface");
	assert_says(run(1, PPCTL "up --cgroup $LAB_CGROUP"),
		    "none of the interfaces that --interface has named");
	close(there);
	there = link_up();
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	run(0, PPCTL "port add %d --split yes --gate 30000 --interface lo --interface " LINK,
	    SPLIT);
	assert_hooked("lo");
	assert_hooked(LINK);
	/* without a port with a split the names are forgotten */
	run(0,
	    PPCTL "port del %d 2551 && " PPCTL
		  "port add %d --split yes --gate 30000 --interface lo",
	    SPLIT, SPLIT);
	assert_bare(LINK);
	assert_says(status_of(LINK), " no hooks: not named by --interface");
	run(0, "ip addr del 10.72.0.1/24 dev lo");
	close(there);
}

static void an_interface_that_comes_back_gets_new_hooks(void **state)
{
	int there = link_up();
	unsigned int old = if_nametoindex(LINK);

	(void)state;
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	run(0, "ip link del " LINK);
	close(there);
	assert_string_equal(status_of(LINK), "");
	there = link_up();
	assert_int_not_equal(if_nametoindex(LINK), old);
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links | grep -E '^pp_(tcx|clsact)_.*_%u$')\"", old);
	/* under the old number as well: its link is there, and does not work */
	run(0, "ip link del " LINK);
	close(there);
	there = netns_make();
	run(0,
	    "ip link add " LINK
	    " index %u type veth peer name peer && ip link set peer netns /proc/%d/fd/%d && "
	    "ip addr add " OWN "/24 dev " LINK " && ip link set " LINK " up",
	    old, getpid(), there);
	netns_enter(there);
	run(0, "ip addr add " PEER "/24 dev peer && ip link set peer up");
	netns_enter(home);
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	close(there);
}

/* What goes to another namespace is not hooked here any more, and not hooked there by this. */
static void an_interface_that_moves_away_is_let_go(void **state)
{
	int there = netns_make(), away = netns_make();
	unsigned int index;

	(void)state;
	netns_connect(LINK, home, OWN, there, PEER);
	index = if_nametoindex(LINK);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked(LINK);
	run(0, "ip link set " LINK " netns /proc/%d/fd/%d", getpid(), away);
	assert_string_equal(status_of(LINK), "");
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	run(0, "test -z \"$(ls $LAB_BPFFS/pp/links | grep -E '^pp_(tcx|clsact)_.*_%u$')\"", index);
	netns_enter(away);
	assert_bare(LINK);
	run(0, "ip addr add " OWN "/24 dev " LINK " && ip link set " LINK " up");
	assert_unhooked(LINK);
	run(0, PPCTL "up --cgroup $LAB_CGROUP");
	assert_hooked(LINK);
	serves_link(there);
	netns_enter(home);
	close_both(there, away);
}

static void a_bridge_has_the_hooks_of_its_ports(void **state)
{
	int there = link_up(), more;

	(void)state;
	run(0, "ip link add br0 type bridge && ip link set br0 up && ip addr flush dev " LINK
	       " && ip link set " LINK " master br0 && ip addr add " OWN "/24 dev br0");
	for (more = 0; more < 2; more++) {
		run(0, PPCTL "port add %d --split yes --gate 30000%s", SPLIT,
		    more ? " --interface br0,lo," LINK : "");
		assert_hooked("br0");
		assert_int_equal(programs_on(LINK), more ? 2 : 0);
		if (!more)
			assert_string_equal(status_of(LINK), "");
		serves_link(there);
	}
	run(0, PPCTL "port del %d", SPLIT);
	run(0, "ip link del br0");
	close(there);
}

/* A connection within a VRF. */
static int connect_in(const char *device, const char *source, const char *address)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, address, SPLIT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, to_len), 0);
	return fd;
}

/* What comes from this host comes by the VRF itself, whether it has an address or not. */
static void a_vrf_has_hooks_besides_its_interfaces(void **state)
{
	int there = link_up(), listener, client;

	(void)state;
	if (strstr(run(0, "ip link add vrf0 type vrf table 10 || echo none"), "none"))
		skip_because("this kernel has no VRF (module vrf)");
	run(0, "ip addr add 10.71.0.3/32 dev " LINK " && ip link set vrf0 up && ip link set " LINK
	       " master vrf0");
	run(0, PPCTL "proxy add 10.71.0.3 && " PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("vrf0");
	assert_hooked(LINK);
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "1");
	listener = listen_on("0.0.0.0", SPLIT);
	/* what comes by LINK is guarded: see net/vrf */
	client = connect_in("vrf0", "10.71.0.3", OWN);
	close_both(client, served(listener, client));
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "0");
	run(0, PPCTL "port del %d && ip link del vrf0", SPLIT);
	close_both(listener, there);
}

static int tun_open(const char *name, const char *address)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip_because("/dev/net/tun: %s", strerror(errno));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	run(0, "ip addr add %s/24 dev %s && ip link set %s up", address, name, name);
	return fd;
}

/* Carries packets from one end to the other, until it is killed. */
static pid_t tun_pump(int one, int other)
{
	struct pollfd ends[2] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	static char packet[65536];
	pid_t pump = fork();
	ssize_t len;
	int i;

	if (pump)
		return pump;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (poll(ends, 2, -1) > 0) {
		for (i = 0; i < 2; i++) {
			if (!(ends[i].revents & POLLIN))
				continue;
			len = read(ends[i].fd, packet, sizeof(packet));
			if (len > 0 && write(ends[!i].fd, packet, len) != len)
				_exit(1);
		}
	}
	_exit(1);
}

static void an_interface_without_an_ethernet_header_is_served(void **state)
{
	int there = netns_make(), here, elsewhere;
	pid_t pump;

	(void)state;
	here = tun_open("tun0", OWN);
	netns_enter(there);
	elsewhere = tun_open("tun0", PEER);
	netns_enter(home);
	pump = tun_pump(here, elsewhere);
	close_both(here, elsewhere);
	run(0, PPCTL "port add %d --split yes --gate 30000", SPLIT);
	assert_hooked("tun0");
	run(0, "ls $LAB_BPFFS/pp/progs | grep -q pp_in_bare_");
	serves_link(there);
	end(pump);
	close(there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lo_and_all_interfaces_with_an_address_get_hooks),
		TEST(an_interface_that_comes_later_is_told_and_its_proxies_wait),
		TEST(only_the_interfaces_that_are_named_get_hooks),
		TEST(an_interface_that_comes_back_gets_new_hooks),
		TEST(an_interface_that_moves_away_is_let_go),
		TEST(a_bridge_has_the_hooks_of_its_ports),
		TEST(a_vrf_has_hooks_besides_its_interfaces),
		TEST(an_interface_without_an_ethernet_header_is_served),
	};

	return run_share("interfaces", tests, interfaces_setup, NULL);
}
