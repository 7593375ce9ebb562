// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl monitor: what becomes of connections, as it happens. The programs write events as long as
 * the deadline in pp_listening is not over: this raises it, and one that was killed does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../common/array.h"
#include "../lib/internal.h"
#include "json.h"
#include "ppctl.h"
#include "record.h"

#define MAP_EVENTS    "pp_events"
#define MAP_LISTENING "pp_listening"
#define NS_PER_S      1000000000ULL
#define LISTEN_NS     (2 * NS_PER_S) /* what a killed monitor costs, at most */
#define PAUSE_US      100000

/* A set that is listened to. */
struct ear {
	char *name, *pin;
	struct pp_listening *listening; /* of the map itself */
	uint64_t lost, from_ns;
	int lock, events;
};

static struct ear **ears;
static size_t ear_count;
static volatile sig_atomic_t stopped;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static const struct {
	const char *name, *text;
} kinds[] = {
	[PP_EVENT_ACCEPTED] = {"accepted", NULL},
	[PP_EVENT_REFUSED] = {"refused", NULL},
	[PP_EVENT_HELD] = {"held", "the handshake waits for a header"},
	[PP_EVENT_EXPIRED] = {"expired", "no header came in the gate's time"},
	[PP_EVENT_GUARDED] = {"guarded", "a segment did not pass pp_in and was dropped: see the "
					 "interfaces in ppctl status"},
	[PP_EVENT_UNMARKED] = {"unmarked", NULL},
};

/* "12:34:56.789" of a moment of CLOCK_MONOTONIC, and the same as milliseconds since 1970. */
static int64_t wall_ms(uint64_t made_ns, char text[16])
{
	int64_t ms = (now_ns(CLOCK_REALTIME) - (now_ns(CLOCK_MONOTONIC) - made_ns)) / 1000000;
	time_t seconds = ms / 1000;
	struct tm parts;

	localtime_r(&seconds, &parts);
	snprintf(text, 16, "%02u:%02u:%02u.%03u", parts.tm_hour % 24U, parts.tm_min % 60U,
		 parts.tm_sec % 61U, (unsigned int)(ms % 1000));
	return ms;
}

static struct json_object *event_object(const struct ear *ear, const struct pp_event *event,
					int64_t ms, const char *kind)
{
	static const uint8_t no_header[PP_PAGE];
	struct pp_record record = event->record;
	struct sighting seen = {.record = &record, .header = no_header};
	struct json_object *object;
	struct sockaddr_storage local;
	char text[ENDPOINT_TEXT_MAX];

	if (event->kind == PP_EVENT_REFUSED) {
		record.state = PP_STATE_BAD;
		record.reason = event->reason;
	}
	mapped_endpoint(&seen.peer, event->remote, event->remote_port);
	object = record_object(&seen);
	json_object_object_del(object, "tlvs"); /* are not in the event */
	json_object_object_del(object, "taken");
	if (!record.state)
		json_object_object_del(object, "state");
	add_string(object, "event", kind);
	add_number(object, "time_ms", ms);
	add_string(object, "set", ear->name);
	mapped_endpoint(&local, event->local, event->local_port);
	endpoint_text(&local, text);
	add_string(object, "local", text);
	add_number(object, "port", event->local_port);
	json_object_object_add(object, "netns_cookie", json_object_new_uint64(event->netns_cookie));
	return object;
}

static void print_event(struct json_object *object, const struct pp_event *event, const char *time)
{
	char address[INET6_ADDRSTRLEN];
	struct sockaddr_storage peer;

	printf("%s %-8s %s to %s", time, kinds[event->kind].name, string_of(object, "peer"),
	       string_of(object, "local"));
	if (event->kind == PP_EVENT_ACCEPTED)
		printf(": %s", string_of(object, "origin"));
	else if (event->kind == PP_EVENT_REFUSED)
		printf(": %s", string_of(object, "meaning"));
	else if (event->kind != PP_EVENT_UNMARKED)
		printf(": %s", kinds[event->kind].text);
	if (event->kind == PP_EVENT_UNMARKED) {
		mapped_endpoint(&peer, event->remote, 0);
		endpoint_address(&peer, address);
		printf(": %s sends PROXY headers to port %u and is not marked: 'ppctl proxy add "
		       "%s', if it is a proxy of yours",
		       address, event->local_port, address);
	}
	printf("\n");
}

static int take_event(void *context, void *data, size_t len)
{
	const struct pp_event *event = data;
	const struct ear *ear = context;
	struct json_object *object;
	char time[16];
	int64_t ms;

	/* of a monitor that was killed; of a build that does not fit */
	if (len < sizeof(*event) || event->made_ns < ear->from_ns ||
	    event->kind >= ARRAY_SIZE(kinds) || !kinds[event->kind].name)
		return 0;
	ms = wall_ms(event->made_ns, time);
	object = event_object(ear, event, ms, kinds[event->kind].name);
	if (options.json) {
		print_json_line(object);
	} else {
		make_printable(object);
		print_event(object, event, time);
		json_object_put(object);
	}
	return 0;
}

