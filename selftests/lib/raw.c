// SPDX-License-Identifier: BSD-2-Clause
/*
 * Raw sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#define __FAVOR_BSD
#include <netinet/tcp.h>
#include <poll.h>

#include "frame.h"
#include "net.h"
#include "raw.h"

#define TCP_OPTIONS_MAX 40
#define EXTENSIONS_MAX	16
#define EXTENSION_LEN	8

static int sniffer = -1, forger = -1, family;

static void open_for(int wanted)
{
	int one = 1, large = 4 << 20;

	if (sniffer >= 0)
		close_both(sniffer, forger);
	family = wanted;
	sniffer = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	forger = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	assert_true(sniffer >= 0 && forger >= 0);
	if (family == AF_INET)
		setsockopt(forger, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one));
	setsockopt(sniffer, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
}

void raw_open(void)
{
	open_for(AF_INET);
}

void raw_open6(void)
{
	open_for(AF_INET6);
}

/* Reads the next segment's TCP header. Return: 0, or -ETIMEDOUT. */
static int next_segment(struct tcphdr *tcp, int timeout_ms)
{
	struct pollfd in = {.fd = sniffer, .events = POLLIN};
	uint8_t packet[2048];
	size_t offset;
	ssize_t len;

	for (;;) {
		if (poll(&in, 1, timeout_ms) != 1)
			return -ETIMEDOUT;
		len = recv(sniffer, packet, sizeof(packet), 0);
		offset = family == AF_INET && len > 0 ? (packet[0] & 0xf) * 4 : 0;
		if (len < 0 || (size_t)len < offset + sizeof(*tcp))
			continue;
		memcpy(tcp, packet + offset, sizeof(*tcp));
		return 0;
	}
}

void sniff(struct handshake *handshake, unsigned int port)
{
	struct tcphdr tcp;
	int have = 0;

	handshake->port = htons(port);
	handshake->from = NULL;
	while (have != 3) {
		assert_int_equal(next_segment(&tcp, SOON_MS), 0);
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

/* IP header with extension headers, for @len bytes of TCP. Return: its length. @pseudo: sum of the
 * addresses, protocol and length. */
static size_t fill_ip(uint8_t *packet, const char *from, size_t len, uint32_t *pseudo)
{
	struct ip ip = {.ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = IPPROTO_TCP};

	ip.ip_src.s_addr = inet_addr(from ? from : PROXY);
	ip.ip_dst.s_addr = inet_addr(SERVER);
	memcpy(packet, &ip, sizeof(ip));
	*pseudo = sum(&ip.ip_src, 8, IPPROTO_TCP + len);
	return sizeof(ip);
}

static size_t fill_ip6(uint8_t *packet, const char *from, size_t len, int extensions,
		       uint32_t *pseudo)
{
	/* destination options: next header, length, and one PadN that fills it */
	uint8_t extension[EXTENSION_LEN] = {IPPROTO_DSTOPTS, 0, 1, 4}, *at;
	struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28)};
	int i;

	assert_true(extensions <= EXTENSIONS_MAX);
	inet_pton(AF_INET6, from ? from : PROXY6, &ip.ip6_src);
	inet_pton(AF_INET6, SERVER6, &ip.ip6_dst);
	ip.ip6_hlim = 64;
	ip.ip6_plen = htons(extensions * EXTENSION_LEN + len);
	ip.ip6_nxt = extensions ? IPPROTO_DSTOPTS : IPPROTO_TCP;
	memcpy(packet, &ip, sizeof(ip));
	for (i = 0, at = packet + sizeof(ip); i < extensions; i++, at += sizeof(extension)) {
		memcpy(at, extension, sizeof(extension));
		if (i + 1 == extensions)
			at[0] = IPPROTO_TCP;
	}
	*pseudo = sum(&ip.ip6_src, 32, IPPROTO_TCP + len);
	return at - packet;
}

