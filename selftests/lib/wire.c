// SPDX-License-Identifier: BSD-2-Clause
/*
 * A proxy made by hand.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#define __FAVOR_BSD
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#include "frame.h"
#include "net.h"
#include "netns.h"
#include "proxy.h"
#include "wire.h"

#define NEAR_MAC "02:00:00:00:77:01"
#define FAR_MAC	 "02:00:00:00:77:02"

struct wire wires[WIRES] = {
	[WIRE_VETH] = {"veth, IPv4", AF_INET, "far", "10.77.0.1", "10.77.0.2", -1, -1, 0},
	[WIRE_VETH6] = {"veth, IPv6", AF_INET6, "far", "fd77::1", "fd77::2", -1, -1, 0},
	[WIRE_LO] = {"lo, IPv4", AF_INET, "lo", "10.77.1.1", "10.77.1.2", -1, -1, 0},
	[WIRE_LO6] = {"lo, IPv6", AF_INET6, "lo", "fd77:1::1", "fd77:1::2", -1, -1, 0},
};

static int is_lo(const struct wire *wire)
{
	return strcmp(wire->device, "lo") == 0;
}

static void wire_open(struct wire *wire)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(wire->family == AF_INET ? ETH_P_IP
										    : ETH_P_IPV6)};
	int here = netns_here(), one = 1, large = 16 << 20;

	netns_enter(wire->netns);
	wire->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(wire->fd >= 0);
	address.sll_ifindex = if_nametoindex(wire->device);
	assert_int_equal(setsockopt(wire->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	if (is_lo(wire)) /* lo shows what leaves only if all is asked for */
		address.sll_protocol = htons(ETH_P_ALL);
	assert_int_equal(bind(wire->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	netns_enter(here);
	close(here);
}

void wires_make(void)
{
	int here = netns_here(), there = netns_make(), i;

	run(0,
	    "ip link add near address " NEAR_MAC " type veth peer name far address " FAR_MAC
	    " && ip link set far netns /proc/%d/fd/%d",
	    getpid(), there);
	run(0, "ip addr add 10.77.0.1/24 dev near && ip -6 addr add fd77::1/64 dev near nodad && "
	       "ip link set near up && "
	       "ip neigh add 10.77.0.2 lladdr " FAR_MAC " dev near nud permanent && "
	       "ip -6 neigh add fd77::2 lladdr " FAR_MAC " dev near nud permanent");
	run(0, "for n in 1 2; do ip addr add 10.77.1.$n/32 dev lo && "
	       "ip -6 addr add fd77:1::$n/128 dev lo nodad || exit 1; done");
	sysctl_set("net/ipv4/conf/lo/accept_local", "1");
	/* the kernel knows of no such connections of the proxy's */
	run(0, "nft add table inet hand && "
	       "nft 'add chain inet hand out { type filter hook output priority 0; }' && "
	       "nft add rule inet hand out ip daddr 10.77.1.1 tcp flags rst drop && "
	       "nft add rule inet hand out ip6 daddr fd77:1::1 tcp flags rst drop");
	netns_enter(there); /* without addresses: its kernel says nothing */
	sysctl_set("net/ipv6/conf/far/disable_ipv6", "1");
	run(0, "ip link set far up");
	netns_enter(here);
	for (i = 0; i < WIRES; i++) {
		wires[i].netns = is_lo(&wires[i]) ? here : there;
		wire_open(&wires[i]);
	}
}

void wires_mark(void)
{
	int i;

	for (i = 0; i < WIRES; i++)
		run(0, "build/bin/ppctl proxy add %s", wires[i].proxy);
}

void wire_offload(const char *device, int netns, uint32_t command, int on)
{
	struct ethtool_value value = {.cmd = command, .data = on};
	struct ifreq request = {.ifr_data = (void *)&value};
	int here = netns_here(), fd;

	netns_enter(netns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (ioctl(fd, SIOCETHTOOL, &request))
		fail_msg("%s: ethtool command %#x: %s", device, command, strerror(errno));
	close(fd);
	netns_enter(here);
	close(here);
}

/* Return: its length. @pseudo: sum of the addresses, protocol and length. */
static size_t fill_ip(uint8_t *packet, const struct peer *peer, uint32_t len, uint32_t options,
		      uint32_t *pseudo)
{
	struct ip *ip = (struct ip *)packet;

	ip->ip_v = 4;
	ip->ip_hl = 5 + options;
	ip->ip_ttl = 64;
	ip->ip_p = IPPROTO_TCP;
	ip->ip_len = htons(ip->ip_hl * 4 + len);
	inet_pton(AF_INET, peer->wire->proxy, &ip->ip_src);
	inet_pton(AF_INET, peer->wire->server, &ip->ip_dst);
	memset(ip + 1, 1, options * 4);
	ip->ip_sum = htons(~sum(ip, ip->ip_hl * 4, 0));
	*pseudo = sum(&ip->ip_src, 8, IPPROTO_TCP + len);
	return ip->ip_hl * 4;
}

static size_t fill_ip6(uint8_t *packet, const struct peer *peer, uint32_t len, uint32_t extensions,
		       uint32_t *pseudo)
{
	/* destination options: next header, length, and one PadN that fills it */
	static const uint8_t extension[8] = {IPPROTO_DSTOPTS, 0, 1, 4};
	struct ip6_hdr *ip = (struct ip6_hdr *)packet;
	uint8_t *at = packet + sizeof(*ip);
	uint32_t i;

	ip->ip6_flow = htonl(6U << 28);
	ip->ip6_plen = htons(extensions * sizeof(extension) + len);
	ip->ip6_hlim = 64;
	ip->ip6_nxt = extensions ? IPPROTO_DSTOPTS : IPPROTO_TCP;
	inet_pton(AF_INET6, peer->wire->proxy, &ip->ip6_src);
	inet_pton(AF_INET6, peer->wire->server, &ip->ip6_dst);
	for (i = 0; i < extensions; i++, at += sizeof(extension)) {
		memcpy(at, extension, sizeof(extension));
		if (i + 1 == extensions)
			at[0] = IPPROTO_TCP;
	}
	*pseudo = sum(&ip->ip6_src, 32, IPPROTO_TCP + len);
	return at - packet;
}

static uint32_t usual_options(struct peer *peer, uint32_t flags, uint8_t *option)
{
	static const uint8_t mss[4] = {2, 4, 0x05, 0xb4}, sack[4] = {4, 2, 1, 1};
	uint32_t len = 0, stamp;

	if (flags & TH_SYN) {
		memcpy(option, mss, 4);
		memcpy(option + 4, sack, 4);
		len = 8;
	}
	if (!peer->stamps)
		return len;
	option[len++] = 1;
	option[len++] = 1;
	option[len++] = 8;
	option[len++] = 10;
	stamp = htonl(++peer->now);
	memcpy(option + len, &stamp, 4);
	stamp = htonl(peer->echo);
	memcpy(option + len + 4, &stamp, 4);
	return len + 8;
}

static void note_edge(struct peer *peer, uint32_t edge)
{
	if (peer->edge_count < WIRE_EDGES)
		peer->edges[peer->edge_count++] = edge;
}

void peer_send(struct peer *peer, const struct segment_out *segment)
{
	static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0x77, 1}, {2, 0, 0, 0, 0x77, 2}};
	static uint8_t frame[sizeof(struct virtio_net_hdr) + ETH_HLEN + 256 + 60 + WIRE_BYTES];
	struct virtio_net_hdr *vnet = (struct virtio_net_hdr *)frame;
	struct ethhdr *ether = (struct ethhdr *)(vnet + 1);
	uint32_t flags = segment->flags ? segment->flags : TH_ACK | TH_PUSH, pseudo, tcp_len, len;
	struct tcphdr tcp = {.th_sport = htons(peer->port), .th_dport = htons(peer->to)};
	uint8_t option[40] = {0}, *at, *packet = (uint8_t *)(ether + 1);
	uint32_t option_len = segment->option_len;

	assert_true(segment->len <= WIRE_BYTES);
	memset(frame, 0, sizeof(frame));
	if (segment->option)
		memcpy(option, segment->option, option_len);
	else
		option_len = usual_options(peer, flags, option);
	tcp_len = sizeof(tcp) + option_len;
	len = tcp_len + segment->len;
	if (!is_lo(peer->wire)) {
		memcpy(ether->h_dest, macs[0], 6);
		memcpy(ether->h_source, macs[1], 6);
	}
	ether->h_proto = htons(peer->wire->family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	at = packet + (peer->wire->family == AF_INET
			       ? fill_ip(packet, peer, len, segment->extensions, &pseudo)
			       : fill_ip6(packet, peer, len, segment->extensions, &pseudo));
	tcp.th_seq = htonl(segment->seq);
	tcp.th_ack = htonl(segment->ack);
	tcp.th_off = tcp_len / 4;
	tcp.th_flags = flags;
	tcp.th_urp = htons(segment->urgent);
	tcp.th_win = htons(30000);
	memcpy(at, &tcp, sizeof(tcp));
	memcpy(at + sizeof(tcp), option, option_len);
	if (segment->len)
		memcpy(at + tcp_len, segment->bytes, segment->len);
	if (peer->wire->partial && !segment->damaged) {
		vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet->csum_start = at - (uint8_t *)ether;
		vnet->csum_offset = 16;
		tcp.th_sum = htons(sum(NULL, 0, pseudo));
	} else {
		tcp.th_sum = htons(~sum(at, len, pseudo) ^ (segment->damaged ? 0x5555 : 0));
	}
	memcpy(at, &tcp, sizeof(tcp));
	if (!segment->damaged) {
		note_edge(peer, segment->seq);
		note_edge(peer, segment->seq + segment->len);
		if (flags & TH_FIN)
			note_edge(peer, segment->seq + segment->len + 1);
	}
	len += at - frame;
	if (getenv("WIRE_TRACE"))
		print_message("# > flags %#x, stream byte %d, %u bytes, acknowledges %u\n", flags,
			      (int)(segment->seq - peer->first), segment->len, segment->ack);
	if (send(peer->wire->fd, frame, len, 0) != (ssize_t)len)
		fail_msg("%s: %s", peer->wire->name, strerror(errno));
}

void peer_write(struct peer *peer, const void *bytes, uint32_t len)
{
	const struct segment_out segment = {
		.seq = peer->next, .ack = peer->theirs, .bytes = bytes, .len = len};

	peer->next += len;
	peer_send(peer, &segment);
}

void peer_say(struct peer *peer, uint32_t flags)
{
	const struct segment_out segment = {
		.seq = peer->next, .ack = peer->theirs, .flags = flags | TH_ACK};

	peer_send(peer, &segment);
	if (flags & TH_FIN)
		peer->next++;
}

static int is_edge(const struct peer *peer, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < peer->edge_count; i++) {
		if (peer->edges[i] == number)
			return 1;
	}
	return 0;
}

