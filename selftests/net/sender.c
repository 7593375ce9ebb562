// SPDX-License-Identifier: BSD-2-Clause
/*
 * Proxies on this host: processes of a proxy cgroup (LAB_OUTSIDE), whose send() pp_msg sees. The
 * test itself, the mail server, is in LAB_CGROUP.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../lib/address.h"
#include "../lib/proxy.h"
#include "../lib/raw.h"

#define SPLIT	     2541
#define LINE6	     "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"
#define LINE6_ORIGIN "PROXY v1 TCP [2001:db8::7]:4711 -> [2001:db8::1]:25"

static const char payload[] = "EHLO x\r\nMAIL FROM:<>\r\n";

#define PAYLOAD_LEN (sizeof(payload) - 1)

static int setup(void **state)
{
	proxy_setup(state);
	run(0, "build/bin/ppctl port add %d --split yes", SPLIT);
	return 0;
}

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
	send_text(client, payload);
	assert_reads_text(server, payload);
	assert_nothing_to_read(server);
	assert_int_equal(counter("sent"), sent + 1);
	assert_int_equal(counter("from_sender"), from + 1);
	assert_non_null(
		strstr(run(0, "build/bin/ppctl lookup %d %d", getpid(), server), "/outside"));
	close_both(client, server);
	close(listener);
}

/* Ways to send the same bytes: a header and what follows it. */
static void one_send(int fd, const char *bytes, size_t header, size_t len)
{
	(void)header;
	send_all(fd, bytes, len);
}

static void a_send_each(int fd, const char *bytes, size_t header, size_t len)
{
	send_all(fd, bytes, header);
	send_all(fd, bytes + header, len - header);
}

static void with_msg_more(int fd, const char *bytes, size_t header, size_t len)
{
	assert_int_equal(send(fd, bytes, header, MSG_MORE), header);
	send_all(fd, bytes + header, len - header);
}

static void with_msg_more_and_no_more(int fd, const char *bytes, size_t header, size_t len)
{
	assert_int_equal(send(fd, bytes, header, MSG_MORE), header);
	usleep(300000); /* longer than TCP waits */
	assert_int_equal(send(fd, bytes + header, len - header, MSG_MORE), len - header);
}

static void corked(int fd, const char *bytes, size_t header, size_t len)
{
	int on = 1, off = 0;

	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	send_all(fd, bytes, header);
	send_all(fd, bytes + header, len - header);
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
}

static void with_writev(int fd, const char *bytes, size_t header, size_t len)
{
	struct iovec parts[4] = {{(char *)bytes, 10},
				 {(char *)bytes + 10, header - 10},
				 {(char *)bytes + header, 3},
				 {(char *)bytes + header + 3, len - header - 3}};

	assert_int_equal(writev(fd, parts, 4), len);
}

static int file_of(const char *bytes, size_t len)
{
	int file = memfd_create("bytes", MFD_CLOEXEC);

	assert_int_equal(write(file, bytes, len), len);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	return file;
}

static void with_sendfile(int fd, const char *bytes, size_t header, size_t len)
{
	int file = file_of(bytes, len);
	ssize_t part;

	(void)header;
	while (len) {
		part = sendfile(fd, file, NULL, len);
		assert_true(part > 0);
		len -= part;
	}
	close(file);
}

/* Two pages of the pipe's: the header is in both. */
static void with_splice(int fd, const char *bytes, size_t header, size_t len)
{
	int pipes[2];
	ssize_t part;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], bytes, header - 5), header - 5);
	assert_int_equal(vmsplice(pipes[1],
				  &(struct iovec){(char *)bytes + header - 5, len - header + 5}, 1,
				  0),
			 len - header + 5);
	while (len) {
		part = splice(pipes[0], NULL, fd, NULL, len, 0);
		assert_true(part > 0);
		len -= part;
	}
	close_both(pipes[0], pipes[1]);
}

