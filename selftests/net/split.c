// SPDX-License-Identifier: BSD-2-Clause
/*
 * The split and transparent mode: an application that knows nothing of headers gets the origin's
 * address and exactly the payload, whatever comes in which order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "../lib/net.h"
#include "../lib/raw.h"

#define SPLIT	    2540
#define TRANSPARENT 2541
#define LOCAL	    2542 /* transparent, and local */
#define SHORT	    2543 /* a split with a gate of 900 ms, see QUICK */
#define REUSED	    2545

#define ORIGIN	"192.0.2.7:4711"
#define LINE6	"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"
#define ORIGIN6 "[2001:db8::7]:4711"

static int listener, split_listener;

static int setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", SPLIT);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
	run(0, "build/bin/ppctl port add %d --transparent --local --gate 30000", LOCAL);
	run(0, "build/bin/ppctl port add %d --transparent --gate 900", SHORT);
	listener = listen_on(SERVER, TRANSPARENT);
	split_listener = listen_on(SERVER, SPLIT);
	return 0;
}

static const char *address_text(const struct sockaddr_storage *address)
{
	static char text[80];
	char ip[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *ip6 = (const void *)address;
	const struct sockaddr_in *ip4 = (const void *)address;

	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &ip4->sin_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:%u", ip, ntohs(ip4->sin_port));
	} else {
		inet_ntop(AF_INET6, &ip6->sin6_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "[%s]:%u", ip, ntohs(ip6->sin6_port));
	}
	return text;
}

/* accept() with an address, as MTAs call it, which must be @origin. */
static int accept_from(int here, const char *origin)
{
	struct pollfd in = {.fd = here, .events = POLLIN};
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	if (poll(&in, 1, SOON_MS) != 1)
		fail_msg("nothing to accept within %d ms", SOON_MS);
	fd = accept4(here, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_string_equal(address_text(&peer), origin);
	return fd;
}

static void assert_peer(int fd, const char *origin)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_string_equal(address_text(&peer), origin);
}

static void assert_readable(int fd, int wanted)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&in, 1, wanted ? SOON_MS : 0), wanted);
}

/* A connection whose header is there, alone, accepted. */
static void open_pair(int *client, int *server)
{
	*client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(*client, LINE);
	*server = accept_from(listener, ORIGIN);
}

static void header_alone_is_gone_when_accept_returns(void **state)
{
	int client, server;

	(void)state;
	open_pair(&client, &server);
	assert_peer(server, ORIGIN);
	assert_nothing_to_read(server);
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	assert_nothing_to_read(server);
	close_both(client, server);
}

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

static void payload_in_the_next_segment_before_accept(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_text(client, LINE);
	send_text(client, "EHLO x\r\n");
	send_text(client, "NOOP\r\n");
	await_acknowledged(client);
	server = accept_from(listener, ORIGIN);
	assert_readable(server, 1);
	assert_reads_text(server, "EHLO x\r\nNOOP\r\n");
	assert_readable(server, 0);
	close_both(client, server);
}

/* A TLS port: the client speaks first, at once, and the server waits for its ClientHello. */
static void a_client_hello_behind_the_header(void **state)
{
	uint8_t hello[517];
	int client, server, together;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hello); i++)
		hello[i] = i * 7;
	memcpy(hello, "\x16\x03\x01\x02\x00", 5);
	for (together = 0; together < 2; together++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		if (together) {
			struct iovec parts[2] = {{LINE, LINE_LEN}, {hello, sizeof(hello)}};

			assert_int_equal(writev(client, parts, 2), LINE_LEN + sizeof(hello));
		} else {
			send_text(client, LINE);
			send_all(client, hello, sizeof(hello));
		}
		server = accept_from(listener, ORIGIN);
		assert_reads(server, hello, sizeof(hello));
		send_all(server, hello, sizeof(hello));
		assert_reads(client, hello, sizeof(hello));
		close_both(client, server);
	}
}

static void accept_waits_for_the_header(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	assert_int_equal(accept_within(listener, 3500), -ETIMEDOUT);
	send_text(client, LINE);
	server = accept_from(listener, ORIGIN);
	close_both(client, server);
}

/* The proxy is told by a RST, and so is the kernel's request: nothing is left that could be
 * accepted. */
