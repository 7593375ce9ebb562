// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames, read and made.
 */
#include <netinet/in.h>
#include <string.h>

#include "chance.h"
#include "frame.h"

uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

uint32_t sum(const void *bytes, size_t len, uint32_t start)
{
	const uint8_t *at = bytes;
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

void read_frame(const struct frame *frame, struct reading *reading)
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

const uint8_t *source_of(const struct frame *frame, const struct reading *reading)
{
	return frame->bytes + (reading->six ? 22 : 26);
}

const uint8_t *destination_of(const struct frame *frame, const struct reading *reading)
{
	return frame->bytes + (reading->six ? 38 : 30);
}

void set_sums(struct frame *frame)
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

void make_frame(struct frame *frame, const struct plan *plan)
{
	size_t tcp_len = 20 + plan->options_len + plan->payload_len, len;
	uint8_t *ip = frame->bytes + ETH_HLEN, *tcp;

	memcpy(frame->bytes, plan->destination_mac, 6);
	memcpy(frame->bytes + 6, plan->source_mac, 6);
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
	if (plan->flags & TH_URG)
		put16(tcp + 18, below(100));
	memcpy(tcp + 20, plan->options, plan->options_len);
	memcpy(tcp + 20 + plan->options_len, plan->payload, plan->payload_len);
	frame->len = ETH_HLEN + len + tcp_len;
	set_sums(frame);
}
