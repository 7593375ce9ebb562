// SPDX-License-Identifier: BSD-2-Clause
/*
 * header-tap PORT: prints the first data that each connection to a local TCP port carries, as it is
 * on the wire: one line a connection, with what is not printable escaped. Raw sockets, so as root.
 */
#include <ctype.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SEEN_MAX 4096

static uint16_t seen[SEEN_MAX]; /* source ports that have had their line */
static size_t seen_count;

static int is_new(uint16_t port)
{
	size_t i;

	for (i = 0; i < seen_count; i++) {
		if (seen[i] == port)
			return 0;
	}
	if (seen_count < SEEN_MAX)
		seen[seen_count++] = port;
	return 1;
}

static void print_bytes(const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] == '\r')
			printf("\\r");
		else if (bytes[i] == '\n')
			printf("\\n");
		else if (isprint(bytes[i]) && bytes[i] != '\\')
			putchar(bytes[i]);
		else
			printf("\\x%02x", bytes[i]);
	}
	putchar('\n');
	fflush(stdout);
}

static void look_at(int fd, int ip4, uint16_t port)
{
	uint8_t packet[65536];
	ssize_t len = recv(fd, packet, sizeof(packet), 0);
	size_t offset = ip4 ? (packet[0] & 0xf) * 4 : 0; /* IPv6 raw sockets begin behind it */
	struct tcphdr tcp;

	if (len < (ssize_t)(offset + sizeof(tcp)))
		return;
	memcpy(&tcp, packet + offset, sizeof(tcp));
	offset += tcp.doff * 4;
	if (ntohs(tcp.dest) == port && (ssize_t)offset < len && is_new(tcp.source))
		print_bytes(packet + offset, len - offset);
}

int main(int argc, char **argv)
{
	struct pollfd taps[2] = {{.events = POLLIN}, {.events = POLLIN}};
	uint16_t port;

	if (argc != 2) {
		fprintf(stderr, "usage: header-tap PORT\n");
		return 2;
	}
	port = atoi(argv[1]);
	taps[0].fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	taps[1].fd = socket(AF_INET6, SOCK_RAW, IPPROTO_TCP);
	if (taps[0].fd < 0 || taps[1].fd < 0) {
		perror("header-tap: raw socket");
		return 1;
	}
	while (poll(taps, 2, -1) > 0) {
		if (taps[0].revents)
			look_at(taps[0].fd, 1, port);
		if (taps[1].revents)
			look_at(taps[1].fd, 0, port);
	}
	return 0;
}
