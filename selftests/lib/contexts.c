// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections by hand, on a cable.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>

#include "chance.h"
#include "contexts.h"
#include "netns.h"

#define DEVICE "pp0"

static const char *const server_text[] = {"10.55.0.1", "fd00:55::1"};
static const char *const proxy_text[] = {"10.55.0.2", "fd00:55::2"};
static const char *const other_text[] = {"10.55.0.3", "fd00:55::3"};
static uint8_t server_ip[2][16], proxy_ip[2][16];
static uint8_t server_mac[6], proxy_mac[6];
static int here, there, wire; /* network namespaces; the proxy's end of the cable */
static int listeners[2][2];

struct context contexts[CONTEXTS];
uint8_t other_ip[2][16];
unsigned int device;
long answers;

static void inject(const struct frame *frame)
{
	assert_int_equal(send(wire, frame->bytes, frame->len, 0), (ssize_t)frame->len);
}

void fail_frame(const char *what, const struct frame *in, const struct frame *out, uint32_t verdict)
{
	size_t i;

	for (; in; in = out, out = NULL) {
		fprintf(stderr, "# %s:", out ? "in" : "out");
		for (i = 0; i < in->len && i < 400; i++)
			fprintf(stderr, "%s%02x", i % 4 ? "" : " ", in->bytes[i]);
		fprintf(stderr, " (%zu bytes)\n", in->len);
	}
	fail_msg("%s (verdict %d)", what, (int)verdict);
}

int next_of_server(struct frame *frame, int timeout_ms)
{
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec part = {frame->bytes, sizeof(frame->bytes)};
	struct pollfd in = {.fd = wire, .events = POLLIN};
	struct sockaddr_ll from;
	struct reading reading;
	struct cmsghdr *header;
	ssize_t len;

	for (;;) {
		struct msghdr message = {.msg_name = &from,
					 .msg_namelen = sizeof(from),
					 .msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		int complete = 1;

		if (timeout_ms && poll(&in, 1, timeout_ms) != 1)
			return 0;
		len = recvmsg(wire, &message, MSG_DONTWAIT);
		if (len < 0)
			return 0;
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		frame->len = len;
		read_frame(frame, &reading);
		if (!reading.tcp || (reading.to == 0 && reading.from == 0))
			continue;
		for (header = CMSG_FIRSTHDR(&message); header;
		     header = CMSG_NXTHDR(&message, header)) {
			struct tpacket_auxdata *aux = (void *)CMSG_DATA(header);

			if (header->cmsg_level == SOL_PACKET &&
			    header->cmsg_type == PACKET_AUXDATA &&
			    aux->tp_status & TP_STATUS_CSUMNOTREADY)
				complete = 0;
		}
		if (!reading.sound || (complete && !reading.right))
			fail_frame("a packet on the wire is wrong", frame, NULL, 0);
		answers++;
		return 1;
	}
}

size_t stream_bytes(const struct context *context, uint32_t at, uint8_t *to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = at + i < context->h ? context->header[at + i] : (at + i) * 31 >> 2;
	return len;
}

void plan_for(struct plan *plan, const struct context *context, uint8_t flags)
{
	memset(plan, 0, sizeof(*plan));
	plan->six = context->six;
	plan->source_mac = proxy_mac;
	plan->destination_mac = server_mac;
	plan->source = proxy_ip[context->six];
	plan->destination = server_ip[context->six];
	plan->from = context->from;
	plan->to = context->to;
	plan->flags = flags;
	plan->seq = context->first;
	plan->ack = context->ack;
}

static void send_syn(struct context *context)
{
	static struct frame frame;
	struct plan plan;
	struct reading reading;

	plan_for(&plan, context, TH_SYN);
	plan.seq--;
	plan.ack = 0;
	put32(plan.options, 0x020405b4); /* MSS 1460 */
	put32(plan.options + 4, 0x01010402);
	plan.options_len = 8;
	make_frame(&frame, &plan);
	inject(&frame);
	do {
		if (!next_of_server(&frame, SOON_MS))
			fail_msg("no SYN-ACK");
		read_frame(&frame, &reading);
	} while (reading.to != context->from ||
		 (reading.flags & (TH_SYN | TH_ACK)) != (TH_SYN | TH_ACK));
	assert_int_equal(reading.ack, context->first);
	context->ack = reading.seq + 1;
}

static void send_header(struct context *context)
{
	static struct frame frame;
	static uint8_t bytes[1400];
	struct plan plan;
	size_t sent, now;

	plan_for(&plan, context, TH_ACK | TH_PUSH);
	for (sent = 0; sent < context->h; sent += now) {
		now = context->h - sent < sizeof(bytes) ? context->h - sent : sizeof(bytes);
		stream_bytes(context, sent, bytes, now);
		plan.seq = context->first + sent;
		plan.payload = bytes;
		plan.payload_len = now;
		make_frame(&frame, &plan);
		inject(&frame);
	}
	context->socket = accept_within(listeners[context->six][context->to == TELLS], SOON_MS);
	assert_true(context->socket >= 0);
}

static void make_header(struct context *context)
{
	static const size_t lens[] = {16, 28, 31, 100, 536, 1023, 1024, 1025, 2000, LARGEST};
	static const char *const lines[] = {"PROXY UNKNOWN\r\n", LINE,
					    "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"};
	static const uint8_t local[16] = "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20";
	size_t len = lens[below(10)];
	const char *line = lines[below(3)];

	if (one_in(2)) {
		context->h = strlen(line);
		memcpy(context->header, line, context->h);
	} else if (len == 16) {
		memcpy(context->header, local, sizeof(local));
		context->h = len;
	} else {
		context->h = make_v2(context->header, len);
	}
}

void make_contexts(unsigned int round)
{
	static uint16_t port = 20000;
	int i, j;

	sysctl_set("net/ipv4/tcp_syncookies", round % 4 == 3 ? "2" : "1");
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 2; j++)
			listeners[i][j] = listen_on(server_text[i], j ? TELLS : DROPS);
	}
	for (i = 0; i < CONTEXTS; i++) {
		struct context *context = &contexts[i];

		memset(context, 0, sizeof(*context));
		context->six = i & 1;
		context->to = i & 2 ? TELLS : DROPS;
		context->established = i % 3 != 0;
		context->cookie = round % 4 == 3;
		if (++port == 60000)
			port = 20000;
		context->from = port;
		context->first = one_in(3) ? -below(4000) : chance();
		context->socket = -1;
		make_header(context);
		send_syn(context);
		if (context->established)
			send_header(context);
	}
}

