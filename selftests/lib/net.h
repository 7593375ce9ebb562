/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the net tests share. They run under selftests/tools/lab, in the project's folder: namespaces
 * and a cgroup of their own. The server is 127.0.0.1 and fd00:5050::1, the marked proxy ends in 2,
 * everybody else is not marked.
 */
#ifndef NET_H
#define NET_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pp/pp.h>

#define PORT	 2525 /* gate of 30 s: a slow machine's headers are in time */
#define OPEN	 2526 /* no gate */
#define QUICK	 2527 /* gate of 900 ms: opens when the SYN-ACK is sent again, after about 1 s */
#define DROPPING 2528 /* the same, and bad headers are dropped */
#define MIXED	 2529 /* the same as PORT, and --v1-mixed */
#define UNSERVED 2530
#define USUAL	 2531 /* gate as it is by default, 3 s */

#define SERVER	"127.0.0.1"
#define PROXY	"127.0.0.2"
#define OTHER	"127.0.0.3"
#define SERVER6 "fd00:5050::1"
#define PROXY6	"fd00:5050::2"
#define OTHER6	"fd00:5050::3"

#define LINE	    "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
#define LINE_LEN    (sizeof(LINE) - 1)
#define LINE_ORIGIN "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25"

#define LINE6	     "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"
#define LINE6_ORIGIN "PROXY v1 TCP [2001:db8::7]:4711 -> [2001:db8::1]:25"

#define FORGED	   "PROXY TCP4 203.0.113.6 198.51.100.1 66 25\r\n" /* no longer than LINE */
#define FORGED_LEN (sizeof(FORGED) - 1)

#define PAYLOAD	    "EHLO x\r\n" /* after a header */
#define PAYLOAD_LEN 8

#define SOON_MS	   60000 /* "now", on a slow machine; who waits goes on at once when it comes */
#define A_WHILE_MS 150	 /* long enough to see that nothing happens */

/* Group set-up: addresses, and the programs on the ports above. */
int net_setup(void **state);

/* Runs a shell command; fails the test unless it exits with @status. Return: its output (both
 * streams), static. */
const char *run(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What 'ppctl status' with @options says, whatever the set's health. */
const char *status_text(const char *options);

/* @text has @wanted in it. */
void assert_says(const char *text, const char *wanted);

/* Skips the test, and says why. */
void skip_because(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Value of a counter of `ppctl status`. */
long counter(const char *name);
/* The same of status_text("--json"), where several are asked of one moment. */
long counter_in(const char *status, const char *name);

int listen_on(const char *address, unsigned int port);
/* Starts a connection; does not wait for it. */
int connect_start(const char *source, const char *address, unsigned int port);
/* An established one (as the client sees it). */
int connect_to(const char *source, const char *address, unsigned int port);
/* Return: the socket, or -ETIMEDOUT. */
int accept_within(int listener, int timeout_ms);
/* Sends LINE, and accepts the connection, whose origin must be LINE's. Return: the server's end. */
int accept_line(int listener, int client);
void send_all(int fd, const void *bytes, size_t len);
void send_text(int fd, const char *text);
/* Reads until @len bytes are there, and compares. */
void assert_reads(int fd, const void *bytes, size_t len);
void assert_reads_text(int fd, const char *text);
void assert_reads_eof(int fd);
void assert_nothing_to_read(int fd);
void close_both(int one, int other);
/* Closes with a RST. */
void reset(int fd);

/* A proxy's connection to the port OPEN, both ends of it. */
struct link {
	int client, server;
};

void open_link(int listener, struct link *link);
void close_link(struct link *link);

/* pp_lookup_wait() says @origin. */
void assert_origin(int fd, const char *origin);
/* pp_lookup(), once it is not -EAGAIN any more. */
int lookup_settled(int fd, struct pp_origin *origin);
unsigned int port_of(int fd);

/* The monotonic clock. */
int64_t now_ms(void);

/* Waits until the client's bytes have been acknowledged. */
void await_acknowledged(int client);
/* Until so many connections wait to be accepted: of two that are made one after the other, either
 * may come to the queue first. */
void await_queued(int listener, unsigned int count);

/* For long tables of slow cases: always 1 natively; in the guests of `make check` for every third
 * call, and not the same ones on each kernel. */
int is_my_share(void);

/* Runs a group whose cases take a guest long: in the guests of `make check` every third one, not
 * the same ones on each kernel, and those that @always names (NULL after the last; or NULL). */
#define run_share(name, tests, setup, always) \
	run_share_of(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, always)
int run_share_of(const char *name, const struct CMUnitTest *tests, size_t count,
		 CMFixtureFunction setup, const char *const *always);

/* Keeps this thread on one of the first two CPUs, where there are two. */
void stay_on(int cpu);

void sysctl_set(const char *name, const char *value);

/* Bytes that differ from place to place, and by @seed. */
void fill_pattern(uint8_t *bytes, size_t len, unsigned int seed);

/* Writes a v2 header for TCP over IPv4 with one TLV that makes it @len bytes long. */
size_t make_v2(uint8_t *bytes, size_t len);
#define V2_ORIGIN "PROXY v2 TCP 192.0.2.7:4711 -> 198.51.100.1:25"

#endif
