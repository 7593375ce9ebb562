// SPDX-License-Identifier: BSD-2-Clause
/*
 * A transparent port, and whether it is served; and which programs are on which hooks.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include <bpf/bpf.h>

#include "name.h"
#include "served.h"

int served_listener;

void served_up(void)
{
	run(0, "build/bin/ppctl up --cgroup $LAB_CGROUP --port %d --gate 30000 --proxy %s", PORT,
	    PROXY);
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", TRANSPARENT);
}

int served_setup(void **state)
{
	(void)state;
	served_up();
	served_listener = listen_on(SERVER, TRANSPARENT);
	return 0;
}

void open_transparent(struct link *link)
{
	link->client = connect_to(PROXY, SERVER, TRANSPARENT);
	link->server = accept_line(served_listener, link->client);
	assert_peer_address(link->server, "192.0.2.7");
}

void assert_served(void)
{
	struct link link;

	open_transparent(&link);
	send_text(link.client, PAYLOAD);
	assert_reads_text(link.server, PAYLOAD);
	close_link(&link);
}

static int program_id(const char *pin, const char *link)
{
	struct bpf_prog_info program = {};
	struct bpf_link_info info = {};
	int is_program = !strncmp(link, CLSACT, strlen(CLSACT)), fd;
	__u32 len = is_program ? sizeof(program) : sizeof(info);
	char path[512];

	snprintf(path, sizeof(path), "%s/links/%s", pin, link);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(
		bpf_obj_get_info_by_fd(fd, is_program ? (void *)&program : (void *)&info, &len), 0);
	close(fd);
	return is_program ? program.id : info.prog_id;
}

void hooks_ids(const char *pin, char *text, size_t size)
{
	struct dirent **entries;
	char folder[256];
	size_t len = 0;
	int count, i;

	snprintf(folder, sizeof(folder), "%s/links", pin);
	count = scandir(folder, &entries, NULL, alphasort);
	assert_true(count > 2);
	text[0] = 0;
	for (i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			len += snprintf(text + len, size - len, "%s %d\n", entries[i]->d_name,
					program_id(pin, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
}

void assert_hooks_replaced(char *before, const char *after)
{
	char *line, *rest;

	for (line = strtok_r(before, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strstr(after, line))
			fail_msg("not replaced: %s", line);
	}
}
