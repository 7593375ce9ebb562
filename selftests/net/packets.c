// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random packets through pp_in and pp_out, by BPF_PROG_TEST_RUN: right ones and wrong ones, around
 * handshakes and connections that exist. What comes out is compared with what went in by a reading
 * of packets that shares no code with the programs:
 *
 *   - a packet that was right is right, a wrong one is not made right;
 *   - sequence numbers, acknowledgements and SACK edges of a split connection are moved by the
 * length of its header, and nothing else of the packet is changed;
 *   - payload that stays is the end of the payload that came;
 *   - the packets that pp_in sends itself are right.
 *
 * PACKETS says how many (100,000), PACKETS_SEED where the random numbers begin. A test run's packet
 * has CHECKSUM_NONE and no VLAN tag beside it: struct __sk_buff, which it can be given, has no
 * field for ip_summed, and a vlan_tci in it is refused (EINVAL).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#include <bpf/bpf.h>

#include "../lib/net.h"
#include "../lib/netns.h"

#define DROPS	   2560 /* split */
#define TELLS	   2561 /* split, on-bad tell */
#define DEVICE	   "pp0"
#define FRAME_MAX  (ETH_HLEN + 65535)
#define LARGEST	   3000 /* bytes of a header */
#define ROUND	   20000
#define CONTEXTS   24
#define PROGS	   "/sys/fs/bpf/pp/progs/"
#define MAPS	   "/sys/fs/bpf/pp/maps/"
#define TC_NEXT	   0xffffffffU
#define TC_PASS	   0
#define TC_DROP	   2
#define FIN	   0x01
#define SYN	   0x02
#define RST	   0x04
#define PSH	   0x08
#define ACK	   0x10
#define URG	   0x20
#define EXTENSIONS 7

static const char *const server_text[] = {"10.55.0.1", "fd00:55::1"};
static const char *const proxy_text[] = {"10.55.0.2", "fd00:55::2"};
static const char *const other_text[] = {"10.55.0.3", "fd00:55::3"};
static uint8_t server_ip[2][16], proxy_ip[2][16], other_ip[2][16];
static uint8_t server_mac[6], proxy_mac[6];

static int here, there, wire; /* network namespaces; the proxy's end of the cable */
static unsigned int device;
static int prog_in, prog_out, flows;
static size_t frame_max; /* that this kernel runs */

/* A handshake that waits for its header, or a connection behind one. */
struct context {
	int six, established;
	int cookie; /* by a SYN cookie, where the kernel itself is not sure of the first number */
	uint16_t from, to;
	uint32_t first, ack; /* of the stream's first byte; what acknowledges the SYN-ACK */
	uint8_t header[LARGEST];
	size_t h;
	int socket;
};

static struct context contexts[CONTEXTS];
static int listeners[2][2];

static uint64_t state_of_chance = 4711;

static uint32_t chance(void)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return state_of_chance >> 16;
}

static uint32_t below(uint32_t limit)
{
	return chance() % limit;
}

static int one_in(uint32_t n)
{
	return below(n) == 0;
}

/* Numbers of the frame, big-endian. */
static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t sum(const uint8_t *at, size_t len, uint32_t start)
{
	uint64_t total = start;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		total += get16(at + i);
	if (len & 1)
		total += at[len - 1] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

/* ---- what a frame says ---- */

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
};

struct reading {
	int tcp;   /* there is a TCP header of at least 20 bytes, of a packet that is no fragment */
	int sound; /* and all lengths are right, and the IPv4 header's checksum */
	int six;
	size_t ip, tcp_at, payload, end; /* offsets */
	size_t payload_len;
	uint16_t from, to;
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t residue; /* of the TCP checksum, 0xffff: right */
	int right;
	int extensions; /* IPv6 headers before TCP's: after more than EXTENSIONS it is not looked
			   for */
};

static int read_ip4(const struct frame *frame, struct reading *reading)
{
	const uint8_t *ip = frame->bytes + ETH_HLEN;
	size_t len, total;

	if (frame->len < ETH_HLEN + 20 || ip[9] != IPPROTO_TCP || get16(ip + 6) & 0x3fff)
		return 0;
	len = (ip[0] & 15) * 4;
	total = get16(ip + 2);
	reading->tcp_at = ETH_HLEN + len;
	reading->end = ETH_HLEN + total;
	reading->sound = ip[0] >> 4 == 4 && len >= 20 && total >= len + 20 &&
			 reading->end <= frame->len && sum(ip, len, 0) == 0xffff;
	return 1;
}

