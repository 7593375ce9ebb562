// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processes of the proxy cgroup, and what they announce.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>

#include <bpf/bpf.h>

#include "address.h"
#include "map.h"
#include "proxy.h"

static void enter(const char *cgroup)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

void become_proxy(void)
{
	enter(getenv("LAB_OUTSIDE"));
}

void become_server(void)
{
	enter(getenv("LAB_CGROUP"));
}

void become_bystander(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/../bystander", getenv("LAB_CGROUP"));
	if (mkdir(path, 0755) && errno != EEXIST)
		fail_msg("%s: %s", path, strerror(errno));
	enter(path);
}

int proxy_setup(void **state)
{
	net_setup(state);
	run(0, "build/bin/ppctl proxy-cgroup add $LAB_OUTSIDE");
	return 0;
}

int proxy_split_setup(void **state)
{
	proxy_setup(state);
	run(0, "build/bin/ppctl port add %d --split yes", PROXY_SPLIT);
	return 0;
}

int proxy_connects(const char *source, const char *address, unsigned int port)
{
	int fd;

	become_proxy();
	fd = connect_to(source, address, port);
	become_server();
	return fd;
}

int connect_from(const char *source, unsigned int from, const char *address, unsigned int port)
{
	struct sockaddr_storage here, there;
	socklen_t here_len = address_fill(&here, source, from),
		  there_len = address_fill(&there, address, port);
	int fd = socket(here.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1,
	    tries = SOON_MS / 10;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&here, here_len))
		fail_msg("%s:%u: %s", source, from, strerror(errno));
	// a socket that was closed keeps its tuple until its FIN is acknowledged
	while (connect(fd, (struct sockaddr *)&there, there_len)) {
		if (errno != EADDRNOTAVAIL || !tries--)
			fail_msg("%s:%u to %s:%u: %s", source, from, address, port,
				 strerror(errno));
		usleep(10000);
	}
	return fd;
}

struct pp_record record_of(int fd)
{
	struct pp_record record;
	socklen_t len = sizeof(record);

	assert_int_equal(getsockopt(fd, SOL_PP, PP_ORIGIN, &record, &len), 0);
	assert_int_equal(len, sizeof(record));
	return record;
}

unsigned long cgroup_id(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

void outgoing_put(const struct pp_connection_key *key, const struct pp_outgoing *outgoing)
{
	int map = map_open("pp_outgoing");

	assert_int_equal(bpf_map_update_elem(map, key, outgoing, BPF_ANY), 0);
	close(map);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Keys of their own for each call. Return: how many there was room for. */
static unsigned int put_entries(unsigned int count, unsigned int age_s, int closed)
{
	struct pp_outgoing outgoing = {.record.state = PP_STATE_PENDING,
				       .closed = closed,
				       .made_ns = now_ns() - age_s * 1000000000ULL};
	struct pp_connection_key key = {.remote = "\x20\x01\x0d\xb8", .local = "\x20\x01\x0d\xb8"};
	static uint32_t number;
	int map = map_open("pp_outgoing");
	unsigned int i;

	for (i = 0; i < count; i++) {
		key.first_seq = number++;
		outgoing.cookie = ~(uint64_t)key.first_seq;
		if (!bpf_map_update_elem(map, &key, &outgoing, BPF_ANY))
			continue;
		assert_int_equal(errno, E2BIG);
		break;
	}
	close(map);
	return i;
}

void outgoing_fill(unsigned int age_s)
{
	put_entries(OUTGOING_MAX + 1, age_s, 0);
}

void outgoing_put_closed(unsigned int count, unsigned int age_s)
{
	assert_int_equal(put_entries(count, age_s, 1), count);
}

int outgoing_closed(void)
{
	struct pp_connection_key keys[2], *previous = NULL;
	int map = map_open("pp_outgoing"), closed = 0, count = 0;
	struct pp_outgoing outgoing;

	while (!bpf_map_get_next_key(map, previous, &keys[count & 1])) {
		previous = &keys[count++ & 1];
		if (!bpf_map_lookup_elem(map, previous, &outgoing))
			closed += outgoing.closed;
	}
	close(map);
	return closed;
}

void outgoing_clear(void)
{
	struct pp_connection_key keys[2], *previous = NULL;
	int map = map_open("pp_outgoing"), count = 0;

	/* each after the next has been asked for: the search for a first one is long in a map that
	 * has become empty */
	while (!bpf_map_get_next_key(map, previous, &keys[count & 1])) {
		if (previous)
			bpf_map_delete_elem(map, previous);
		previous = &keys[count++ & 1];
	}
	if (previous)
		bpf_map_delete_elem(map, previous);
	close(map);
}
