// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections of proxies that the programs could not record: they are older than the programs, the
 * port, the mark or the proxy cgroup; there was no memory; their segments could not be read. None
 * of them passes for an ordinary client's, and in transparent mode none has the proxy's own name.
 * And a stranger stays one.
 *
 * check: guests long
 */
#define _GNU_SOURCE
#include <linux/filter.h>

#include "../lib/name.h"
#include "../lib/proxy.h"
#include "../lib/raw.h"

#define TRANSPARENT 2532
#define NEW	    2540	/* becomes a served port */
#define LATER	    "127.0.0.4" /* becomes a marked proxy */
#define DUMMY	    "192.0.0.8"

static const unsigned int ports[] = {PORT, OPEN, TRANSPARENT};
static int listeners[3], new_listener;

/* Made before the programs were there: by a proxy and by somebody else, on each port. */
static int old_proxies[3], old_others[3];

static int setup(void **state)
{
	int i;

	for (i = 0; i < 3; i++) {
		listeners[i] = listen_on(SERVER, ports[i]);
		old_proxies[i] = connect_to(PROXY, SERVER, ports[i]);
		await_queued(listeners[i], 1);
		old_others[i] = connect_to(OTHER, SERVER, ports[i]);
	}
	new_listener = listen_on(SERVER, NEW);
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	raw_mute();
	return 0;
}

static void assert_unrecorded(int server)
{
	struct pp_origin origin = {0};

	assert_int_equal(pp_lookup(server, &origin), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_UNRECORDED);
	assert_int_equal(pp_lookup_wait(server, &origin, -1), -EBADMSG);
	assert_int_equal(origin.reason, PP_BAD_UNRECORDED);
}

/* Asked before it has sent a byte, and after its header. */
static void check_unrecorded(int client, int server, int transparent)
{
	long guarded;

	assert_true(server >= 0);
	assert_unrecorded(server);
	if (transparent)
		assert_peer_address(server, DUMMY);
	guarded = counter("guarded");
	send_text(client, LINE PAYLOAD);
	if (transparent) { /* nothing takes a header out of it, so nothing of it gets through */
		usleep(A_WHILE_MS * 1000);
		assert_nothing_to_read(server);
		assert_true(counter("guarded") > guarded);
	} else {
		await_acknowledged(client);
	}
	assert_unrecorded(server);
	if (transparent)
		assert_peer_address(server, DUMMY);
	else
		assert_reads_text(server, LINE PAYLOAD); /* nothing is lost */
	assert_unrecorded(server);
}

static void check_stranger(int client, int server)
{
	struct pp_origin origin;

	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_peer_address(server, OTHER);
	send_text(client, LINE PAYLOAD);
	assert_reads_text(server, LINE PAYLOAD);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_peer_address(server, OTHER);
}

static void connections_older_than_the_programs(void **state)
{
	int i, server;

	(void)state;
	for (i = 0; i < 3; i++) {
		server = accept_within(listeners[i], SOON_MS);
		check_unrecorded(old_proxies[i], server, ports[i] == TRANSPARENT);
		close_both(old_proxies[i], server);
		server = accept_within(listeners[i], SOON_MS);
		check_stranger(old_others[i], server);
		close_both(old_others[i], server);
	}
}

static void connections_older_than_the_port(void **state)
{
	static const char *const options[] = {"", "--gate 0", "--transparent"};
	struct pp_origin origin;
	int i, k, clients[2], servers[2], stranger, other;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (k = 0; k < 2; k++) {
			clients[k] = connect_to(PROXY, SERVER, NEW);
			await_queued(new_listener, k + 1);
		}
		servers[0] = accept_within(new_listener, SOON_MS);
		assert_int_equal(pp_lookup(servers[0], &origin), -ENOENT);
		run(0, "build/bin/ppctl port add %d %s", NEW, options[i]);
		servers[1] = accept_within(new_listener, SOON_MS);
		for (k = 0; k < 2; k++)
			check_unrecorded(clients[k], servers[k], i == 2);
		stranger = connect_to(OTHER, SERVER, NEW);
		other = accept_within(new_listener, SOON_MS);
		check_stranger(stranger, other);
		run(0, "build/bin/ppctl port del %d", NEW);
		close_both(stranger, other);
		for (k = 0; k < 2; k++)
			close_both(clients[k], servers[k]);
	}
}