static int read_ip6(const struct frame *frame, struct reading *reading)
{
	const uint8_t *ip = frame->bytes + ETH_HLEN;
	size_t at = ETH_HLEN + 40;
	uint8_t next;
	int i;

	if (frame->len < at)
		return 0;
	reading->end = at + get16(ip + 4);
	next = ip[6];
	for (i = 0; next != IPPROTO_TCP; i++) {
		if (at + 8 > frame->len)
			return 0;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			next = frame->bytes[at];
			at += (frame->bytes[at + 1] + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (get16(frame->bytes + at + 2) & 0xfff9)
				return 0;
			next = frame->bytes[at];
			at += 8;
			break;
		default:
			return 0;
		}
	}
	reading->tcp_at = at;
	reading->extensions = i;
	reading->sound = ip[0] >> 4 == 6 && reading->end <= frame->len && at + 20 <= reading->end;
	return 1;
}

static void read_frame(const struct frame *frame, struct reading *reading)
{
	const uint8_t *tcp, *ip = frame->bytes + ETH_HLEN;
	uint16_t type = get16(frame->bytes + 12);
	size_t len;
	uint32_t pseudo;
	int found = 0;

	memset(reading, 0, sizeof(*reading));
	reading->ip = ETH_HLEN;
	reading->six = type == ETHERTYPE_IPV6;
	if (type == ETHERTYPE_IP)
		found = read_ip4(frame, reading);
	else if (type == ETHERTYPE_IPV6)
		found = read_ip6(frame, reading);
	if (!found || reading->tcp_at + 20 > frame->len)
		return;
	reading->tcp = 1;
	tcp = frame->bytes + reading->tcp_at;
	reading->from = get16(tcp);
	reading->to = get16(tcp + 2);
	reading->seq = get32(tcp + 4);
	reading->ack = get32(tcp + 8);
	reading->flags = tcp[13];
	len = (tcp[12] >> 4) * 4;
	reading->payload = reading->tcp_at + len;
	if (len < 20 || reading->payload > reading->end)
		reading->sound = 0;
	if (!reading->sound)
		return;
	reading->payload_len = reading->end - reading->payload;
	pseudo = reading->six ? sum(ip + 8, 32, IPPROTO_TCP) : sum(ip + 12, 8, IPPROTO_TCP);
	len = reading->end - reading->tcp_at;
	reading->residue = sum(tcp, len, pseudo + (len >> 16) + (len & 0xffff));
	reading->right = reading->residue == 0xffff;
}

static const uint8_t *source_of(const struct frame *frame, const struct reading *reading)
{
	return frame->bytes + (reading->six ? 22 : 26);
}

static const uint8_t *destination_of(const struct frame *frame, const struct reading *reading)
{
	return frame->bytes + (reading->six ? 38 : 30);
}

/* ---- frames that are made ---- */

struct plan {
	int six;
	const uint8_t *source, *destination;
	uint16_t from, to;
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t options[40];
	size_t options_len;
	const uint8_t *payload;
	size_t payload_len;
	int extras; /* IPv4 options and IPv6 extension headers, too */
};

/* Computes the checksums of what is there, if it can be read. */
static void set_sums(struct frame *frame)
{
	uint8_t *ip = frame->bytes + ETH_HLEN;
	struct reading reading;

	if (get16(frame->bytes + 12) == ETHERTYPE_IP &&
	    frame->len >= ETH_HLEN + (ip[0] & 15) * 4U) {
		put16(ip + 10, 0);
		put16(ip + 10, ~sum(ip, (ip[0] & 15) * 4, 0));
	}
	read_frame(frame, &reading);
	if (!reading.sound)
		return;
	put16(frame->bytes + reading.tcp_at + 16, 0);
	read_frame(frame, &reading);
	put16(frame->bytes + reading.tcp_at + 16, ~reading.residue);
}

static size_t make_ip4(uint8_t *ip, const struct plan *plan, size_t tcp_len)
{
	size_t options = plan->extras && one_in(4) ? 4 * (1 + below(10)) : 0;

	memset(ip, 0, 20);
	ip[0] = 0x40 | (20 + options) / 4;
	ip[1] = one_in(8) ? chance() : 0;
	put16(ip + 2, 20 + options + tcp_len);
	put16(ip + 4, chance());
	if (one_in(2))
		ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, plan->source, 4);
	memcpy(ip + 16, plan->destination, 4);
	memset(ip + 20, 1, options);
	return 20 + options;
}

