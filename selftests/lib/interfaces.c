// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hooks on interfaces, as ppctl, bpftool and the kernel tell of them.
 */
#define _GNU_SOURCE
#include <net/if.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "interfaces.h"
#include "netns.h"

int home;

int has_tcx(void)
{
	__u32 count = 0;

	return !bpf_prog_query(1, TCX_INGRESS, 0, NULL, NULL, &count);
}

int interfaces_setup(void **state)
{
	(void)state;
	home = netns_here();
	return 0;
}

int interfaces_up(void **state)
{
	(void)state;
	run(0, PPCTL "up --cgroup $LAB_CGROUP --proxy %s,%s", PROXY, PEER);
	return 0;
}

int interfaces_down(void **state)
{
	(void)state;
	netns_enter(home);
	close_range(home + 1, ~0U, 0); /* what a case that failed has left */
	/* connections that are being closed may need the hooks still */
	run(0, "for n in $(seq 20); do test -e $LAB_BPFFS/pp || break; " PPCTL
	       "down; sleep 0.1; done; test ! -e $LAB_BPFFS/pp || " PPCTL "down --now; "
	       "test ! -e $LAB_BPFFS/two || " PPCTL "down --pin $LAB_BPFFS/two");
	run(0, "ip link del " LINK " 2>/dev/null || true");
	assert_says(run(0, "bpftool net; echo end"), "\n\ntc:\n\nflow_dissector:\n");
	return 0;
}

const char *status_of(const char *name)
{
	static char line[1024];
	char *status = strdup(status_text("")), *at, *next;
	size_t len = strlen(name);

	line[0] = 0;
	at = strstr(status, "interfaces of this network namespace\n");
	for (at = at ? strchr(at, '\n') + 1 : NULL; at && !strncmp(at, "  ", 2); at = next) {
		next = strchr(at, '\n') + 1;
		if (!strncmp(at + 2, name, len) && at[2 + len] == ' ') {
			snprintf(line, sizeof(line), "%.*s", (int)(next - at - 1), at);
			break;
		}
	}
	free(status);
	return line;
}

void assert_hooked(const char *name)
{
	const char *line = status_of(name), *way = has_tcx() ? " tcx" : " clsact";

	if (!strstr(line, way) || strstr(line, "HOOKS"))
		fail_msg("%s is not hooked: %s", name, line);
}

unsigned int programs_on(const char *name)
{
	__u32 in = 0, out = 0;

	if (!has_tcx())
		return strtoul(
			run(0,
			    "{ tc filter show dev %s ingress; tc filter show dev %s egress; } "
			    "2>/dev/null | grep -c ' pref 20560 .* handle ' || true",
			    name, name),
			NULL, 10);
	bpf_prog_query(if_nametoindex(name), TCX_INGRESS, 0, NULL, NULL, &in);
	bpf_prog_query(if_nametoindex(name), TCX_EGRESS, 0, NULL, NULL, &out);
	return in + out;
}

void assert_bare(const char *name)
{
	int tries;

	for (tries = 0; tries < SOON_MS / 100 && programs_on(name); tries++) {
		usleep(100000);
		run(0, PPCTL "proxy add %s", PROXY); /* any change goes on with what is due */
	}
	assert_int_equal(programs_on(name), 0);
}

int link_up(void)
{
	int there = netns_make(), here = netns_here();

	netns_connect(LINK, here, OWN, there, PEER);
	close(here);
	return there;
}

int connect_there(int there, const char *source, const char *address)
{
	int here = netns_here(), client;

	netns_enter(there);
	client = connect_to(source, address, SPLIT);
	netns_enter(here);
	close(here);
	return client;
}

void exchange(int client, int server, unsigned int seed)
{
	static uint8_t bytes[20000];

	fill_pattern(bytes, sizeof(bytes), seed);
	send_all(client, bytes, sizeof(bytes));
	assert_reads(server, bytes, sizeof(bytes));
	fill_pattern(bytes, sizeof(bytes), seed + 1);
	send_all(server, bytes, sizeof(bytes));
	assert_reads(client, bytes, sizeof(bytes));
}

int served(int listener, int client)
{
	int server;

	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	if (server < 0)
		fail_msg("port %u takes no connection: %s", port_of(client), status_text(""));
	assert_origin(server, LINE_ORIGIN);
	assert_nothing_to_read(server);
	exchange(client, server, 1);
	return server;
}

void serves_link(int there)
{
	int listener = listen_on(OWN, SPLIT), client = connect_there(there, PEER, OWN);

	close_both(client, served(listener, client));
	close(listener);
}

void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

long dropped_on(const char *name)
{
	const char *line = status_of(name), *at = strstr(line, " segments dropped by the guard");

	while (at && at > line && at[-1] != ' ')
		at--;
	return at ? strtol(at, NULL, 10) : 0;
}