static void a_header_that_comes_after_the_gates_time_is_refused(void **state)
{
	int here = listen_on(SERVER, SHORT), client, failed = 0;
	struct pollfd in = {.events = POLLIN};
	long expired = counter("gates_expired");
	socklen_t len = sizeof(failed);

	(void)state;
	client = connect_to(PROXY, SERVER, SHORT);
	in.fd = client;
	assert_int_equal(poll(&in, 1, SOON_MS), 1);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &failed, &len);
	assert_int_equal(failed, ECONNRESET);
	assert_int_equal(counter("gates_expired"), expired + 1);
	assert_int_equal(accept_within(here, A_WHILE_MS), -ETIMEDOUT);
	close_both(client, here);
}

static void a_client_that_never_speaks_never_reaches_the_server(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), i;

	(void)state;
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	shutdown(client, SHUT_WR);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	close(client);
	for (i = 0; i < 20; i++)
		reset(connect_to(PROXY, SERVER, TRANSPARENT)); /* health checks */
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
}

static void check_refused(const void *bytes, size_t len, const char *stat)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT);
	long before = counter(stat);

	send_all(client, bytes, len);
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	assert_true(counter(stat) > before);
	reset(client);
}

static void without_a_complete_valid_header_nothing_reaches_the_server(void **state)
{
	(void)state;
	check_refused("EHLO client.example\r\n", 21, "bad_signature");
	check_refused("EHLO client.example\r\n", 21, "dropped_bad");
	check_refused("PROXY TCP4 256.1.1.1 1.2.3.4 1 2\r\n", 34, "bad_address");
	check_refused("PROXY TCP4 192.0.2.7 198.5", 26, "pieces");
}

static void a_large_header_is_taken_out(void **state)
{
	static const size_t lens[] = {1024, 1025, 4095, 4096, 4097, PP_HEADER_MAX};
	static uint8_t bytes[PP_HEADER_MAX + 8];
	int client, server;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		make_v2(bytes, lens[i]);
		memcpy(bytes + lens[i], "EHLO x\r\n", 8);
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_all(client, bytes, lens[i] + (i % 2 ? 8 : 0));
		server = accept_from(listener, ORIGIN);
		if (i % 2)
			assert_reads_text(server, "EHLO x\r\n");
		assert_nothing_to_read(server);
		send_text(client, "QUIT\r\n");
		assert_reads_text(server, "QUIT\r\n");
		close_both(client, server);
	}
}

