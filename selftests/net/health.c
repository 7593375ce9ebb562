// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl status: each situation has its first line, its finding and its exit status.
 *
 * check: all long
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../lib/address.h"
#include "../lib/interfaces.h"
#include "../lib/mistakes.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define PLAIN "build/bin/ppctl "
#define UP    PLAIN "up --cgroup $LAB_CGROUP --port 2525 --proxy 127.0.0.2 >/dev/null"

static int listener = -1;

static int down(void **state)
{
	(void)state;
	if (listener >= 0)
		close(listener);
	listener = -1;
	become_server();
	run(0, "for set in $LAB_BPFFS/pp/*/maps; do [ ! -e $set ] || " PLAIN
	       "down --now --pin ${set%%/maps}; done >/dev/null 2>&1; "
	       "[ ! -e $LAB_BPFFS/pp ] || " PLAIN "down --now >/dev/null; rm -rf $LAB_BPFFS/pp");
	return 0;
}

static void listen_here(void)
{
	listener = listen_on(SERVER, 2525);
}

static void nothing(void)
{
}

static void no_port(void)
{
	run(0, PLAIN "up --cgroup $LAB_CGROUP --proxy 127.0.0.2");
}

static void no_proxy(void)
{
	run(0, PLAIN "up --cgroup $LAB_CGROUP --port 2525");
	listen_here();
}

static void all_is_well(void)
{
	run(0, UP);
	listen_here();
}

static void no_listener(void)
{
	run(0, UP);
}

static void proxy_is_a_bridge(void)
{
	all_is_well();
	run(0, "ip link add bridge0 type bridge && ip addr add 172.17.0.1/16 dev bridge0 && " PLAIN
	       "proxy add 172.17.0.1");
}

static void proxies_are_a_bridges_network(void)
{
	all_is_well();
	run(0, PLAIN "proxy add 172.17.0.0/16");
}

static void a_bridge_with_a_proxy_cgroup(void)
{
	all_is_well();
	run(0, PLAIN "proxy add 172.17.0.1 && " PLAIN "proxy-cgroup add $LAB_OUTSIDE");
}

static void listener_outside(void)
{
	run(0, UP);
	become_bystander();
	listen_here();
	become_server();
}

static void no_getsockopt(void)
{
	all_is_well();
	run(0, "rm $LAB_BPFFS/pp/links/pp_getsockopt");
}

static void no_gate(void)
{
	all_is_well();
	run(0, "rm $LAB_BPFFS/pp/links/pp_gate");
}

static void no_links(void)
{
	all_is_well();
	run(0, "rm $LAB_BPFFS/pp/links/*");
}

static void no_map(void)
{
	all_is_well();
	run(0, "rm $LAB_BPFFS/pp/maps/pp_stats");
}

static void no_cgroup(void)
{
	run(0, "mkdir -p $LAB_CGROUP/unit && " PLAIN
	       "up --cgroup $LAB_CGROUP/unit --port 2525 --proxy 127.0.0.2 && "
	       "rmdir $LAB_CGROUP/unit");
}

static void cgroup_made_anew(void)
{
	no_cgroup();
	run(0, "mkdir $LAB_CGROUP/unit");
}

static void configured(const char *more)
{
	run(0,
	    "printf '[serve mail]\ncgroup = %%s\nport = 2525\nproxy = 127.0.0.2\n%s' "
	    "$LAB_CGROUP/later >/tmp/health.conf && " PLAIN "apply /tmp/health.conf",
	    more);
}

static void cgroup_missing(void)
{
	configured("");
}

static void proxy_cgroup_missing(void)
{
	run(0, "mkdir -p $LAB_CGROUP/later");
	configured("proxy-cgroup = nowhere.slice\\n");
	run(0, "echo %d >$LAB_CGROUP/later/cgroup.procs", getpid());
	listen_here();
	become_server();
}