static void read_options(struct peer *peer, const uint8_t *option, uint32_t len,
			 struct segment_in *segment)
{
	uint32_t at = 0, i, number;
	int stamped = 0;

	segment->sack_count = 0;
	while (at < len && option[at]) {
		if (option[at] == 1) {
			at++;
			continue;
		}
		assert_true(at + 1 < len && option[at + 1] >= 2 && at + option[at + 1] <= len);
		if (option[at] == 5) {
			for (i = 2; i + 4 <= option[at + 1]; i += 4) {
				memcpy(&number, option + at + i, 4);
				segment->sacks[segment->sack_count++] = ntohl(number);
			}
		}
		if (option[at] == 8) {
			stamped = 1;
			memcpy(&number, option + at + 2, 4);
			peer->echo = ntohl(number);
			memcpy(&number, option + at + 6, 4);
			if (peer->stamps && (uint32_t)(peer->now - ntohl(number)) > 100000)
				fail_msg("%s: it echoes timestamp %u, the last one was %u",
					 peer->wire->name, ntohl(number), peer->now);
		}
		at += option[at + 1];
	}
	if (peer->stamps && !stamped && !(segment->flags & TH_RST))
		fail_msg("%s: a segment without timestamps, flags %#x", peer->wire->name,
			 segment->flags);
}