static void a_header_in_pieces(void **state)
{
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;

	(void)state;
	send_all(client, LINE, 20);
	send_text(client, LINE + 20);
	send_text(client, "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

static void local_and_unknown_come_with_the_proxys_address(void **state)
{
	static const char *const headers[] = {
		"PROXY UNKNOWN\r\n",
		"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00"};
	static const size_t lens[] = {15, 16};
	char own[64];
	int client, server, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		snprintf(own, sizeof(own), "%s:%u", PROXY, port_of(client));
		send_all(client, headers[i], lens[i]);
		send_text(client, "QUIT\r\n");
		server = accept_from(listener, own);
		assert_peer(server, own);
		assert_reads_text(server, "QUIT\r\n");
		close_both(client, server);
	}
}

static void an_unmarked_host_is_an_ordinary_client(void **state)
{
	int client = connect_to(OTHER, SERVER, TRANSPARENT), server;
	char own[64];

	(void)state;
	snprintf(own, sizeof(own), "%s:%u", OTHER, port_of(client));
	server = accept_from(listener, own);
	send_text(client, LINE);
	assert_reads_text(server, LINE);
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
	struct timespec start, end;
	int client, server, spoken;
	char byte;

	(void)state;
	for (spoken = 0; spoken < 2; spoken++) {
		open_pair(&client, &server);
		if (spoken)
			send_text(server, "220\r\n");
		assert_int_equal(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
				 0);
		clock_gettime(CLOCK_MONOTONIC, &start);
		assert_int_equal(recv(server, &byte, 1, 0), -1);
		assert_int_equal(errno, EAGAIN);
		clock_gettime(CLOCK_MONOTONIC, &end);
		assert_true((end.tv_sec - start.tv_sec) * 1000 +
				    (end.tv_nsec - start.tv_nsec) / 1000000 >=
			    90);
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

static void a_listener_shared_by_forked_processes(void **state)
{
	enum { CHILDREN = 4, CONNECTIONS = 40 };
	int clients[CONNECTIONS], i, status;
	pid_t children[CHILDREN];
	char line[64];

	(void)state;
	for (i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		while (children[i] == 0) {
			struct sockaddr_storage peer;
			socklen_t len = sizeof(peer);
			int fd = accept(listener, (struct sockaddr *)&peer, &len);

			dprintf(fd, "%s\n", address_text(&peer));
			close(fd);
		}
	}
	for (i = 0; i < CONNECTIONS; i++) {
		clients[i] = connect_to(PROXY, SERVER, TRANSPARENT);
		snprintf(line, sizeof(line), "PROXY TCP4 192.0.2.%d 198.51.100.1 %d 25\r\n", i,
			 5000 + i);
		send_text(clients[i], line);
	}
	for (i = 0; i < CONNECTIONS; i++) {
		snprintf(line, sizeof(line), "192.0.2.%d:%d\n", i, 5000 + i);
		assert_reads_text(clients[i], line);
		close(clients[i]);
	}
	for (i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
	}
}

static int listen_reuseport(unsigned int port)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = inet_addr(SERVER)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

static void so_reuseport(void **state)
{
	enum { CONNECTIONS = 30 };
	int heres[3], clients[CONNECTIONS], i, served[3] = {0}, total = 0, tries;

	(void)state;
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", REUSED);
	for (i = 0; i < 3; i++)
		heres[i] = listen_reuseport(REUSED);
	for (i = 0; i < CONNECTIONS; i++) {
		clients[i] = connect_to(PROXY, SERVER, REUSED);
		send_text(clients[i], LINE);
	}
	for (tries = 0; tries < SOON_MS && total < CONNECTIONS; tries++) {
		for (i = 0; i < 3; i++) {
			struct sockaddr_storage peer;
			socklen_t len = sizeof(peer);
			int fd = accept(heres[i], (struct sockaddr *)&peer, &len);

			if (fd < 0)
				continue;
			assert_string_equal(address_text(&peer), ORIGIN);
			assert_nothing_to_read(fd);
			served[i]++;
			total++;
			close(fd);
		}
		usleep(1000);
	}
	assert_int_equal(total, CONNECTIONS);
	assert_true((served[0] > 0) + (served[1] > 0) + (served[2] > 0) >= 2);
	for (i = 0; i < CONNECTIONS; i++)
		close(clients[i]);
	for (i = 0; i < 3; i++)
		close(heres[i]);
}

static void a_descriptor_passed_to_another_process(void **state)
{
	int client, server, ends[2], status;
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	pid_t child;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (recvmsg(ends[1], &message, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		assert_peer(fd, ORIGIN);
		send_text(fd, "220 hello\r\n");
		assert_reads_text(fd, "EHLO x\r\n");
		_exit(0);
	}
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &server, sizeof(server));
	assert_int_equal(sendmsg(ends[0], &message, 0), 1);
	close(server);
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, "EHLO x\r\n");
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	close(client);
	close_both(ends[0], ends[1]);
}

static void mapped_addresses_and_origins_of_another_family(void **state)
{
	int both = listen_on("::", LOCAL), client, server;

	(void)state;
	/* IPv6 socket: every origin fits */
	client = connect_to(PROXY6, SERVER6, LOCAL);
	send_text(client, LINE6);
	server = accept_from(both, ORIGIN6);
	assert_peer(server, ORIGIN6);
	close_both(client, server);
	client = connect_to(PROXY6, SERVER6, LOCAL);
	send_text(client, LINE);
	server = accept_from(both, "[::ffff:192.0.2.7]:4711");
	close_both(client, server);
	/* IPv4 connection to it */
	client = connect_to(PROXY, SERVER, LOCAL);
	send_text(client, LINE);
	server = accept_from(both, "[::ffff:192.0.2.7]:4711");
	close_both(client, server);
	client = connect_to(PROXY, SERVER, LOCAL);
	send_text(client, LINE6);
	server = accept_from(both, ORIGIN6);
	close_both(client, server);
	close(both);
}

static void an_origin_that_does_not_fit_is_nobodys_address(void **state)
{
	long foreign = counter("foreign");
	int client = connect_to(PROXY, SERVER, TRANSPARENT), server;
	struct pp_origin origin;
	char text[PP_ORIGIN_PRINT_MAX];

	(void)state;
	send_text(client, LINE6 "EHLO x\r\n");
	server = accept_from(listener, "192.0.0.8:0");
	assert_true(counter("foreign") > foreign);
	assert_int_equal(pp_lookup(server, &origin), 0); /* who asks, gets it all */
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, "PROXY v1 TCP " ORIGIN6 " -> [2001:db8::1]:25");
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

/* As one whose handshake was under way when the port became a served one. */
static void a_connection_without_a_record_is_nobodys_either(void **state)
{
	int here = listen_on(SERVER, 2544), client = connect_to(PROXY, SERVER, 2544), server;
	int other = connect_to(OTHER, SERVER, 2544), ordinary;
	char own[64];

	(void)state;
	server = accept_within(here, SOON_MS);
	ordinary = accept_within(here, SOON_MS);
	run(0, "build/bin/ppctl port add 2544 --transparent");
	assert_peer(server, "192.0.0.8:0");
	snprintf(own, sizeof(own), "%s:%u", OTHER, port_of(other));
	assert_peer(ordinary, own);
	close_both(client, server);
	close_both(other, ordinary);
	close(here);
}

static void assert_own_name(int fd, const char *name)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	assert_string_equal(address_text(&address), name);
}

static void getsockname_answers_the_destination_where_it_is_asked_for(void **state)
{
	int here = listen_on(SERVER, LOCAL), client, server;

	(void)state;
	client = connect_to(PROXY, SERVER, LOCAL);
	send_text(client, LINE);
	server = accept_from(here, ORIGIN);
	assert_own_name(server, "198.51.100.1:25");
	close_both(client, server);
	close(here);

	open_pair(&client, &server);
	assert_own_name(server, "127.0.0.1:2541");
	close_both(client, server);
}

static void split_without_transparency_answers_pp_lookup_only(void **state)
{
	int client = connect_to(PROXY, SERVER, SPLIT), server;
	struct pp_origin origin;
	char own[64];

	(void)state;
	snprintf(own, sizeof(own), "%s:%u", PROXY, port_of(client));
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(split_listener, own);
	assert_int_equal(pp_lookup(server, &origin), 0);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	assert_readable(server, 0);
	close_both(client, server);
}

static void a_segment_that_comes_again_in_a_larger_one_doubles_nothing(void **state)
{
	int client, server, first;
	struct handshake handshake;

	(void)state;
	for (first = 0; first < 2; first++) {
		raw_open();
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		sniff(&handshake, port_of(client));
		send_text(client, first ? LINE : LINE "EHLO x\r\n");
		server = accept_from(listener, ORIGIN);
		/* as the proxy would send it again, had the acknowledgement been lost */
		forge(&handshake, handshake.seq, handshake.ack, LINE "EHLO x\r\nNOOP\r\n");
		assert_readable(server, 1);
		assert_reads_text(server, "EHLO x\r\nNOOP\r\n");
		assert_readable(server, 0);
		reset(client);
		close(server);
	}
}

static void a_forged_header_makes_no_connection(void **state)
{
	static const char forged[] = "PROXY TCP4 203.0.113.6 198.51.100.1 66 25\r\n";
	/* not -1: who knows the acknowledgement and sends a header from there is on the path */
	static const int32_t off[] = {-1000, 1, 44, 1000, 30000, 0x7fffffff};
	struct handshake handshake;
	int client, server;
	size_t i;

	(void)state;
	raw_open();
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	sniff(&handshake, port_of(client));
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		forge(&handshake, handshake.seq + off[i], handshake.ack, forged);
		forge(&handshake, handshake.seq, handshake.ack + off[i], forged);
	}
	assert_int_equal(accept_within(listener, A_WHILE_MS), -ETIMEDOUT);
	send_text(client, LINE);
	server = accept_from(listener, ORIGIN);
	close_both(client, server);
}

