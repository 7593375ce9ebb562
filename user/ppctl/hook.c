// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_in and pp_out on one interface: which programs it needs, and that both are there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "build.h"
#include "hook.h"
#include "ppctl.h"
#include "translated.h"

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif
#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

/* For devices with an Ethernet header, and for those without. */
static const char *const ethernet_programs[] = {"pp_out", "pp_in", NULL};
static const char *const bare_programs[] = {"pp_out_bare", "pp_in_bare", NULL};

static void program_path(char path[PATH_MAX], const char *program, uint64_t cookie)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%llu", program, (unsigned long long)cookie);
	pin_path(path, "progs", name);
}

/* The programs for an interface of this @type, ARPHRD_*: pp_out's and pp_in's; or NULL: pp_in does
 * not know what stands before the IP header there. */
static const char *const *programs_for(unsigned int type)
{
	switch (type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return ethernet_programs;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
		return bare_programs;
	}
	return NULL;
}

int hook_parse_program(const char *pin, uint64_t *cookie)
{
	unsigned long long number;

	if (sscanf(pin, "pp_in_%llu", &number) != 1 && sscanf(pin, "pp_out_%llu", &number) != 1 &&
	    sscanf(pin, "pp_in_bare_%llu", &number) != 1 &&
	    sscanf(pin, "pp_out_bare_%llu", &number) != 1)
		return -1;
	*cookie = number;
	return 0;
}

int hook_has_programs(uint64_t cookie)
{
	char program[PATH_MAX], bare[PATH_MAX];

	program_path(program, ethernet_programs[IN], cookie);
	program_path(bare, bare_programs[IN], cookie);
	return path_exists(program) || path_exists(bare);
}

int hook_is_attached(int way, uint64_t cookie, unsigned int index)
{
	return has_tcx() ? tcx_is_attached(way, cookie, index) : clsact_is_attached(way, index);
}

int hooks_are_attached(uint64_t cookie, unsigned int index)
{
	return hook_is_attached(OUT, cookie, index) && hook_is_attached(IN, cookie, index);
}

static int attach(int way, uint64_t cookie, const struct interface *interface, const char *program)
{
	char path[PATH_MAX], name[IF_NAMESIZE];
	int fd, result;

	/* an ingress qdisc has one place: the kernel would run pp_out on incoming packets */
	if (!has_tcx() && has_ingress_qdisc(interface->index))
		return error("%s has an ingress qdisc of another tool, where pp_out has no place: "
			     "have that "
			     "use clsact, which takes the same filters",
			     interface->name);
	program_path(path, program, cookie);
	fd = pin_open_path(path);
	if (fd < 0)
		return error("%s: %s", path, strerror(errno));
	if (has_tcx())
		result = tcx_attach(way, cookie, interface->index, fd);
	else
		result = clsact_attach(way, cookie, interface->index, fd);
	close(fd);
	if (!result && hook_is_attached(way, cookie, interface->index))
		return 0;
	if (!if_indextoname(interface->index, name))
		return 0; /* it has just gone */
	return error(
		"attaching %s to %s by %s: %s; see what else is there: tc qdisc show dev %s, tc "
		"filter show dev %s, bpftool net",
		program, interface->name, has_tcx() ? "tcx" : "clsact",
		strerror(result ? -result : EBUSY), interface->name, interface->name);
}

/* The pins say in which namespaces there are filters. */
static int are_pinned(uint64_t cookie, const char *const *programs)
{
	char path[PATH_MAX];

	for (; *programs; programs++) {
		program_path(path, *programs, cookie);
		if (!path_exists(path))
			return 0;
	}
	return 1;
}

int hook_attach(uint64_t cookie, const struct interface *interface)
{
	const char *const *programs = programs_for(interface->type);
	int way, pinned;

	if (!programs)
		return error("%s is of a kind that pp_in cannot read (neither Ethernet nor a "
			     "tunnel): name "
			     "the others with --interface",
			     interface->name);
	pinned = are_pinned(cookie, programs);
	if (pinned && hooks_are_attached(cookie, interface->index))
		return 0;
	if (!pinned && build_load_tc(cookie, programs))
		return -1;
	flows_forget_old();
	for (way = 0; way < WAYS; way++) {
		if (!hook_is_attached(way, cookie, interface->index) &&
		    attach(way, cookie, interface, programs[way]))
			return -1;
	}
	return 0;
}

int hook_detach(uint64_t cookie, unsigned int index)
{
	return has_tcx() ? tcx_detach(cookie, index) : clsact_detach(cookie, index);
}
