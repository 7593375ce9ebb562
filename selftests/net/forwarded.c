// SPDX-License-Identifier: BSD-2-Clause
/*
 * Published ports: a proxy on another host connects to an address of this one, and DNAT forwards
 * the connection to a server in a network namespace without hooks, as container engines do it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#include <bpf/bpf.h>

#include "../lib/address.h"
#include "../lib/proxy.h"

#define PUBLISHED   2540 /* the server's port is the same */
#define RENAMED	    2541 /* it is another, which is not served */
#define REDIRECTED  2543 /* to a port of this host, which is not served */
#define TARGET	    2544
#define INNER	    2542
#define UPLINK	    "10.70.0.1"
#define PROXY_HOST  "10.70.0.2"
#define GATEWAY	    "10.71.0.1"
#define CONTAINER   "10.71.0.2"
#define UPLINK6	    "fd00:70::1"
#define PROXY_HOST6 "fd00:70::2"
#define CONTAINER6  "fd00:71::2"
#define PAYLOAD	    "EHLO x\r\n"
#define BULK	    (1 << 20)
#define ENTRIES	    65536 /* of pp_forwarded */

static int host, proxy, container;

static int setup(void **state)
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

static int serve(const char *address, unsigned int port)
{
	int listener;

	netns_enter(container);
	listener = listen_on(address, port);
	netns_enter(host);
	return listener;
}

/* The proxy's connection to the host's address. */
static int call(const char *source, const char *address, unsigned int port)
{
	int fd;

	netns_enter(proxy);
	become_proxy();
	fd = connect_to(source, address, port);
	become_server();
	netns_enter(host);
	return fd;
}

static void assert_peer(int fd, const char *wanted)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char text[INET6_ADDRSTRLEN];
	const void *address = &((struct sockaddr_in *)&peer)->sin_addr;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	if (peer.ss_family == AF_INET6)
		address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
	assert_string_equal(inet_ntop(peer.ss_family, address, text, sizeof(text)), wanted);
}

static unsigned int retransmissions(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_total_retrans;
}

/* @from sends BULK bytes that @to gets, both ends never waiting for the other. @each: called now
 * and then, or NULL. */
static void bulk(int from, int to, void (*each)(void))
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

static int map_of(const char *name)
{
	char path[128];
	int map;

	snprintf(path, sizeof(path), "/sys/fs/bpf/pp/maps/%s", name);
	map = bpf_obj_get(path);
	assert_true(map >= 0);
	return map;
}

static void clear(const char *name)
{
	uint8_t key[128];
	int map = map_of(name);

	while (!bpf_map_get_next_key(map, NULL, key))
		bpf_map_delete_elem(map, key);
	close(map);
}

static void clear_cache(void)
{
	clear("pp_flows");
}

/* A whole connection, its header in pieces of @piece bytes; ends as the server's or the proxy's
 * close. Return: how often its header was sent again. */
static int converse(int listener, int client, size_t piece, int server_closes)
{
	int server, one = 1, again;
	size_t at;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (at = 0; at < LINE_LEN; at += piece) {
		send_all(client, LINE + at, LINE_LEN - at < piece ? LINE_LEN - at : piece);
		await_acknowledged(client);
	}
	again = retransmissions(client);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_peer(server, "192.0.2.7");
	assert_origin(server, LINE_ORIGIN);
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	bulk(client, server, NULL);
	bulk(server, client, NULL);
	shutdown(server_closes ? server : client, SHUT_WR);
	assert_reads_eof(server_closes ? client : server);
	send_text(server_closes ? client : server, "after that\r\n");
	assert_reads_text(server_closes ? server : client, "after that\r\n");
	close_both(client, server);
	return again;
}

static void a_published_port(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), whole = 0, pieces = 0, i;

	(void)state;
	for (i = 0; i < 4; i++) {
		whole += !converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, i & 1);
		pieces += !converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), 7, i & 1);
	}
	/* a busy machine sends one again now and then */
	assert_true(whole > 0);
	assert_true(pieces > 0);
	close(listener);
}

static void the_servers_own_port_is_another(void **state)
{
	int listener = serve("0.0.0.0", INNER);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, RENAMED), LINE_LEN, 0);
	close(listener);
}

static void header_and_payload_in_one_segment(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_peer(server, "192.0.2.7");
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	send_text(server, "250 x\r\n");
	assert_reads_text(client, "250 x\r\n");
	await_acknowledged(client);
	close_both(client, server);
	close(listener);
}

