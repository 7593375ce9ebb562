// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl down: at once, or when the last connection is gone whose header was taken out; --wait waits
 * for that, --now resets what is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../common/clock.h"
#include "drain.h"
#include "port_map.h"
#include "ppctl.h"

#define POLL_US	  200000 /* between two looks of --wait */
#define NOW_TRIES 50	 /* of --now, each with the pause of drain_begin() */

static int report_down(size_t left)
{
	struct json_object *object;

	if (!options.json)
		return 0;
	object = set_object();
	json_object_object_add(object, "left", json_object_new_int64(left));
	print_json(object);
	return 0;
}

static int down_is_done(void)
{
	if (pin_remove_all())
		return -1;
	say("down");
	return report_down(0);
}

static int down_is_draining(size_t left)
{
	say("going down, connections left whose header was taken out: %zu. When they are gone, "
	    "'ppctl "
	    "down' again ends it; --wait waits for that, --now resets them, 'ppctl up' takes it "
	    "back",
	    left);
	report_down(left);
	return EXIT_DRAINING;
}

/* Resets the connections that are left. Linux before 6.11 cannot reset a socket that no process has
 * any more. No process reads from it, so it needs no guard, and ends by itself. */
static int down_now(int ports, struct translated_list *list)
{
	size_t first = list->count;
	int tries;

	for (tries = 0; list->count && tries < NOW_TRIES; tries++) {
		if (sockets_destroy(list))
			return -1;
		translated_free(list);
		if (drain_begin(ports, list))
			return -1;
	}
	if (translated_orphans(list) < list->count)
		return error(
			"%zu of %zu connections could not be reset; they are served until they are "
			"gone: neither a process nor a name in /run/netns leads to "
			"their network namespace",
			list->count - translated_orphans(list), first);
	say("connections reset: %zu", first - list->count);
	return down_is_done();
}

/* Others may call ppctl meanwhile: to end it with --now, or to take it back. */
static int down_wait(struct translated_list *list)
{
	int64_t start = clock_ms();
	size_t left = list->count;
	int ports, failed;

	say("going down, connections to wait for: %zu", left);
	fflush(stdout);
	for (;;) {
		if (options.wait_s && clock_elapsed_ms(start) >= options.wait_s * 1000LL)
			return down_is_draining(left);
		pin_unlock();
		usleep(POLL_US);
		if (pin_lock())
			return -1;
		ports = pin_open("maps", MAP_PORTS);
		if (ports < 0) {
			say("down");
			return report_down(0);
		}
		if (!drain_is_down()) {
			close(ports);
			return error("taken back by 'ppctl up'");
		}
		translated_free(list);
		failed = drain_begin(ports, list);
		close(ports);
		if (failed)
			return -1;
		left = list->count;
		if (!left)
			return down_is_done();
	}
}

static int drain_down(int ports)
{
	struct translated_list list = {};
	int result;

	if (drain_begin(ports, &list))
		return -1;
	if (!list.count)
		result = down_is_done();
	else if (options.now)
		result = down_now(ports, &list);
	else if (options.wait)
		result = down_wait(&list);
	else
		result = down_is_draining(list.count);
	translated_free(&list);
	return result;
}

/* Is there a connection that needs a program of the set? Its port may be gone from the list. */
static int is_needed(int ports)
{
	struct translated_list list;
	int needed;

	if (ports < 0)
		return 0;
	if (ports_have_split(ports))
		return 1;
	if (translated_read(&list))
		return -1;
	needed = list.count != 0;
	translated_free(&list);
	return needed;
}

int drain_left(size_t *left)
{
	int ports = pin_open("maps", MAP_PORTS);
	struct translated_list list;

	*left = 0;
	if (ports < 0)
		return 0;
	close(ports);
	if (translated_read(&list))
		return -1;
	*left = list.count;
	translated_free(&list);
	return 0;
}

int drain_remove(void)
{
	int ports = pin_open("maps", MAP_PORTS), needed = is_needed(ports), result = needed;
	struct translated_list list = {};

	if (needed > 0 && drain_begin(ports, &list))
		result = -1;
	if (!result || (result > 0 && !list.count)) {
		result = pin_remove_all();
	}
	translated_free(&list);
	if (ports >= 0)
		close(ports);
	return result;
}

int command_down(int argc, char **argv)
{
	int ports, needed, result;

	(void)argv;
	(void)argc;
	if (options.now && options.wait)
		return usage_error("--wait waits for connections, --now resets them: one of both");
	if (!pin_has_any())
		return error("nothing is up at %s", options.pin);
	if (geteuid() != 0)
		return error("needs root");
	if (pin_lock() || pin_check() || (!options.now && version_check()))
		return -1;
	if (options.now && !version_is_readable())
		return down_is_done();
	ports = pin_open("maps", MAP_PORTS);
	needed = is_needed(ports);
	if (needed < 0)
		result = -1;
	else
		result = needed ? drain_down(ports) : down_is_done();
	if (ports >= 0)
		close(ports);
	return result;
}
