// SPDX-License-Identifier: BSD-2-Clause
/*
 * Transparent connections with seeded random streams: no header byte reaches the server, no payload
 * byte is lost, doubled or moved. And bulk transfers, which must not stall. PP_SOAK: 20,000
 * connections, and 10 GiB in all.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/io_uring.h>
#include <sys/mman.h>

#include "../lib/net.h"

#define TRANSPARENT 2541
#define STREAM_MAX  200000
#define STALL_MS    60000

static int listener;

static int setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl port add %d --transparent", TRANSPARENT);
	listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

static int soaking(void)
{
	return getenv("PP_SOAK") && *getenv("PP_SOAK");
}

/* A stream of @len bytes, a function of @seed. */
static uint8_t stream_byte(uint32_t seed, size_t i)
{
	uint32_t x = seed * 2654435761U + i * 40503U;

	return x >> 15 ^ x >> 7;
}

static void fill_stream(uint8_t *bytes, uint32_t seed, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = stream_byte(seed, from + i);
}

/* Thread-safe, and the same in each run. */
static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

struct caller {
	int fd;
	uint32_t seed;
	size_t len;	/* bytes to send, and to get back */
	int speak_last; /* waits for the server's banner first */
	const char *failed;
};

static int recv_within(int fd, void *buf, size_t len)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	if (poll(&in, 1, STALL_MS) != 1)
		return -1;
	return recv(fd, buf, len, 0);
}

/* The client: header and stream in random pieces, then the echo. */
static void *call(void *argument)
{
	struct caller *caller = argument;
	uint32_t random = caller->seed;
	uint8_t *bytes = malloc(LINE_LEN + caller->len);
	size_t sent, got = 0, now, total = LINE_LEN + caller->len, i;
	char banner[5];
	ssize_t len;

	memcpy(bytes, LINE, LINE_LEN);
	fill_stream(bytes + LINE_LEN, caller->seed, 0, caller->len);
	/* the header in one piece, with more or less of the stream behind it */
	now = LINE_LEN + (caller->speak_last ? 0 : next(&random) % 3 * (next(&random) % 2000));
	for (sent = 0; sent < total; sent += now) {
		if (sent)
			now = 1 + next(&random) % (next(&random) % 4 ? 100 : 20000);
		if (now > total - sent)
			now = total - sent;
		if (send(caller->fd, bytes + sent, now, MSG_NOSIGNAL) != (ssize_t)now) {
			caller->failed = "client: send";
			break;
		}
		if (!sent && caller->speak_last &&
		    (recv_within(caller->fd, banner, 5) != 5 || memcmp(banner, "220\r\n", 5)))
			caller->failed = "client: no banner";
		if (next(&random) % 50 == 0)
			usleep(next(&random) % 300);
	}
	shutdown(caller->fd, SHUT_WR);
	while (!caller->failed && got < caller->len) {
		len = recv_within(caller->fd, bytes, caller->len);
		if (len <= 0) {
			caller->failed = len < 0 ? "client: the echo stalls" : "client: EOF";
			break;
		}
		for (i = 0; i < (size_t)len; i++) {
			if (bytes[i] != stream_byte(caller->seed, got + i))
				caller->failed = "client: the echo is not what was sent";
		}
		got += len;
	}
	free(bytes);
	return NULL;
}

/* The server: reads in random portions, and echoes. Return: what went wrong, or NULL. */
static const char *serve(int fd, const struct caller *caller)
{
	uint32_t random = ~caller->seed;
	size_t got = 0, i, want;
	static uint8_t bytes[65536];
	ssize_t len;

	if (caller->speak_last)
		send(fd, "220\r\n", 5, MSG_NOSIGNAL);
	for (;;) {
		want = 1 + next(&random) % (next(&random) % 3 ? 500 : sizeof(bytes));
		if (next(&random) % 10 == 0 && recv_within(fd, bytes, 0) < 0)
			return "server: nothing comes";
		if (next(&random) % 10 == 0)
			recv(fd, bytes, want, MSG_PEEK | MSG_DONTWAIT);
		len = recv_within(fd, bytes, want);
		if (len == 0)
			return got == caller->len ? NULL : "server: bytes are missing";
		if (len < 0)
			return errno == EAGAIN ? "server: EAGAIN from a blocking recv()"
					       : "server: nothing comes";
		for (i = 0; i < (size_t)len; i++) {
			if (bytes[i] != stream_byte(caller->seed, got + i))
				return "server: not what was sent";
		}
		got += len;
		if (got > caller->len)
			return "server: too many bytes";
		if (send(fd, bytes, len, MSG_NOSIGNAL) != len)
			return "server: send";
	}
}

static int accept_origin(void)
{
	struct pollfd in = {.fd = listener, .events = POLLIN};
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	int fd;

	assert_int_equal(poll(&in, 1, SOON_MS), 1);
	fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(peer.sin_addr.s_addr, inet_addr("192.0.2.7"));
	return fd;
}

