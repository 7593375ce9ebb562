// SPDX-License-Identifier: BSD-2-Clause
/*
 * A server that speaks first, on one CPU, while the proxy's header and the payload behind it arrive
 * on another: the gate looks at segments while release_sock() puts those before them into the
 * stream, and may find the socket between any two steps. The payload begins as a header would, and
 * is never taken for one.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "../lib/proxy.h"

#define BANNER_MAX 8000
#define ROUNDS_MAX 3000
#define SCENE_MS   600 /* 16 of them */

/* What the proxy sends, a segment each. */
struct scene {
	const char *source;
	unsigned int port;
	size_t cut; /* where the header is cut; 0: nowhere */
	size_t banner_len;
};

static struct scene scene;
static volatile int to_send = -1, ended;

static void *send_segments(void *unused)
{
	int fd;

	stay_on(1);
	while (!ended) {
		fd = to_send;
		if (fd < 0) {
			sched_yield();
			continue;
		}
		if (scene.cut)
			send(fd, LINE, scene.cut, MSG_NOSIGNAL);
		send(fd, LINE + scene.cut, LINE_LEN - scene.cut, MSG_NOSIGNAL);
		send(fd, FORGED, FORGED_LEN, MSG_NOSIGNAL);
		to_send = -1;
	}
	return unused;
}

static void await_sent(void)
{
	while (to_send >= 0)
		sched_yield();
}

static void check(int server, unsigned int round)
{
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin = {0};
	int result;

	do
		result = pp_lookup(server, &origin);
	while (result == -EAGAIN);
	if (result)
		fail_msg("%s, port %u, cut %zu, banner of %zu, round %u: %s: %s", scene.source,
			 scene.port, scene.cut, scene.banner_len, round, pp_strerror(result),
			 pp_reason_text(origin.reason));
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, LINE_ORIGIN);
	assert_reads_text(server, FORGED);
	assert_nothing_to_read(server);
}

static void play_round(int listener, unsigned int round)
{
	static char banner[BANNER_MAX];
	int client, server = -1, gated = scene.port != OPEN;

	client = strcmp(scene.source, LOCAL) == 0 ? proxy_connects(scene.source, SERVER, scene.port)
						  : connect_to(scene.source, SERVER, scene.port);
	if (!gated)
		server = accept_within(listener, SOON_MS);
	to_send = client;
	if (gated)
		server = accept_within(listener, SOON_MS);
	assert_true(server >= 0);
	send(server, banner, scene.banner_len, MSG_NOSIGNAL);
	check(server, round);
	await_sent();
	reset(client);
	close(server);
}

static int has_passed(const struct timespec *start, long ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000 >= ms;
}

/* As many rounds as the time allows, but always one. */
static void play(void)
{
	int listener = listen_on(SERVER, scene.port);
	long ms = getenv("PP_SOAK") ? 60000 : SCENE_MS;
	struct timespec start;
	unsigned int round = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		play_round(listener, round++);
	while (!has_passed(&start, ms) && (round < ROUNDS_MAX || getenv("PP_SOAK")));
	close(listener);
}

static void play_all(const char *source)
{
	static const unsigned int ports[] = {OPEN, USUAL};
	static const size_t cuts[] = {0, 20}, banner_lens[] = {1000, BANNER_MAX};
	size_t p, c, b;

	for (p = 0; p < 2; p++) {
		for (c = 0; c < 2; c++) {
			for (b = 0; b < 2; b++) {
				scene = (struct scene){source, ports[p], cuts[c], banner_lens[b]};
				play();
			}
		}
	}
}

static void a_banner_crosses_the_header_and_what_follows(void **state)
{
	pthread_t sender;

	(void)state;
	ended = 0;
	assert_int_equal(pthread_create(&sender, NULL, send_segments, NULL), 0);
	stay_on(0);
	play_all(PROXY);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	play_all(LOCAL);
	run(0, "build/bin/ppctl proxy-cgroup del $LAB_OUTSIDE");
	ended = 1;
	pthread_join(sender, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_banner_crosses_the_header_and_what_follows),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("banner", tests, net_setup, NULL);
}