static void syn_cookies(void **state)
{
	int client, server, i;

	(void)state;
	sysctl_set("net/ipv4/tcp_syncookies", "2");
	for (i = 0; i < 20; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, i % 2 ? LINE : LINE "EHLO x\r\n");
		server = accept_from(listener, ORIGIN);
		if (!(i % 2))
			assert_reads_text(server, "EHLO x\r\n");
		send_text(server, "220\r\n");
		assert_reads_text(client, "220\r\n");
		close_both(client, server);
	}
	sysctl_set("net/ipv4/tcp_syncookies", "1");
}

static int entries(const char *map)
{
	return strtol(run(0,
			  "bpftool map dump pinned $LAB_BPFFS/pp/maps/%s | grep -c "
			  "'^key\\|\"key\"' || true",
			  map),
		      NULL, 10);
}

static void closed_connections_leave_nothing_behind(void **state)
{
	int i, client, server, tries;

	(void)state;
	for (i = 0; i < 300; i++) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, i % 2 ? LINE : LINE "EHLO x\r\n");
		if (i % 3 == 0)
			reset(client);
		server = accept_within(listener, i % 3 ? SOON_MS : 5);
		if (server >= 0 && i % 5 == 0)
			send(server, "220\r\n", 5, MSG_NOSIGNAL);
		if (i % 3)
			close(client);
		if (server >= 0)
			close(server);
	}
	for (tries = 0; tries < 100 && entries("pp_handovers"); tries++) {
		while ((server = accept_within(listener, 0)) >= 0)
			close(server);
		usleep(100000);
	}
	assert_int_equal(entries("pp_handovers"), 0);
}

