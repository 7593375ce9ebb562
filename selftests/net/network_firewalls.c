// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split behind firewalls that follow connections, and filters that ask where a packet came
 * from.
 */
#define _GNU_SOURCE

#include "../lib/network.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_firewall_that_follows_connections, network_clear),
		cmocka_unit_test_teardown(strict_reverse_path_filters, network_clear),
	};

	return run_share("network_firewalls", tests, network_setup, NULL);
}