static void no_proxy_cgroup(void)
{
	all_is_well();
	run(0, "mkdir -p $LAB_OUTSIDE/unit && " PLAIN "proxy-cgroup add $LAB_OUTSIDE/unit && "
	       "rmdir $LAB_OUTSIDE/unit && mkdir $LAB_OUTSIDE/unit");
}

static void outsiders(void)
{
	int client, server;

	all_is_well();
	run(0, PLAIN "proxy-cgroup add $LAB_OUTSIDE");
	client = connect_to(PROXY, SERVER, 2525);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	close_both(client, server);
}

static void multipath(void)
{
	struct sockaddr_storage here;
	socklen_t len = address_fill(&here, SERVER, 2525);

	run(0, UP);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (listener < 0)
		skip_because("this kernel has no Multipath TCP: %s", strerror(errno));
	assert_int_equal(bind(listener, (struct sockaddr *)&here, len), 0);
	assert_int_equal(listen(listener, 1), 0);
}

static struct link link_here = {-1, -1};
static int there = -1; /* another host's network namespace */

static void connect_proxy(void)
{
	link_here.client = connect_to(PROXY, SERVER, 2525);
	send_text(link_here.client, LINE);
	link_here.server = accept_within(listener, SOON_MS);
	assert_true(link_here.server >= 0);
}

static void split_connection(void)
{
	run(0, PLAIN "up --cgroup $LAB_CGROUP --port 2525 --split yes --proxy 127.0.0.2");
	listen_here();
	connect_proxy();
}

static void origin_unasked(void)
{
	split_connection();
	sleep(7);
}

static void origin_asked(void)
{
	origin_unasked();
	assert_origin(link_here.server, LINE_ORIGIN);
}

static void peek_connection(void)
{
	all_is_well();
	connect_proxy();
}

static void peek_unasked(void)
{
	peek_connection();
	sleep(7);
}

/* Servers that do not understand the header close soon. */
static void peek_never_asked(void)
{
	peek_connection();
	close_link(&link_here);
	link_here.client = -1;
}

static void peek_asked(void)
{
	peek_connection();
	assert_origin(link_here.server, LINE_ORIGIN);
	close_link(&link_here);
	link_here.client = -1;
}

static void port_draining(void)
{
	split_connection();
	run(0, PLAIN "port add 2526 && " PLAIN "port del 2525");
	close(listener);
	listener = listen_on(SERVER, 2526);
}

static void going_down(void)
{
	split_connection();
	run(3, PLAIN "down");
}

/* As a killed 'ppctl apply' leaves it: PP_CONFIG_CHANGING, 8, among pp_config's flags. */
static void broken_off(void)
{
	all_is_well();
	run(0, "bpftool map update pinned $LAB_BPFFS/pp/maps/pp_config key 0 0 0 0 value 8 0 0 0");
}

static void dropped_without_hooks(void)
{
	home = netns_here();
	there = link_up();
	run(0, PLAIN "up --cgroup $LAB_CGROUP --port %d --split yes --proxy %s --interface lo",
	    SPLIT, PEER);
	listener = listen_on(OWN, SPLIT);
	link_here.client = connect_there(there, PEER, OWN);
	send_text(link_here.client, LINE);
	link_here.server = accept_within(listener, A_WHILE_MS);
	assert_int_equal(link_here.server, -ETIMEDOUT);
}

static void up_for(const char *proxies, const char *address)
{
	run(0, PLAIN "up --cgroup $LAB_CGROUP --port 2525 --proxy %s >/dev/null", proxies);
	listener = listen_on(address, 2525);
}

/* As Debian's Exim does before it is configured. */
static void on_the_loopback(void)
{
	up_for("192.0.2.7,2001:db8::7", SERVER);
}

static void on_the_loopback_of_ipv6(void)
{
	up_for("2001:db8::/32", "::1");
}

static void of_another_family(void)
{
	up_for("2001:db8::7", "0.0.0.0");
}

