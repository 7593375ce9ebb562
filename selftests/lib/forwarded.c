// SPDX-License-Identifier: BSD-2-Clause
/*
 * A host with published ports.
 */
#include <poll.h>

#include "forwarded.h"
#include "netns.h"
#include "proxy.h"

#define BULK (1 << 20)

int host, proxy, container;

int forwarded_setup(void **state)
{
	net_setup(state);
	host = netns_here();
	proxy = netns_make();
	container = netns_make();
	netns_connect("up0", host, UPLINK, proxy, PROXY_HOST);
	netns_connect("down0", host, GATEWAY, container, CONTAINER);
	run(0, "ip -6 addr add " UPLINK6
	       "/64 dev up0 nodad && ip -6 addr add fd00:71::1/64 dev down0 nodad");
	sysctl_set("net/ipv4/ip_forward", "1");
	sysctl_set("net/ipv6/conf/all/forwarding", "1");
	netns_enter(proxy);
	run(0, "ip -6 addr add " PROXY_HOST6 "/64 dev up0 nodad");
	netns_enter(container);
	run(0,
	    "ip -6 addr add " CONTAINER6 "/64 dev down0 nodad && ip route add default via " GATEWAY
	    " && ip -6 route add default via fd00:71::1");
	netns_enter(host);
	run(0,
	    "nft add table inet nat && "
	    "nft 'add chain inet nat pre { type nat hook prerouting priority -100; }' && "
	    "nft add rule inet nat pre iifname up0 ip daddr " UPLINK
	    " tcp dport %d dnat ip to " CONTAINER " && "
	    "nft add rule inet nat pre iifname up0 ip daddr " UPLINK
	    " tcp dport %d dnat ip to " CONTAINER ":%d && "
	    "nft add rule inet nat pre iifname up0 ip6 daddr " UPLINK6
	    " tcp dport %d dnat ip6 to " CONTAINER6,
	    PUBLISHED, RENAMED, INNER, PUBLISHED);
	run(0, "nft add rule inet nat pre iifname up0 tcp dport %d redirect to :%d", REDIRECTED,
	    TARGET);
	run(0, "build/bin/ppctl proxy add " PROXY_HOST " " PROXY_HOST6);
	run(0, "build/bin/ppctl port add %d --transparent", REDIRECTED);
	run(0, "build/bin/ppctl port add %d --transparent", PUBLISHED);
	run(0, "build/bin/ppctl port add %d --transparent", RENAMED);
	return 0;
}

int serve(const char *address, unsigned int port)
{
	int listener;

	netns_enter(container);
	listener = listen_on(address, port);
	netns_enter(host);
	return listener;
}

int call(const char *source, const char *address, unsigned int port)
{
	int fd;

	netns_enter(proxy);
	become_proxy();
	fd = connect_to(source, address, port);
	become_server();
	netns_enter(host);
	return fd;
}

void transfer(int from, int to, void (*each)(void))
{
	static uint8_t sent[BULK], got[BULK];
	size_t out = 0, in = 0;
	ssize_t len;

	fill_pattern(sent, BULK, 7);
	while (in < BULK) {
		len = out < BULK ? send(from, sent + out, BULK - out, MSG_DONTWAIT) : 0;
		if (len > 0)
			out += len;
		else if (len < 0 && errno != EAGAIN)
			fail_msg("send: %s", strerror(errno));
		if (each)
			each();
		poll(&(struct pollfd){.fd = to, .events = POLLIN}, 1, out < BULK ? 1 : SOON_MS);
		len = recv(to, got + in, BULK - in, MSG_DONTWAIT);
		if (len == 0)
			fail_msg("end of the stream after %zu bytes", in);
		if (len > 0)
			in += len;
	}
	assert_memory_equal(sent, got, BULK);
}