static void check_numbers(const struct peer *peer, const struct segment_in *segment)
{
	uint32_t i;

	if (segment->flags & TH_ACK &&
	    (uint32_t)(segment->ack - peer->first + 1) > (uint32_t)(peer->next - peer->first + 1))
		fail_msg("%s: acknowledged %d bytes of %u, flags %#x", peer->wire->name,
			 (int)(segment->ack - peer->first), peer->next - peer->first,
			 segment->flags);
	for (i = 0; i < segment->sack_count; i++) {
		if (!is_edge(peer, segment->sacks[i]))
			fail_msg("%s: SACK of stream byte %d, where no segment begins or ends",
				 peer->wire->name, (int)(segment->sacks[i] - peer->first));
	}
}

/* Is this frame the server's, of this connection? Then @segment has it. */
static int parse(struct peer *peer, uint8_t *frame, size_t len, struct segment_in *segment)
{
	const struct virtio_net_hdr *vnet = (struct virtio_net_hdr *)frame;
	uint8_t *packet = frame + sizeof(*vnet) + ETH_HLEN, *at;
	struct ip6_hdr *ip6 = (struct ip6_hdr *)packet;
	struct ip *ip = (struct ip *)packet;
	uint32_t total, pseudo, whole, tcp_len;
	uint8_t server[16], proxy[16];
	struct tcphdr tcp;
	uint8_t next;

	inet_pton(peer->wire->family, peer->wire->server, server);
	inet_pton(peer->wire->family, peer->wire->proxy, proxy);
	if (len < sizeof(*vnet) + ETH_HLEN + sizeof(*ip) + sizeof(tcp) ||
	    packet[0] >> 4 != (peer->wire->family == AF_INET ? 4 : 6))
		return 0;
	if (peer->wire->family == AF_INET) {
		if (ip->ip_p != IPPROTO_TCP || memcmp(&ip->ip_src, server, 4) ||
		    memcmp(&ip->ip_dst, proxy, 4))
			return 0;
		if (sum(ip, ip->ip_hl * 4, 0) != 0xffff)
			fail_msg("%s: the IP header's checksum is wrong", peer->wire->name);
		at = packet + ip->ip_hl * 4;
		total = ntohs(ip->ip_len) - ip->ip_hl * 4;
		pseudo = sum(&ip->ip_src, 8, IPPROTO_TCP + total);
	} else {
		if (memcmp(&ip6->ip6_src, server, 16) || memcmp(&ip6->ip6_dst, proxy, 16))
			return 0;
		at = packet + sizeof(*ip6);
		total = ntohs(ip6->ip6_plen);
		/* an acknowledgement of pp_in's has those of the segment that it is for */
		for (next = ip6->ip6_nxt; next == IPPROTO_DSTOPTS; at += 8, total -= 8)
			next = at[0];
		if (next != IPPROTO_TCP)
			return 0;
		pseudo = sum(&ip6->ip6_src, 32, IPPROTO_TCP + total);
	}
	assert_true(at + total <= frame + len);
	memcpy(&tcp, at, sizeof(tcp));
	if (tcp.th_sport != htons(peer->to) || tcp.th_dport != htons(peer->port))
		return 0;
	whole = sum(at, total, pseudo);
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		whole = ntohs(tcp.th_sum) == pseudo ? 0xffff : 0;
	if (whole != 0xffff)
		fail_msg("%s: the checksum of a segment is wrong, flags %#x, %s", peer->wire->name,
			 tcp.th_flags, vnet->flags ? "partial" : "complete");
	tcp_len = tcp.th_off * 4;
	segment->seq = ntohl(tcp.th_seq);
	segment->ack = ntohl(tcp.th_ack);
	segment->flags = tcp.th_flags;
	segment->window = ntohs(tcp.th_win);
	segment->len = total - tcp_len;
	memcpy(segment->bytes, at + tcp_len, segment->len);
	read_options(peer, at + sizeof(tcp), tcp_len - sizeof(tcp), segment);
	check_numbers(peer, segment);
	return 1;
}

