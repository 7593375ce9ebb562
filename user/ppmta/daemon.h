/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of ppmta that run once.
 */
#ifndef PPMTA_DAEMON_H
#define PPMTA_DAEMON_H

#include "smtp/smtp.h"

/* daemon.c */
/* Once, first: how signals are handled. */
void daemon_signals(void);
/* Listens, gives up its privileges, and starts a thread for each connection, until
 * SIGTERM. Return: an error, in @pool; does not return if it could start. */
char *daemon_run(struct config *config, struct pool *pool);

/* ---- setup.c ---- */

extern const char *setup_file; /* -C; NULL: none */
/* An option that the command line sets. */
void setup_set(const char *name, const char *value);
/* Reads the configuration, the first time or again: then @before is the one until now. @to_serve:
 * it has to say where mail goes. Return: NULL with @error set, in @pool. */
struct config *setup_load(const struct config *before, bool to_serve, struct pool *pool,
			  char **error);

#endif