static void connections_older_than_the_mark(void **state)
{
	struct pp_origin origin;
	int i, k, clients[2], servers[2];

	(void)state;
	for (i = 0; i < 3; i++) {
		for (k = 0; k < 2; k++) {
			clients[k] = connect_to(LATER, SERVER, ports[i]);
			await_queued(listeners[i], k + 1);
		}
		servers[0] = accept_within(listeners[i], SOON_MS);
		assert_int_equal(pp_lookup(servers[0], &origin), -ENOENT);
		assert_peer_address(servers[0], LATER);
		run(0, "build/bin/ppctl proxy add %s", LATER);
		servers[1] = accept_within(listeners[i], SOON_MS);
		for (k = 0; k < 2; k++)
			check_unrecorded(clients[k], servers[k], ports[i] == TRANSPARENT);
		run(0, "build/bin/ppctl proxy del %s", LATER);
		for (k = 0; k < 2; k++)
			close_both(clients[k], servers[k]);
	}
}

/* Which of them came from the cgroup, nobody can tell any more: strangers are refused, too. */
static void connections_older_than_the_proxy_cgroup(void **state)
{
	int proxies[3], others[3], i, server, client;

	(void)state;
	for (i = 0; i < 3; i++) {
		proxies[i] = proxy_connects(LOCAL, SERVER, ports[i]);
		await_queued(listeners[i], 1);
		others[i] = connect_to(OTHER, SERVER, ports[i]);
	}
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	for (i = 0; i < 3; i++) {
		server = accept_within(listeners[i], SOON_MS);
		check_unrecorded(proxies[i], server, ports[i] == TRANSPARENT);
		close_both(proxies[i], server);
		server = accept_within(listeners[i], SOON_MS);
		check_unrecorded(others[i], server, ports[i] == TRANSPARENT);
		close_both(others[i], server);
		client = connect_to(OTHER, SERVER, ports[i]);
		server = accept_within(listeners[i], SOON_MS);
		check_stranger(client, server);
		close_both(client, server);
	}
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
}

/* The client believes that the handshake is over, and the server's side has not seen its ACK. */
static int connect_without_ack(const char *source, unsigned int port)
{
	int client;

	run(0,
	    "nft add table ip lose && "
	    "nft 'add chain ip lose in { type filter hook input priority 0; }' && "
	    "nft add rule ip lose in ip saddr %s 'tcp flags & (syn|ack) == ack' drop",
	    source);
	client = connect_to(source, SERVER, port);
	run(0, "nft delete table ip lose");
	return client;
}

static void check_strangers(void)
{
	struct handshake handshake;
	int i, client, server;

	for (i = 0; i < 3; i++) {
		client = connect_without_ack(OTHER, ports[i]);
		send_text(client, "x");
		server = accept_within(listeners[i], SOON_MS);
		assert_reads_text(server, "x");
		check_stranger(client, server);
		close_both(client, server);

		raw_open();
		client = connect_without_ack(OTHER, ports[i]);
		sniff(&handshake, port_of(client));
		handshake.from = OTHER;
		forge(&handshake, handshake.seq + 1, handshake.ack, LINE);
		server = accept_within(listeners[i], SOON_MS);
		send_text(client, "x");
		assert_reads_text(server, "x" LINE);
		reset(client);
		assert_int_equal(lookup_settled(server, &(struct pp_origin){0}), -ENOENT);
		close(server);
	}
}

