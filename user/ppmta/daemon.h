/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DAEMON_H
#define DAEMON_H

#include "ppmta.h"

/* Listens, gives up its privileges, and starts a thread for each connection, until SIGTERM. Return:
 * an error; does not return if it could start. */
char *daemon_run(struct config *config);

/* main.c: reads the configuration again. Return: NULL with @error set. */
struct config *load_config(char **error);

#endif
