// SPDX-License-Identifier: BSD-2-Clause
/*
 * A proxy on this host sends its header in every way that there is to send: with payload or
 * without, in pieces, by sendfile(), splice(), MSG_ZEROCOPY. pp_msg sees it, and both directions
 * are the socket's own after that. PP_SOAK in the environment: more random streams.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../lib/map.h"
#include "../lib/proxy.h"

static const char payload[] = "EHLO x\r\nMAIL FROM:<>\r\n";

#define COMMANDS_LEN (sizeof(payload) - 1)

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
	memcpy(bytes + header->len, payload, COMMANDS_LEN);
	child = fork();
	if (child == 0) {
		way->send(client, bytes, header->len, header->len + COMMANDS_LEN);
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
	for (tries = 0; tries < SOON_MS / 20;
	     tries++) { /* until the last FIN has been acknowledged */
		if (!entries("pp_senders"))
			break;
		usleep(20000);
	}
	assert_int_equal(entries("pp_senders"), 0);
	/* what was reset may be there still, and goes when room is needed */
	assert_true(entries("pp_outgoing") <= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_send),
		cmocka_unit_test(every_way_to_send_without_a_gate),
		cmocka_unit_test(a_full_send_buffer),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(nothing_is_left_behind),
	};

	signal(SIGPIPE, SIG_IGN);
	return run_share("sender_ways", tests, proxy_setup, NULL);
}
