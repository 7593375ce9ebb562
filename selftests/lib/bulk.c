// SPDX-License-Identifier: BSD-2-Clause
/*
 * Position-coded bulk transfers.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

#include "bulk.h"

#define CHUNK	65536
#define PACE_US 300 /* between two writes: others have to do on this machine too */

/* One direction. */
struct way {
	int from, to;
	uint32_t salt; /* so that a direction's bytes are not the other's */
	pthread_t writer, reader;
	volatile int stop;
	uint64_t sent; /* writer's */
	int send_error;
	volatile uint64_t received; /* reader's */
	volatile int ended, receive_error;
	volatile uint64_t wrong; /* offset + 1 of the first wrong byte, 0: none */
};

struct bulk {
	struct way ways[2];
};

static uint8_t byte_at(uint64_t offset, uint32_t salt)
{
	return ((uint32_t)(offset >> 2) ^ salt) >> 8 * (3 - (offset & 3));
}

static void *write_bulk(void *argument)
{
	struct way *way = argument;
	uint8_t bytes[CHUNK];
	ssize_t len;
	size_t i;

	while (!way->stop) {
		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(way->sent + i, way->salt);
		/* sizes that are no multiple of anything */
		len = send(way->from, bytes, 1 + (way->sent * 7 + 4711) % sizeof(bytes),
			   MSG_NOSIGNAL);
		if (len < 0) {
			way->send_error = errno;
			return NULL;
		}
		way->sent += len;
		usleep(PACE_US);
	}
	shutdown(way->from, SHUT_WR);
	return NULL;
}

static void *read_bulk(void *argument)
{
	struct way *way = argument;
	uint8_t bytes[CHUNK];
	ssize_t len, i;

	for (;;) {
		len = recv(way->to, bytes, sizeof(bytes), 0);
		if (len < 0)
			way->receive_error = errno;
		if (len <= 0)
			break;
		for (i = 0; i < len && !way->wrong; i++) {
			if (bytes[i] != byte_at(way->received + i, way->salt))
				way->wrong = way->received + i + 1;
		}
		way->received += len;
	}
	way->ended = 1;
	return NULL;
}

struct bulk *bulk_begin(int client, int server)
{
	struct bulk *bulk = calloc(1, sizeof(*bulk));
	struct way *way;

	assert_non_null(bulk);
	bulk->ways[0].from = client;
	bulk->ways[0].to = server;
	bulk->ways[1].from = server;
	bulk->ways[1].to = client;
	bulk->ways[1].salt = 0xa5000000;
	for (way = bulk->ways; way < bulk->ways + 2; way++) {
		assert_int_equal(pthread_create(&way->reader, NULL, read_bulk, way), 0);
		assert_int_equal(pthread_create(&way->writer, NULL, write_bulk, way), 0);
	}
	return bulk;
}

void bulk_check(struct bulk *bulk)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (bulk->ways[i].wrong)
			fail_msg("to the %s: byte %llu is wrong", i ? "client" : "server",
				 (unsigned long long)bulk->ways[i].wrong - 1);
	}
}

void bulk_go_on(struct bulk *bulk, uint64_t bytes)
{
	uint64_t goal[2] = {bulk->ways[0].received + bytes, bulk->ways[1].received + bytes};
	int tries;

	for (tries = 0; tries < SOON_MS; tries++) {
		bulk_check(bulk);
		if (bulk->ways[0].received >= goal[0] && bulk->ways[1].received >= goal[1])
			return;
		if (bulk->ways[0].ended || bulk->ways[1].ended)
			break;
		usleep(1000);
	}
	fail_msg("the bulk stalls at %llu bytes to the server (error %d), %llu to the client (%d)",
		 (unsigned long long)bulk->ways[0].received, bulk->ways[0].receive_error,
		 (unsigned long long)bulk->ways[1].received, bulk->ways[1].receive_error);
}

static void join(pthread_t thread)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += SOON_MS / 1000;
	if (pthread_timedjoin_np(thread, NULL, &end))
		fail_msg("the bulk does not come to its end within %d ms", SOON_MS);
}

static void join_all(struct bulk *bulk)
{
	int i;

	for (i = 0; i < 2; i++) {
		join(bulk->ways[i].writer);
		join(bulk->ways[i].reader);
	}
	bulk_check(bulk);
}

void bulk_end(struct bulk *bulk)
{
	int i;

	bulk->ways[0].stop = 1;
	bulk->ways[1].stop = 1;
	join_all(bulk);
	for (i = 0; i < 2; i++) {
		assert_int_equal(bulk->ways[i].send_error, 0);
		assert_int_equal(bulk->ways[i].receive_error, 0);
		assert_true(bulk->ways[i].received == bulk->ways[i].sent);
	}
	free(bulk);
}

void bulk_end_reset(struct bulk *bulk)
{
	join_all(bulk);
	/* of the two threads at an end the first one gets the error */
	assert_true(bulk->ways[0].send_error == ECONNRESET ||
		    bulk->ways[1].receive_error == ECONNRESET);
	assert_true(bulk->ways[1].send_error == ECONNABORTED ||
		    bulk->ways[0].receive_error == ECONNABORTED);
	free(bulk);
}