/* One of several: the others are served. */
static void one_cut_off(void)
{
	up_for("127.0.0.2,192.0.2.7", SERVER);
}

static void on_all_addresses(void)
{
	up_for("192.0.2.7,2001:db8::7", "::");
}

static void on_the_loopback_for_all(void)
{
	up_for("0.0.0.0/0", SERVER);
}

static const struct situation {
	const char *name;
	void (*make)(void);
	int status;
	const char *first;   /* what the first line begins with */
	const char *finding; /* a line of the output, or its beginning; or NULL: there is none */
} situations[] = {
	{"nothing", nothing, 2, "pp: down: nothing is up at /sys/fs/bpf/pp\n",
	 "  nothing is up at /sys/fs/bpf/pp: start with 'ppctl up --cgroup PATH'"},
	{"no_port", no_port, 1, "pp: degraded: no port is served\n",
	 "  no port is served: ppctl port add PORT\n"},
	{"no_proxy", no_proxy, 1, "pp: degraded: no proxy is marked",
	 "  no proxy is marked, so that all peers are ordinary clients: ppctl proxy add"},
	{"all_is_well", all_is_well, 0, "pp: serving ports 2525: 0 connections\n", NULL},
	{"no_listener", no_listener, 1, "pp: degraded: nothing listens on port 2525\n",
	 "  nothing listens on port 2525: start the server"},
	{"on_the_loopback", on_the_loopback, 1,
	 "pp: degraded: the proxy 192.0.2.7/32 does not reach port 2525: its server listens on "
	 "127.0.0.1:2525, the loopback, alone\n",
	 "  the proxy 192.0.2.7/32 does not reach port 2525: its server listens on "
	 "127.0.0.1:2525, the loopback, alone: have the server listen on the address"},
	{"on_the_loopback_of_ipv6", on_the_loopback_of_ipv6, 1,
	 "pp: degraded: the proxy 2001:db8::/32 does not reach port 2525",
	 "  the proxy 2001:db8::/32 does not reach port 2525: its server listens on [::1]:2525, "
	 "the loopback, alone"},
	{"of_another_family", of_another_family, 1,
	 "pp: degraded: the proxy 2001:db8::7/128 does not reach port 2525",
	 "  the proxy 2001:db8::7/128 does not reach port 2525: its server listens on "
	 "0.0.0.0:2525 alone"},
	{"one_cut_off", one_cut_off, 0, "pp: serving ports 2525",
	 "  the proxy 192.0.2.7/32 does not reach port 2525"},
	{"on_all_addresses", on_all_addresses, 0, "pp: serving ports 2525", NULL},
	{"on_the_loopback_for_all", on_the_loopback_for_all, 0, "pp: serving ports 2525", NULL},
	{"proxy_is_a_bridge", proxy_is_a_bridge, 0, "pp: serving ports 2525",
	 "  the proxy 172.17.0.1/32 has an address of this host, 172.17.0.1: who comes by a relay "
	 "here is believed: name the balancer, or have a firewall admit none but it"},
	{"proxies_are_a_bridges_network", proxies_are_a_bridges_network, 0,
	 "pp: serving ports 2525",
	 "  the proxy 172.17.0.0/16 has an address of this host, 172.17.0.1: "},
	{"a_bridge_with_a_proxy_cgroup", a_bridge_with_a_proxy_cgroup, 0, "pp: serving ports 2525",
	 NULL},
	{"listener_outside", listener_outside, 1,
	 "pp: degraded: the listener 127.0.0.1:2525 is not served",
	 "  the listener 127.0.0.1:2525 is not served: it was made outside of the cgroup, in /"},
	{"no_getsockopt", no_getsockopt, 1, "pp: degraded: pp_getsockopt is not attached",
	 "  pp_getsockopt is not attached: its pin below /sys/fs/bpf/pp/links is gone: 'ppctl up'"},
	{"no_gate", no_gate, 2, "pp: down: pp_gate is not attached",
	 "  pp_gate is not attached: its pin below /sys/fs/bpf/pp/links is gone: 'ppctl up'"},
	{"no_links", no_links, 2, "pp: down: no program is pinned below /sys/fs/bpf/pp/links\n",
	 "  no program is pinned below /sys/fs/bpf/pp/links: 'ppctl up'"},
	{"no_map", no_map, 2, "pp: down: pins of the set are missing\n",
	 "  pins of the set are missing: 'ppctl down', and"},
	{"no_cgroup", no_cgroup, 2, "pp: down: the cgroup /", "  the cgroup /"},
	{"cgroup_made_anew", cgroup_made_anew, 2, "pp: down: the cgroup is gone, with the programs",
	 "  the cgroup is gone, with the programs: "},
	{"cgroup_missing", cgroup_missing, 2, "mail: down: the cgroup /", "  the cgroup /"},
	{"proxy_cgroup_missing", proxy_cgroup_missing, 1,
	 "mail: degraded: the proxy's cgroup nowhere.slice does not exist",
	 "  the proxy's cgroup nowhere.slice does not exist: over loopback nobody else is "
	 "believed: "
	 "start its unit"},
	{"no_proxy_cgroup", no_proxy_cgroup, 1, "pp: degraded: a proxy's cgroup is gone",
	 "  a proxy's cgroup is gone: what its proxy sends over loopback is not believed: "
	 "'ppctl proxy-cgroup add"},
	{"outsiders", outsiders, 0, "pp: serving ports 2525",
	 "  1 segments came from processes outside of the proxies' cgroups: "},
	{"multipath", multipath, 0, "pp: serving ports 2525",
	 "  127.0.0.1:2525 listens for Multipath TCP: "},
	{"origin_unasked", origin_unasked, 1,
	 "pp: degraded: the server on port 2525 asks for no origin",
	 "  the server on port 2525 asks for no origin, and takes the proxy for its client: "
	 "'ppctl port add 2525 --transparent'"},
	{"origin_asked", origin_asked, 0, "pp: serving ports 2525: 1 connections\n", NULL},
	{"peek_unasked", peek_unasked, 1,
	 "pp: degraded: the server on port 2525 asks for no origin",
	 "  the server on port 2525 asks for no origin, and finds the header in its stream: "
	 "'ppctl port add 2525 --transparent'"},
	{"peek_never_asked", peek_never_asked, 1, "pp: degraded: no server has asked for an origin",
	 "  no server has asked for an origin, of 1 connections with a header: 'ppctl port add"},
	{"peek_asked", peek_asked, 0, "pp: serving ports 2525: ", NULL},
	{"port_draining", port_draining, 0, "pp: serving ports 2525, 2526: 1 connections\n",
	 "  port 2525 is served no more, and 1 connections with a split are left: wait, or"},
	{"going_down", going_down, 2, "pp: down: it is going down",
	 "  it is going down, when its connections with a split are gone: "},
	{"broken_off", broken_off, 1, "pp: degraded: a change of the set is being made, or was",
	 "  a change of the set is being made, or was broken off: 'ppctl apply'"},
	{"dropped_without_hooks", dropped_without_hooks, 1,
	 "pp: degraded: proxies' segments come by the interface " LINK,
	 "  proxies' segments come by the interface " LINK ", which has no hooks: "},
};

