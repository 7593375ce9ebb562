// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where there is a proxy cgroup, it decides who is a proxy on this host: the record names the
 * sender's cgroup, process and user, and a process outside of it is refused, whatever its address
 * is.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "../lib/map.h"
#include "../lib/proxy.h"
#include "../lib/raw.h"

static void the_record_says_who_sent_the_header(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server;
	long sent = counter("sent"), from = counter("from_sender");
	struct pp_record record;
	struct pp_origin origin;

	(void)state;
	become_proxy();
	client = connect_to(LOCAL, SERVER, PORT);
	assert_int_equal(entries("pp_outgoing"), 1);
	assert_int_equal(entries("pp_senders"), 1);
	send_text(client, LINE);
	become_server();
	server = accept_within(listener, SOON_MS);
	assert_int_equal(entries("pp_senders"), 0);
	assert_origin(server, LINE_ORIGIN);
	record = record_of(server);
	assert_int_equal(record.path, PP_PATH_SENDER);
	assert_int_equal(record.sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
	/* the lab has a process namespace of its own; the record has the number in the initial one
	 */
	assert_true(record.sender_pid >= (unsigned int)getpid());
	assert_int_equal(record.sender_uid, getuid());
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_int_equal(origin.sender_cgroup, record.sender_cgroup);
	assert_int_equal(origin.sender_pid, record.sender_pid);
	assert_int_equal(origin.sender_uid, 0);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	assert_nothing_to_read(server);
	assert_int_equal(counter("sent"), sent + 1);
	assert_int_equal(counter("from_sender"), from + 1);
	assert_non_null(
		strstr(run(0, "build/bin/ppctl lookup %d %d", getpid(), server), "/outside"));
	close_both(client, server);
	close(listener);
}

/* Over loopback, an address says nothing of who is there. */
static void a_process_outside_of_the_cgroup_is_refused(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server;
	long outsiders = counter("outsiders");
	struct pp_origin origin;

	(void)state;
	client = connect_to(PROXY, SERVER, PORT); /* a marked address, not the proxy's cgroup */
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), -EBADMSG);
	assert_int_equal(record_of(server).reason, PP_BAD_SENDER);
	assert_true(counter("outsiders") > outsiders);
	close_both(client, server);

	client = connect_to(LOCAL, SERVER, PORT); /* no marked address: an ordinary client */
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	assert_reads_text(server, LINE "EHLO x\r\n");
	close_both(client, server);
	close(listener);

	listener = listen_on(SERVER, PROXY_SPLIT); /* transparent servers are not to meet it */
	client = connect_start(PROXY, SERVER, PROXY_SPLIT);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_true(counter("outsiders") > outsiders + 1);
	close_both(client, listener);
	listener = listen_on(SERVER, DROPPING);
	client = connect_to(PROXY, SERVER, DROPPING);
	send_text(client, LINE "EHLO x\r\n");
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close_both(client, listener);

	/* without a proxy cgroup, the address is all there is */
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
	listener = listen_on(SERVER, PORT);
	client = connect_to(PROXY, SERVER, PORT);
	server = accept_line(listener, client);
	close_both(client, server);
	close(listener);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
}

/* A segment with a header, right behind the one that is to come: from an announced connection, with
 * all numbers right but the sequence number. */
static void a_segment_that_overtakes_is_dropped(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server;
	struct handshake handshake;

	(void)state;
	raw_open();
	client = proxy_connects(PROXY, SERVER, PORT);
	sniff(&handshake, port_of(client));
	forge(&handshake, handshake.seq + LINE_LEN, handshake.ack, "EHLO forged\r\n");
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	server = accept_line(listener, client);
	assert_nothing_to_read(server);
	close_both(client, server);
	close(listener);
}

/* What a connection left behind, on the same addresses and ports: it began with another sequence
 * number. The new one comes from outside of the cgroup. */
static void an_old_record_does_not_meet_a_new_connection(void **state)
{
	struct pp_connection_key key = {
		.remote = {[10] = 0xff, 0xff, 127, 0, 0, 5},
		.local = {[10] = 0xff, 0xff, 127, 0, 0, 1},
		.local_port = OPEN,
		.first_seq = 12345,
	};
	struct pp_outgoing outgoing = {.confirmed = 1,
				       .record = {.state = PP_STATE_VALID,
						  .version = 1,
						  .command = PP_PROXY,
						  .family = AF_INET,
						  .header_len = LINE_LEN}};
	int listener = listen_on(SERVER, OPEN), client, server;
	socklen_t len = sizeof(key.netns_cookie);
	struct pp_origin origin;

	(void)state;
	client = connect_to(LOCAL, SERVER, OPEN); /* for its port */
	server = accept_within(listener, SOON_MS);
	key.remote_port = port_of(client);
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_NETNS_COOKIE, &key.netns_cookie, &len),
			 0);
	reset(client);
	close(server);
	outgoing_put(&key, &outgoing);
	client = connect_from(LOCAL, key.remote_port, SERVER, OPEN);
	server = accept_within(listener, SOON_MS);
	send_text(client, LINE);
	assert_reads_text(server, LINE);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close_both(client, server);
	close(listener);
}

static void the_command_line(void **state)
{
	(void)state;
	assert_non_null(strstr(run(0, "build/bin/ppctl proxy-cgroup list"), "/outside\n"));
	assert_non_null(strstr(status_text(""), "proxy cgroups\n/"));
	assert_non_null(strstr(status_text("--json"), "\"proxy_cgroups\":["));
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE"); /* again: no harm */
	/* a unit that is started again: its cgroup goes, and comes anew */
	run(0, "mkdir $LAB_OUTSIDE/unit && build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE/unit");
	run(0, "rmdir $LAB_OUTSIDE/unit");
	assert_non_null(strstr(run(0, "build/bin/ppctl proxy-cgroup list"), "gone\n"));
	run(0, "mkdir $LAB_OUTSIDE/unit && build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE/unit");
	assert_null(strstr(run(0, "build/bin/ppctl proxy-cgroup list"), "gone"));
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE/unit && rmdir $LAB_OUTSIDE/unit");
	assert_non_null(strstr(run(1, "build/bin/ppctl proxy-cgroup add /nowhere"),
			       "--proxy-cgroup /nowhere: /nowhere: No such file"));
	assert_non_null(strstr(run(1, "build/bin/ppctl proxy-cgroup del $LAB_CGROUP"),
			       "is not a proxy's cgroup (ppctl proxy-cgroup list)"));
	run(0, "build/bin/ppctl down");
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP --port 25 --proxy-cgroup $LAB_OUTSIDE");
	assert_non_null(strstr(run(0, "build/bin/ppctl proxy-cgroup list"), "/outside\n"));
	run(0, "build/bin/ppctl down");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_record_says_who_sent_the_header),
		cmocka_unit_test(a_process_outside_of_the_cgroup_is_refused),
		cmocka_unit_test(a_segment_that_overtakes_is_dropped),
		cmocka_unit_test(an_old_record_does_not_meet_a_new_connection),
		cmocka_unit_test(the_command_line),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender_trust", tests, proxy_split_setup, NULL);
}
