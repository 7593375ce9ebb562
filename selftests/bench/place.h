/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the benchmark's processes are, and their sockets. selftests/bench/setup has made the set.
 */
#ifndef PLACE_H
#define PLACE_H

#include <sys/socket.h>
#include <time.h>

/* No server is in its client's cgroup: the kernel accounts for pressure (PSI) by cgroup, so that a
 * switch between two of them costs some 600 instructions, which each row is to pay. */
enum cgroup {
	OUTSIDE, /* clients */
	INSIDE,	 /* the cgroup with the programs */
	BESIDE,	 /* one without: servers that have nothing to do with them */
	PROXIES, /* clients that are in a proxy cgroup, while there is one */
};

enum netns {
	BARE,	/* no hooks on lo */
	HOOKED, /* lo has pp_in and pp_out */
};

/* Makes the cgroups and the network namespace without hooks. */
void place_setup(void);
const char *place_cgroup(enum cgroup cgroup); /* its path */
void place_enter(enum cgroup cgroup);	      /* with the process */
void place_netns(enum netns netns);

/* Ends the program, and says what errno means. */
void fail(const char *what) __attribute__((noreturn));
/* A shell's command, which has to succeed; and one that may fail: its status. */
void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
int may_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

double clock_ns(clockid_t clock);
/* Lets the process have so many files open. Return: 0, or -1. */
int allow_files(int count);
/* Of /proc/meminfo, in bytes: "MemFree". */
double memory_of(const char *name);

/* A listener on the loopback address of @family. @defer: seconds of TCP_DEFER_ACCEPT, or 0. */
int place_listen(int family, int port, int defer);
/* A socket of the proxy: without Nagle's algorithm, and it ends by a RST, so that ports last.
 * @merged: the handshake's ACK goes with the first data, as with HAProxy's tcp-smart-connect. */
int place_connect(int family, int port, int merged);
/* The same with an address that is no proxy's. */
int place_connect_stranger(int port);
/* The same for connections that stay, the @i-th of them. An address has 28,000 ports for
 * connections to one port, and is slow to find the second half of them: so there are more
 * addresses, and none of them is that of the proxy above. They are to be marked. */
#define HOLDERS "127.0.1.0/24"
int place_connect_holder(int i, int port);
void socket_nodelay(int fd);

#endif