static size_t make_ip6(uint8_t *ip, const struct plan *plan, size_t tcp_len)
{
	static const uint8_t kinds[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS,
					IPPROTO_FRAGMENT};
	int count = plan->extras && one_in(4) ? 1 + below(10) : 0, i;
	uint8_t *next = ip + 6, *at = ip + 40;

	memset(ip, 0, 40);
	ip[0] = 0x60;
	ip[7] = 64;
	memcpy(ip + 8, plan->source, 16);
	memcpy(ip + 24, plan->destination, 16);
	for (i = 0; i < count; i++) {
		size_t len = 8 * (1 + (one_in(6) ? below(3) : 0));

		*next = kinds[below(4)];
		memset(at, 0, len);
		if (*next == IPPROTO_FRAGMENT) {
			len = 8;
			if (one_in(8))
				put16(at + 2, chance());
		} else {
			at[1] = len / 8 - 1;
			at[2] = 1; /* PadN */
			at[3] = len - 4;
		}
		next = at;
		at += len;
	}
	*next = IPPROTO_TCP;
	put16(ip + 4, at - ip - 40 + tcp_len);
	return at - ip;
}

static void make_frame(struct frame *frame, const struct plan *plan)
{
	size_t tcp_len = 20 + plan->options_len + plan->payload_len, len;
	uint8_t *ip = frame->bytes + ETH_HLEN, *tcp;

	memcpy(frame->bytes, server_mac, 6);
	memcpy(frame->bytes + 6, proxy_mac, 6);
	put16(frame->bytes + 12, plan->six ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	len = plan->six ? make_ip6(ip, plan, tcp_len) : make_ip4(ip, plan, tcp_len);
	tcp = ip + len;
	memset(tcp, 0, 20);
	put16(tcp, plan->from);
	put16(tcp + 2, plan->to);
	put32(tcp + 4, plan->seq);
	put32(tcp + 8, plan->ack);
	tcp[12] = (20 + plan->options_len) / 4 << 4;
	tcp[13] = plan->flags;
	put16(tcp + 14, 502);
	if (plan->flags & URG)
		put16(tcp + 18, below(100));
	memcpy(tcp + 20, plan->options, plan->options_len);
	memcpy(tcp + 20 + plan->options_len, plan->payload, plan->payload_len);
	frame->len = ETH_HLEN + len + tcp_len;
	set_sums(frame);
}

/* ---- connections that exist ---- */

static void inject(const struct frame *frame)
{
	assert_int_equal(send(wire, frame->bytes, frame->len, 0), (ssize_t)frame->len);
}

static long answers; /* packets of the server's on the wire that were checked */

static void fail_frame(const char *what, const struct frame *in, const struct frame *out,
		       uint32_t verdict)
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

/* The next frame on the wire that the server sent. Return: 1; 0 when there is none within
 * @timeout_ms. */
static int next_of_server(struct frame *frame, int timeout_ms)
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

static size_t stream_bytes(const struct context *context, uint32_t at, uint8_t *to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = at + i < context->h ? context->header[at + i] : (at + i) * 31 >> 2;
	return len;
}

static void plan_for(struct plan *plan, const struct context *context, uint8_t flags)
{
	memset(plan, 0, sizeof(*plan));
	plan->six = context->six;
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

	plan_for(&plan, context, SYN);
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
	} while (reading.to != context->from || (reading.flags & (SYN | ACK)) != (SYN | ACK));
	assert_int_equal(reading.ack, context->first);
	context->ack = reading.seq + 1;
}

static void send_header(struct context *context)
{
	static struct frame frame;
	static uint8_t bytes[1400];
	struct plan plan;
	size_t sent, now;

	plan_for(&plan, context, ACK | PSH);
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

static void make_contexts(unsigned int round)
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

static void end_contexts(void)
{
	int i;

	for (i = 0; i < CONTEXTS; i++) {
		if (contexts[i].socket >= 0)
			reset(contexts[i].socket);
	}
	for (i = 0; i < 4; i++)
		close(listeners[i / 2][i % 2]);
}

/* ---- running ---- */

static uint32_t run_program(int program, const struct frame *in, struct frame *out)
{
	struct __sk_buff context = {.ifindex = device};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = out->bytes, .data_size_out = sizeof(out->bytes), .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = 1);
	int result = bpf_prog_test_run_opts(program, &opts);

	if (result)
		fail_msg("BPF_PROG_TEST_RUN, %zu bytes: %s", in->len, strerror(-result));
	out->len = opts.data_size_out;
	return opts.retval;
}

static int forgotten; /* pp_flows was emptied, and nothing ran since */

static void forget_flows(void)
{
	uint8_t key[256];

	while (!bpf_map_get_next_key(flows, NULL, key))
		bpf_map_delete_elem(flows, key);
	forgotten = 1;
}