/* What was read while another connection's segments were waited for. */
static struct {
	const struct wire *wire;
	size_t len;
	uint8_t frame[256];
} put_by[128];

static unsigned int put_by_next;

static void put_frame_by(const struct wire *wire, const uint8_t *frame, size_t len)
{
	unsigned int at = put_by_next++ % 128;

	if (len > sizeof(put_by[at].frame))
		return;
	put_by[at].wire = wire;
	put_by[at].len = len;
	memcpy(put_by[at].frame, frame, len);
}

static int was_put_by(struct peer *peer, struct segment_in *segment)
{
	unsigned int i, at;

	for (i = 0; i < 128; i++) {
		at = (put_by_next + i) % 128;
		if (put_by[at].wire != peer->wire ||
		    !parse(peer, put_by[at].frame, put_by[at].len, segment))
			continue;
		put_by[at].wire = NULL;
		return 1;
	}
	return 0;
}

int peer_read(struct peer *peer, struct segment_in *segment, int timeout_ms)
{
	static uint8_t frame[sizeof(struct virtio_net_hdr) + ETH_HLEN + 65600];
	struct pollfd in = {.fd = peer->wire->fd, .events = POLLIN};
	int64_t until = now_ms() + timeout_ms, left;
	struct sockaddr_ll from;
	socklen_t from_len;
	ssize_t len;

	while (!was_put_by(peer, segment)) {
		left = until - now_ms();
		if (poll(&in, 1, left > 0 ? left : 0) != 1)
			return -ETIMEDOUT;
		from_len = sizeof(from);
		len = recvfrom(in.fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &from_len);
		if (len < 0 || (is_lo(peer->wire) && from.sll_pkttype != PACKET_OUTGOING))
			continue;
		if (parse(peer, frame, len, segment))
			break;
		put_frame_by(peer->wire, frame, len);
	}
	peer->window = segment->window;
	segment->again = peer->synced && segment->seq != peer->theirs &&
			 (segment->len || segment->flags & TH_FIN);
	if (getenv("WIRE_TRACE"))
		print_message("# < flags %#x, seq %u, %u bytes, acknowledges %d, window %u\n",
			      segment->flags, segment->seq, segment->len,
			      (int)(segment->ack - peer->first), segment->window);
	if (!peer->synced && segment->flags & TH_SYN) {
		peer->theirs = segment->seq + 1;
		peer->synced = 1;
	} else if (segment->seq == peer->theirs && !(segment->flags & TH_RST)) {
		peer->theirs += segment->len + (segment->flags & TH_FIN ? 1 : 0);
	}
	return 0;
}