static void random_streams_come_through(void **state)
{
	int connections = soaking() ? 20000 : 300, i, server;
	struct caller caller;
	const char *failed;
	pthread_t thread;
	uint32_t random = 4711;

	(void)state;
	for (i = 0; i < connections; i++) {
		memset(&caller, 0, sizeof(caller));
		caller.seed = i + 1;
		caller.len = next(&random) % (next(&random) % 10 ? 3000 : STREAM_MAX);
		caller.speak_last = next(&random) % 2;
		caller.fd = connect_to(PROXY, SERVER, TRANSPARENT);
		assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
		server = accept_origin();
		failed = serve(server, &caller);
		shutdown(server, SHUT_WR);
		pthread_join(thread, NULL);
		if (failed || caller.failed)
			fail_msg("connection %d (%zu bytes, server speaks %s): %s, %s", i,
				 caller.len, caller.speak_last ? "first" : "last",
				 failed ? failed : "server well",
				 caller.failed ? caller.failed : "client well");
		reset(caller.fd);
		close(server);
	}
}

struct bulk {
	int fd;
	uint64_t bytes;
	int failed;
};

static void *send_bulk(void *argument)
{
	static uint8_t block[1 << 18];
	struct bulk *bulk = argument;
	struct pollfd out = {.fd = bulk->fd, .events = POLLOUT};
	uint64_t sent = 0;
	ssize_t now;

	while (sent < bulk->bytes) {
		if (poll(&out, 1, STALL_MS) != 1) {
			bulk->failed = 1;
			break;
		}
		now = send(bulk->fd, block,
			   bulk->bytes - sent < sizeof(block) ? bulk->bytes - sent : sizeof(block),
			   MSG_NOSIGNAL | MSG_DONTWAIT);
		if (now < 0 && errno != EAGAIN) {
			bulk->failed = 1;
			break;
		}
		if (now > 0)
			sent += now;
	}
	shutdown(bulk->fd, SHUT_WR);
	return NULL;
}

static uint64_t receive_bulk(int fd)
{
	static uint8_t block[1 << 18];
	uint64_t got = 0;
	int len;

	while ((len = recv_within(fd, block, sizeof(block))) > 0)
		got += len;
	return len < 0 ? 0 : got;
}

/* Both ways at once, after the server's first words. */
static void bulk_transfers_both_ways_do_not_stall(void **state)
{
	uint64_t bytes = soaking() ? 5ULL << 30 : 100 << 20;
	struct bulk up = {.bytes = bytes}, down = {.bytes = bytes};
	pthread_t senders[2];
	int client, server;
	pid_t reader;
	int status;

	(void)state;
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE);
	server = accept_origin();
	send_text(server, "220\r\n");
	assert_reads_text(client, "220\r\n");
	up.fd = client;
	down.fd = server;
	reader = fork();
	if (reader == 0)
		_exit(receive_bulk(client) == bytes ? 0 : 1);
	pthread_create(&senders[0], NULL, send_bulk, &up);
	pthread_create(&senders[1], NULL, send_bulk, &down);
	assert_true(receive_bulk(server) == bytes);
	pthread_join(senders[0], NULL);
	pthread_join(senders[1], NULL);
	assert_false(up.failed || down.failed);
	waitpid(reader, &status, 0);
	assert_int_equal(status, 0);
	close_both(client, server);
}

/* Header and payload in one segment, and then a message of the largest size that MTAs take. */
static void a_large_message_comes_through(void **state)
{
	struct bulk up = {.bytes = soaking() ? 200 << 20 : 50 << 20};
	int rounds = soaking() ? 10 : 1, client, server;
	pthread_t sender;

	(void)state;
	while (rounds--) {
		client = connect_to(PROXY, SERVER, TRANSPARENT);
		send_text(client, LINE "hello");
		server = accept_origin();
		assert_reads_text(server, "hello");
		send_text(server, "220\r\n");
		assert_reads_text(client, "220\r\n");
		up.fd = client;
		pthread_create(&sender, NULL, send_bulk, &up);
		assert_true(receive_bulk(server) == up.bytes);
		pthread_join(sender, NULL);
		assert_false(up.failed);
		close_both(client, server);
	}
}

static void io_uring_accept(void **state)
{
	struct io_uring_params params = {0};
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	uint8_t *sq, *cq;
	struct sockaddr_in peer = {0};
	socklen_t len = sizeof(peer);
	int ring = syscall(SYS_io_uring_setup, 4, &params), client, server;
	unsigned int tail;

	(void)state;
	if (ring < 0) {
		print_message("io_uring: %s\n", strerror(errno));
		skip();
	}
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqes),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	assert_true(sq != MAP_FAILED && cq != MAP_FAILED && sqes != MAP_FAILED);

	memset(&sqes[0], 0, sizeof(sqes[0]));
	sqes[0].opcode = IORING_OP_ACCEPT;
	sqes[0].fd = listener;
	sqes[0].addr = (uintptr_t)&peer;
	sqes[0].addr2 = (uintptr_t)&len;
	tail = *(unsigned int *)(sq + params.sq_off.tail);
	((unsigned int *)(sq + params.sq_off.array))[tail & (params.sq_entries - 1)] = 0;
	__atomic_store_n((unsigned int *)(sq + params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	assert_int_equal(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0), 1);

	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE "EHLO x\r\n");
	assert_true(syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
	cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	server = cqes[0].res;
	assert_true(server >= 0);
	assert_int_equal(peer.sin_addr.s_addr, inet_addr("192.0.2.7"));
	assert_int_equal(ntohs(peer.sin_port), 4711);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
	close(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams_come_through),
		cmocka_unit_test(bulk_transfers_both_ways_do_not_stall),
		cmocka_unit_test(a_large_message_comes_through),
		cmocka_unit_test(io_uring_accept),
	};

	return cmocka_run_group_tests_name("streams", tests, setup, NULL);
}
