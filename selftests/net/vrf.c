// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is of this host? With a proxy cgroup, a process outside of it is not believed, whatever
 * address it takes; over lo, where traffic of this host comes by, and in a VRF, where it does not.
 * A proxy on another host is.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "../lib/address.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define TRANSPARENT 2532
#define LINK	    "link0" /* to another host */
#define LINK_OWN    "10.61.0.1"
#define LINK_OTHER  "10.61.0.2"
#define VRF	    "vrf0"

static const unsigned int ports[] = {PORT, OPEN, TRANSPARENT};

/* Where server and client meet. */
struct place {
	const char *name;
	const char *device; /* that both are bound to, or NULL */
	const char *server;
	const char *marked;   /* an address of this host, as the client's */
	const char *unmarked; /* likewise */
};

static const struct place over_lo = {"lo", NULL, SERVER, PROXY, LOCAL};
static const struct place over_lo6 = {"lo, IPv6", NULL, SERVER6, PROXY6, OTHER6};
static const struct place over_link = {"the host's own address", NULL, "10.62.0.1", "10.62.0.2",
				       "10.62.0.3"};
static const struct place in_vrf = {"VRF", VRF, "10.60.0.1", "10.60.0.2", "10.60.0.3"};
static const struct place in_vrf6 = {"VRF, IPv6", VRF, "fd00:60::1", "fd00:60::2", "fd00:60::3"};
/* a server that listens in every VRF: net.ipv4.tcp_l3mdev_accept */
static const struct place in_any_vrf = {"any VRF", NULL, "10.60.0.1", "10.60.0.2", "10.60.0.3"};

static int has_vrf;

static int setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	run(0, "build/bin/ppctl proxy add 10.60.0.2 10.62.0.2 fd00:60::2 " LINK_OTHER);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	run(0, "for n in 1 2 3; do ip addr add 10.62.0.$n/32 dev lo; done");
	has_vrf = strstr(run(0, "ip link add " VRF " type vrf table 10 || echo none"), "none") ==
		  NULL;
	if (has_vrf)
		run(0, "ip link set " VRF " up && for n in 1 2 3; do "
		       "ip addr add 10.60.0.$n/32 dev " VRF "; "
		       "ip -6 addr add fd00:60::$n/128 dev " VRF " nodad; done");
	/* pp_in and pp_out there, too */
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	return 0;
}

static void need_vrf(void)
{
	if (!has_vrf)
		skip_because("this kernel has no VRF (module vrf)");
}

static void bind_device(int fd, const char *device)
{
	if (device)
		assert_int_equal(
			setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1), 0);
}

static int listen_in(const struct place *place, unsigned int port)
{
	struct sockaddr_storage where;
	const char *address = place == &in_any_vrf ? "0.0.0.0" : place->server;
	socklen_t len = address_fill(&where, address, port);
	int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	bind_device(fd, place->device);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&where, len) || listen(fd, 64))
		fail_msg("%s, %s: %s", place->name, address, strerror(errno));
	return fd;
}

/* Starts a connection. @device: where there is one, else the place's. */
static int start_in(const struct place *place, const char *device, const char *source,
		    unsigned int port)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, place->server, port);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	assert_true(fd >= 0);
	bind_device(fd, device);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&from, from_len))
		fail_msg("%s, %s: %s", place->name, source, strerror(errno));
	if (connect(fd, (struct sockaddr *)&to, to_len) && errno != EINPROGRESS)
		fail_msg("%s, %s: connect: %s", place->name, source, strerror(errno));
	return fd;
}

static int is_connected(int fd, int timeout_ms)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	return poll(&out, 1, timeout_ms) == 1 && out.revents == POLLOUT;
}

static const char *device_of(const struct place *place)
{
	return place == &in_any_vrf ? VRF : place->device;
}

/* An outsider is told to be one, or does not get through; @closing: closes behind the header. */
static void check_outsider(const struct place *place, unsigned int port, int listener, int closing)
{
	long outsiders = counter("outsiders");
	int client = start_in(place, device_of(place), place->marked, port), server;
	struct pp_origin origin = {0};

	if (is_connected(client, A_WHILE_MS)) {
		send_text(client, LINE PAYLOAD);
		if (closing)
			close(client);
	}
	server = accept_within(listener, A_WHILE_MS);
	if (server >= 0) {
		if (port == TRANSPARENT)
			fail_msg("%s: a connection of an outsider's", place->name);
		assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
		if (origin.reason != PP_BAD_SENDER)
			fail_msg("%s, port %u: %s", place->name, port,
				 pp_reason_text(origin.reason));
		close(server);
	}
	if (counter("outsiders") <= outsiders)
		fail_msg("%s, port %u: nobody was counted", place->name, port);
	if (!closing)
		reset(client);
}