void peer_syn(struct peer *peer, struct wire *wire, uint16_t to, uint32_t isn, int stamps)
{
	const struct segment_out syn = {.seq = isn, .flags = TH_SYN};
	static uint16_t port = 20000;

	if (peer->port == 0)
		peer->port = port++;
	peer->wire = wire;
	peer->to = to;
	peer->first = isn + 1;
	peer->next = isn + 1;
	peer->theirs = 0;
	peer->synced = 0;
	peer->stamps = stamps;
	peer->now += 1000;
	peer->echo = 0;
	peer->edge_count = 0;
	peer_send(peer, &syn);
}

void peer_open(struct peer *peer, struct wire *wire, uint16_t to, uint32_t isn, int stamps)
{
	static struct segment_in in;

	peer_syn(peer, wire, to, isn, stamps);
	if (peer_read(peer, &in, SOON_MS))
		fail_msg("%s: no answer to the SYN", wire->name);
	if (in.flags != (TH_SYN | TH_ACK) || in.ack != peer->first)
		fail_msg("%s: flags %#x in place of a SYN-ACK", wire->name, in.flags);
}

void peer_expect(struct peer *peer, uint32_t flags, uint32_t count)
{
	static struct segment_in in;
	uint32_t saw = 0;

	do {
		if (peer_read(peer, &in, 5000))
			fail_msg("%s: no segment with flags %#x that acknowledges %u bytes",
				 peer->wire->name, flags, count);
		if (in.flags & TH_RST && !(flags & TH_RST))
			fail_msg("%s: a RST in place of an acknowledgement of %u bytes",
				 peer->wire->name, count);
		saw |= in.ack == peer->first + count ? in.flags : 0;
	} while ((saw & flags) != flags || in.ack != peer->first + count);
}

void peer_expect_reset(struct peer *peer, int ms)
{
	static struct segment_in in;

	do {
		if (peer_read(peer, &in, ms))
			fail_msg("%s: no RST within %d ms", peer->wire->name, ms);
	} while (!(in.flags & TH_RST));
}

void peer_expect_nothing(struct peer *peer, int ms)
{
	static struct segment_in in;

	do {
		if (peer_read(peer, &in, ms))
			return;
	} while (in.again); /* on a slow machine, what is acknowledged comes again all the same */
	fail_msg("%s: a segment with flags %#x, acknowledges %d bytes, %u bytes at %d, where none "
		 "is due",
		 peer->wire->name, in.flags, (int)(in.ack - peer->first), in.len,
		 (int)(in.seq - peer->theirs));
}