static struct context *context_of(const struct frame *frame, const struct reading *reading, int out)
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

static long passed, dropped, left_alone, translated, cut_out, turned, syns, syns_again,
	acknowledged;

/* Does @out differ from @in in nothing but the bytes of @number, and the checksum that this
 * changes? */
static int same_but(const struct frame *in, const struct frame *out, size_t tcp_at, size_t from,
		    size_t to)
{
	size_t i;

	if (in->len != out->len)
		return 0;
	for (i = 0; i < in->len; i++) {
		if (in->bytes[i] != out->bytes[i] && !(i >= from && i < to) &&
		    !(i >= tcp_at + 16 && i < tcp_at + 18))
			return 0;
	}
	return 1;
}

static int same_sums(const struct reading *one, const struct reading *other)
{
	return one->residue % 0xffff == other->residue % 0xffff;
}

/* The rule of all: checksums tell the truth as before. */
static const char *check_right(const struct reading *in, const struct reading *out)
{
	if (in->right && !out->right)
		return "a right packet has come out wrong";
	if (!in->right && out->right)
		return "a wrong packet has come out right";
	return NULL;
}

static const char *check_payload(const struct frame *in, const struct reading *was,
				 const struct frame *out, const struct reading *is)
{
	if (!was->sound)
		return NULL;
	if (is->payload_len > was->payload_len ||
	    memcmp(out->bytes + is->end - is->payload_len, in->bytes + was->end - is->payload_len,
		   is->payload_len))
		return "what came out is not the end of the payload that went in";
	return NULL;
}

static const char *check_translated(const struct frame *in, const struct reading *was,
				    const struct frame *out, const struct reading *is, uint32_t by)
{
	if (!same_but(in, out, was->tcp_at, was->tcp_at + 4, was->tcp_at + 8))
		return "more than the sequence number is changed";
	if (was->seq - is->seq != by)
		return "the sequence number is not what it should be";
	if (was->sound && !same_sums(was, is))
		return "the checksum is not corrected";
	translated++;
	return NULL;
}

/* NOPs in the place of two options, and payload gone. */
static const char *check_syn(const struct frame *in, const struct reading *was,
			     const struct frame *out, const struct reading *is)
{
	const uint8_t *one = in->bytes + was->tcp_at, *other = out->bytes + is->tcp_at;
	size_t len = was->payload - was->tcp_at, at, i;

	if (!was->sound)
		return NULL;
	if (is->payload_len || is->payload - is->tcp_at != len)
		return "a SYN keeps its data";
	for (i = 0; i < len; i++) {
		if (one[i] == other[i] || (i >= 20 && other[i] == 1) || i == 16 || i == 17)
			continue;
		if (was->payload_len && (i == 13 || i == 18 || i == 19)) /* URG, its pointer */
			continue;
		return "a SYN is changed";
	}
	for (at = 20; at < len && other[at]; at += other[at] == 1 ? 1 : other[at + 1]) {
		if (other[at] == 1)
			continue;
		if (at + 1 >= len || other[at + 1] < 2 || at + other[at + 1] > len)
			break;
		if (other[at] == 30 || other[at] == 34)
			return "a SYN keeps Fast Open or Multipath TCP";
	}
	syns++;
	return NULL;
}

static const char *check_stage(const struct context *context, const struct frame *in,
			       const struct reading *was, const struct frame *out,
			       const struct reading *is, int clean)
{
	uint32_t back = was->seq - is->seq;

	if (!memcmp(in->bytes, out->bytes, in->len < out->len ? in->len : out->len) &&
	    in->len == out->len)
		return NULL; /* on-bad tell */
	if (same_but(in, out, was->tcp_at, was->tcp_at + 4, was->tcp_at + 8)) {
		if (back > 16384)
			return "the sequence number is moved by more than a header";
		return check_translated(in, was, out, is, back);
	}
	if (is->seq - context->first + (context->cookie ? 8 : 0) > (context->cookie ? 16 : 0))
		return "the stream does not begin where it should";
	if (!was->right)
		return "a wrong packet was believed";
	if (is->payload_len) {
		cut_out++;
		if (clean && was->seq + was->payload_len - context->h != is->seq + is->payload_len)
			return "another length than the header's is cut";
	} else {
		turned++;
		if (is->ack != was->ack)
			return "a packet without payload has another acknowledgement";
	}
	return NULL;
}