static void check_believed(const struct place *place, const char *device, const char *source,
			   unsigned int port, int listener)
{
	int client = start_in(place, device, source, port), server;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (!is_connected(client, SOON_MS))
		fail_msg("%s, port %u, from %s: no connection", place->name, port, source);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	if (server < 0)
		fail_msg("%s, port %u, from %s: nothing to accept", place->name, port, source);
	if (port == TRANSPARENT) {
		assert_int_equal(getpeername(server, (struct sockaddr *)&peer, &len), 0);
		if (peer.ss_family == AF_INET)
			assert_string_equal(inet_ntoa(((struct sockaddr_in *)&peer)->sin_addr),
					    "192.0.2.7");
	}
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

/* pp_in, on an interface that belongs to a VRF, does not find the sockets that are bound to the
 * VRF: nothing gets through. */
static void check_guarded(const struct place *place, const char *source, unsigned int port,
			  int listener)
{
	int client = start_in(place, NULL, source, port);
	long guarded = counter("guarded");

	if (is_connected(client, SOON_MS))
		send_text(client, LINE PAYLOAD);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_true(counter("guarded") > guarded);
	close(client);
}

static void check_stranger(const struct place *place, unsigned int port, int listener)
{
	int client = start_in(place, device_of(place), place->unmarked, port), server;
	struct pp_origin origin;

	assert_true(is_connected(client, SOON_MS));
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	close_both(client, server);
}

static void check_place(const struct place *place)
{
	int listener, i;

	for (i = 0; i < 3; i++) {
		listener = listen_in(place, ports[i]);
		check_outsider(place, ports[i], listener, 0);
		check_outsider(place, ports[i], listener, 1);
		become_proxy();
		check_believed(place, device_of(place), place->marked, ports[i], listener);
		check_believed(place, device_of(place), place->unmarked, ports[i], listener);
		become_server();
		check_stranger(place, ports[i], listener);
		close(listener);
	}
}

static void over_lo_a_proxy_is_who_is_in_the_cgroup(void **state)
{
	(void)state;
	check_place(&over_lo);
	check_place(&over_lo6);
	check_place(&over_link);
}

static void in_a_vrf_a_proxy_is_who_is_in_the_cgroup(void **state)
{
	(void)state;
	need_vrf();
	check_place(&in_vrf);
	check_place(&in_vrf6);
}

static void the_same_where_the_server_listens_in_every_vrf(void **state)
{
	(void)state;
	need_vrf();
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "1");
	check_place(&in_any_vrf);
	sysctl_set("net/ipv4/tcp_l3mdev_accept", "0");
}

/* On another host, as far as can be told: in another network namespace, outside of the cgroup. */
static void check_remote(const char *device)
{
	const struct place place = {device ? "VRF, another host" : "another host", device, LINK_OWN,
				    LINK_OTHER, LINK_OTHER};
	int here = netns_here(), there = netns_make(), listener, i;

	netns_connect(LINK, here, LINK_OWN, there, LINK_OTHER);
	/* pp_in and pp_out, on the new interface too */
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	if (device)
		run(0, "ip link set " LINK " master %s", device);
	for (i = 0; i < 3; i++) {
		listener = listen_in(&place, ports[i]);
		netns_enter(there);
		/* its socket belongs there, and whatever is made from now on here */
		if (device && ports[i] == TRANSPARENT)
			check_guarded(&place, LINK_OTHER, ports[i], listener);
		else
			check_believed(&place, NULL, LINK_OTHER, ports[i], listener);
		netns_enter(here);
		close(listener);
	}
	run(0, "ip link del " LINK);
	close_both(here, there);
}

static void a_proxy_on_another_host_is_believed(void **state)
{
	(void)state;
	check_remote(NULL);
}

static void a_proxy_on_another_host_is_believed_in_a_vrf(void **state)
{
	(void)state;
	need_vrf();
	check_remote(VRF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_lo_a_proxy_is_who_is_in_the_cgroup),
		cmocka_unit_test(in_a_vrf_a_proxy_is_who_is_in_the_cgroup),
		cmocka_unit_test(the_same_where_the_server_listens_in_every_vrf),
		cmocka_unit_test(a_proxy_on_another_host_is_believed),
		cmocka_unit_test(a_proxy_on_another_host_is_believed_in_a_vrf),
	};

	return cmocka_run_group_tests_name("vrf", tests, setup, NULL);
}
