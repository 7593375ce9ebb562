/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ppmta to test, and sessions with it.
 */
#ifndef MTA_H
#define MTA_H

#include <sys/types.h>

#include "net.h"

#define MAIL_PORT  PORT
#define QUICK_PORT QUICK
#define REFUSED	   "503 Command refused, required Proxy negotiation failed\r\n"
#define BANNER	   "220 mail.example.net ESMTP ppmta "

extern char work[]; /* a folder: Maildir, log */
extern pid_t mta;

/* Group set-up: net_setup(), and ppmta on both ports. */
int mta_setup(void **state);
int mta_teardown(void **state);

/* Another one, with @options as its configuration; it listens on MAIL_PORT. */
void mta_start(const char *options);
void mta_stop(void);

/* The next reply, all its lines. */
const char *reply(int fd);
/* The next reply begins with @answer; after a @command, or without. */
void ask(int fd, const char *command, const char *answer);
void expect(int fd, const char *answer);
/* A client behind the proxy, with its banner read. */
int open_session(void);
void quit(int fd);
/* EHLO to DATA. */
void start_message(int fd);

void empty_maildir(void);
unsigned long stored_count(void);
/* @pattern: an extended regular expression. */
void assert_matches(const char *text, const char *pattern);

#endif