static void with_zerocopy(int fd, const char *bytes, size_t header, size_t len)
{
	int on = 1;

	(void)header;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
	assert_int_equal(send(fd, bytes, len, MSG_ZEROCOPY), len);
	usleep(20000); /* the bytes are the caller's: until they are out */
}

static void the_header_in_two(int fd, const char *bytes, size_t header, size_t len)
{
	send_all(fd, bytes, 9);
	usleep(20000);
	send_all(fd, bytes + 9, header - 9);
	send_all(fd, bytes + header, len - header);
}

static void byte_by_byte(int fd, const char *bytes, size_t header, size_t len)
{
	size_t i;

	for (i = 0; i < header + 3; i++)
		send_all(fd, bytes + i, 1);
	send_all(fd, bytes + i, len - i);
}

static void without_waiting(int fd, const char *bytes, size_t header, size_t len)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	ssize_t part;

	(void)header;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (len) {
		assert_int_equal(poll(&out, 1, SOON_MS), 1);
		part = send(fd, bytes, len, MSG_DONTWAIT);
		assert_true(part > 0 || errno == EAGAIN);
		if (part > 0) {
			bytes += part;
			len -= part;
		}
	}
}

static const struct way {
	const char *name;
	void (*send)(int fd, const char *bytes, size_t header, size_t len);
	int in_one; /* the header is in the first message whole */
} ways[] = {
	{"header and payload in one send", one_send, 1},
	{"a send for each", a_send_each, 1},
	{"MSG_MORE", with_msg_more, 1},
	{"MSG_MORE to the end", with_msg_more_and_no_more, 1},
	{"TCP_CORK", corked, 1},
	{"writev", with_writev, 1},
	{"sendfile", with_sendfile, 1},
	{"splice", with_splice,
	 0}, /* a message for each of the pipe's pages, or one: as the kernel likes */
	{"MSG_ZEROCOPY", with_zerocopy, 1},
	{"the header in two sends", the_header_in_two, 0},
	{"byte by byte", byte_by_byte, 0},
	{"non-blocking", without_waiting, 1},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static const struct header {
	const char *bytes;
	size_t len;
	const char *origin;
} headers[] = {
	{LINE, LINE_LEN, LINE_ORIGIN},
	{LINE6, sizeof(LINE6) - 1, LINE6_ORIGIN},
	{"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33"
	 "\x64\x01\x12\x67\x00\x19",
	 28, V2_ORIGIN},
	{"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x12\xc0\x00\x02\x07\xc6\x33"
	 "\x64\x01\x12\x67\x00\x19\x05\x00\x03"
	 "abc",
	 34, V2_ORIGIN},
	{"PROXY UNKNOWN\r\n", 15, "LOCAL v1"},
};

#define HEADERS (sizeof(headers) / sizeof(headers[0]))

static void assert_tlvs(int server, const struct header *header)
{
	char tlvs[PP_WINDOW];

	if (header->len == 34) {
		assert_int_equal(pp_tlvs(server, tlvs, sizeof(tlvs)), 6);
		assert_memory_equal(tlvs,
				    "\x05\x00\x03"
				    "abc",
				    6);
	}
}

static void check_way(unsigned int port, const struct way *way, const struct header *header,
		      const char *source, const char *address)
{
	int listener = listen_on(address, port), client = proxy_connects(source, address, port),
	    server, status;
	char bytes[512];
	pid_t child;

	memcpy(bytes, header->bytes, header->len);
	memcpy(bytes + header->len, payload, PAYLOAD_LEN);
	child = fork();
	if (child == 0) {
		way->send(client, bytes, header->len, header->len + PAYLOAD_LEN);
		_exit(0);
	}
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, header->origin);
	assert_int_equal(record_of(server).sender_cgroup != 0, 1);
	assert_tlvs(server, header);
	assert_reads_text(server, payload);
	assert_nothing_to_read(server);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* and on, in both directions, natively */
	send_text(server, "250 ok\r\n");
	assert_reads_text(client, "250 ok\r\n");
	send_text(client, payload);
	assert_reads_text(server, payload);
	if (way->in_one)
		assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	close(client);
	assert_reads_eof(server);
	close_both(server, listener);
}

