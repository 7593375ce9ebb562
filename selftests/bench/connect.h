/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection's cost, for the other groups.
 */
#ifndef CONNECT_H
#define CONNECT_H

/* @count connections to a served port, v1 over IPv4. Receives the time of a connection, and the
 * server's share. */
void connect_measure(int port, int count, double *values);

#endif
