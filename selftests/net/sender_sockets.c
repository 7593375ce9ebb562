// SPDX-License-Identifier: BSD-2-Clause
/*
 * A proxy on this host whose socket is in a state of its own when it sends the header: it connects
 * late (TCP_QUICKACK, Fast Open, a send() that waits), is closed at once, is used by two threads,
 * or is to be woken.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "../lib/address.h"
#include "../lib/proxy.h"

/* One connection of the proxy's, both ends. */
static void pair(const char *source, const char *address, unsigned int port, int *client,
		 int *server, const void *first, size_t len)
{
	int listener = listen_on(address, port);

	*client = proxy_connects(source, address, port);
	send_all(*client, first, len);
	*server = accept_within(listener, SOON_MS);
	assert_true(*server >= 0);
	close(listener);
}

static void a_split_takes_the_header_out(void **state)
{
	int client, server;
	char byte;

	(void)state;
	pair(LOCAL, SERVER, PROXY_SPLIT, &client, &server, LINE, LINE_LEN);
	assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), -1);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	close_both(client, server);
}

static int delayed_ack_client(const char *source, unsigned int port)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, SERVER, port);
	int off = 0, fd;

	become_proxy();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	become_server();
	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	/* HAProxy's tcp-smart-connect */
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, to_len), 0);
	return fd;
}

/* The handshake's ACK travels with the header. */
static void tcp_smart_connect(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server;

	(void)state;
	client = delayed_ack_client(LOCAL, PORT);
	server = accept_line(listener, client);
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	close_both(client, server);
	close(listener);
}

static void tcp_fast_open(void **state)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, LOCAL, 0), to_len;
	unsigned int ports[] = {PORT, PROXY_SPLIT};
	int listener, client, server;
	size_t i;

	(void)state;
	sysctl_set("net/ipv4/tcp_fastopen", "1543");
	for (i = 0; i < 2; i++) {
		listener = listen_on(SERVER, ports[i]);
		to_len = address_fill(&to, SERVER, ports[i]);
		become_proxy();
		client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		become_server();
		assert_int_equal(bind(client, (struct sockaddr *)&from, from_len), 0);
		assert_int_equal(sendto(client, LINE, LINE_LEN, MSG_FASTOPEN,
					(struct sockaddr *)&to, to_len),
				 LINE_LEN);
		send_text(client, LINE6 "EHLO x\r\n"); /* no header: the first was */
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, LINE_ORIGIN);
		assert_int_equal(record_of(server).sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
		assert_int_equal(record_of(server).sender_pid, 0);
		assert_reads_text(server, LINE6 "EHLO x\r\n");
		close_both(client, server);
		close(listener);
	}
	sysctl_set("net/ipv4/tcp_fastopen", "0");
}

static void *send_header(void *fd)
{
	send_text(*(int *)fd, LINE);
	return NULL;
}

/* A thread that calls send() while another connects waits inside of it, and pp_msg does not see
 * what it sends: the next message is not the first. The SYN is lost at first: the queue is full. */
static void a_send_that_waits_for_the_connection(void **state)
{
	struct sockaddr_storage here;
	socklen_t len = address_fill(&here, SERVER, PORT);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, first, client, server;
	pthread_t thread;

	(void)state;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&here, len), 0);
	assert_int_equal(listen(listener, 0), 0);
	first = proxy_connects(LOCAL, SERVER, PORT);
	send_text(first, LINE);
	usleep(50000);
	become_proxy();
	client = connect_start(LOCAL, SERVER, PORT);
	become_server();
	fcntl(client, F_SETFL, 0);
	assert_int_equal(pthread_create(&thread, NULL, send_header, &client), 0);
	usleep(50000);
	server = accept_within(listener, SOON_MS);
	close_both(first, server);
	pthread_join(thread, NULL);
	send_text(client, LINE6 "EHLO x\r\n");
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_int_not_equal(record_of(server).path, PP_PATH_SENDER);
	assert_int_equal(record_of(server).sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
	assert_reads_text(server, LINE6 "EHLO x\r\n");
	close_both(client, server);
	close(listener);
}

