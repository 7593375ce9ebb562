// SPDX-License-Identifier: BSD-2-Clause
/*
 * After the header a server of a split port reads, polls, peeks, splices, writes and shuts down as
 * on any other socket: it finds the payload and nothing else, and is woken for payload only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../lib/name.h"
#include "../lib/transparent.h"

#define SILENT 2546 /* transparent */

static void header_and_payload_in_one_segment_keeps_poll_quiet(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server, i;
	char byte;

	(void)state;
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_readable(server, 1);
	assert_reads_text(server, "EHLO x\r\n");
	for (i = 0; i < 3; i++) {
		assert_readable(server, 0);
		assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		send_text(server, "250 hello\r\n");
		assert_reads_text(client, "250 hello\r\n");
		send_text(client, "NOOP\r\n");
		assert_reads_text(server, "NOOP\r\n");
	}
	assert_nothing_to_read(server);
	shutdown(client, SHUT_WR);
	assert_reads_eof(server);
	close_both(client, server);
}

static void accept_without_address_finds_no_header_either(void **state)
{
	int client, server, way;
	char buf[64];
	struct iovec part = {buf, sizeof(buf)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	(void)state;
	for (way = 0; way < 4; way++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, LINE);
		server = accept_within(listener, SOON_MS); /* accept4(NULL) */
		fcntl(server, F_SETFL, O_NONBLOCK);
		switch (way) {
		case 0:
			assert_int_equal(recv(server, buf, sizeof(buf), 0), -1);
			break;
		case 1:
			assert_int_equal(recv(server, buf, sizeof(buf), MSG_PEEK), -1);
			break;
		case 2:
			assert_int_equal(recvmsg(server, &message, 0), -1);
			break;
		case 3:
			assert_int_equal(read(server, buf, sizeof(buf)), -1);
			break;
		}
		assert_int_equal(errno, EAGAIN);
		send_text(client, "QUIT\r\n");
		assert_readable(server, 1);
		assert_reads_text(server, "QUIT\r\n");
		assert_peer(server, ORIGIN);
		close_both(client, server);
	}
}

static void a_short_message_wakes_a_server_that_accepted_without_address(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	send_text(client, "x"); /* shorter than the header */
	assert_readable(server, 1);
	assert_reads_text(server, "x");
	send_text(server, "221\r\n");
	assert_readable(server, 0);
	close_both(client, server);

	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE "x");
	server = accept_within(listener, SOON_MS);
	assert_readable(server, 1);
	assert_reads_text(server, "x");
	assert_readable(server, 0);
	send_text(client, "y");
	assert_readable(server, 1);
	assert_reads_text(server, "y");
	assert_readable(server, 0);
	close_both(client, server);
}

static void a_blocking_read_waits_for_payload(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server, status;
	char buf[64];

	(void)state;
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	if (fork() == 0) {
		usleep(A_WHILE_MS * 1000);
		_exit(send(client, "QUIT\r\n", 6, 0) == 6 ? 0 : 1);
	}
	assert_int_equal(read(server, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "QUIT\r\n", 6);
	wait(&status);
	assert_int_equal(status, 0);
	close_both(client, server);
}

static void peeking_sees_payload_only(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;
	char buf[64];

	(void)state;
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_int_equal(recv(server, buf, sizeof(buf), MSG_PEEK), 8);
	assert_memory_equal(buf, "EHLO x\r\n", 8);
	assert_int_equal(recv(server, buf, 4, MSG_PEEK), 4);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static int wait_events(int epoll, int timeout_ms)
{
	struct epoll_event events[4];

	return epoll_wait(epoll, events, 4, timeout_ms);
}

static void check_epoll(uint32_t flags)
{
	int client, server, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event interest = {.events = EPOLLIN | flags};

	open_pair(&client, &server);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, server, &interest), 0);
	assert_int_equal(wait_events(epoll, 20), 0);
	send_text(client, "one");
	assert_int_equal(wait_events(epoll, SOON_MS), 1);
	if (flags & EPOLLET)
		assert_int_equal(wait_events(epoll, 20), 0);
	else
		assert_int_equal(wait_events(epoll, 20), 1);
	assert_reads_text(server, "one");
	assert_int_equal(wait_events(epoll, 20), 0);
	send_text(client, "two");
	assert_int_equal(wait_events(epoll, SOON_MS), 1);
	assert_reads_text(server, "two");
	send_text(server, "three");
	assert_int_equal(wait_events(epoll, 20), 0);
	send_text(client, "four");
	assert_int_equal(wait_events(epoll, SOON_MS), 1);
	assert_reads_text(server, "four");
	close_both(client, server);
	close(epoll);
}

