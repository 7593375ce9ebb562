// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients and servers are threads. Nothing in them may use cmocka: it ends the thread, not the
 * test.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "address.h"
#include "crowd.h"
#include "net.h"

#define STALL_MS   120000
#define BLOCK	   (1 << 18)
#define HEADER_MAX 4000
#define PARALLEL   256
#define FAILED_LEN 256
#define GLUED_MAX  200 /* bytes of payload sent with the header */

/* What connection @number is like. */
struct caller {
	uint32_t seed;
	uint8_t header[HEADER_MAX];
	size_t header_len;
	unsigned int pieces; /* of the header */
	int speaks_last;     /* the client waits for the server's first bytes */
	int glued;	     /* payload in the header's last piece */
	uint64_t up, down;
	int server_closes_first;
};

static uint64_t scramble(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Eight bytes of the stream @seed. */
static uint64_t word_of(uint32_t seed, uint64_t index)
{
	return scramble(index ^ (uint64_t)seed << 32);
}

/* @len bytes of it from @at on. */
static void stream_fill(uint8_t *bytes, uint32_t seed, uint64_t at, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t word = word_of(seed, (at + done) / 8);
		size_t skip = (at + done) % 8, now = 8 - skip;

		if (now > len - done)
			now = len - done;
		memcpy(bytes + done, (uint8_t *)&word + skip, now);
		done += now;
	}
}

/* Return: 0; or 1 and where. */
static int stream_differs(const uint8_t *bytes, uint32_t seed, uint64_t at, size_t len,
			  size_t *where)
{
	uint8_t wanted[4096];
	size_t done, now, i;

	for (done = 0; done < len; done += now) {
		now = len - done < sizeof(wanted) ? len - done : sizeof(wanted);
		stream_fill(wanted, seed, at + done, now);
		if (!memcmp(wanted, bytes + done, now))
			continue;
		for (i = 0; wanted[i] == bytes[done + i]; i++)
			;
		*where = done + i;
		return 1;
	}
	return 0;
}

static __thread char failed[FAILED_LEN];

static const char *say(const char *what, uint64_t at, uint64_t of)
{
	snprintf(failed, sizeof(failed), "%s at byte %llu of %llu%s%s", what,
		 (unsigned long long)at, (unsigned long long)of, errno ? ": " : "",
		 errno ? strerror(errno) : "");
	return failed;
}

const char *pump(int fd, uint32_t seed, uint64_t up, uint64_t down, int server)
{
	uint64_t sent = 0, got = 0, to_send = server ? down : up, to_get = server ? up : down;
	uint32_t send_seed = seed + server, get_seed = seed + !server;
	uint8_t *out = malloc(BLOCK), *in = malloc(BLOCK);
	size_t ready = 0, ready_at = 0, where;
	const char *wrong = NULL;
	ssize_t now;

	errno = 0;
	while (!wrong && (sent < to_send || got < to_get)) {
		struct pollfd wait = {.fd = fd,
				      .events = (sent < to_send ? POLLOUT : 0) |
						(got < to_get ? POLLIN : 0)};

		if (poll(&wait, 1, STALL_MS) != 1) {
			wrong = say(got < to_get ? "stalls, reading" : "stalls, sending",
				    got < to_get ? got : sent, got < to_get ? to_get : to_send);
			break;
		}
		if (got < to_get && wait.revents & (POLLIN | POLLHUP | POLLERR)) {
			now = recv(fd, in, BLOCK < to_get - got ? BLOCK : to_get - got,
				   MSG_DONTWAIT);
			if (now == 0)
				wrong = say("EOF", got, to_get);
			else if (now < 0 && errno != EAGAIN)
				wrong = say("recv", got, to_get);
			else if (now > 0 && stream_differs(in, get_seed, got, now, &where)) {
				errno = 0;
				wrong = say("not what was sent", got + where, to_get);
			} else if (now > 0)
				got += now;
		}
		if (!wrong && sent < to_send && wait.revents & (POLLOUT | POLLERR)) {
			if (ready_at == ready) {
				ready = BLOCK < to_send - sent ? BLOCK : to_send - sent;
				ready_at = 0;
				stream_fill(out, send_seed, sent, ready);
			}
			now = send(fd, out + ready_at, ready - ready_at,
				   MSG_NOSIGNAL | MSG_DONTWAIT);
			if (now < 0 && errno != EAGAIN)
				wrong = say("send", sent, to_send);
			else if (now > 0) {
				sent += now;
				ready_at += now;
			}
		}
	}
	free(out);
	free(in);
	return wrong;
}