static void every_way_to_send_on(unsigned int port)
{
	long native = counter("senders_native"), connections = 0;
	size_t i, k;

	for (i = 0; i < WAYS; i++) {
		for (k = 0; k < HEADERS; k++) {
			print_message("%s: %s\n", ways[i].name, headers[k].origin);
			check_way(port, &ways[i], &headers[k], LOCAL, SERVER);
			connections++;
		}
		check_way(port, &ways[i], &headers[0], OTHER6, SERVER6);
		connections++;
	}
	assert_int_equal(counter("senders_native"), native + connections);
}

static void every_way_to_send(void **state)
{
	(void)state;
	every_way_to_send_on(PORT);
}

static void every_way_to_send_without_a_gate(void **state)
{
	(void)state;
	every_way_to_send_on(OPEN);
}

static void a_split_takes_the_header_out(void **state)
{
	int client, server;
	char byte;

	(void)state;
	pair(LOCAL, SERVER, SPLIT, &client, &server, LINE, LINE_LEN);
	assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), -1);
	send_text(client, payload);
	assert_reads_text(server, payload);
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
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	close_both(client, server);
	close(listener);
}

static void tcp_fast_open(void **state)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, LOCAL, 0), to_len;
	unsigned int ports[] = {PORT, SPLIT};
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

#define BULK (8 << 20)