/* @clean: the payload is what stands in the stream at this place, and pp_in has seen no other. */
static void check_in(const struct frame *in, const struct frame *out, uint32_t verdict, int clean)
{
	int same = in->len == out->len && !memcmp(in->bytes, out->bytes, in->len);
	struct context *context;
	const char *wrong = NULL;
	struct reading was, is;

	read_frame(in, &was);
	context = was.tcp ? context_of(in, &was, 0) : NULL;
	switch (verdict) {
	case TC_DROP:
		dropped++;
		if (clean && was.right && context && !(was.flags & (SYN | RST | FIN)) &&
		    was.flags & ACK && was.ack == context->ack && was.seq == context->first &&
		    was.payload_len >= context->h && was.payload - was.ip < 120)
			fail_frame("a whole header is dropped", in, out, verdict);
		if (context && context->established && was.right && !(was.flags & SYN))
			fail_frame("a packet of a connection is dropped", in, out, verdict);
		return;
	case TC_NEXT:
		left_alone++;
		if (!same)
			fail_frame("a packet that is left alone is changed", in, out, verdict);
		if (context && context->established && was.right && !(was.flags & SYN) &&
		    was.extensions <= EXTENSIONS)
			fail_frame("a packet of a connection is left alone", in, out, verdict);
		return;
	case TC_PASS:
		passed++;
		break;
	default:
		fail_frame("no verdict of tc's", in, out, verdict);
	}
	read_frame(out, &is);
	wrong = check_right(&was, &is);
	if (!wrong && !same && (!was.tcp || !is.tcp))
		wrong = "what is no TCP is changed";
	if (!wrong && !same &&
	    (was.from != is.from || was.to != is.to || was.six != is.six ||
	     memcmp(source_of(in, &was), source_of(out, &is), was.six ? 32 : 8)))
		wrong = "another connection's";
	if (!wrong && !same)
		wrong = check_payload(in, &was, out, &is);
	/* the connection's own, once more: where pp_flows knows it, it is translated */
	if (!wrong && context && context->established && was.flags & SYN &&
	    was.seq + 1 == context->first && is.seq == was.seq - context->h) {
		wrong = check_translated(in, &was, out, &is, context->h);
		syns_again++;
	} else if (!wrong && was.flags & SYN)
		wrong = same && was.payload_len && was.right ? "a SYN keeps its data"
			: same				     ? NULL
							     : check_syn(in, &was, out, &is);
	else if (!wrong && context && context->established) {
		if (!same || was.right)
			wrong = check_translated(in, &was, out, &is, context->h);
	} else if (!wrong && context)
		wrong = check_stage(context, in, &was, out, &is, clean);
	else if (!wrong && !same)
		wrong = "a packet of no connection is changed";
	if (wrong && context)
		fprintf(stderr, "# first %x, header of %zu, %s%s\n", context->first, context->h,
			context->established ? "established" : "request",
			context->cookie ? " by a cookie" : "");
	if (wrong)
		fail_frame(wrong, in, out, verdict);
}

/* SACK edges move by @by. Return: 0, or -1: the options are not well formed, or their SACK blocks.
 */
static int move_edges(uint8_t *tcp, uint32_t by)
{
	size_t len = (tcp[12] >> 4) * 4, at, i;

	for (at = 20; at < len && tcp[at]; at += tcp[at + 1]) {
		if (tcp[at] == 1) {
			at++;
			if (at >= len || !tcp[at])
				return 0;
			at--;
			while (at < len && tcp[at] == 1)
				at++;
			if (at >= len || !tcp[at])
				return 0;
		}
		if (at + 1 >= len || tcp[at + 1] < 2 || at + tcp[at + 1] > len)
			return -1;
		if (tcp[at] != 5)
			continue;
		if ((tcp[at + 1] - 2) % 8)
			return -1;
		for (i = 2; i < tcp[at + 1]; i += 4)
			put32(tcp + at + i, get32(tcp + at + i) + by);
	}
	return 0;
}

