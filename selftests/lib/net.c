// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets and commands for the net tests.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#include "address.h"
#include "net.h"

/* Outside of a lab these tests would change the machine's network. */
__attribute__((constructor)) static void insist_on_lab(void)
{
	if (getenv("LAB_CGROUP"))
		return;
	fprintf(stderr, "this test runs under build/selftests/tools/lab only\n");
	exit(1);
}

const char *run(int status, const char *format, ...)
{
	static char output[65536];
	char command[4096], redirected[4200];
	va_list arguments;
	size_t len;
	FILE *pipe;
	int ended;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	snprintf(redirected, sizeof(redirected), "{ %s; } 2>&1", command);
	pipe = popen(redirected, "re");
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = 0;
	ended = pclose(pipe);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != status)
		fail_msg("%s: exit %d, not %d: %s", command, WEXITSTATUS(ended), status, output);
	return output;
}

int net_setup(void **state)
{
	(void)state;
	run(0, "for n in 1 2 3; do ip -6 addr add fd00:5050::$n/128 dev lo; done");
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP --port %d --gate 30000 --proxy %s,%s", PORT,
	    PROXY, PROXY6);
	run(0, "build/bin/ppctl port add %d", USUAL);
	run(0, "build/bin/ppctl port add %d --gate 0", OPEN);
	run(0, "build/bin/ppctl port add %d --gate 900", QUICK);
	run(0, "build/bin/ppctl port add %d --gate 30000 --on-bad drop", DROPPING);
	run(0, "build/bin/ppctl port add %d --gate 30000 --v1-mixed", MIXED);
	return 0;
}

const char *status_text(const char *options)
{
	return run(0, "build/bin/ppctl status %s; [ $? -lt 3 ]", options);
}

void assert_says(const char *text, const char *wanted)
{
	if (strstr(text, wanted))
		return;
	fprintf(stderr, "%s\n", text); /* cmocka prints 1,023 bytes of a message */
	fail_msg("no '%s' there", wanted);
}

void skip_because(const char *format, ...)
{
	char reason[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	print_message("%s\n", reason);
	skip();
	abort(); /* not reached */
}

long counter_in(const char *status, const char *name)
{
	const char *found = strstr(status, "\"counters\":");
	char key[64];

	snprintf(key, sizeof(key), "\"%s\":", name);
	found = found ? strstr(found, key) : NULL;
	if (!found)
		fail_msg("no counter %s", name);
	return strtol(found + strlen(key), NULL, 10);
}

long counter(const char *name)
{
	return counter_in(status_text("--json"), name);
}

int listen_on(const char *address, unsigned int port)
{
	struct sockaddr_storage where;
	socklen_t len = address_fill(&where, address, port);
	int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&where, len) || listen(fd, 1024))
		fail_msg("%s:%u: %s", address, port, strerror(errno));
	return fd;
}

int connect_start(const char *source, const char *address, unsigned int port)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, source, 0),
		  to_len = address_fill(&to, address, port);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, from_len), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, to_len) && errno != EINPROGRESS)
		fail_msg("connect to %s:%u: %s", address, port, strerror(errno));
	return fd;
}

int connect_to(const char *source, const char *address, unsigned int port)
{
	int fd = connect_start(source, address, port), failed = 0;
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(failed);

	assert_int_equal(poll(&out, 1, SOON_MS), 1);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
	if (failed)
		fail_msg("connect to %s:%u: %s", address, port, strerror(failed));
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

int accept_within(int listener, int timeout_ms)
{
	struct pollfd in = {.fd = listener, .events = POLLIN};
	int fd;

	if (poll(&in, 1, timeout_ms) != 1)
		return -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int accept_line(int listener, int client)
{
	int server;

	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	assert_origin(server, LINE_ORIGIN);
	return server;
}

void send_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t sent;

	while (len) {
		sent = send(fd, at, len, MSG_NOSIGNAL);
		if (sent < 0)
			fail_msg("send: %s", strerror(errno));
		at += sent;
		len -= sent;
	}
}

void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

static ssize_t read_within(int fd, void *buf, size_t len)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	if (poll(&in, 1, SOON_MS) != 1)
		fail_msg("nothing to read within %d ms", SOON_MS);
	return recv(fd, buf, len, 0);
}

