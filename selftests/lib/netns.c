// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network namespaces, by system calls and ip(8).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>

#include "net.h"
#include "netns.h"

int netns_here(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void netns_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

int netns_make(void)
{
	int here = netns_here(), made;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	made = netns_here();
	run(0, "ip link set lo up");
	netns_enter(here);
	close(here);
	return made;
}

static void address_add(int netns, const char *name, const char *address)
{
	netns_enter(netns);
	run(0, "ip addr add %s/24 dev %s && ip link set %s up", address, name, name);
}

void netns_connect(const char *name, int one, const char *one_address, int other,
		   const char *other_address)
{
	int here = netns_here();

	netns_enter(one);
	run(0, "ip link add %s type veth peer name peer && ip link set peer netns /proc/%d/fd/%d",
	    name, getpid(), other);
	netns_enter(other);
	run(0, "ip link set peer name %s", name);
	address_add(one, name, one_address);
	address_add(other, name, other_address);
	netns_enter(here);
	close(here);
}
