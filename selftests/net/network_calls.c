// SPDX-License-Identifier: BSD-2-Clause
/*
 * Servers of a split port on a network that read and write by other calls than recv() and send():
 * sendfile() and splice(), epoll, TLS in the kernel.
 *
 * check: both
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "../lib/crowd.h"
#include "../lib/netns.h"
#include "../lib/network.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static int listener;

static void serve_here(int n)
{
	choose(n);
	plug(CABLE);
	addresses(CABLE);
	attach();
	listener = listen_on(server_ip[0], NETWORK_TRANSPARENT);
}

static void serve_no_more(void)
{
	close(listener);
	unplug(CABLE);
}

static void open_pair(int *client, int *server, const char *bytes)
{
	netns_enter(there);
	*client = connect_to(proxy_ip[0], server_ip[0], NETWORK_TRANSPARENT);
	netns_enter(here);
	send_text(*client, bytes);
	*server = accept_within(listener, SOON_MS);
	assert_true(*server >= 0);
	assert_origin(*server, LINE_ORIGIN);
}

#define PART (3 << 20)

struct half {
	int fd;
	uint32_t seed;
	int by_splice;
	const char *wrong;
};

/* Sends a file's bytes, by sendfile(), or from file to pipe to socket by splice(). */
static void *send_file(void *argument)
{
	struct half *half = argument;
	uint8_t *bytes = malloc(PART);
	int file, pipes[2];
	off_t at = 0;
	ssize_t now, out;

	fill_pattern(bytes, PART, half->seed);
	file = memfd_create("stream", MFD_CLOEXEC);
	if (write(file, bytes, PART) != PART || pipe2(pipes, O_CLOEXEC))
		half->wrong = "setting up";
	free(bytes);
	while (!half->wrong && at < PART) {
		if (!half->by_splice) {
			now = sendfile(half->fd, file, &at, PART - at);
			if (now <= 0)
				half->wrong = "sendfile";
			continue;
		}
		now = splice(file, &at, pipes[1], NULL, 65536, SPLICE_F_MOVE);
		if (now <= 0)
			half->wrong = "splice from a file";
		for (; !half->wrong && now > 0; now -= out) {
			out = splice(pipes[0], NULL, half->fd, NULL, now,
				     SPLICE_F_MOVE | SPLICE_F_MORE);
			if (out <= 0)
				half->wrong = "splice to a socket";
		}
	}
	shutdown(half->fd, SHUT_WR);
	close_both(pipes[0], pipes[1]);
	close(file);
	return NULL;
}

/* Reads them, by splice() from socket to pipe to file where @by_splice. */
static const char *receive_file(int fd, uint32_t seed, int by_splice)
{
	uint8_t *wanted = malloc(PART), *got = malloc(PART + 1);
	int file = memfd_create("got", MFD_CLOEXEC), pipes[2];
	const char *wrong = NULL;
	ssize_t now, out;
	size_t total = 0;

	fill_pattern(wanted, PART, seed);
	if (pipe2(pipes, O_CLOEXEC))
		wrong = "pipe";
	while (!wrong && total <= PART) {
		if (by_splice) {
			now = splice(fd, NULL, pipes[1], NULL, 65536, SPLICE_F_MOVE);
			for (out = 0; now > 0 && out < now;)
				out += splice(pipes[0], NULL, file, NULL, now - out, SPLICE_F_MOVE);
		} else {
			now = recv(fd, got + total, PART + 1 - total, 0);
		}
		if (now < 0)
			wrong = strerror(errno);
		if (now <= 0)
			break;
		total += now;
	}
	if (by_splice && pread(file, got, PART, 0) != PART)
		wrong = wrong ? wrong : "the file is short";
	if (!wrong && (total != PART || memcmp(wanted, got, PART)))
		wrong = "not what was sent";
	free(wanted);
	free(got);
	close_both(pipes[0], pipes[1]);
	close(file);
	return wrong;
}

static void check_files(int by_splice, int glued)
{
	struct half up = {.seed = 1, .by_splice = by_splice},
		    down = {.seed = 2, .by_splice = by_splice};
	const char *wrong;
	int client, server, way;
	pthread_t thread;

	open_pair(&client, &server, glued ? LINE "EHLO x\r\n" : LINE);
	if (glued)
		assert_reads_text(server, "EHLO x\r\n");
	up.fd = client;
	down.fd = server;
	for (way = 0; way < 2; way++) {
		assert_int_equal(pthread_create(&thread, NULL, send_file, way ? &down : &up), 0);
		wrong = receive_file(way ? client : server, way ? 2 : 1, by_splice);
		pthread_join(thread, NULL);
		if (wrong || up.wrong || down.wrong)
			fail_msg("%s, %s: %s, %s, %s", by_splice ? "splice" : "sendfile",
				 way ? "down" : "up", wrong, up.wrong, down.wrong);
	}
	close_both(client, server);
}