static uint32_t next(uint64_t *state)
{
	*state += 1;
	return scramble(*state) >> 20;
}

static uint64_t size_of(const struct crowd *crowd, uint64_t *random)
{
	uint64_t most = crowd->most;

	if (crowd->all)
		return most;
	if (next(random) % 4)
		most = most < 3000 ? most : 3000;
	return next(random) % 8 ? (uint64_t)next(random) * 4093 % (most + 1) : 0;
}

/* The origin is 198.18.0.0/15 and port, or the same behind 2001:db8::. */
static void make_caller(const struct crowd *crowd, uint32_t number, struct caller *caller)
{
	uint64_t random = (uint64_t)crowd->seed << 32 | number;
	uint32_t address = 0xc6120000 | number >> 14;
	unsigned int port = 1024 + (number & 0x3fff), kind = next(&random) % 4;
	uint8_t *at = caller->header;
	size_t len, fixed;

	memset(caller, 0, sizeof(*caller));
	caller->seed = crowd->seed + number * 2;
	if (kind == 0) {
		caller->header_len =
			sprintf((char *)at, "PROXY TCP4 %u.%u.%u.%u 198.51.100.1 %u 25\r\n",
				address >> 24, address >> 16 & 255, address >> 8 & 255,
				address & 255, port);
	} else if (kind == 1) {
		caller->header_len =
			sprintf((char *)at, "PROXY TCP6 2001:db8::%x:%x 2001:db8::1 %u 25\r\n",
				address >> 16, address & 0xffff, port);
	} else {
		fixed = kind == 2 ? 28 : 52;
		len = next(&random) % 3 ? fixed : fixed + 3 + next(&random) % 400;
		if (next(&random) % 10 == 0)
			len = fixed + 3 + next(&random) % (HEADER_MAX - fixed - 3);
		make_v2(at, len);
		if (kind == 3) {
			at[13] = 0x21;
			memset(at + 16, 0, 36);
			memcpy(at + 16, "\x20\x01\x0d\xb8", 4);
			memcpy(at + 32, "\x20\x01\x0d\xb8", 4);
			at[47] = 1;
			if (len > fixed) {
				at[52] = 0xe5;
				at[53] = (len - 55) >> 8;
				at[54] = len - 55;
				memset(at + 55, 'T', len - 55);
			}
		}
		*(uint32_t *)(at + (kind == 2 ? 16 : 28)) = htonl(address);
		*(uint16_t *)(at + (kind == 2 ? 24 : 48)) = htons(port);
		caller->header_len = len;
	}
	caller->pieces = next(&random) % 4 ? 1 : 2 + next(&random) % 4;
	caller->speaks_last = next(&random) % 2;
	caller->up = size_of(crowd, &random);
	caller->down = size_of(crowd, &random);
	caller->glued = !caller->speaks_last && caller->up && next(&random) % 2;
	caller->server_closes_first = next(&random) % 2;
}