static void assert_situation(const struct situation *situation)
{
	const char *text = run(situation->status, PLAIN "status"), *second;
	char line[256];

	print_message("%s\n", situation->name);
	if (strncmp(text, situation->first, strlen(situation->first)))
		fail_msg("no '%s' at the beginning of: %s", situation->first, text);
	second = strchr(text, '\n') + 1;
	if (!situation->finding) {
		if (!strncmp(second, "  ", 2))
			fail_msg("a finding: %s", text);
		return;
	}
	snprintf(line, sizeof(line), "\n%s", situation->finding);
	assert_says(text, line);
}

static void each_situation_has_its_first_line_finding_and_exit_status(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
		situations[i].make();
		assert_situation(&situations[i]);
		if (link_here.client >= 0)
			close_link(&link_here);
		link_here.client = -1;
		if (there >= 0)
			close_both(home, there);
		there = -1;
		down(state);
	}
}

static int is_a_situation(const char *words)
{
	size_t i;

	for (i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
		if (situations[i].finding && strstr(situations[i].finding, words))
			return 1;
	}
	return 0;
}

static void each_mistake_of_the_page_is_one_of_these(void **state)
{
	(void)state;
	assert_mistakes_are_said("When it runs", 20, is_a_situation);
}

/* Runs ppctl status without CAP_DAC_READ_SEARCH, which the lookup of a cgroup by its number takes.
 */