void raw_send(const struct handshake *handshake, const struct raw_segment *segment)
{
	uint8_t packet[sizeof(struct ip6_hdr) + EXTENSIONS_MAX * EXTENSION_LEN +
		       sizeof(struct tcphdr) + TCP_OPTIONS_MAX + RAW_PAYLOAD_MAX] = {0};
	struct tcphdr tcp = {.th_sport = handshake->port, .th_dport = handshake->to};
	size_t tcp_len = sizeof(tcp) + segment->option_len, len = tcp_len + segment->len, at;
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint32_t check, pseudo;

	assert_true(segment->option_len <= TCP_OPTIONS_MAX && segment->len <= RAW_PAYLOAD_MAX);
	at = family == AF_INET
		     ? fill_ip(packet, handshake->from, len, &pseudo)
		     : fill_ip6(packet, handshake->from, len, segment->extensions, &pseudo);
	tcp.th_seq = htonl(segment->seq);
	tcp.th_ack = htonl(segment->ack);
	tcp.th_off = tcp_len / 4;
	tcp.th_flags = segment->flags ? segment->flags : TH_ACK | TH_PUSH;
	tcp.th_win = htons(1000);
	memcpy(packet + at, &tcp, sizeof(tcp));
	if (segment->option_len)
		memcpy(packet + at + sizeof(tcp), segment->option, segment->option_len);
	if (segment->len)
		memcpy(packet + at + tcp_len, segment->bytes, segment->len);
	check = sum(packet + at, len, pseudo);
	check = (check & 0xffff) + (check >> 16);
	check = (check & 0xffff) + (check >> 16);
	tcp.th_sum = htons(~check ^ (segment->damaged ? 0x5555 : 0));
	memcpy(packet + at, &tcp, sizeof(tcp));
	if (family == AF_INET) {
		to.sin_addr.s_addr = inet_addr(SERVER);
		assert_int_equal(sendto(forger, packet, at + len, 0, (struct sockaddr *)&to,
					sizeof(to)),
				 at + len);
	} else {
		inet_pton(AF_INET6, SERVER6, &to6.sin6_addr);
		assert_int_equal(sendto(forger, packet, at + len, 0, (struct sockaddr *)&to6,
					sizeof(to6)),
				 at + len);
	}
}

void forge(const struct handshake *handshake, uint32_t seq, uint32_t ack, const char *text)
{
	const struct raw_segment segment = {
		.seq = seq, .ack = ack, .bytes = text, .len = strlen(text)};

	raw_send(handshake, &segment);
}

void raw_mute(void)
{
	run(0,
	    "nft add table inet mute && "
	    "nft 'add chain inet mute out { type filter hook output priority 0; }' && "
	    "nft add rule inet mute out ip daddr %s tcp flags rst drop && "
	    "nft add rule inet mute out ip6 daddr %s tcp flags rst drop",
	    SERVER, SERVER6);
}

#define SYN_AGAIN_MS 1000

int raw_connect(struct handshake *handshake, unsigned int port, unsigned int to, int timeout_ms)
{
	struct raw_segment syn = {.seq = 1000 * port, .flags = TH_SYN};
	struct tcphdr tcp;

	handshake->port = htons(port);
	handshake->to = htons(to);
	handshake->seq = syn.seq + 1;
	/* sent again, as a kernel does it: the listener may have had no room */
	for (; timeout_ms > 0; timeout_ms -= SYN_AGAIN_MS) {
		raw_send(handshake, &syn);
		while (next_segment(&tcp, timeout_ms < SYN_AGAIN_MS ? timeout_ms : SYN_AGAIN_MS) ==
		       0) {
			if (tcp.th_dport != handshake->port || tcp.th_flags != (TH_SYN | TH_ACK))
				continue;
			handshake->ack = ntohl(tcp.th_seq) + 1;
			return 0;
		}
	}
	return -ETIMEDOUT;
}
