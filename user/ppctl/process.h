/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which process has a socket: what /proc/PID/fd says.
 */
#ifndef PPCTL_PROCESS_H
#define PPCTL_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct owner {
	uint64_t inode; /* of the socket, 0: it has none */
	pid_t pid;	/* of the first process that has it; 0: none is found */
	char name[17];	/* of that, as /proc/PID/comm has it */
};

/* Finds the processes of all of these sockets, in one pass. */
void owners_find(struct owner *owners, size_t count);

/* What the process is called, up to 16 bytes of any kind; or "". */
void process_name(const char *pid, char name[17]);
/* The process that holds the flock() of @fd; 0: not known here. */
pid_t lock_holder(int fd);

#endif
