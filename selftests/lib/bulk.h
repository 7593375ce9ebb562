/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bulk transfer both ways through one connection, each byte of which tells its place: four bytes
 * are the number of the four. What is lost, doubled or moved shows at the first byte.
 */
#ifndef BULK_H
#define BULK_H

#include <stdint.h>

#include "net.h"

struct bulk;

/* Begins in threads of its own. The sockets are the caller's still. */
struct bulk *bulk_begin(int client, int server);
/* Waits until each reader has read @bytes more. Fails when a byte is wrong, or after SOON_MS. */
void bulk_go_on(struct bulk *bulk, uint64_t bytes);
/* Fails if a byte was wrong until now. */
void bulk_check(struct bulk *bulk);
/* Ends both directions, and waits: nothing is lost. */
void bulk_end(struct bulk *bulk);
/* Waits for the connection's own end: both ends see a reset, and no wrong byte. */
void bulk_end_reset(struct bulk *bulk);

#endif
