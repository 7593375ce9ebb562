/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways in which a connection can end: by either side, by a time-out, or by an administrator.
 */
#ifndef ENDS_H
#define ENDS_H

#include "net.h"

/* The client is -1 after these two. */
void end_close(struct link *link);
void end_reset(struct link *link);
void end_shutdown(struct link *link);
void end_shutdown_then_server(struct link *link);
void end_server_then_shutdown(struct link *link);
void end_server_then_reset(struct link *link);
void end_shutdown_then_reset(struct link *link);
void end_server_reads_no_more(struct link *link);
void end_server_is_done(struct link *link);
/* The proxy is cut off: what the server says is not acknowledged. */
void end_user_timeout(struct link *link);
void end_keepalive(struct link *link);
/* As `ss --kill` does it. */
void end_destroy(struct link *link);
/* Return: 0, or a negative errno. */
int tcp_destroy(unsigned int server_port, unsigned int client_port);

/* Is @tcp, the server's state, one in which it has seen the stream's end? Its own may have come
 * before, or after. */
int saw_fin(int tcp);
int is_closed(int tcp);

#endif
