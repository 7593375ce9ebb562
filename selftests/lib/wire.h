/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A proxy made by hand, for the net tests: each of its segments is written to a device, and each of
 * the server's is read there, as tcpdump on the proxy's side would see it. Every segment that is
 * read is checked: its checksum, that it acknowledges no more than was sent, and that the edges of
 * its SACK blocks are those of segments. With WIRE_TRACE in the environment all segments are
 * printed.
 */
#ifndef WIRE_H
#define WIRE_H

#include <netinet/tcp.h> /* TH_ACK and the other flags */
#include <stdint.h>

#define WIRE_BYTES 16600 /* in a segment, at most */
#define WIRE_EDGES 4096

/* The far end of a device: one address to send from, and one of the server's. */
struct wire {
	const char *name;
	int family;
	const char *device, *server, *proxy;
	int netns; /* of the device's end */
	int fd;
	int partial; /* leave checksums to the device: CHECKSUM_PARTIAL */
};

enum {
	WIRE_VETH,
	WIRE_VETH6,
	WIRE_LO,
	WIRE_LO6,
	WIRES,
};

extern struct wire wires[WIRES];

/* Makes the devices, before net_setup(); and marks the proxies, after it. */
void wires_make(void);
void wires_mark(void);
/* The server's end of the veth pair: `ethtool -K`, as ETHTOOL_STXCSUM and the like. */
void wire_offload(const char *device, int netns, uint32_t command, int on);

/* A connection. Numbers are the proxy's. */
struct peer {
	struct wire *wire;
	uint16_t port, to;  /* host order */
	uint32_t first;	    /* of the stream's first byte */
	uint32_t next;	    /* of the next byte to be sent */
	uint32_t theirs;    /* of the server's next byte */
	uint32_t stamps;    /* 1: with timestamps, as long as the server has them */
	uint32_t now, echo; /* the next one, and the server's last one */
	uint32_t window;    /* that the server has told last */
	uint32_t edges[WIRE_EDGES];
	uint32_t edge_count;
	uint32_t synced; /* 1: the server's numbers are known */
};

struct segment_out {
	uint32_t seq, ack;
	uint32_t flags; /* 0: ACK, PSH */
	const void *bytes;
	uint32_t len;
	uint32_t urgent;     /* pointer, with TH_URG */
	uint32_t extensions; /* IPv4: words of NOP options; IPv6: extension headers */
	int damaged;	     /* with a wrong checksum */
	const void *option;  /* TCP options in place of the usual ones */
	uint32_t option_len;
};

struct segment_in {
	uint32_t seq, ack, flags, window, len;
	uint32_t sacks[8], sack_count; /* numbers, two to a block */
	int again;		       /* 1: its payload or FIN has been read before */
	uint8_t bytes[65536];
};

/* Sends a SYN with number @isn, and reads the SYN-ACK; the handshake's ACK is the caller's.
 * @stamps: with timestamps. */
void peer_open(struct peer *peer, struct wire *wire, uint16_t to, uint32_t isn, int stamps);
void peer_syn(struct peer *peer, struct wire *wire, uint16_t to, uint32_t isn, int stamps);
void peer_send(struct peer *peer, const struct segment_out *segment);
/* The stream goes on. */
void peer_write(struct peer *peer, const void *bytes, uint32_t len);
/* An ACK of all that has come; or a FIN too, or a RST. */
void peer_say(struct peer *peer, uint32_t flags);
/* The next segment of the server's. Return: 0, or -ETIMEDOUT. */
int peer_read(struct peer *peer, struct segment_in *segment, int timeout_ms);
/* A segment with all of @flags that acknowledges the stream's first @count bytes; others in front
 * of it, that acknowledge less, are passed over. Its payload and FIN are counted, and acknowledged
 * by what is sent next. */
void peer_expect(struct peer *peer, uint32_t flags, uint32_t count);
/* A RST, as the next segment but for ACKs; within @ms. */
void peer_expect_reset(struct peer *peer, int ms);
void peer_expect_nothing(struct peer *peer, int ms);

#endif