static void check_out(const struct frame *in, const struct frame *out, uint32_t verdict)
{
	static struct frame expected;
	struct context *context;
	const char *wrong = NULL;
	struct reading was, is;
	int formed, same = in->len == out->len && !memcmp(in->bytes, out->bytes, in->len);

	read_frame(in, &was);
	read_frame(out, &is);
	context = was.tcp ? context_of(in, &was, 1) : NULL;
	if (verdict != TC_PASS && verdict != TC_NEXT && was.right)
		fail_frame("a packet of the server's is dropped", in, out, verdict);
	if (verdict == TC_DROP)
		return;
	if (!context || !context->established || !(was.flags & ACK) || was.flags & SYN ||
	    was.extensions > EXTENSIONS) {
		if (!same)
			fail_frame("a packet that is not to be translated is changed", in, out,
				   verdict);
		return;
	}
	if (!same || was.right) {
		memcpy(expected.bytes, in->bytes, in->len);
		expected.len = in->len;
		put32(expected.bytes + was.tcp_at + 8, was.ack + context->h);
		formed = was.sound ? move_edges(expected.bytes + was.tcp_at, context->h) : -1;
		wrong = check_right(&was, &is);
		if (!wrong && was.sound && !same_sums(&was, &is))
			wrong = "the checksum is not corrected";
		if (!wrong && is.ack - was.ack != context->h)
			wrong = "the acknowledgement is not what it should be";
		if (!wrong && !formed && !same_but(&expected, out, was.tcp_at, 0, 0))
			wrong = "SACK blocks are not what they should be";
		if (!wrong &&
		    !same_but(in, out, was.tcp_at, was.tcp_at + 8,
			      was.payload > was.tcp_at + 20 ? was.payload : was.tcp_at + 20))
			wrong = "more than the acknowledgement and options are changed";
	}
	if (wrong)
		fail_frame(wrong, in, out, verdict);
	acknowledged++;
}

/* ---- chance ---- */

static void random_options(struct plan *plan, int syn)
{
	uint8_t *at = plan->options;
	size_t i, blocks;

	memset(plan->options, 1, sizeof(plan->options));
	while (at < plan->options + 40 && !one_in(4)) {
		size_t left = plan->options + 40 - at;

		switch (below(syn ? 12 : 7)) {
		case 0:
		case 1: /* timestamps, as everybody sends them */
			if (left < 12)
				break;
			memcpy(at, "\1\1\x08\x0a", 4);
			put32(at + 4, chance());
			put32(at + 8, chance());
			at += 12;
			break;
		case 2:
		case 3: /* SACK */
			blocks = 1 + below(4);
			if (left < 4 + 8 * blocks)
				break;
			at += 2 * !one_in(8);
			at[0] = 5;
			at[1] = 2 + 8 * blocks + (one_in(30) ? chance() : 0);
			for (i = 0; i < 8 * blocks; i += 4)
				put32(at + 2 + i, plan->ack + below(100000));
			at += 2 + 8 * blocks;
			break;
		case 4:
			at++; /* NOP */
			break;
		case 5:
			if (one_in(8))
				*at = 0;
			break;
		case 6: /* some other, or nonsense */
			at[0] = one_in(4) ? chance() : 19 + below(30);
			if (left > 1)
				at[1] = one_in(8) ? chance() : 2 + below(left - 1);
			at += left > 1 && at[1] > 1 && at[1] <= left ? at[1] : 1;
			break;
		case 7:
			if (left < 4)
				break;
			put32(at, 0x020405b4);
			at += 4;
			break;
		case 8: /* MP_CAPABLE */
			if (left < 4)
				break;
			put32(at, 0x1e040181);
			at += 4;
			break;
		case 9: /* Fast Open */
			if (left < 10)
				break;
			at[0] = 34;
			at[1] = one_in(2) ? 2 : 10;
			at += at[1];
			break;
		case 10: /* as it was before */
			if (left < 12)
				break;
			memcpy(at, "\xfe\x0c\xf9\x89", 4);
			at += 12;
			break;
		case 11:
			if (left < 2)
				break;
			memcpy(at, "\4\2", 2);
			at += 2;
			break;
		}
	}
	plan->options_len = ((size_t)(at - plan->options) + 3) / 4 * 4;
	if (plan->options_len > 40)
		plan->options_len = 40;
}

static uint32_t random_seq(const struct context *context)
{
	switch (below(10)) {
	case 0:
	case 1:
	case 2:
		return context->first;
	case 3:
		return context->first + below(context->h + 1);
	case 4:
		return context->first + context->h;
	case 5:
		return context->first + context->h + below(100000);
	case 6:
		return context->first - below(3000);
	case 7:
		return context->first + below(4) - 2;
	case 8:
		return context->first + (1U << 31) + below(3) - 1;
	}
	return chance();
}

static size_t random_len(const struct context *context, size_t room)
{
	size_t len;

	switch (below(8)) {
	case 0:
		len = 0;
		break;
	case 1:
		len = below(20);
		break;
	case 2:
		len = context->h;
		break;
	case 3:
		len = context->h + 1 + below(50);
		break;
	case 4:
		len = below(context->h + 1);
		break;
	case 5:
		len = 1460;
		break;
	case 6:
		len = room;
		break;
	default:
		len = below(3000);
	}
	return len > room ? room : len;
}

