/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ethernet frames with TCP over IPv4 or IPv6, read and made by code that shares nothing with the
 * programs. For packets that are right, and others.
 */
#ifndef FRAME_H
#define FRAME_H

#include <net/ethernet.h>
#include <netinet/tcp.h> /* TH_ACK and the other flags */
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX  (ETH_HLEN + 65535)
#define EXTENSIONS 7

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

/* What a frame says. */
void read_frame(const struct frame *frame, struct reading *reading);
const uint8_t *source_of(const struct frame *frame, const struct reading *reading);
const uint8_t *destination_of(const struct frame *frame, const struct reading *reading);

/* A frame that is to be made, with its checksums. */
struct plan {
	int six;
	const uint8_t *source_mac, *destination_mac;
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

void make_frame(struct frame *frame, const struct plan *plan);
/* Computes the checksums of what is there, if it can be read. */
void set_sums(struct frame *frame);

/* Numbers of a frame, big-endian; and the Internet's sum of them. */
uint16_t get16(const uint8_t *at);
uint32_t get32(const uint8_t *at);
void put16(uint8_t *at, uint16_t value);
void put32(uint8_t *at, uint32_t value);
uint32_t sum(const void *bytes, size_t len, uint32_t start);

#endif