void end_contexts(void)
{
	int i;

	for (i = 0; i < CONTEXTS; i++) {
		if (contexts[i].socket >= 0)
			reset(contexts[i].socket);
	}
	for (i = 0; i < 4; i++)
		close(listeners[i / 2][i % 2]);
}

struct context *context_of(const struct frame *frame, const struct reading *reading, int out)
{
	size_t len = reading->six ? 16 : 4;
	const uint8_t *source = source_of(frame, reading),
		      *destination = destination_of(frame, reading);
	uint16_t proxy_port = out ? reading->to : reading->from,
		 port = out ? reading->from : reading->to;
	int i;

	if (memcmp(out ? destination : source, proxy_ip[reading->six], len) ||
	    memcmp(out ? source : destination, server_ip[reading->six], len))
		return NULL;
	for (i = 0; i < CONTEXTS; i++) {
		if (contexts[i].six == reading->six && contexts[i].from == proxy_port &&
		    contexts[i].to == port)
			return &contexts[i];
	}
	return NULL;
}

static void read_mac(uint8_t *mac)
{
	const char *said =
		run(0, "ip -o link show " DEVICE " | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'");

	assert_int_equal(sscanf(said, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2],
				&mac[3], &mac[4], &mac[5]),
			 6);
}

static int open_wire(void)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1, large = 16 << 20;

	assert_true(fd >= 0);
	address.sll_ifindex = if_nametoindex(DEVICE);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void contexts_setup(void)
{
	int i;

	net_setup(NULL);
	for (i = 0; i < 2; i++) {
		inet_pton(i ? AF_INET6 : AF_INET, server_text[i], server_ip[i]);
		inet_pton(i ? AF_INET6 : AF_INET, proxy_text[i], proxy_ip[i]);
		inet_pton(i ? AF_INET6 : AF_INET, other_text[i], other_ip[i]);
	}
	here = netns_here();
	there = netns_make();
	netns_enter(there);
	sysctl_set("net/ipv6/conf/default/disable_ipv6", "1");
	netns_enter(here);
	run(0,
	    "ip link add " DEVICE
	    " type veth peer name peer && ip link set peer netns /proc/%d/fd/%d",
	    getpid(), there);
	netns_enter(there);
	run(0, "ip link set peer name " DEVICE " && ip link set " DEVICE " up");
	read_mac(proxy_mac);
	wire = open_wire();
	netns_enter(here);
	run(0,
	    "ip addr add %s/24 dev " DEVICE " && ip -6 addr add %s/64 dev " DEVICE " nodad && "
	    "ip link set " DEVICE " up",
	    server_text[0], server_text[1]);
	for (i = 0; i < 2; i++)
		run(0, "ip neigh add %s lladdr %02x:%02x:%02x:%02x:%02x:%02x dev " DEVICE,
		    proxy_text[i], proxy_mac[0], proxy_mac[1], proxy_mac[2], proxy_mac[3],
		    proxy_mac[4], proxy_mac[5]);
	read_mac(server_mac);
	device = if_nametoindex(DEVICE);
	run(0, "build/bin/ppctl proxy add %s && build/bin/ppctl proxy add %s", proxy_text[0],
	    proxy_text[1]);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000 --on-bad drop", DROPS);
	run(0, "build/bin/ppctl port add %d --split yes --gate 30000", TELLS);
}