static void a_full_send_buffer(void **state)
{
	static uint8_t bytes[LINE_LEN + BULK];
	int listener = listen_on(SERVER, PORT), client, server, small = 4096, status, i;
	pid_t child;

	(void)state;
	for (i = 0; i < 4; i++) {
		memcpy(bytes, LINE, LINE_LEN);
		fill_pattern(bytes + LINE_LEN, BULK, i);
		client = proxy_connects(LOCAL, SERVER, PORT);
		setsockopt(client, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		child = fork();
		if (child == 0) {
			if (i & 1)
				without_waiting(client, (char *)bytes, LINE_LEN, sizeof(bytes));
			else
				send_all(client, bytes, sizeof(bytes));
			_exit(0);
		}
		close(client);
		server = accept_within(listener, SOON_MS);
		assert_origin(server, LINE_ORIGIN);
		usleep(100000); /* let it fill up */
		assert_reads(server, bytes + LINE_LEN, BULK);
		assert_reads_eof(server);
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
		close(server);
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
		send_text(client, payload);
		assert_reads_text(server, payload);
		send_text(server, "250 ok\r\n");
		assert_reads_text(client, "250 ok\r\n");
		close_both(client, server);
	}
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

	listener = listen_on(SERVER, SPLIT); /* transparent servers are not to meet it */
	client = connect_start(PROXY, SERVER, SPLIT);
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
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
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
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_nothing_to_read(server);
	close_both(client, server);
	close(listener);
}

/* What a connection left behind, on the same addresses and ports: it began with another sequence
 * number. The new one comes from outside of the cgroup. */
static void an_old_record_does_not_meet_a_new_connection(void **state)
{
	struct pp_connection_key key = {
		.remote = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\5",
		.local = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1",
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

static void mixed_with_remote_proxies(void **state)
{
	int listener = listen_on("::", PORT), client, server, ready[2], i;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	child = fork();
	if (child == 0) { /* another host */
		if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1 ||
		    read(ready[1], &byte, 1) != 1)
			_exit(1);
		run(0, "ip addr add 10.50.50.2/24 dev v1; ip link set v1 up");
		for (i = 0; i < 20; i++) {
			client = connect_to("10.50.50.2", "10.50.50.1", PORT);
			send_text(client, LINE6);
			close(client);
		}
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run(0,
	    "ip link add v0 type veth peer name v1 && ip link set v1 netns %d && "
	    "ip addr add 10.50.50.1/24 dev v0 && ip link set v0 up && "
	    "build/bin/ppctl proxy add 10.50.50.2",
	    child);
	assert_int_equal(write(ready[0], "g", 1), 1);
	for (i = 0; i < 20; i++) {
		client = proxy_connects(LOCAL, SERVER, PORT);
		send_text(client, LINE);
		close(client);
	}
	for (i = 0; i < 40; i++) {
		struct pp_record record;
		struct pp_origin origin;

		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_int_equal(pp_lookup_wait(server, &origin, SOON_MS), 0);
		record = record_of(server);
		/* IPv6 came from the other host */
		assert_int_equal(origin.family == AF_INET, record.path == PP_PATH_SENDER);
		assert_int_equal(origin.family == AF_INET, record.sender_cgroup != 0);
		close(server);
	}
	waitpid(child, NULL, 0);
	run(0, "build/bin/ppctl proxy del 10.50.50.2; ip link del v0 2>/dev/null || true");
	close_both(ready[0], ready[1]);
	close(listener);
}

/* A proxy's container: its own network namespace, connected by veth. Each connection's header says
 * which port it is for. */
static void in_a_container(int ready, const char *address, unsigned int port)
{
	int client;
	char byte;

	if (unshare(CLONE_NEWNET) || write(ready, "r", 1) != 1 || read(ready, &byte, 1) != 1)
		_exit(1);
	become_proxy();
	run(0, "ip addr add 10.50.51.2/24 dev v1; ip link set v1 up; ip link set lo up; "
	       "ip route add 10.60.0.1 via 10.50.51.1");
	client = connect_to("10.50.51.2", address, port);
	send_text(client, LINE "EHLO x\r\n");
	if (read(ready, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

static int container(pid_t *child, int *control, const char *address, unsigned int port,
		     const char *before, int listener)
{
	int ready[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	*child = fork();
	if (*child == 0) {
		close(ready[0]);
		in_a_container(ready[1], address, port);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run(0,
	    "ip link add v0 type veth peer name v1 && ip link set v1 netns %d && "
	    "ip addr add 10.50.51.1/24 dev v0 && ip link set v0 up && %s",
	    *child, before);
	assert_int_equal(write(ready[0], "g", 1), 1);
	*control = ready[0];
	return accept_within(listener, SOON_MS);
}

static void container_ends(pid_t child, int control)
{
	close(control);
	waitpid(child, NULL, 0);
	run(0, "ip link del v0 2>/dev/null || true");
}

static void across_network_namespaces(void **state)
{
	int listener = listen_on("::", PORT), server, control;
	pid_t child;

	(void)state;
	server = container(&child, &control, "10.50.51.1", PORT, "true", listener);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN); /* by its cgroup: the address is not marked */
	assert_int_equal(record_of(server).path, PP_PATH_SENDER);
	assert_int_equal(record_of(server).sender_cgroup, cgroup_id(getenv("LAB_OUTSIDE")));
	assert_reads_text(server, "EHLO x\r\n");
	close(server);
	container_ends(child, control);
	close(listener);
}

static void behind_address_translation_the_address_counts(void **state)
{
	int listener = listen_on("::", PORT), server, control;
	struct pp_origin origin;
	pid_t child;

	(void)state;
	/* the container connects to 10.60.0.1, and the tuples of the two ends differ */
	run(0,
	    "nft 'add table ip t; add chain ip t pre { type nat hook prerouting priority -100 ; }; "
	    "add rule ip t pre ip daddr 10.60.0.1 dnat to 10.50.51.1'");
	server = container(&child, &control, "10.60.0.1", PORT,
			   "build/bin/ppctl proxy add 10.50.51.2", listener);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	assert_int_equal(record_of(server).path, PP_PATH_HANDSHAKE);
	assert_int_equal(record_of(server).sender_cgroup, 0);
	assert_reads_text(server, "EHLO x\r\n");
	close(server);
	container_ends(child, control);

	run(0, "build/bin/ppctl proxy del 10.50.51.2"); /* and unmarked, it is a stranger */
	server = container(&child, &control, "10.60.0.1", PORT, "true", listener);
	assert_true(server >= 0);
	assert_int_equal(pp_lookup(server, &origin), -ENOENT);
	close(server);
	container_ends(child, control);
	run(0, "nft delete table ip t");
	close(listener);
}

/* Connections in which everything is by chance, and the bytes are compared. */
static void random_streams(void **state)
{
	static uint8_t bytes[65536 + 64], got[65536];
	int rounds = getenv("PP_SOAK") ? 20000 : 300, round, listener, client, server, status;
	unsigned int seed = 1, ports[] = {PORT, OPEN}, port;
	const struct header *header;
	size_t len, at, part, have;
	ssize_t more;
	pid_t child;

	(void)state;
	for (round = 0; round < rounds; round++) {
		header = &headers[rand_r(&seed) % HEADERS];
		port = ports[rand_r(&seed) % 2];
		len = rand_r(&seed) % (rand_r(&seed) % 4 ? 300 : sizeof(got));
		memcpy(bytes, header->bytes, header->len);
		fill_pattern(bytes + header->len, len, round);
		listener = listen_on(SERVER, port);
		client = proxy_connects(LOCAL, SERVER, port);
		child = fork();
		if (child == 0) {
			unsigned int own = round;

			for (at = 0; at < header->len + len; at += part) {
				part = 1 + rand_r(&own) % (rand_r(&own) % 2 ? 50 : 20000);
				if (part > header->len + len - at)
					part = header->len + len - at;
				if (send(client, bytes + at, part,
					 rand_r(&own) % 4 ? 0 : MSG_MORE) != (ssize_t)part)
					_exit(1);
			}
			_exit(0);
		}
		close(client);
		server = accept_within(listener, SOON_MS);
		assert_true(server >= 0);
		assert_origin(server, header->origin);
		for (have = 0; have < len; have += more) {
			more = recv(server, got + have, len - have, 0);
			if (more <= 0)
				fail_msg("round %d: %zu of %zu bytes", round, have, len);
		}
		assert_memory_equal(got, bytes + header->len, len);
		assert_reads_eof(server);
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
		close_both(server, listener);
	}
}

static void nothing_is_left_behind(void **state)
{
	int tries;

	(void)state;
	for (tries = 0; tries < 100; tries++) { /* until the last FIN has been acknowledged */
		if (!entries("pp_senders"))
			break;
		usleep(20000);
	}
	assert_int_not_equal(tries, 100);
	/* what was reset may be there still, and goes when room is needed */
	assert_true(entries("pp_outgoing") <= 20);
}

static void the_command_line(void **state)
{
	(void)state;
	assert_non_null(strstr(run(0, "build/bin/ppctl proxy-cgroup list"), "/outside\n"));
	assert_non_null(strstr(run(0, "build/bin/ppctl status"), "proxy cgroups\n/"));
	assert_non_null(strstr(run(0, "build/bin/ppctl status --json"), "\"proxy_cgroups\":["));
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
		cmocka_unit_test(every_way_to_send),
		cmocka_unit_test(every_way_to_send_without_a_gate),
		cmocka_unit_test(a_split_takes_the_header_out),
		cmocka_unit_test(tcp_smart_connect),
		cmocka_unit_test(tcp_fast_open),
		cmocka_unit_test(a_send_that_waits_for_the_connection),
		cmocka_unit_test(a_proxy_that_closes_at_once),
		cmocka_unit_test(a_full_send_buffer),
		cmocka_unit_test(two_threads_on_one_socket),
		cmocka_unit_test(the_proxy_keeps_its_wake_ups),
		cmocka_unit_test(a_process_outside_of_the_cgroup_is_refused),
		cmocka_unit_test(a_segment_that_overtakes_is_dropped),
		cmocka_unit_test(an_old_record_does_not_meet_a_new_connection),
		cmocka_unit_test(mixed_with_remote_proxies),
		cmocka_unit_test(across_network_namespaces),
		cmocka_unit_test(behind_address_translation_the_address_counts),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(the_command_line),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender", tests, setup, NULL);
}
