// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is known of a forwarded connection (pp_forwarded): it ends with its socket, is not another's
 * with the same tuple, and nothing that is evicted is needed; where it cannot be known, the
 * connection is stopped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <bpf/bpf.h>

#include "../lib/forwarded.h"
#include "../lib/map.h"
#include "../lib/name.h"
#include "../lib/netns.h"
#include "../lib/proxy.h"

#define ENTRIES 65536 /* of pp_forwarded */

static void clear_cache(void)
{
	map_clear("pp_flows");
}

static void nothing_that_can_be_evicted_is_needed(void **state)
{
	int listener = serve("0.0.0.0", PUBLISHED), client, server;

	(void)state;
	client = call(PROXY_HOST, UPLINK, PUBLISHED);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	map_clear("pp_syns");
	map_clear("pp_synacks");
	transfer(client, server, clear_cache);
	transfer(server, client, clear_cache);
	close_both(client, server);
	close(listener);
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
		assert_peer_address(server, peers[i % 3]);
		transfer(client, server, NULL);
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
	int map = map_open("pp_forwarded"), count = 0, living = 0;

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
	map_clear("pp_forwarded");
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
	int listener = serve("0.0.0.0", PUBLISHED), map = map_open("pp_forwarded"), client, error;
	long full = counter("forwarded_full");
	uint8_t key[128] = {0xff};
	socklen_t len = sizeof(error);
	uint32_t i;

	(void)state;
	map_clear("pp_forwarded");
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
	map_clear("pp_forwarded");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_tuple_leads_to_a_server_that_is_not_served),
		cmocka_unit_test(nothing_that_can_be_evicted_is_needed),
		cmocka_unit_test(a_tuple_again_with_another_header),
		cmocka_unit_test(an_entry_ends_with_its_socket),
		cmocka_unit_test(where_there_is_no_room_it_is_reset_and_counted),
		cmocka_unit_test(without_hooks_the_guard_stops_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("forwarded_entries", tests, forwarded_setup, NULL);
}