static void a_stranger_whose_first_segment_was_lost_or_overtaken(void **state)
{
	(void)state;
	check_strangers();
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	check_strangers();
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
}

/* A filter of the listener's is its connections', and counts as memory for socket options, as
 * SK_STORAGE does. Return: 0, or -1 when it is larger than is allowed. */
static int attach_filter(int fd, unsigned int loads, unsigned int fillers)
{
	static struct sock_filter code[BPF_MAXINSNS];
	struct sock_fprog program = {.len = loads + fillers + 1, .filter = code};
	unsigned int i;

	if (program.len > BPF_MAXINSNS)
		return -1;
	/* a load becomes several instructions of the kernel's */
	for (i = 0; i < loads; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	for (; i < loads + fillers; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0x7fffffff);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Leaves at least @free and at most 64 bytes more for the connections of a listener. */
static void leave_memory(int fd, unsigned int free)
{
	unsigned int low = 0, high = BPF_MAXINSNS, middle, fillers;

	while (high - low > 1) {
		middle = (low + high) / 2;
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd));
		if (attach_filter(fd, middle, free / sizeof(uint64_t)))
			high = middle;
		else
			low = middle;
	}
	if (low + free / sizeof(uint64_t) + 2 >= BPF_MAXINSNS)
		skip_because("net.core.optmem_max is too large for a filter to use it up");
	for (fillers = 0; fillers < 1000; fillers++) {
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd));
		if (attach_filter(fd, low, free / sizeof(uint64_t) + fillers + 1))
			break;
	}
	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd));
	assert_int_equal(attach_filter(fd, low, fillers), 0);
}

static void connections_without_memory_for_a_record(void **state)
{
	int i, client, server, here[3];
	long failed = counter("no_memory");

	(void)state;
	for (i = 0; i < 3; i++) {
		close(listeners[i]);
		here[i] = listen_on(SERVER, ports[i]);
		leave_memory(here[i], 0);
		client = connect_to(PROXY, SERVER, ports[i]);
		send_text(client, LINE PAYLOAD);
		server = accept_within(here[i], SOON_MS);
		assert_true(server >= 0);
		assert_unrecorded(server);
		if (ports[i] == TRANSPARENT)
			assert_peer_address(server, DUMMY);
		else
			assert_reads_text(server, LINE PAYLOAD);
		close_both(client, server);

		client = connect_to(OTHER, SERVER, ports[i]);
		server = accept_within(here[i], SOON_MS);
		check_stranger(client, server);
		close_both(client, server);
	}
	assert_true(counter("no_memory") >= failed + 3);

	/* with a proxy cgroup, neither a proxy's connection nor a stranger's can be told */
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	for (i = 0; i < 3; i++) {
		client = proxy_connects(LOCAL, SERVER, ports[i]);
		send_text(client, LINE PAYLOAD);
		server = accept_within(here[i], SOON_MS);
		assert_true(server >= 0);
		assert_unrecorded(server);
		if (ports[i] == TRANSPARENT)
			assert_peer_address(server, DUMMY);
		close_both(client, server);

		client = connect_to(OTHER, SERVER, ports[i]);
		server = accept_within(here[i], SOON_MS);
		check_unrecorded(client, server, ports[i] == TRANSPARENT);
		close_both(client, server);
	}
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
	for (i = 0; i < 3; i++) {
		close(here[i]);
		listeners[i] = listen_on(SERVER, ports[i]);
	}
}