static void over_ip6(void **state)
{
	int listener = serve("::", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST6, UPLINK6, PUBLISHED);
	send_text(client, "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n" PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_peer(server, "2001:db8::7");
	assert_reads_text(server, PAYLOAD);
	bulk(client, server, NULL);
	bulk(server, client, NULL);
	close_both(client, server);
	close(listener);
}

static void nothing_that_can_be_evicted_is_needed(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	clear("pp_syns");
	clear("pp_synacks");
	bulk(client, server, clear_cache);
	bulk(server, client, clear_cache);
	close_both(client, server);
	close(listener);
}

static void under_syn_cookies(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED);

	(void)state;
	netns_enter(container);
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	netns_enter(host);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	netns_enter(container);
	sysctl_set("net/ipv4/tcp_syncookies", "1");
	netns_enter(host);
	close(listener);
}

/* No other namespace, but another port. */
static void redirected_to_a_port_of_this_host(void **state)
{
	int listener = listen_on("0.0.0.0", TARGET);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, REDIRECTED), LINE_LEN, 0);
	converse(listener, call(PROXY_HOST, UPLINK, REDIRECTED), 7, 1);
	close(listener);
}

/* docker-proxy has such a one. */
static void a_listener_on_the_host_does_not_matter(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), other = listen_on("0.0.0.0", PUBLISHED);

	(void)state;
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	close_both(listener, other);
}

/* What nobody serves is left alone. */
static void a_container_outside_of_the_served_cgroup(void **state)
{
	int listener, client, server, before = entries("pp_forwarded");

	(void)state;
	become_bystander();
	listener = serve("0.0.0.0", PUBLISHED);
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	become_bystander();
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	become_server();
	assert_peer(server, PROXY_HOST);
	assert_reads_text(server, LINE PAYLOAD);
	assert_int_equal(entries("pp_forwarded"), before);
	close_both(client, server);
	close(listener);
}

static void a_bad_header_ends_it(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client = call(PROXY_HOST, UPLINK, PUBLISHED);
	char byte;

	(void)state;
	send_text(client, "EHLO I am no proxy\r\n");
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS), 1);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close_both(client, listener);
}

static void a_tuple_again_with_another_header(void **state)
{
	static const char *const lines[] = {LINE, "PROXY TCP4 192.0.2.77 198.51.100.1 14711 25\r\n",
					    "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"};
	static const char *const peers[] = {"192.0.2.7", "192.0.2.77", "1.2.3.4"};
	int listener = serve("0.0.0.0", PUBLISHED), client, server, i;

	(void)state;
	for (i = 0; i < 6; i++) {
		netns_enter(proxy);
		become_proxy();
		client = connect_from(PROXY_HOST, 41000, UPLINK, PUBLISHED);
		become_server();
		netns_enter(host);
		send_text(client, lines[i % 3]);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_peer(server, peers[i % 3]);
		bulk(client, server, NULL);
		if (i & 1)
			reset(client);
		else
			close(client);
		close(server);
	}
	close(listener);
}

static struct pp_forwarded_value {
	uint32_t first_seq, cut;
	uint64_t made_ns, ended_ns;
	uint32_t confirmed, unused;
} value;

/* Entries without an end; what ended stays as long as TIME_WAIT lasts. */
static int living(void)
{
	uint8_t keys[2][128], *previous = NULL;
	int map = map_of("pp_forwarded"), count = 0, living = 0;

	while (!bpf_map_get_next_key(map, previous, keys[count & 1])) {
		previous = keys[count++ & 1];
		if (!bpf_map_lookup_elem(map, previous, &value) && !value.ended_ns)
			living++;
	}
	close(map);
	return living;
}

static void an_entry_ends_with_its_socket(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server, way, tries;

	(void)state;
	clear("pp_forwarded");
	for (way = 0; way < 4; way++) {
		client = call(PROXY_HOST, UPLINK, PUBLISHED);
		send_text(client, LINE);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_int_equal(living(), 1);
		switch (way) {
		case 0:
			close_both(client, server);
			break;
		case 1:
			close_both(server, client);
			break;
		case 2:
			reset(client);
			close(server);
			break;
		default:
			reset(server);
			close(client);
		}
		for (tries = 0; living() && tries < SOON_MS / 10; tries++)
			usleep(10000);
		assert_int_equal(living(), 0);
	}
	close(listener);
}

static void where_there_is_no_room_it_is_reset_and_counted(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), map = map_of("pp_forwarded"), client, error;
	long full = counter("forwarded_full");
	uint8_t key[128] = {0xff};
	socklen_t len = sizeof(error);
	uint32_t i;

	(void)state;
	clear("pp_forwarded");
	memset(&value, 0, sizeof(value));
	value.confirmed = 1;
	for (i = 0; i < ENTRIES; i++) {
		memcpy(key + 8, &i, sizeof(i));
		assert_int_equal(bpf_map_update_elem(map, key, &value, BPF_ANY), 0);
	}
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE);
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, SOON_MS), 1);
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_int_equal(counter("forwarded_full"), full + 1);
	clear("pp_forwarded");
	close_both(map, client);
	close(listener);
}