/* Over lo both programs see each packet, each as one of its own. */
static void from_a_port_that_is_split_too(void **state)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(SPLIT)},
			   to = {.sin_family = AF_INET, .sin_port = htons(TRANSPARENT)};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server, one = 1;

	(void)state;
	inet_pton(AF_INET, PROXY, &from.sin_addr);
	inet_pton(AF_INET, SERVER, &to.sin_addr);
	setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_from(listener, ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	send_text(server, "250 x\r\n");
	assert_reads_text(client, "250 x\r\n");
	send_text(client, "QUIT\r\n");
	assert_reads_text(server, "QUIT\r\n");
	close_both(client, server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_alone_is_gone_when_accept_returns),
		cmocka_unit_test(header_and_payload_in_one_segment_keeps_poll_quiet),
		cmocka_unit_test(payload_in_the_next_segment_before_accept),
		cmocka_unit_test(a_client_hello_behind_the_header),
		cmocka_unit_test(accept_waits_for_the_header),
		cmocka_unit_test(a_header_that_comes_after_the_gates_time_is_refused),
		cmocka_unit_test(a_client_that_never_speaks_never_reaches_the_server),
		cmocka_unit_test(without_a_complete_valid_header_nothing_reaches_the_server),
		cmocka_unit_test(a_large_header_is_taken_out),
		cmocka_unit_test(a_header_in_pieces),
		cmocka_unit_test(local_and_unknown_come_with_the_proxys_address),
		cmocka_unit_test(an_unmarked_host_is_an_ordinary_client),
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
		cmocka_unit_test(a_listener_shared_by_forked_processes),
		cmocka_unit_test(so_reuseport),
		cmocka_unit_test(a_descriptor_passed_to_another_process),
		cmocka_unit_test(mapped_addresses_and_origins_of_another_family),
		cmocka_unit_test(an_origin_that_does_not_fit_is_nobodys_address),
		cmocka_unit_test(a_connection_without_a_record_is_nobodys_either),
		cmocka_unit_test(getsockname_answers_the_destination_where_it_is_asked_for),
		cmocka_unit_test(split_without_transparency_answers_pp_lookup_only),
		cmocka_unit_test(a_segment_that_comes_again_in_a_larger_one_doubles_nothing),
		cmocka_unit_test(a_forged_header_makes_no_connection),
		cmocka_unit_test(syn_cookies),
		cmocka_unit_test(closed_connections_leave_nothing_behind),
		cmocka_unit_test(from_a_port_that_is_split_too),
	};

	return cmocka_run_group_tests_name("split", tests, setup, NULL);
}
