/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client's session: its origin (origin.c), and then SMTP (session.c).
 */
#ifndef PPMTA_SMTP_H
#define PPMTA_SMTP_H

#include "../delivery/delivery.h"

struct session *session_new(struct config *config, int fd, const struct sockaddr_storage *peer);
/* Who @session's client is to be, for -bh and -be. */
void session_pretend(struct session *session, const char *address);
void session_run(struct session *session);
void session_free(struct session *session);

/* origin.c */
/* Sets what the PROXY protocol says of @session's client. */
void origin_find(struct session *session);

#endif
