// SPDX-License-Identifier: BSD-2-Clause
/*
 * Raw sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#define __FAVOR_BSD
#include <netinet/tcp.h>
#include <poll.h>

#include "net.h"
#include "raw.h"

static int sniffer = -1, forger = -1;

void raw_open(void)
{
	int one = 1;

	if (sniffer >= 0)
		close_both(sniffer, forger);
	sniffer = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	forger = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	assert_true(sniffer >= 0 && forger >= 0);
	setsockopt(forger, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one));
}

void sniff(struct handshake *handshake, unsigned int port)
{
	struct pollfd in = {.fd = sniffer, .events = POLLIN};
	int have = 0;

	handshake->port = htons(port);
	while (have != 3) {
		uint8_t packet[2048];
		struct tcphdr tcp;
		ssize_t len;

		assert_int_equal(poll(&in, 1, SOON_MS), 1);
		len = recv(sniffer, packet, sizeof(packet), 0);
		if (len < 40)
			continue;
		memcpy(&tcp, packet + (packet[0] & 0xf) * 4, sizeof(tcp));
		if (tcp.th_sport == handshake->port && tcp.th_flags == TH_SYN) {
			handshake->seq = ntohl(tcp.th_seq) + 1;
			handshake->to = tcp.th_dport;
			have |= 1;
		}
		if (tcp.th_dport == handshake->port && tcp.th_flags == (TH_SYN | TH_ACK)) {
			handshake->ack = ntohl(tcp.th_seq) + 1;
			have |= 2;
		}
	}
}

static uint32_t sum(const void *bytes, size_t len, uint32_t start)
{
	const uint8_t *at = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		start += i % 2 ? at[i] : at[i] << 8;
	return start;
}

void forge(const struct handshake *handshake, uint32_t seq, uint32_t ack, const char *text)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(SERVER)};
	struct {
		struct ip ip;
		struct tcphdr tcp;
		char text[128];
	} packet = {0};
	struct {
		struct in_addr from, to;
		uint16_t protocol, len;
	} pseudo;
	size_t len = sizeof(packet.tcp) + strlen(text);
	uint32_t check;

	packet.ip.ip_v = 4;
	packet.ip.ip_hl = 5;
	packet.ip.ip_ttl = 64;
	packet.ip.ip_p = IPPROTO_TCP;
	packet.ip.ip_src.s_addr = inet_addr(PROXY);
	packet.ip.ip_dst = to.sin_addr;
	packet.tcp.th_sport = handshake->port;
	packet.tcp.th_dport = handshake->to;
	packet.tcp.th_seq = htonl(seq);
	packet.tcp.th_ack = htonl(ack);
	packet.tcp.th_off = 5;
	packet.tcp.th_flags = TH_ACK | TH_PUSH;
	packet.tcp.th_win = htons(1000);
	memcpy(packet.text, text, strlen(text));
	pseudo.from = packet.ip.ip_src;
	pseudo.to = packet.ip.ip_dst;
	pseudo.protocol = htons(IPPROTO_TCP);
	pseudo.len = htons(len);
	check = sum(&packet.tcp, len, sum(&pseudo, sizeof(pseudo), 0));
	check = (check & 0xffff) + (check >> 16);
	check = (check & 0xffff) + (check >> 16);
	packet.tcp.th_sum = htons(~check);
	assert_int_equal(sendto(forger, &packet, sizeof(packet.ip) + len, 0, (struct sockaddr *)&to,
				sizeof(to)),
			 sizeof(packet.ip) + len);
}