/* There is enough for a record, but not for the part of a header. */
static void connections_without_memory_for_a_header_in_pieces(void **state)
{
	static const size_t lens[] = {0, 300, 4000};
	int i, client, server, here;
	uint8_t bytes[4000];
	size_t k, len;

	(void)state;
	for (i = 0; i < 2; i++) {
		close(listeners[i]);
		here = listen_on(SERVER, ports[i]);
		leave_memory(here, 900);
		client = connect_to(PROXY, SERVER, ports[i]);
		send_text(client, LINE PAYLOAD);
		server = accept_within(here, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, PAYLOAD);
		close_both(client, server);
		for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			len = lens[k] ? make_v2(bytes, lens[k]) : LINE_LEN;
			if (!lens[k])
				memcpy(bytes, LINE, LINE_LEN);
			client = connect_to(PROXY, SERVER, ports[i]);
			send_all(client, bytes, len / 2);
			await_acknowledged(client);
			send_all(client, bytes + len / 2, len - len / 2);
			await_acknowledged(client);
			server = accept_within(here, SOON_MS);
			assert_true(server >= 0);
			assert_unrecorded(server);
			assert_reads(server, bytes, len);
			close_both(client, server);
		}
		close(here);
		listeners[i] = listen_on(SERVER, ports[i]);
	}
}

/* In one segment, which ends the handshake where there is a gate or a split, or in two. All of it
 * is kept, or the connection is refused: never an origin without its TLVs. Return: 1, kept. */
static int kept_or_refused(int port, int listener, const uint8_t *bytes, size_t len, size_t first)
{
	static uint8_t tlvs[PP_HEADER_MAX];
	struct pp_origin origin = {0};
	int client = connect_to(PROXY, SERVER, port), server, result, got;

	send_all(client, bytes, first);
	if (first < len) {
		await_acknowledged(client);
		send_all(client, bytes + first, len - first);
	}
	await_acknowledged(client);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	result = pp_lookup_wait(server, &origin, SOON_MS);
	got = pp_tlvs(server, tlvs, sizeof(tlvs));
	if (!result) {
		assert_int_equal(got, len - 28);
		assert_memory_equal(tlvs, bytes + 28, len - 28);
	} else {
		assert_unrecorded(server);
		assert_int_equal(got, -ENODATA);
		if (port == TRANSPARENT)
			assert_peer_address(server, DUMMY);
	}
	close_both(client, server);
	return !result;
}

static void connections_without_memory_for_a_header_and_its_tlvs(void **state)
{
	/* for nothing but the record; and for a part of a header's pages, or all */
	static const unsigned int rooms[] = {400, 900, 6000, 10000, 14000, 19000};
	static const size_t lens[] = {60, 300, 1025, 4097, 8193, PP_HEADER_MAX};
	static uint8_t bytes[PP_HEADER_MAX];
	long before = counter("no_memory"), kept = 0, tries = 0;
	size_t k, r, whole;
	int i, here;

	(void)state;
	for (i = 0; i < 3; i++) {
		close(listeners[i]);
		for (r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++) {
			if (!is_my_share())
				continue;
			here = listen_on(SERVER, ports[i]);
			leave_memory(here, rooms[r]);
			for (k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
				make_v2(bytes, lens[k]);
				for (whole = 0; whole < 2; whole++, tries++)
					kept += kept_or_refused(ports[i], here, bytes, lens[k],
								whole ? lens[k] : 50);
			}
			close(here);
		}
		listeners[i] = listen_on(SERVER, ports[i]);
	}
	assert_in_range(kept, 1, tries - 1);
	assert_true(counter("no_memory") >= before + tries - kept);
}