static uint8_t random_flags(void)
{
	switch (below(16)) {
	case 0:
		return ACK | FIN;
	case 1:
		return RST;
	case 2:
		return RST | ACK;
	case 3:
		return SYN;
	case 4:
		return SYN | ACK;
	case 5:
		return ACK | URG;
	case 6:
		return chance();
	}
	return one_in(2) ? ACK : ACK | PSH;
}

/* Something is not as it should be. Return: 1 when the payload may be another. */
static int damage(struct frame *frame)
{
	size_t headers = frame->len < 120 ? frame->len : 120, at, i;
	uint8_t *ip = frame->bytes + ETH_HLEN;
	struct reading reading;
	int fix = one_in(2);

	read_frame(frame, &reading);
	at = reading.tcp ? reading.tcp_at : ETH_HLEN + 20;
	switch (below(12)) {
	case 0: /* TCP checksum: wrong */
		frame->bytes[at + 16 + below(2)] += 1 + below(255);
		return 0;
	case 1: /* partial: the pseudo header alone */
		put16(frame->bytes + at + 16, sum(ip + (reading.six ? 8 : 12), reading.six ? 32 : 8,
						  IPPROTO_TCP + frame->len - at));
		return 0;
	case 2:
		put16(frame->bytes + at + 16, one_in(2) ? 0 : 0xffff);
		return 0;
	case 3: /* IPv4's */
		if (!reading.six)
			ip[10 + below(2)] += 1 + below(255);
		return 0;
	case 4: /* lengths */
		put16(ip + (reading.six ? 4 : 2), one_in(2) ? chance() : below(frame->len + 40));
		break;
	case 5:
		if (!reading.six)
			ip[0] = 0x40 | below(16);
		break;
	case 6:
		frame->bytes[at + 12] = below(16) << 4;
		break;
	case 7: /* fragments */
		if (!reading.six)
			put16(ip + 6, one_in(2) ? 0x2000 : chance());
		break;
	case 8:
		/* not shorter than an IP header, which a test run refuses from 6.18 on (EINVAL) */
		frame->len = ETH_HLEN + 40 + below(frame->len - ETH_HLEN - 39);
		fix = fix && frame->len > ETH_HLEN + 60;
		break;
	case 9:
		ip[0] = (ip[0] & 15) | below(16) << 4;
		break;
	case 10: /* in headers */
		for (i = 1 + below(3); i; i--)
			frame->bytes[12 + below(headers - 12)] = chance();
		break;
	case 11: /* anywhere */
		for (i = 1 + below(3); i; i--)
			frame->bytes[12 + below(frame->len - 12)] ^= 1 << below(8);
		break;
	}
	if (fix && frame->len > ETH_HLEN + 60)
		set_sums(frame);
	return 1;
}

/* A frame of nobody's, or of one of the contexts'. Return: is it clean? see check_in(). */
static int random_frame(struct frame *frame, int out)
{
	static uint8_t payload[65536];
	const struct context *context = &contexts[below(CONTEXTS)];
	int clean = 1, other;
	struct plan plan;
	size_t pad;

	plan_for(&plan, context, random_flags());
	plan.seq = random_seq(context);
	if (one_in(4))
		plan.ack = one_in(2) ? plan.ack + below(5) - 2 : chance();
	other = below(24);
	if (other == 0)
		plan.source = other_ip[context->six];
	if (other == 1)
		plan.from = 1000 + below(1000);
	if (other == 2)
		plan.to = one_in(2) ? UNSERVED : chance();
	if (out) {
		const uint8_t *address = plan.source;
		uint16_t port = plan.from;

		plan.source = plan.destination;
		plan.destination = address;
		plan.from = plan.to;
		plan.to = port;
		plan.seq = context->ack + below(100000);
		plan.ack = random_seq(context) - (one_in(2) ? context->h : 0);
	}
	plan.extras = one_in(4);
	if (!one_in(3))
		random_options(&plan, !!(plan.flags & SYN));
	plan.payload = payload;
	plan.payload_len = random_len(context, frame_max - ETH_HLEN - 40 - 10 * 24 - 60 - 64);
	stream_bytes(context, plan.seq - context->first, payload, plan.payload_len);
	if (!out && one_in(6) && plan.payload_len) { /* another header */
		payload[below(plan.payload_len < context->h ? plan.payload_len : context->h)] =
			chance();
		clean = 0;
	}
	make_frame(frame, &plan);
	if (one_in(10)) {
		for (pad = 1 + below(46); pad; pad--)
			frame->bytes[frame->len++] = one_in(2) ? 0 : chance();
	}
	if (one_in(3) && damage(frame))
		clean = 0;
	if (one_in(40)) { /* a VLAN's tag, in its place */
		memmove(frame->bytes + 16, frame->bytes + 12, frame->len - 12);
		put16(frame->bytes + 12, one_in(2) ? ETHERTYPE_VLAN : 0x88a8);
		put16(frame->bytes + 14, below(4095));
		frame->len += 4;
		clean = 0;
	}
	if (frame->len > frame_max)
		frame->len = frame_max;
	return clean;
}