/* Detached at once: where the last pin goes, the kernel does it later. */
static void take_hooks_away(void)
{
	char path[512];
	struct dirent *entry;
	DIR *dir = opendir("/sys/fs/bpf/pp/links");
	int link;

	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/fs/bpf/pp/links/%s", entry->d_name);
		if (strncmp(entry->d_name, "pp_tcx_", 7))
			continue;
		link = bpf_obj_get(path);
		assert_true(link >= 0);
		assert_int_equal(bpf_link_detach(link), 0);
		close(link);
	}
	closedir(dir);
	run(0, "tc qdisc del dev up0 clsact 2>/dev/null || true");
}

/* Nothing of the stream, and no header, without the hooks. */
static void without_hooks_the_guard_stops_it(void **state)
{
	static const unsigned int ports[][2] = {{PUBLISHED, PUBLISHED}, {RENAMED, INNER}};
	int listener, client, server, early, i;
	long guarded;

	(void)state;
	for (i = 0; i < 2; i++) {
		listener = serve("0.0.0.0", ports[i][1]);
		early = call(PROXY_HOST, UPLINK, ports[i][0]);
		send_text(early, LINE);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		take_hooks_away();
		guarded = counter("guarded");
		send_text(early, PAYLOAD);
		client = call(PROXY_HOST, UPLINK, ports[i][0]);
		send_text(client, LINE PAYLOAD);
		assert_nothing_to_read(server);
		assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
		assert_true(counter("guarded") > guarded);
		run(0, "build/bin/ppctl port add %d --transparent", PUBLISHED);
		assert_reads_text(server, PAYLOAD);
		close_both(early, server);
		close(client);
		close(listener);
	}
}

static void with_hooks_in_the_container_too(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED);

	(void)state;
	netns_enter(container);
	run(0, "build/bin/ppctl port add %d --transparent", PUBLISHED);
	netns_enter(host);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), LINE_LEN, 0);
	converse(listener, call(PROXY_HOST, UPLINK, PUBLISHED), 7, 1);
	close(listener);
}

static int call_from(unsigned int from, unsigned int port)
{
	int fd;

	netns_enter(proxy);
	become_proxy();
	fd = connect_from(PROXY_HOST, from, UPLINK, port);
	become_server();
	netns_enter(host);
	return fd;
}

/* A container that was started again, in a cgroup that nobody has named yet; its proxy connects
 * from ports that it has used before. */
static void an_old_tuple_leads_to_a_server_that_is_not_served(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	client = call_from(4001, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	reset(client);
	close(server);
	close(listener);
	become_bystander();
	listener = serve("0.0.0.0", PUBLISHED);
	client = call_from(4001, PUBLISHED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, 3000);
	assert_true(server >= 0);
	assert_reads_text(server, LINE PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	close_both(client, server);
	close(listener);
	become_server();
}

/* Then the guard knows the port before the first connection has come. */
static void the_servers_own_port_is_served_too(void **state)
{
	int listener, client, server;

	(void)state;
	run(0, "build/bin/ppctl port add %d --transparent", INNER);
	listener = serve("0.0.0.0", INNER);
	client = call(PROXY_HOST, UPLINK, RENAMED);
	send_text(client, LINE PAYLOAD);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	close_both(client, server);
	close(listener);
	run(0, "build/bin/ppctl port del %d", INNER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_servers_own_port_is_served_too),
		cmocka_unit_test(an_old_tuple_leads_to_a_server_that_is_not_served),
		cmocka_unit_test(a_published_port),
		cmocka_unit_test(the_servers_own_port_is_another),
		cmocka_unit_test(header_and_payload_in_one_segment),
		cmocka_unit_test(over_ip6),
		cmocka_unit_test(nothing_that_can_be_evicted_is_needed),
		cmocka_unit_test(under_syn_cookies),
		cmocka_unit_test(redirected_to_a_port_of_this_host),
		cmocka_unit_test(a_listener_on_the_host_does_not_matter),
		cmocka_unit_test(a_container_outside_of_the_served_cgroup),
		cmocka_unit_test(a_bad_header_ends_it),
		cmocka_unit_test(a_tuple_again_with_another_header),
		cmocka_unit_test(an_entry_ends_with_its_socket),
		cmocka_unit_test(where_there_is_no_room_it_is_reset_and_counted),
		cmocka_unit_test(without_hooks_the_guard_stops_it),
		cmocka_unit_test(with_hooks_in_the_container_too),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("forwarded", tests, setup, NULL);
}