/* Which connection is it? Return: its number, or a negative error. */
static long number_of(int fd)
{
	struct pp_origin origin;
	uint32_t address;
	unsigned int port;

	int result = pp_lookup(fd, &origin);

	if (result)
		return result;
	if (origin.family == AF_INET) {
		const struct sockaddr_in *ip4 = (const void *)&origin.src;

		address = ntohl(ip4->sin_addr.s_addr);
		port = ntohs(ip4->sin_port);
	} else {
		const struct sockaddr_in6 *ip6 = (const void *)&origin.src;

		memcpy(&address, ip6->sin6_addr.s6_addr + 12, 4);
		address = ntohl(address);
		port = ntohs(ip6->sin6_port);
	}
	return (address & 0xffff) << 14 | (port - 1024);
}

/* ---- the threads ---- */

struct run {
	struct crowd *crowd;
	int listener;
	pthread_mutex_t lock;
	unsigned int called, accepted; /* connections so far */
	int stop;
	char wrong[2 * FAILED_LEN];
};

static void report(struct run *run, const char *who, long number, const char *what)
{
	pthread_mutex_lock(&run->lock);
	if (!run->stop)
		snprintf(run->wrong, sizeof(run->wrong), "connection %ld, %s: %s", number, who,
			 what);
	run->stop = 1;
	pthread_mutex_unlock(&run->lock);
}

static int take_number(struct run *run, unsigned int *from)
{
	int number = -1;

	pthread_mutex_lock(&run->lock);
	if (!run->stop && *from < run->crowd->count)
		number = (*from)++;
	pthread_mutex_unlock(&run->lock);
	return number;
}

static const char *await_eof(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};
	char byte;

	errno = 0;
	if (poll(&in, 1, STALL_MS) != 1)
		return "no EOF";
	return recv(fd, &byte, 1, 0) == 0 ? NULL : "a byte too many, or no EOF";
}

/* Closes in the order that the connection has; both ends know it. */
static const char *finish(int fd, const struct caller *caller, int server)
{
	const char *wrong;

	if (caller->server_closes_first == server)
		shutdown(fd, SHUT_WR);
	wrong = await_eof(fd);
	shutdown(fd, SHUT_WR);
	return wrong;
}

/* Payload that is sent with the header is a stream of its own. */
static size_t glued_len(const struct caller *caller)
{
	if (!caller->glued)
		return 0;
	return caller->up < GLUED_MAX ? caller->up : GLUED_MAX;
}

static uint32_t rest_seed(const struct caller *caller)
{
	return caller->seed + (caller->glued ? 0x40000000 : 0);
}

static const char *send_header(int fd, const struct caller *caller, uint64_t *random)
{
	size_t sent = 0, now, left, glued = glued_len(caller);
	uint8_t bytes[HEADER_MAX + GLUED_MAX];
	unsigned int i;

	memcpy(bytes, caller->header, caller->header_len);
	stream_fill(bytes + caller->header_len, caller->seed, 0, glued);
	for (i = caller->pieces; i; i--) {
		left = caller->header_len - sent;
		now = i == 1 ? left + glued : 1 + next(random) % (left - i + 1);
		if (send(fd, bytes + sent, now, MSG_NOSIGNAL) != (ssize_t)now)
			return "sending the header";
		sent += now;
		if (i > 1 && next(random) % 2)
			usleep(next(random) % 3000);
	}
	return NULL;
}

static const char *client_stream(int fd, const struct caller *caller)
{
	char word[4];

	if (caller->speaks_last &&
	    (recv(fd, word, 4, MSG_WAITALL) != 4 || memcmp(word, "220\n", 4)))
		return "no banner";
	return pump(fd, rest_seed(caller), caller->up - glued_len(caller), caller->down, 0);
}

static const char *server_stream(int fd, const struct caller *caller)
{
	size_t glued = glued_len(caller), where;
	uint8_t first[GLUED_MAX];

	if (caller->speaks_last && send(fd, "220\n", 4, MSG_NOSIGNAL) != 4)
		return "sending the banner";
	if (glued && (recv(fd, first, glued, MSG_WAITALL) != (ssize_t)glued ||
		      stream_differs(first, caller->seed, 0, glued, &where)))
		return "what was sent with the header is not there";
	return pump(fd, rest_seed(caller), caller->up - glued, caller->down, 1);
}