/* Says how many events there was no room for. */
static void tell_lost(struct ear *ear)
{
	uint64_t lost = *(volatile __u64 *)&ear->listening->lost, more = lost - ear->lost;
	struct json_object *object;
	char time[16];
	int64_t ms;

	if (!more)
		return;
	ear->lost = lost;
	ms = wall_ms(now_ns(CLOCK_MONOTONIC), time);
	if (!options.json) {
		printf("%s lost     %llu events: more came than could be shown\n", time,
		       (unsigned long long)more);
		return;
	}
	object = json_object_new_object();
	add_string(object, "event", "lost");
	add_number(object, "time_ms", ms);
	add_string(object, "set", ear->name);
	add_number(object, "count", more);
	print_json_line(object);
}

static void close_ear(struct ear *ear)
{
	if (ear->listening)
		munmap(ear->listening, sizeof(*ear->listening));
	if (ear->events >= 0)
		close(ear->events);
	if (ear->lock >= 0)
		close(ear->lock);
	free(ear->name);
	free(ear->pin);
	free(ear);
}

/* A ring buffer has one reader. */
static int lock_ear(struct ear *ear)
{
	char path[PATH_MAX];

	pin_path(path, "maps", "");
	ear->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ear->lock < 0)
		return error("%s: %s", path, strerror(errno));
	if (flock(ear->lock, LOCK_EX | LOCK_NB))
		return error("another 'ppctl monitor' listens to the set at %s", options.pin);
	return 0;
}

static int open_ear(struct ear *ear)
{
	int map;

	if (lock_ear(ear))
		return -1;
	ear->events = pin_open_map(MAP_EVENTS);
	map = ear->events < 0 ? -1 : pin_open_map(MAP_LISTENING);
	if (map < 0)
		return -1;
	ear->listening =
		mmap(NULL, sizeof(*ear->listening), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	close(map);
	if (ear->listening == MAP_FAILED) {
		ear->listening = NULL;
		return error("%s: %s", MAP_LISTENING, strerror(errno));
	}
	ear->lost = ear->listening->lost;
	ear->from_ns = now_ns(CLOCK_MONOTONIC);
	return 0;
}

static void add_ear(const char *directory, const char *name, void *failed)
{
	struct ear *ear = calloc(1, sizeof(*ear)), **grown;

	if (!ear) {
		*(int *)failed = 1;
		return;
	}
	ear->lock = ear->events = -1;
	ear->name = strdup(name);
	ear->pin = strdup(directory);
	grown = array_grow(ears, ear_count, 1, sizeof(*grown));
	if (grown)
		ears = grown;
	if (!grown || !ear->name || !ear->pin || open_ear(ear)) {
		*(int *)failed = 1;
		close_ear(ear);
		return;
	}
	ears[ear_count++] = ear;
}

static void listen_until(uint64_t until_ns)
{
	size_t i;

	for (i = 0; i < ear_count; i++)
		*(volatile __u64 *)&ears[i]->listening->until_ns = until_ns;
}

/* Is each set still what it was? */
static int check_sets(void)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ear_count; i++) {
		snprintf(path, sizeof(path), "%s/maps/" MAP_EVENTS, ears[i]->pin);
		if (access(path, F_OK))
			return errno == ENOENT ? error("the set at %s is gone", ears[i]->pin)
					       : error("%s: %s", path, strerror(errno));
	}
	return 0;
}

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int listen_to_all(struct ring_buffer *ring)
{
	int result = 0;
	size_t i;

	while (!stopped && !result) {
		listen_until(now_ns(CLOCK_MONOTONIC) + LISTEN_NS);
		ring_buffer__consume(ring);
		for (i = 0; i < ear_count; i++)
			tell_lost(ears[i]);
		if (fflush(stdout))
			result = error("standard output: %s", strerror(errno));
		else
			result = check_sets();
		if (!stopped && !result)
			usleep(PAUSE_US);
	}
	listen_until(0);
	return result;
}

int command_monitor(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop};
	struct ring_buffer *ring = NULL;
	int failed = 0, result = -1;
	size_t i;

	(void)argc;
	(void)argv;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN; /* fflush() tells it, and the deadline is taken back */
	sigaction(SIGPIPE, &action, NULL);
	if (choose_all(add_ear, &failed) || failed)
		goto out;
	for (i = 0; i < ear_count; i++) {
		failed = 1;
		if (!ring)
			ring = ring_buffer__new(ears[i]->events, take_event, ears[i], NULL);
		else if (ring_buffer__add(ring, ears[i]->events, take_event, ears[i]))
			break;
		if (!ring)
			break;
		failed = 0;
	}
	if (failed)
		error("%s: %s", MAP_EVENTS, strerror(errno));
	else
		result = listen_to_all(ring);
out:
	ring_buffer__free(ring);
	for (i = 0; i < ear_count; i++)
		close_ear(ears[i]);
	free(ears);
	return result;
}