static int status_without_capability(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0))
			_exit(9);
		execl("build/bin/ppctl", "ppctl", "status", NULL);
		_exit(9);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void cgroups_are_found_without_the_capability_to_open_them_by_number(void **state)
{
	(void)state;
	all_is_well();
	assert_int_equal(status_without_capability(), 0);
	close(listener);
	run(0, PLAIN "down");
	no_cgroup();
	assert_int_equal(status_without_capability(), 2);
}

static void listeners_of_the_cgroups_other_network_namespaces_are_found(void **state)
{
	int here = netns_here(), other = netns_make(), ready[2];
	char byte;
	pid_t child;

	(void)state;
	run(0, UP);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		netns_enter(other);
		run(0, "ip link set lo up");
		listen_here();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_says(run(0, PLAIN "status"), "  127.0.0.1:2525  in the network namespace ");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	run(1, PLAIN "status");
	close_both(ready[0], ready[1]);
	close_both(here, other);
}

/* A process @name that listens, in the network namespace @netns, and in the cgroup that @join
 * enters.
 */
static pid_t serve_as(const char *name, int netns, void (*join)(void))
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		join();
		netns_enter(netns);
		run(0, "ip link set lo up");
		prctl(PR_SET_NAME, name);
		listen_here();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close_both(ready[0], ready[1]);
	return child;
}