static void epoll_level_and_edge(void **state)
{
	(void)state;
	check_epoll(0);
	check_epoll(EPOLLET);
}

static void a_server_that_speaks_first(void **state)
{
	int client, server;

	(void)state;
	open_pair(&client, &server);
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	assert_peer(server, ORIGIN);
	assert_nothing_to_read(server);
	close_both(client, server);
}

static void a_server_that_speaks_with_unread_input(void **state)
{
	int client, server;

	(void)state;
	open_pair(&client, &server);
	send_text(client, "EHLO x\r\n");
	await_acknowledged(client);
	send_text(server, "220 hello\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	send_text(server, "250 hello\r\n");
	assert_reads_text(client, "220 hello\r\n250 hello\r\n");
	close_both(client, server);
}

static void a_server_that_speaks_before_it_looks_sends_no_header_back(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	send_text(server, "250 hello\r\n");
	assert_reads_text(client, "250 hello\r\n");
	close_both(client, server);
}

static void its_own_so_rcvlowat_is_kept(void **state)
{
	int client, server, lowat;
	socklen_t len = sizeof(lowat);

	(void)state;
	open_pair(&client, &server);
	send_text(server, "220 hello\r\n");
	assert_int_equal(getsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &lowat, &len), 0);
	assert_int_equal(lowat, 1);
	close_both(client, server);
}

static void splice_and_sendfile(void **state)
{
	int client, server, ends[2], file = open("README.md", O_RDONLY);
	char text[128];

	(void)state;
	open_pair(&client, &server);
	send_text(server, "220 hello\r\n");
	assert_reads_text(client, "220 hello\r\n");
	assert_int_equal(pipe(ends), 0);
	send_text(client, "DATA\r\n");
	assert_readable(server, 1);
	assert_int_equal(splice(server, NULL, ends[1], NULL, 100, 0), 6);
	assert_int_equal(read(ends[0], text, sizeof(text)), 6);
	assert_memory_equal(text, "DATA\r\n", 6);
	assert_int_equal(read(file, text, 100), 100);
	lseek(file, 0, SEEK_SET);
	assert_int_equal(sendfile(server, file, NULL, 100), 100);
	assert_reads(client, text, 100);
	close_both(client, server);
	close_both(ends[0], ends[1]);
	close(file);
}

static void shutdown_and_half_close(void **state)
{
	int client, server, spoken;

	(void)state;
	for (spoken = 0; spoken < 2; spoken++) {
		open_pair(&client, &server);
		if (spoken) {
			send_text(server, "220\r\n");
			assert_reads_text(client, "220\r\n");
		}
		send_text(client, "QUIT\r\n");
		shutdown(client, SHUT_WR);
		assert_reads_text(server, "QUIT\r\n");
		assert_reads_eof(server);
		send_text(server, "221 bye\r\n");
		shutdown(server, SHUT_WR);
		assert_reads_text(client, "221 bye\r\n");
		assert_reads_eof(client);
		close_both(client, server);
	}
	/* header and FIN in one go */
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE);
	shutdown(client, SHUT_WR);
	server = accept_from(listener, ORIGIN);
	assert_reads_eof(server);
	close_both(client, server);
}

static void a_receive_timeout_is_kept(void **state)
{
	struct timeval limit = {.tv_usec = 100000};
	int client, server, spoken;
	int64_t start;
	char byte;

	(void)state;
	for (spoken = 0; spoken < 2; spoken++) {
		open_pair(&client, &server);
		if (spoken)
			send_text(server, "220\r\n");
		assert_int_equal(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
				 0);
		start = now_ms();
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, EAGAIN);
		assert_true(now_ms() - start >= 90);
		close_both(client, server);
	}
}