static void a_proxy_that_closes_at_once(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server, i;
	struct pp_origin origin;

	(void)state;
	for (i = 0; i < 20; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		send_text(client, LINE "QUIT\r\n");
		close(client);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		assert_reads_text(server, "QUIT\r\n");
		assert_reads_eof(server);
		close(server);
	}
	client = proxy_connects(LOCAL, SERVER, PORT);
	close(client); /* no header at all */
	server = accept_within(listener, SOON_MS);
	assert_int_equal(lookup_settled(server, &origin), -EBADMSG);
	close(server);
	for (i = 0; i < 20; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		send_text(client, LINE "QUIT\r\n");
		reset(client);
		server = accept_within(listener, A_WHILE_MS);
		if (server >= 0) { /* never a stranger */
			assert_int_not_equal(pp_lookup(server, &origin), -ENOENT);
			close(server);
		}
	}
	close(listener);
}

struct shared {
	int fd;
	char letter;
};

#define THREAD_SENDS 2000

static void *send_letters(void *context)
{
	struct shared *shared = context;
	int i;

	for (i = 0; i < THREAD_SENDS; i++)
		assert_int_equal(send(shared->fd, &shared->letter, 1, 0), 1);
	return NULL;
}

static void two_threads_on_one_socket(void **state)
{
	int listener = listen_on(SERVER, PORT), client, server, round, seen[2], i;
	struct shared one, other;
	pthread_t threads[2];
	char bytes[2 * THREAD_SENDS];

	(void)state;
	for (round = 0; round < 10; round++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		send_text(client, LINE);
		one = (struct shared){client, 'a'};
		other = (struct shared){client, 'b'};
		pthread_create(&threads[0], NULL, send_letters, &one);
		pthread_create(&threads[1], NULL, send_letters, &other);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		assert_int_equal(recv(server, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
		seen[0] = seen[1] = 0;
		for (i = 0; i < 2 * THREAD_SENDS; i++)
			seen[bytes[i] - 'a']++;
		assert_int_equal(seen[0], THREAD_SENDS);
		assert_int_equal(seen[1], THREAD_SENDS);
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		close_both(client, server);
	}
	close(listener);
}

/* A server that speaks first, to a proxy that has sent nothing: its socket is in pp_senders, and in
 * some kernels such sockets lost their wake-ups (6.12.75, 6.18.14 and others). */
static void the_proxy_keeps_its_wake_ups(void **state)
{
	int listener = listen_on(SERVER, OPEN), client, server, i, queued;
	struct pollfd in = {.events = POLLIN};

	(void)state;
	for (i = 0; i < 200; i++) {
		client = proxy_connects(LOCAL, SERVER, OPEN);
		server = accept_within(listener, SOON_MS);
		in.fd = client;
		assert_int_equal(poll(&in, 1, 0), 0);
		send_text(server, "220 hello\r\n");
		assert_int_equal(poll(&in, 1, SOON_MS), 1);
		assert_int_equal(ioctl(client, FIONREAD, &queued), 0);
		assert_int_equal(queued, 11);
		if (i & 1) /* reads it before its first send, or after */
			assert_reads_text(client, "220 hello\r\n");
		send_text(client, LINE);
		assert_origin(server, LINE_ORIGIN);
		if (!(i & 1))
			assert_reads_text(client, "220 hello\r\n");
		assert_nothing_to_read(client);
		send_text(client, PAYLOAD);
		assert_reads_text(server, PAYLOAD);
		send_text(server, "250 ok\r\n");
		assert_reads_text(client, "250 ok\r\n");
		close_both(client, server);
	}
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_takes_the_header_out),
		cmocka_unit_test(tcp_smart_connect),
		cmocka_unit_test(tcp_fast_open),
		cmocka_unit_test(a_send_that_waits_for_the_connection),
		cmocka_unit_test(a_proxy_that_closes_at_once),
		cmocka_unit_test(two_threads_on_one_socket),
		cmocka_unit_test(the_proxy_keeps_its_wake_ups),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender_sockets", tests, proxy_split_setup, NULL);
}
