/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client: its session (session.c), its origin (origin.c), its commands (command.c), DATA
 * (data.c), and what it is told (reply.c).
 */
#ifndef PPMTA_SMTP_H
#define PPMTA_SMTP_H

#include "../delivery/delivery.h"

enum { CLOSE = 1 }; /* what else than 0 is returned: the connection is to end */

/* ---- session.c ---- */

struct session *session_new(struct config *config, int fd, const struct sockaddr_storage *peer);
void session_run(struct session *session);
void session_free(struct session *session);
void transaction_reset(struct session *session);
/* A client that sends although it has to wait is no mail client. Return: CLOSE if it did. */
int check_sync(struct session *session, const char *where);

/* ---- origin.c ---- */

/* Sets what the PROXY protocol says of @session's client. */
void origin_find(struct session *session);

/* ---- command.c, data.c: Return: 0 or CLOSE ---- */

/* @line: a command of @len bytes, or CHANNEL_TOO_LONG */
int command_run(struct session *session, char *line, int len);
int command_data(struct session *session, const char *arguments);
/* Is what @session takes for a next hop? */
bool has_next_hop(const struct session *session);

/* ---- reply.c ---- */

/* A reply of ppmta's own: "550 Text". Return: CLOSE after a 421. */
int reply(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A reply whose text is of others, an ACL's or the next hop's: a code, a space, and lines. Whatever
 * is in it, what is sent is lines of at most 512 bytes with that code. Return: CLOSE after a 421.
 */
int reply_text(struct session *session, const char *text);
/* A line of the answer to EHLO. */
void reply_line(struct session *session, bool is_last, const char *code, const char *text);

#endif
