// SPDX-License-Identifier: BSD-2-Clause
/*
 * Servers of a split port that are several processes: a listener that they share, SO_REUSEPORT, and
 * an accepted socket that one hands to another.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../lib/name.h"
#include "../lib/transparent.h"

static void a_listener_shared_by_forked_processes(void **state)
{
	enum { CHILDREN = 4, CONNECTIONS = 40 };
	int clients[CONNECTIONS], i, status;
	pid_t children[CHILDREN];
	char line[64];

	(void)state;
	for (i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		while (children[i] == 0) {
			struct sockaddr_storage peer;
			socklen_t len = sizeof(peer);
			int fd = accept(listener, (struct sockaddr *)&peer, &len);

			dprintf(fd, "%s\n", name_text(&peer));
			close(fd);
		}
	}
	for (i = 0; i < CONNECTIONS; i++) {
		clients[i] = connect_to(PROXY, SERVER, TRANSPARENT);
		snprintf(line, sizeof(line), "PROXY TCP4 192.0.2.%d 198.51.100.1 %d 25\r\n", i,
			 5000 + i);
		send_text(clients[i], line);
	}
	for (i = 0; i < CONNECTIONS; i++) {
		snprintf(line, sizeof(line), "192.0.2.%d:%d\n", i, 5000 + i);
		assert_reads_text(clients[i], line);
		close(clients[i]);
	}
	for (i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
	}
}

static int listen_reuseport(unsigned int port)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = inet_addr(SERVER)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

static void so_reuseport(void **state)
{
	enum { CONNECTIONS = 30 };
	int heres[3], clients[CONNECTIONS], i, served[3] = {0}, total = 0, tries;

	(void)state;
	run(0, "build/bin/ppctl port add %d --transparent --gate 30000", REUSED);
	for (i = 0; i < 3; i++)
		heres[i] = listen_reuseport(REUSED);
	for (i = 0; i < CONNECTIONS; i++) {
		clients[i] = connect_to(PROXY, SERVER, REUSED);
		send_text(clients[i], LINE);
	}
	for (tries = 0; tries < SOON_MS && total < CONNECTIONS; tries++) {
		for (i = 0; i < 3; i++) {
			struct sockaddr_storage peer;
			socklen_t len = sizeof(peer);
			int fd = accept(heres[i], (struct sockaddr *)&peer, &len);

			if (fd < 0)
				continue;
			assert_string_equal(name_text(&peer), ORIGIN);
			assert_nothing_to_read(fd);
			served[i]++;
			total++;
			close(fd);
		}
		usleep(1000);
	}
	assert_int_equal(total, CONNECTIONS);
	assert_true((served[0] > 0) + (served[1] > 0) + (served[2] > 0) >= 2);
	for (i = 0; i < CONNECTIONS; i++)
		close(clients[i]);
	for (i = 0; i < 3; i++)
		close(heres[i]);
}

static void a_descriptor_passed_to_another_process(void **state)
{
	int client, server, ends[2], status;
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	pid_t child;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (recvmsg(ends[1], &message, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		assert_peer(fd, ORIGIN);
		send_text(fd, "220 hello\r\n");
		assert_reads_text(fd, "EHLO x\r\n");
		_exit(0);
	}
	client = connect_to(PROXY, SERVER, TRANSPARENT);
	send_text(client, LINE);
	server = accept_within(listener, SOON_MS);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &server, sizeof(server));
	assert_int_equal(sendmsg(ends[0], &message, 0), 1);
	close(server);
	assert_reads_text(client, "220 hello\r\n");
	send_text(client, "EHLO x\r\n");
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	close(client);
	close_both(ends[0], ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_shared_by_forked_processes),
		cmocka_unit_test(so_reuseport),
		cmocka_unit_test(a_descriptor_passed_to_another_process),
	};

	return cmocka_run_group_tests_name("split_processes", tests, transparent_setup, NULL);
}
