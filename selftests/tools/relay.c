// SPDX-License-Identifier: BSD-2-Clause
/*
 * relay [--v2] [--pieces | --joined] --from ADDRESS ADDRESS PORT SERVER PORT: a proxy that sends
 * its header as others do not. Listens on the first address, connects to the server from --from.
 *
 *   --pieces  the header byte by byte, a segment each
 *   --joined  header and the client's first bytes in one segment: waits for them
 *
 * A process a connection; ends with its parent.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/address.h"

#define PIECE_US 2000 /* between two bytes of a header */

static int pieces, joined, version = 1;
static const char *from;

static size_t v1_header(char *header, size_t size, const struct sockaddr_storage *client,
			const struct sockaddr_storage *own)
{
	const struct sockaddr_in *client4 = (const void *)client, *own4 = (const void *)own;
	const struct sockaddr_in6 *client6 = (const void *)client, *own6 = (const void *)own;
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int ip4 = client->ss_family == AF_INET;

	inet_ntop(client->ss_family, ip4 ? (const void *)&client4->sin_addr : &client6->sin6_addr,
		  source, sizeof(source));
	inet_ntop(client->ss_family, ip4 ? (const void *)&own4->sin_addr : &own6->sin6_addr,
		  destination, sizeof(destination));
	return snprintf(header, size, "PROXY TCP%d %s %s %d %d\r\n", ip4 ? 4 : 6, source,
			destination, ntohs(client4->sin_port), ntohs(own4->sin_port));
}

static size_t v2_header(char *header, const struct sockaddr_storage *client,
			const struct sockaddr_storage *own)
{
	const struct sockaddr_in *client4 = (const void *)client, *own4 = (const void *)own;
	const struct sockaddr_in6 *client6 = (const void *)client, *own6 = (const void *)own;
	int ip4 = client->ss_family == AF_INET;
	size_t len = ip4 ? 4 : 16;

	memcpy(header, "\r\n\r\n\0\r\nQUIT\n\x21", 13);
	header[13] = ip4 ? 0x11 : 0x21;
	header[14] = 0;
	header[15] = 2 * len + 4;
	memcpy(header + 16, ip4 ? (const void *)&client4->sin_addr : &client6->sin6_addr, len);
	memcpy(header + 16 + len, ip4 ? (const void *)&own4->sin_addr : &own6->sin6_addr, len);
	memcpy(header + 16 + 2 * len, &client4->sin_port, 2);
	memcpy(header + 18 + 2 * len, &own4->sin_port, 2);
	return 20 + 2 * len;
}

static void send_all(int fd, const char *bytes, size_t len)
{
	ssize_t sent;

	for (; len; bytes += sent, len -= sent) {
		sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			exit(1);
	}
}

static void send_header(int client, int server)
{
	struct sockaddr_storage remote, local;
	socklen_t remote_len = sizeof(remote), local_len = sizeof(local);
	char bytes[4096];
	ssize_t more;
	size_t len, i;

	if (getpeername(client, (struct sockaddr *)&remote, &remote_len) ||
	    getsockname(client, (struct sockaddr *)&local, &local_len))
		exit(1);
	len = version == 1 ? v1_header(bytes, sizeof(bytes), &remote, &local)
			   : v2_header(bytes, &remote, &local);
	for (i = 0; pieces && i < len; i++) {
		send_all(server, bytes + i, 1);
		usleep(PIECE_US);
	}
	if (pieces)
		return;
	if (joined) {
		more = recv(client, bytes + len, sizeof(bytes) - len, 0);
		if (more <= 0)
			exit(1);
		len += more;
	}
	send_all(server, bytes, len);
}

/* Return: 0 at the end of what @from has to say. */
static int pass_on(int from_fd, int to_fd)
{
	char bytes[16384];
	ssize_t len = recv(from_fd, bytes, sizeof(bytes), 0);

	if (len < 0)
		exit(1);
	if (len)
		send_all(to_fd, bytes, len);
	else
		shutdown(to_fd, SHUT_WR);
	return len > 0;
}

static void serve(int client, const char *address, int port)
{
	int server = address_connect(from, address, port), on = 1, i;
	struct pollfd ends[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};

	if (server < 0) {
		perror(address);
		exit(1);
	}
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	send_header(client, server);
	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		if (poll(ends, 2, -1) < 0)
			exit(1);
		for (i = 0; i < 2; i++) {
			if (ends[i].fd >= 0 && ends[i].revents &&
			    !pass_on(i ? server : client, i ? client : server))
				ends[i].fd = -1;
		}
	}
	exit(0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"v2", no_argument, NULL, '2'},
						{"pieces", no_argument, NULL, 'p'},
						{"joined", no_argument, NULL, 'j'},
						{0}};
	struct sockaddr_storage own;
	int option, listener, client, on = 1;
	socklen_t len;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'f')
			from = optarg;
		else if (option == '2')
			version = 2;
		else if (option == 'p')
			pieces = 1;
		else if (option == 'j')
			joined = 1;
		else
			return 2;
	}
	if (argc - optind != 4) {
		fprintf(stderr,
			"usage: relay [--v2] [--pieces | --joined] --from ADDRESS ADDRESS PORT "
			"SERVER PORT\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGCHLD, SIG_IGN);
	len = address_fill(&own, argv[optind], atoi(argv[optind + 1]));
	listener = socket(own.ss_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&own, len) || listen(listener, 128)) {
		perror("relay");
		return 1;
	}
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		if (fork()) {
			close(client);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(listener);
		serve(client, argv[optind + 2], atoi(argv[optind + 3]));
	}
	perror("relay: accept");
	return 1;
}
