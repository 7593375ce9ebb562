// SPDX-License-Identifier: BSD-2-Clause
/*
 * Counts the connections of each origin, and how fast events come. Memory is bounded: there are as
 * many origins as connections, and of rates the one goes that was not asked for for the longest
 * time. Each function looks at a few entries, under one lock.
 */
#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <openssl/sha.h>

#include "../../common/clock.h"
#include "policy.h"

#define BUCKETS	  65536
#define RATES_MAX 100000

struct origin {
	struct origin *next;
	unsigned int connections;
	char address[INET6_ADDRSTRLEN];
};

/* Keys have any length, which an entry has not: it has their hash. */
struct rate {
	unsigned char id[SHA256_DIGEST_LENGTH];
	double time, value;
	struct rate *next;	/* in its bucket */
	TAILQ_ENTRY(rate) used; /* those that were used before and after it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct origin *origins[BUCKETS];
static struct rate *rates[BUCKETS];
static struct rate all_rates[RATES_MAX];
static TAILQ_HEAD(, rate) by_use = TAILQ_HEAD_INITIALIZER(by_use); /* the oldest first */
static unsigned int rate_count;

const char *limit_origin(const char *address, struct pool *pool)
{
	unsigned char bytes[16];
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, address, bytes) != 1)
		return address;
	memset(bytes + 8, 0, 8); /* who has an address of IPv6 has a /64 of them */
	return pool_printf(pool, "%s/64", inet_ntop(AF_INET6, bytes, text, sizeof(text)));
}

static struct origin **find_origin(const char *address)
{
	unsigned int hash = 2166136261U; /* FNV-1a */
	struct origin **at;
	const char *byte;

	for (byte = address; *byte; byte++)
		hash = (hash ^ (unsigned char)*byte) * 16777619U;
	at = &origins[hash % BUCKETS];
	while (*at && strcmp((*at)->address, address))
		at = &(*at)->next;
	return at;
}

int limit_enter(const char *address, int max)
{
	struct origin **at, *origin;
	int admitted = 0;

	pthread_mutex_lock(&lock);
	at = find_origin(address);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (*at)
			snprintf((*at)->address, sizeof((*at)->address), "%s", address);
	}
	origin = *at;
	if (origin && (!max || origin->connections < (unsigned int)max)) {
		origin->connections++;
		admitted = 1;
	}
	pthread_mutex_unlock(&lock);
	return admitted;
}

void limit_leave(const char *address)
{
	struct origin **at, *origin;

	pthread_mutex_lock(&lock);
	at = find_origin(address);
	origin = *at;
	if (origin && !--origin->connections) {
		*at = origin->next;
		free(origin);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- rates ---- */

static struct rate **bucket_of(const unsigned char *id)
{
	return &rates[id[0] << 8 | id[1]];
}

/* An entry that nobody uses, or the one that was not used for the longest time. */
static struct rate *free_rate(void)
{
	struct rate *rate = TAILQ_FIRST(&by_use), **at;

	if (rate_count < RATES_MAX)
		return &all_rates[rate_count++];
	TAILQ_REMOVE(&by_use, rate, used);
	for (at = bucket_of(rate->id); *at != rate; at = &(*at)->next)
		;
	*at = rate->next;
	return rate;
}

/* The entry of @id, which is new when its time is 0. */
static struct rate *get_rate(const unsigned char *id)
{
	struct rate *rate, **bucket = bucket_of(id);

	for (rate = *bucket; rate && memcmp(rate->id, id, sizeof(rate->id)); rate = rate->next)
		;
	if (rate) {
		TAILQ_REMOVE(&by_use, rate, used);
	} else {
		rate = free_rate();
		memcpy(rate->id, id, sizeof(rate->id));
		rate->time = rate->value = 0;
		rate->next = *bucket;
		*bucket = rate;
	}
	TAILQ_INSERT_TAIL(&by_use, rate, used);
	return rate;
}

/* Exim's: an exponentially weighted moving average, in events per period. */
static double smoothed(const struct rate *rate, double time, double period, double count)
{
	double interval = time - rate->time, value;

	if (rate->time == 0)
		return count;
	interval = interval > 1e-9 ? interval / period : 1e-9 / period;
	value = -expm1(-interval) * count / interval + exp(-interval) * rate->value;
	return value < count ? count : value;
}

/* OpenSSL does not check whether there was memory for its first hash. */
int limit_init(void)
{
	unsigned char id[SHA256_DIGEST_LENGTH];

	return SHA256((const unsigned char *)"", 0, id) ? 0 : -1;
}

double limit_rate(const char *key, double limit, double period, double count, bool strict)
{
	unsigned char id[SHA256_DIGEST_LENGTH];
	double time, value;
	struct rate *rate;

	if (!SHA256((const unsigned char *)key, strlen(key), id))
		return -1;
	pthread_mutex_lock(&lock);
	time = clock_ms() / 1000.0;
	rate = get_rate(id);
	value = smoothed(rate, time, period, count);
	/* leaky: refused events do not keep the sender out */
	if (strict || value < limit) {
		rate->value = value;
		rate->time = time;
	}
	pthread_mutex_unlock(&lock);
	return value;
}