static void stop_process(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void listeners_of_container_engines_are_told_from_servers(void **state)
{
	static const char *const relays[] = {"docker-proxy", "rootlessport", "pasta"};
	int here = netns_here();
	pid_t child;
	size_t i;

	(void)state;
	run(0, UP);
	for (i = 0; i < 3; i++) {
		child = serve_as(relays[i], here, become_server);
		assert_says(run(1, PLAIN "status"), "the listener 127.0.0.1:2525 is ");
		assert_says(run(1, PLAIN "status"), ", a relay: it eats the header");
		stop_process(child);
		child = serve_as(relays[i], here, become_bystander);
		assert_says(run(1, PLAIN "status"), "pp: degraded: nothing listens on port 2525\n");
		assert_null(strstr(run(1, PLAIN "status"), "NOT SERVED"));
		stop_process(child);
	}
	child = serve_as("conmon", here, become_server);
	assert_says(run(1, PLAIN "status"), "pp: degraded: nothing listens on port 2525\n");
	assert_says(run(1, PLAIN "status"), "127.0.0.1:2525  conmon's, of a published port\n");
	/* what the server in the container listens on is not known to check */
	run(0, "printf '[serve mail]\\ncgroup = %%s\\ntransparent = yes\\nport = 2525\\nproxy = "
	       "127.0.0.2\\nproxy-cgroup = %%s\\n' $LAB_CGROUP $LAB_OUTSIDE >/tmp/engine.conf");
	assert_null(strstr(run(0, PLAIN "check /tmp/engine.conf 2>&1"), "warning"));
	stop_process(child);
	child = serve_as("master", here, become_server);
	assert_says(run(0, PLAIN "check /tmp/engine.conf 2>&1"), "and listens on IPv4 only");
	stop_process(child);
	close(here);
}

/* A proxy on the host has the port number that the container's server has, too. */
static void another_server_of_a_namespace_without_the_set(void **state)
{
	int here = netns_here(), other = netns_make();
	pid_t proxy, server;

	(void)state;
	run(0, UP);
	proxy = serve_as("haproxy", here, become_bystander);
	assert_says(run(1, PLAIN "status"), "NOT SERVED");
	become_bystander();
	server = serve_as("master", other, become_server);
	assert_says(run(0, PLAIN "status"), "127.0.0.1:2525  another server's\n");
	stop_process(server);
	become_server();
	assert_says(run(1, PLAIN "status"), "NOT SERVED");
	stop_process(proxy);
	close_both(here, other);
}

static void assert_gateway_is_told(int told)
{
	static const char words[] =
		"  the proxy 10.79.0.1/32 has a container's gateway, 10.79.0.1: "
		"who comes by a relay there is believed: name the balancer";

	assert_int_equal(strstr(run(0, PLAIN "status"), words) != NULL, told);
}

/* Where a relay forwards to a container. By a macvlan the gateway is a machine of the network. */
static void a_proxy_that_is_a_containers_gateway(void **state)
{
	int here = netns_here(), middle = netns_make(), other = netns_make();
	pid_t server;

	(void)state;
	netns_connect("eth0", middle, "10.79.0.1", other, "10.79.0.2");
	netns_enter(other);
	run(0, "ip route add default via 10.79.0.1");
	netns_enter(here);
	run(0, UP);
	server = serve_as("master", other, become_server);
	assert_gateway_is_told(0);
	run(0, PLAIN "proxy add 10.79.0.1");
	assert_gateway_is_told(1);
	netns_enter(other);
	run(0, "ip link add macvlan0 link eth0 type macvlan && ip link set macvlan0 up && "
	       "ip route replace default via 10.79.0.1 dev macvlan0 onlink");
	netns_enter(here);
	assert_gateway_is_told(0);
	stop_process(server);
	close_both(middle, other);
	close(here);
}

static void the_exit_status_is_that_of_the_worst_set(void **state)
{
	const char *text;

	(void)state;
	run(0, PLAIN "up --cgroup $LAB_CGROUP --set mail --port 2525 --proxy 127.0.0.2");
	run(0, "mkdir $LAB_OUTSIDE/web && " PLAIN
	       "up --cgroup $LAB_OUTSIDE/web --set web --port 80 --proxy 127.0.0.2");
	listen_here();
	run(0, PLAIN "status --set mail");
	text = run(1, PLAIN "status");
	assert_says(text, "mail: serving ports 2525");
	assert_says(text, "web: degraded: nothing listens on port 80");
	run(0, "rm $LAB_BPFFS/pp/web/links/pp_gate");
	run(2, PLAIN "status");
	assert_says(run(2, PLAIN "status --json"), "\"health\":\"down\"");
	run(2, PLAIN "status --set none");
	run(0, PLAIN "down --set mail && " PLAIN "down --set web && rmdir $LAB_OUTSIDE/web");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_situation_has_its_first_line_finding_and_exit_status,
					  down),
		cmocka_unit_test(each_mistake_of_the_page_is_one_of_these),
		cmocka_unit_test_teardown(
			cgroups_are_found_without_the_capability_to_open_them_by_number, down),
		cmocka_unit_test_teardown(
			listeners_of_the_cgroups_other_network_namespaces_are_found, down),
		cmocka_unit_test_teardown(listeners_of_container_engines_are_told_from_servers,
					  down),
		cmocka_unit_test_teardown(another_server_of_a_namespace_without_the_set, down),
		cmocka_unit_test_teardown(a_proxy_that_is_a_containers_gateway, down),
		cmocka_unit_test_teardown(the_exit_status_is_that_of_the_worst_set, down),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
