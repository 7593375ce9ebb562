// SPDX-License-Identifier: BSD-2-Clause
/*
 * Counts the connections and the rates of each origin. Both tables are small: an entry
 * goes when its connections are closed, or its rate has died away.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/clock.h"
#include "policy.h"

#define BUCKETS	     4096
#define RATES_MAX    100000
#define FORGET_AFTER 10 /* periods without an event: what is left of a rate is e^-10 of it */

struct origin {
	struct origin *next;
	unsigned int connections;
	char address[INET6_ADDRSTRLEN];
};

struct rate {
	struct rate *next;
	double time, value, period;
	char key[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct origin *origins[BUCKETS];
static struct rate *rates[BUCKETS];
static unsigned int rate_count;

static unsigned int bucket_of(const char *text)
{
	unsigned int hash = 2166136261U; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619U;
	return hash % BUCKETS;
}

static struct origin **find_origin(const char *address)
{
	struct origin **at = &origins[bucket_of(address)];

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

static void forget_old(double time)
{
	struct rate **at, *rate;
	int i;

	for (i = 0; i < BUCKETS; i++) {
		for (at = &rates[i]; (rate = *at);) {
			if (time - rate->time < FORGET_AFTER * rate->period) {
				at = &rate->next;
				continue;
			}
			*at = rate->next;
			free(rate);
			rate_count--;
		}
	}
}

static struct rate *get_rate(const char *key, double period, double time)
{
	struct rate *rate, **bucket = &rates[bucket_of(key)];

	for (rate = *bucket; rate; rate = rate->next) {
		if (!strcmp(rate->key, key))
			return rate;
	}
	if (rate_count >= RATES_MAX)
		forget_old(time);
	if (rate_count >= RATES_MAX)
		return NULL;
	rate = calloc(1, sizeof(*rate) + strlen(key) + 1);
	if (!rate)
		return NULL;
	strcpy(rate->key, key);
	rate->time = time;
	rate->period = period;
	rate->next = *bucket;
	*bucket = rate;
	rate_count++;
	return rate;
}

/* Exim's: an exponentially weighted moving average, with events per period. */
double limit_rate(const char *key, double limit, double period, double count, int strict)
{
	double time = clock_ms() / 1000.0, interval, old, value;
	struct rate *rate;

	pthread_mutex_lock(&lock);
	rate = get_rate(key, period, time);
	if (!rate) { /* as many as that is a flood */
		pthread_mutex_unlock(&lock);
		return limit + 1;
	}
	interval = (time - rate->time) / period;
	if (rate->value == 0 && interval == 0) {
		value = count;
	} else {
		if (interval < 1e-9)
			interval = 1e-9;
		old = exp(-interval);
		value = (1 - old) * count / interval + old * rate->value;
		if (value < count)
			value = count;
	}
	/* leaky: refused events do not keep the sender out */
	if (strict || value <= limit) {
		rate->value = value;
		rate->time = time;
	}
	pthread_mutex_unlock(&lock);
	return value;
}