/* So that pp_out, whose packets have no socket in a test run, knows the connection of @frame. */
static void remember(const struct frame *frame)
{
	static struct frame in, out;
	struct context *context;
	struct reading reading;
	struct plan plan;

	read_frame(frame, &reading);
	context = reading.tcp ? context_of(frame, &reading, 1) : NULL;
	if (!context || !context->established)
		return;
	plan_for(&plan, context, ACK);
	plan.seq += context->h;
	make_frame(&in, &plan);
	check_in(&in, &out, run_program(prog_in, &in, &out), 0);
	forgotten = 0;
}

static void run_round(unsigned int round, long count)
{
	static struct frame in, out, answer;
	uint32_t verdict;
	int clean = 0;
	long i;

	make_contexts(round);
	for (i = 0; i < count; i++) {
		if (one_in(8))
			forget_flows();
		if (one_in(3)) {
			random_frame(&in, 1);
			remember(&in);
			check_out(&in, &out, run_program(prog_out, &in, &out));
		} else {
			clean = random_frame(&in, 0) && forgotten;
			verdict = run_program(prog_in, &in, &out);
			check_in(&in, &out, verdict, clean);
			forgotten = 0;
		}
		while (i % 8 == 0 && next_of_server(&answer, 0))
			;
	}
	end_contexts();
}

/* ---- set-up ---- */

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

/* The largest frame that a test run takes: a page less its bookkeeping, or more on newer kernels.
 */
static size_t largest_frame(void)
{
	static struct frame in, out;
	size_t low = 60, high = FRAME_MAX, middle;
	struct __sk_buff context = {.ifindex = device};

	while (low < high) {
		middle = (low + high + 1) / 2;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .data_size_in = middle,
			    .data_out = out.bytes, .data_size_out = sizeof(out.bytes),
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
		if (bpf_prog_test_run_opts(prog_out, &opts))
			high = middle - 1;
		else
			low = middle;
	}
	return low;
}

/* The program of this network namespace. */
static int program_of_here(const char *name)
{
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned long long cookie = 0;
	socklen_t len = sizeof(cookie);
	char path[128];

	assert_int_equal(getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), 0);
	close(any);
	snprintf(path, sizeof(path), PROGS "%s_%llu", name, cookie);
	return bpf_obj_get(path);
}

static int setup(void **state)
{
	int i;

	net_setup(state);
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
	prog_in = program_of_here("pp_in");
	prog_out = program_of_here("pp_out");
	flows = bpf_obj_get(MAPS "pp_flows");
	assert_true(prog_in >= 0 && prog_out >= 0 && flows >= 0);
	frame_max = largest_frame();
	return 0;
}

static void random_packets_come_out_as_true_as_they_went_in(void **state)
{
	const char *wanted = getenv("PACKETS"), *seed = getenv("PACKETS_SEED");
	long count = wanted ? atol(wanted) : getenv("CHECK_SHARE") ? 30000 : 100000, done, now;
	double begun = now_ms() / 1e3;
	unsigned int round = 0;

	(void)state;
	if (seed && atol(seed))
		state_of_chance = atol(seed);
	for (done = 0; done < count; done += now) {
		now = count - done < ROUND ? count - done : ROUND;
		run_round(round++, now);
	}
	print_message("%ld packets of up to %zu bytes in %.1f s: in %ld passed (%ld translated, "
		      "%ld cut, %ld "
		      "without payload, %ld SYNs, %ld of them again), %ld dropped, %ld left alone; "
		      "out %ld "
		      "translated; %ld on the "
		      "wire\n",
		      done, frame_max, now_ms() / 1e3 - begun, passed, translated, cut_out, turned,
		      syns + syns_again, syns_again, dropped, left_alone, acknowledged, answers);
	assert_true(translated > 0 && syns_again > 0 && cut_out > 0 && turned > 0 && syns > 0 &&
		    acknowledged > 0 && answers > 0 && dropped > 0 && left_alone > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packets_come_out_as_true_as_they_went_in),
	};

	return cmocka_run_group_tests_name("packets", tests, setup, NULL);
}
