/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of sockets, as an application sees them: 192.0.2.7:4711, [2001:db8::7]:4711.
 */
#ifndef NAME_H
#define NAME_H

#include <sys/socket.h>

/* Return: the address and port, static. */
const char *name_text(const struct sockaddr_storage *address);
/* getpeername() answers @name; or @address, whatever the port. */
void assert_peer(int fd, const char *name);
void assert_peer_address(int fd, const char *address);
/* getsockname() answers @name. */
void assert_own_name(int fd, const char *name);

#endif
