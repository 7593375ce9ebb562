// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses that relays of container engines have: those of this host, and those of containers'
 * default gateways. Who marks one of them believes whoever comes by the relay.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gateway.h"
#include "ppctl.h"

int has_own_address(const struct prefix *prefix, int with_loopback, char text[INET6_ADDRSTRLEN])
{
	struct ifaddrs *list = NULL, *entry;
	int found = 0;

	if (getifaddrs(&list))
		return 0;
	for (entry = list; entry && !found; entry = entry->ifa_next) {
		const struct sockaddr *address = entry->ifa_addr;

		if (!address || address->sa_family != prefix->family ||
		    (!with_loopback && entry->ifa_flags & IFF_LOOPBACK))
			continue;
		inet_ntop(address->sa_family,
			  address->sa_family == AF_INET
				  ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
				  : &((const struct sockaddr_in6 *)address)->sin6_addr,
			  text, INET6_ADDRSTRLEN);
		found = prefix_matches(prefix, text);
	}
	freeifaddrs(list);
	return found;
}

/* By the other end of a veth, or a process: by others, a macvlan for one, the gateway is another
 * machine, and may be a balancer. */
static int leads_to_this_host(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	failed = fd < 0 || ioctl(fd, SIOCETHTOOL, &request);
	if (fd >= 0)
		close(fd);
	return !failed && (!strcmp(info.driver, "veth") || !strcmp(info.driver, "tun"));
}

static void add_gateway(struct json_object *list, const char *interface, int family,
			const void *address)
{
	char text[INET6_ADDRSTRLEN];

	if (leads_to_this_host(interface) && inet_ntop(family, address, text, sizeof(text)))
		json_object_array_add(list, json_object_new_string(text));
}

static void read_routes4(struct json_object *list)
{
	unsigned int destination, gateway, flags;
	FILE *table = fopen("/proc/self/net/route", "re");
	char line[512], interface[IFNAMSIZ];

	while (table && fgets(line, sizeof(line), table)) {
		/* in words of host byte order */
		if (sscanf(line, "%15s %x %x %x", interface, &destination, &gateway, &flags) == 4 &&
		    !destination && flags & RTF_GATEWAY)
			add_gateway(list, interface, AF_INET, &gateway);
	}
	if (table)
		fclose(table);
}

static void read_routes6(struct json_object *list)
{
	FILE *table = fopen("/proc/self/net/ipv6_route", "re");
	char line[512], interface[IFNAMSIZ], hex[33];
	unsigned int length, flags;
	struct in6_addr gateway;
	size_t i;

	while (table && fgets(line, sizeof(line), table)) {
		if (sscanf(line, "%*32x %x %*x %*x %32s %*x %*x %*x %x %15s", &length, hex, &flags,
			   interface) != 4 ||
		    length || !(flags & RTF_GATEWAY) || strlen(hex) != 32)
			continue;
		for (i = 0; i < sizeof(gateway); i++)
			sscanf(hex + 2 * i, "%2hhx", &gateway.s6_addr[i]);
		add_gateway(list, interface, AF_INET6, &gateway);
	}
	if (table)
		fclose(table);
}

static void read_namespace(uint64_t cookie, void *list)
{
	(void)cookie;
	read_routes4(list);
	read_routes6(list);
}

struct json_object *gateways_read(struct json_object *cgroups)
{
	struct json_object *list = json_object_new_array();
	int here = 0;
	size_t i;

	for (i = 0; i < json_object_array_length(cgroups); i++)
		netns_each_of_cgroup(json_object_get_string(json_object_array_get_idx(cgroups, i)),
				     read_namespace, list, &here);
	return list;
}