/* IPv6: where the segments have extension headers. @ack, @header, @payload: how many in each. */
static void check_extensions(unsigned int port, int listener, int ack, int header, int payload)
{
	static unsigned int from = 50000;
	const char *what = "extension headers";
	struct handshake handshake = {0};
	struct raw_segment segment = {0};
	struct pp_origin origin;
	int server, readable = ack < 8 && header < 8;
	long dropped = counter("dropped_unreadable"), guarded = counter("guarded");

	assert_int_equal(raw_connect(&handshake, from++, port, SOON_MS), 0);
	segment.seq = handshake.seq;
	segment.ack = handshake.ack;
	segment.flags = TH_ACK;
	segment.extensions = ack;
	raw_send(&handshake, &segment);
	server = accept_within(listener, port == OPEN && ack < 8 ? SOON_MS : A_WHILE_MS);
	if ((server >= 0) != (port == OPEN && ack < 8))
		fail_msg("port %u, %d %s in the bare ACK: %d", port, ack, what, server);
	segment.flags = 0;
	segment.bytes = LINE;
	segment.len = LINE_LEN;
	segment.extensions = header;
	raw_send(&handshake, &segment);
	if (header >= 8) {
		if (server >= 0)
			assert_int_equal(pp_lookup(server, &origin), -EAGAIN);
		else
			assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
		segment.extensions = 0;
		raw_send(&handshake, &segment);
	}
	if (server < 0)
		server = accept_within(listener, SOON_MS);
	if (server < 0)
		fail_msg("port %u, %d, %d %s: no connection", port, ack, header, what);
	if (!readable)
		assert_true(counter("dropped_unreadable") > dropped);
	assert_origin(server, LINE_ORIGIN);
	segment.seq += LINE_LEN;
	segment.bytes = PAYLOAD;
	segment.len = sizeof(PAYLOAD) - 1;
	segment.extensions = payload;
	raw_send(&handshake, &segment);
	if (port == TRANSPARENT && payload >= 8) { /* pp_in cannot translate it */
		usleep(A_WHILE_MS * 1000);
		assert_nothing_to_read(server);
		assert_true(counter("guarded") > guarded);
		segment.extensions = 0;
		raw_send(&handshake, &segment);
	}
	assert_reads_text(server, PAYLOAD);
	assert_origin(server, LINE_ORIGIN);
	close(server);
}

static void segments_behind_many_ipv6_extension_headers(void **state)
{
	static const int counts[][3] = {{0, 0, 0}, {7, 7, 7}, {8, 0, 0}, {0, 8, 0},
					{0, 0, 8}, {9, 9, 9}, {0, 9, 9}};
	size_t i, p;
	int here;

	(void)state;
	raw_open6();
	for (p = 0; p < 3; p++) {
		here = listen_on(SERVER6, ports[p]);
		for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			check_extensions(ports[p], here, counts[i][0], counts[i][1], counts[i][2]);
		close(here);
	}
}

static void a_strangers_extension_headers_are_its_own_affair(void **state)
{
	struct handshake handshake = {.from = OTHER6};
	struct raw_segment segment = {.flags = TH_ACK, .extensions = 9};
	struct pp_origin origin;
	size_t p;
	int here, server;

	(void)state;
	raw_open6();
	for (p = 0; p < 3; p++) {
		here = listen_on(SERVER6, ports[p]);
		assert_int_equal(raw_connect(&handshake, 51000 + p, ports[p], SOON_MS), 0);
		segment.seq = handshake.seq;
		segment.ack = handshake.ack;
		raw_send(&handshake, &segment);
		server = accept_within(here, SOON_MS);
		assert_true(server >= 0);
		assert_int_equal(pp_lookup(server, &origin), -ENOENT);
		close_both(server, here);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_older_than_the_programs),
		cmocka_unit_test(connections_older_than_the_port),
		cmocka_unit_test(connections_older_than_the_mark),
		cmocka_unit_test(connections_older_than_the_proxy_cgroup),
		cmocka_unit_test(a_stranger_whose_first_segment_was_lost_or_overtaken),
		cmocka_unit_test(connections_without_memory_for_a_record),
		cmocka_unit_test(connections_without_memory_for_a_header_in_pieces),
		cmocka_unit_test(connections_without_memory_for_a_header_and_its_tlvs),
		cmocka_unit_test(segments_behind_many_ipv6_extension_headers),
		cmocka_unit_test(a_strangers_extension_headers_are_its_own_affair),
	};

	return cmocka_run_group_tests_name("unrecorded", tests, setup, NULL);
}