static void sendfile_and_splice_both_ways(void **state)
{
	int i;

	(void)state;
	serve_here(94);
	for (i = 0; i < 4; i++)
		check_files(i & 1, i & 2);
	serve_no_more();
}

static void epoll_accept_and_wait(void **state)
{
	struct epoll_event event = {.events = EPOLLIN}, got;
	int poller = epoll_create1(EPOLL_CLOEXEC), client, server, i;

	(void)state;
	serve_here(95);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	assert_int_equal(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event), 0);
	for (i = 0; i < 20; i++) {
		netns_enter(there);
		client = connect_to(proxy_ip[0], server_ip[0], NETWORK_TRANSPARENT);
		netns_enter(here);
		assert_int_equal(epoll_wait(poller, &got, 1, 20), 0); /* the header is not there */
		send_text(client, i & 1 ? LINE "EHLO x\r\n" : LINE);
		assert_int_equal(epoll_wait(poller, &got, 1, SOON_MS), 1);
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		assert_true(server >= 0);
		event.events = EPOLLIN | (i & 2 ? EPOLLET : 0);
		assert_int_equal(epoll_ctl(poller, EPOLL_CTL_ADD, server, &event), 0);
		if (!(i & 1)) {
			assert_int_equal(epoll_wait(poller, &got, 1, 20), 0);
			send_text(client, "EHLO x\r\n");
		}
		assert_int_equal(epoll_wait(poller, &got, 1, SOON_MS), 1);
		assert_true(got.events & EPOLLIN);
		assert_reads_text(server, "EHLO x\r\n");
		assert_int_equal(epoll_wait(poller, &got, 1, 20), 0);
		close_both(client, server);
	}
	close(poller);
	serve_no_more();
}

/* Keys that both ends know already. Return: 0, or -1 with errno. */
static int start_tls(int fd, int server)
{
	struct tls12_crypto_info_aes_gcm_128 keys[2] = {0};
	int i;

	for (i = 0; i < 2; i++) {
		keys[i].info.version = TLS_1_2_VERSION;
		keys[i].info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memset(keys[i].key, 'a' + i, sizeof(keys[i].key));
		memset(keys[i].salt, 'A' + i, sizeof(keys[i].salt));
	}
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
			       setsockopt(fd, SOL_TLS, TLS_TX, &keys[server], sizeof(keys[0])) ||
			       setsockopt(fd, SOL_TLS, TLS_RX, &keys[!server], sizeof(keys[0]))
		       ? -1
		       : 0;
}

struct pumped {
	int fd;
	const char *wrong;
};

static void *pump_client(void *argument)
{
	struct pumped *pumped = argument;
	const char *wrong = pump(pumped->fd, 77, 1 << 20, 1 << 20, 0);

	if (wrong)
		pumped->wrong = strdup(wrong);
	return NULL;
}

static void tls_in_the_kernel(void **state)
{
	int i, client, server, none;
	struct pumped pumped = {0};
	const char *wrong;
	pthread_t thread;

	(void)state;
	serve_here(96);
	for (i = 0; i < 4; i++) {
		open_pair(&client, &server, i & 1 ? LINE "EHLO x\r\n" : LINE);
		if (i & 1)
			assert_reads_text(server, "EHLO x\r\n");
		if (i & 2) {
			send_text(server, "220\r\n");
			assert_reads_text(client, "220\r\n");
		}
		none = start_tls(server, 1) ? errno : 0;
		if (none == ENOENT || none == ENOPROTOOPT) {
			close_both(client, server);
			serve_no_more();
			skip_because("this kernel has no TLS (module tls): %s", strerror(none));
		}
		if (none || start_tls(client, 0))
			fail_msg("TLS: %s", strerror(errno));
		pumped.fd = client;
		assert_int_equal(pthread_create(&thread, NULL, pump_client, &pumped), 0);
		wrong = pump(server, 77, 1 << 20, 1 << 20, 1);
		pthread_join(thread, NULL);
		if (wrong || pumped.wrong)
			fail_msg("server: %s, client: %s", wrong, pumped.wrong);
		close_both(client, server);
	}
	serve_no_more();
}

int main(void)
{
	/* not natively, for want of modules */
	static const char *const always[] = {"tls_in_the_kernel", NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sendfile_and_splice_both_ways, network_clear),
		cmocka_unit_test_teardown(epoll_accept_and_wait, network_clear),
		cmocka_unit_test_teardown(tls_in_the_kernel, network_clear),
	};

	return run_share("network_calls", tests, network_setup, always);
}