static void a_reset_is_told(void **state)
{
	int client, server, spoken;
	char byte;

	(void)state;
	for (spoken = 0; spoken < 2; spoken++) {
		open_pair(&client, &server);
		if (spoken)
			send_text(server, "220\r\n");
		reset(client);
		assert_readable(server, 1);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(server);
	}
}

/* Once a header is gone, its server sleeps: however the connection was accepted, and however the
 * header came. */
static void a_silent_client_wakes_nobody(void **state)
{
	enum { WAYS_TO_ACCEPT = 4, HEADERS = 4, COUNT = WAYS_TO_ACCEPT * HEADERS };
	int clients[COUNT], wakes[COUNT] = {0}, i, here = listen_on(SERVER, SILENT), way, header;
	static uint8_t large[4000];
	struct pollfd in[COUNT];
	struct sockaddr_storage address;
	int64_t start;
	socklen_t len;
	char buf[64];

	(void)state;
	make_v2(large, sizeof(large));
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", SILENT);
	for (i = 0; i < COUNT; i++) {
		way = i % WAYS_TO_ACCEPT;
		header = i / WAYS_TO_ACCEPT;
		clients[i] = connect_to(PROXY, SERVER, SILENT);
		if (header == 0) {
			send_text(clients[i], LINE);
		} else if (header == 1) {
			send_all(clients[i], LINE, 20);
			await_acknowledged(clients[i]);
			send_text(clients[i], LINE + 20);
		} else if (header == 2) {
			send_text(clients[i], LINE PAYLOAD);
		} else {
			send_all(clients[i], large, sizeof(large));
		}
		in[i].fd = here;
		in[i].events = POLLIN;
		assert_int_equal(poll(&in[i], 1, SOON_MS), 1);
		len = sizeof(address);
		in[i].fd = way == 0   ? accept(here, NULL, NULL)
			   : way == 1 ? accept(here, (struct sockaddr *)&address, &len)
			   : way == 2 ? accept4(here, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
				      : accept4(here, (struct sockaddr *)&address, &len,
						SOCK_NONBLOCK);
		assert_true(in[i].fd >= 0);
		if (header == 2) /* it spoke, and falls silent */
			assert_reads_text(in[i].fd, PAYLOAD);
	}
	start = now_ms();
	do {
		if (poll(in, COUNT, 100) > 0) {
			for (i = 0; i < COUNT; i++) {
				if (!in[i].revents)
					continue;
				wakes[i]++;
				assert_int_equal(recv(in[i].fd, buf, sizeof(buf), MSG_DONTWAIT),
						 -1);
			}
		}
	} while (now_ms() - start < 3000);
	for (i = 0; i < COUNT; i++) {
		if (wakes[i] > 2)
			fail_msg("accepted in way %d, header %d: %d wake-ups in 3 s",
				 i % WAYS_TO_ACCEPT, i / WAYS_TO_ACCEPT, wakes[i]);
		close_both(clients[i], in[i].fd);
	}
	close(here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_payload_in_one_segment_keeps_poll_quiet),
		cmocka_unit_test(accept_without_address_finds_no_header_either),
		cmocka_unit_test(a_short_message_wakes_a_server_that_accepted_without_address),
		cmocka_unit_test(a_blocking_read_waits_for_payload),
		cmocka_unit_test(peeking_sees_payload_only),
		cmocka_unit_test(epoll_level_and_edge),
		cmocka_unit_test(a_server_that_speaks_first),
		cmocka_unit_test(a_server_that_speaks_with_unread_input),
		cmocka_unit_test(a_server_that_speaks_before_it_looks_sends_no_header_back),
		cmocka_unit_test(its_own_so_rcvlowat_is_kept),
		cmocka_unit_test(splice_and_sendfile),
		cmocka_unit_test(shutdown_and_half_close),
		cmocka_unit_test(a_receive_timeout_is_kept),
		cmocka_unit_test(a_reset_is_told),
		cmocka_unit_test(a_silent_client_wakes_nobody),
	};

	return cmocka_run_group_tests_name("split_io", tests, transparent_setup, NULL);
}