void assert_reads(int fd, const void *bytes, size_t len)
{
	const uint8_t *wanted = bytes;
	uint8_t buf[65536];
	ssize_t got;

	while (len) {
		got = read_within(fd, buf, len < sizeof(buf) ? len : sizeof(buf));
		if (got <= 0)
			fail_msg("%zu bytes are missing: %s", len, got ? strerror(errno) : "EOF");
		assert_memory_equal(buf, wanted, got);
		wanted += got;
		len -= got;
	}
}

void assert_reads_text(int fd, const char *text)
{
	assert_reads(fd, text, strlen(text));
}

void assert_reads_eof(int fd)
{
	char byte;

	assert_int_equal(read_within(fd, &byte, 1), 0);
}

void assert_nothing_to_read(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};
	int queued = -1;
	char byte;

	assert_int_equal(poll(&in, 1, 0), 0);
	assert_int_equal(ioctl(fd, FIONREAD, &queued), 0);
	assert_int_equal(queued, 0);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

void close_both(int one, int other)
{
	close(one);
	close(other);
}

void reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

void assert_origin(int fd, const char *origin)
{
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin answer;
	int result = pp_lookup_wait(fd, &answer, SOON_MS);

	if (result)
		fail_msg("pp_lookup_wait: %s", pp_strerror(result));
	pp_origin_print(&answer, text, sizeof(text));
	assert_string_equal(text, origin);
}

int lookup_settled(int fd, struct pp_origin *origin)
{
	int result, tries;

	for (tries = 0; tries < SOON_MS; tries++) {
		result = pp_lookup(fd, origin);
		if (result != -EAGAIN)
			break;
		usleep(1000);
	}
	return result;
}

unsigned int port_of(int fd)
{
	struct sockaddr_in6 address;
	socklen_t len = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin6_port);
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void await_acknowledged(int client)
{
	int unsent, tries;

	for (tries = 0; tries < SOON_MS; tries++) {
		assert_int_equal(ioctl(client, SIOCOUTQ, &unsent), 0);
		if (!unsent)
			return;
		usleep(1000);
	}
	fail_msg("%d bytes are not acknowledged", unsent);
}

void await_queued(int listener, unsigned int count)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int tries;

	for (tries = 0; tries < SOON_MS; tries++) {
		/* of a listening socket: sk_ack_backlog, net/ipv4/tcp.c */
		assert_int_equal(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
		if (info.tcpi_unacked >= count)
			return;
		usleep(1000);
	}
	fail_msg("%u of %u connections wait to be accepted", info.tcpi_unacked, count);
}

void open_link(int listener, struct link *link)
{
	link->client = connect_to(PROXY, SERVER, OPEN);
	link->server = accept_within(listener, SOON_MS);
	assert_true(link->server >= 0);
}

void close_link(struct link *link)
{
	close_both(link->client, link->server);
}

int is_my_share(void)
{
	const char *share = getenv("CHECK_SHARE");
	static unsigned int calls;

	return !share || calls++ % 3 == strtoul(share, NULL, 10) % 3;
}

static int is_named(const char *name, const char *const *names)
{
	while (names && *names)
		if (!strcmp(*names++, name))
			return 1;
	return 0;
}

int run_share_of(const char *name, const struct CMUnitTest *tests, size_t count,
		 CMFixtureFunction setup, const char *const *always)
{
	const char *chosen = getenv("CHECK_CASE");
	struct CMUnitTest share[64];
	size_t i, shared = 0;

	for (i = 0; i < count && shared < 64; i++)
		if (is_my_share() || is_named(tests[i].name, always) || (chosen && *chosen))
			share[shared++] = tests[i];
	return _cmocka_run_group_tests(name, share, shared, setup, NULL);
}

void stay_on(int cpu)
{
	cpu_set_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void sysctl_set(const char *name, const char *value)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

size_t make_v2(uint8_t *bytes, size_t len)
{
	static const char start[] = "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11"
				    "\x00\x00\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x19";

	memcpy(bytes, start, sizeof(start) - 1);
	bytes[14] = (len - 16) >> 8;
	bytes[15] = len - 16;
	if (len > sizeof(start)) {
		bytes[28] = 0xe5;
		bytes[29] = (len - 31) >> 8;
		bytes[30] = len - 31;
		fill_pattern(bytes + 31, len - 31, 0);
	}
	return len;
}

void fill_pattern(uint8_t *bytes, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = (i * 2654435761U + seed) >> 13;
}