static void *call(void *argument)
{
	struct run *run = argument;
	struct crowd *crowd = run->crowd;
	struct sockaddr_storage from, to;
	socklen_t from_len = address_fill(&from, crowd->from, 0);
	socklen_t to_len = address_fill(&to, crowd->to, crowd->port);
	struct timeval limit = {.tv_sec = STALL_MS / 1000};
	struct caller caller;
	const char *wrong;
	uint64_t random;
	int number, fd, one = 1;

	if (crowd->proxy && setns(crowd->proxy, CLONE_NEWNET))
		report(run, "client", -1, "setns");
	while ((number = take_number(run, &run->called)) >= 0) {
		make_caller(crowd, number, &caller);
		random = ~caller.seed;
		fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		errno = 0;
		if (bind(fd, (struct sockaddr *)&from, from_len) ||
		    connect(fd, (struct sockaddr *)&to, to_len))
			wrong = strerror(errno);
		else
			wrong = send_header(fd, &caller, &random);
		if (!wrong)
			wrong = client_stream(fd, &caller);
		if (!wrong)
			wrong = finish(fd, &caller, 0);
		if (wrong)
			report(run, "client", number, wrong);
		/* the port of a client that closes first would be in TIME_WAIT for a minute */
		if (!caller.server_closes_first)
			reset(fd);
		else
			close(fd);
	}
	return NULL;
}

static void *serve(void *argument)
{
	struct run *run = argument;
	struct crowd *crowd = run->crowd;
	struct timeval limit = {.tv_sec = STALL_MS / 1000};
	struct pollfd in = {.fd = run->listener, .events = POLLIN};
	struct caller caller;
	const char *wrong;
	long number;
	int fd;

	while (take_number(run, &run->accepted) >= 0) {
		do {
			if (poll(&in, 1, STALL_MS) != 1) {
				report(run, "server", -1, "nothing to accept");
				return NULL;
			}
			fd = accept4(run->listener, NULL, NULL, SOCK_CLOEXEC);
		} while (fd < 0 && errno == EAGAIN && !run->stop);
		if (fd < 0)
			break;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		number = number_of(fd);
		if (number < 0 || number >= (long)crowd->count) {
			report(run, "server", number,
			       number < 0 ? pp_strerror(number) : "the origin is nobody's");
			close(fd);
			break;
		}
		make_caller(crowd, number, &caller);
		wrong = server_stream(fd, &caller);
		if (!wrong)
			wrong = finish(fd, &caller, 1);
		if (wrong)
			report(run, "server", number, wrong);
		pthread_mutex_lock(&run->lock);
		crowd->bytes += caller.up + caller.down;
		crowd->pieces += caller.pieces > 1;
		pthread_mutex_unlock(&run->lock);
		close(fd);
	}
	return NULL;
}

void crowd_run(struct crowd *crowd)
{
	struct run run = {.crowd = crowd, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t clients[PARALLEL], servers[PARALLEL];
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	unsigned int i;

	assert_true(crowd->parallel && crowd->parallel <= PARALLEL && crowd->count <= 1 << 30);
	if (crowd->server)
		assert_int_equal(setns(crowd->server, CLONE_NEWNET), 0);
	run.listener = listen_on(crowd->to, crowd->port);
	fcntl(run.listener, F_SETFL, O_NONBLOCK);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	crowd->bytes = 0;
	crowd->pieces = 0;
	for (i = 0; i < crowd->parallel; i++) {
		assert_int_equal(pthread_create(&servers[i], NULL, serve, &run), 0);
		assert_int_equal(pthread_create(&clients[i], NULL, call, &run), 0);
	}
	for (i = 0; i < crowd->parallel; i++) {
		pthread_join(clients[i], NULL);
		pthread_join(servers[i], NULL);
	}
	close(run.listener);
	if (run.stop)
		fail_msg("%s", run.wrong);
}
