// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random packets.
 */
#include <netinet/in.h>

#include "chance.h"
#include "contexts.h"
#include "random_frame.h"

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
		return TH_ACK | TH_FIN;
	case 1:
		return TH_RST;
	case 2:
		return TH_RST | TH_ACK;
	case 3:
		return TH_SYN;
	case 4:
		return TH_SYN | TH_ACK;
	case 5:
		return TH_ACK | TH_URG;
	case 6:
		return chance();
	}
	return one_in(2) ? TH_ACK : TH_ACK | TH_PUSH;
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

int random_frame(struct frame *frame, int out, size_t max)
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
		random_options(&plan, !!(plan.flags & TH_SYN));
	plan.payload = payload;
	plan.payload_len = random_len(context, max - ETH_HLEN - 40 - 10 * 24 - 60 - 64);
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
	if (frame->len > max)
		frame->len = max;
	return clean;
}
