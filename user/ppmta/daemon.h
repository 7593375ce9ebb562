/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of ppmta that run once.
 */
#ifndef PPMTA_DAEMON_H
#define PPMTA_DAEMON_H

#include "smtp/smtp.h"

/* daemon.c: listens, gives up its privileges, and starts a thread for each connection, until
 * SIGTERM. Return: an error; does not return if it could start. */
char *daemon_run(struct config *config);

/* ---- setup.c ---- */

extern const char *setup_file; /* -C; NULL: none */
/* An option that the command line sets. */
void setup_set(const char *name, const char *value);
/* What the command line says of option @name, or NULL. */
const char *setup_setting(const char *name);
/* Reads the configuration, the first time or again: then @before is the one until now. Return: NULL
 * with
 * @error set. */
struct config *setup_load(const struct config *before, char **error);

#endif
