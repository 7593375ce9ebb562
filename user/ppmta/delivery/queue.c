// SPDX-License-Identifier: BSD-2-Clause
/*
 * The thread that empties the spool: each message once when it comes, and the rest again every
 * retry_interval.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "delivery.h"

#define STOP_SECONDS  5
#define GIVE_UP_AFTER (5 * 86400) /* seconds; RFC 5321, section 4.5.4.1 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static int started, wanted, stopping;
static struct config *current;

/* When a message is to be tried again. Kept in memory: after a restart all are tried at once. */
static struct retry {
	struct retry *next;
	time_t at;
	char id[MESSAGE_ID_LEN + 1];
} * retries;

static struct retry **find_retry(const char *id)
{
	struct retry **at = &retries;

	while (*at && strcmp((*at)->id, id))
		at = &(*at)->next;
	return at;
}

static int is_waiting(const char *id)
{
	const struct retry *retry = *find_retry(id);

	return retry && time(NULL) < retry->at;
}

static void set_retry(const char *id, time_t at)
{
	struct retry **slot = find_retry(id);

	if (!*slot)
		*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return;
	snprintf((*slot)->id, sizeof((*slot)->id), "%s", id);
	(*slot)->at = at;
}

static void forget_retry(const char *id)
{
	struct retry **slot = find_retry(id), *retry = *slot;

	if (!retry)
		return;
	*slot = retry->next;
	free(retry);
}

static void report(const struct envelope *envelope, const char *recipient,
		   const struct client_result *result)
{
	static const char *const marks[] = {"=>", "==", "**"};

	log_line("%s %s %s: %s", envelope->id, marks[result->status], recipient, result->text);
}

/* What became of @envelope's recipients. Return: how many are left for another time. */
static int settle(const char *directory, const struct envelope *envelope,
		  const struct client_result *results)
{
	int expired = time(NULL) - envelope->received > GIVE_UP_AFTER, i, count = 0, left = 0,
	    refused = 0, failed;
	char **done = calloc(envelope->count + 1, sizeof(*done));

	if (!done)
		return envelope->count;
	for (i = 0; i < envelope->count; i++) {
		report(envelope, envelope->recipients[i], &results[i]);
		if (results[i].status == CLIENT_OK)
			done[count++] = envelope->recipients[i];
		else if (results[i].status == CLIENT_PERMANENT || expired)
			refused++;
		else
			left++;
	}
	if (count && spool_done(directory, envelope->id, done, count))
		log_line("%s the journal cannot be written: may be delivered again", envelope->id);
	free(done);
	if (left)
		return left;
	if (refused) { /* ppmta sends no bounces: somebody has to look at it */
		spool_freeze(directory, envelope->id);
		log_line("%s Frozen: %d recipients were refused", envelope->id, refused);
		return 0;
	}
	failed = spool_remove(directory, envelope->id);
	if (failed) { /* all are in the journal: only this is left to do */
		log_line("%s cannot be removed from the spool: %s", envelope->id, strerror(failed));
		return 1;
	}
	log_line("%s Completed", envelope->id);
	return 0;
}

static void deliver(const char *id, void *context)
{
	struct config *config = context;
	struct client_result *results;
	struct delivery_target target;
	struct envelope envelope;
	FILE *data;

	if (__atomic_load_n(&stopping, __ATOMIC_RELAXED) || is_waiting(id))
		return;
	if (spool_read_envelope(config->spool_directory, id, &envelope)) {
		log_line("%s the envelope cannot be read", id);
		pool_free(&envelope.pool);
		return;
	}
	data = spool_open_data(config->spool_directory, id);
	results = calloc(envelope.count ? envelope.count : 1, sizeof(*results));
	if (envelope.frozen || !data || !results)
		goto out;
	delivery_parse(config->delivery, &target, &envelope.pool);
	if (target.kind == DELIVER_MAILDIR) /* changed since the message came */
		goto out;
	if (envelope.count)
		client_deliver(config, &target, &envelope, data, results);
	if (settle(config->spool_directory, &envelope, results))
		set_retry(id, time(NULL) + config->retry_interval / 1000);
	else
		forget_retry(id);
out:
	if (data)
		fclose(data);
	free(results);
	pool_free(&envelope.pool);
}

static void *run(void *unused)
{
	struct timespec until;
	struct config *config;

	(void)unused;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		config = config_get(current);
		wanted = 0;
		pthread_mutex_unlock(&lock);
		spool_list(config->spool_directory, deliver, config);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += config->retry_interval < 60000 ? 1 : 60;
		config_put(config);
		pthread_mutex_lock(&lock);
		while (!wanted && !stopping) {
			if (pthread_cond_timedwait(&woken, &lock, &until) == ETIMEDOUT)
				break;
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int queue_start(struct config *config)
{
	current = config_get(config);
	spool_clean(config->spool_directory);
	started = !pthread_create(&thread, NULL, run, NULL);
	return started ? 0 : -1;
}

void queue_wake(void)
{
	pthread_mutex_lock(&lock);
	wanted = 1;
	pthread_cond_signal(&woken);
	pthread_mutex_unlock(&lock);
}

void queue_reload(struct config *config)
{
	struct config *before;

	if (!started)
		return;
	pthread_mutex_lock(&lock);
	before = current;
	current = config_get(config);
	wanted = 1;
	pthread_cond_signal(&woken);
	pthread_mutex_unlock(&lock);
	config_put(before);
}

void queue_stop(void)
{
	struct timespec until;

	if (!started)
		return;
	pthread_mutex_lock(&lock);
	stopping = 1;
	pthread_cond_signal(&woken);
	pthread_mutex_unlock(&lock);
	/* a next hop that hangs is not waited for: what it has not taken is in the spool */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_SECONDS;
	pthread_timedjoin_np(thread, NULL, &until);
}
