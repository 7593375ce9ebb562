/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The decoder of PROXY protocol headers, v1 and v2 (HAProxy's doc/proxy-protocol.txt, section 2).
 * One source for both sides: bpf/ compiles it for the verifier, libpp for user space.
 *
 * What the verifier forces, and what costs user space nothing: a loop is a step function under
 * pp_loop(), which is bpf_loop() there (Linux 5.17), so that its body is verified once and not once
 * a round; the state of a loop lives in struct pp_decoder, which BPF keeps in a map, so that all
 * paths through one round meet again at its end (Linux 6.1 gives up after a million instructions
 * otherwise); bytes are read through PP_BYTE(), which keeps the index inside the window, or where a
 * header may be larger than that, through PP_BYTE_OF() with the buffer's size.
 */
#ifndef PP_DECODER_H
#define PP_DECODER_H

#include <pp/abi.h>
#include <pp/crc32c.h>

#ifdef __bpf__
#define PP_BYTE_OF(bytes, i, size)  ((bytes)[(i) & ((size)-1)])
#define PP_LIMIT		    PP_WINDOW
#define pp_loop(rounds, step, scan) bpf_loop(rounds, step, scan, 0)
#else
#define PP_BYTE_OF(bytes, i, size) ((void)(size), (bytes)[i])
#define PP_LIMIT		   PP_HEADER_MAX
/* Calls @step until it answers 1, @rounds times at most. */
static inline void pp_loop(__u32 rounds, long (*step)(__u32 round, void *scan), void *scan)
{
	__u32 round;

	for (round = 0; round < rounds; round++)
		if (step(round, scan))
			break;
}
#endif

#define PP_BYTE(bytes, i) PP_BYTE_OF(bytes, i, PP_WINDOW)

/* Linux' numbers, spelled out because BPF programs have no <sys/socket.h>. */
#define PP_AF_UNSPEC   0
#define PP_AF_UNIX     1
#define PP_AF_INET     2
#define PP_AF_INET6    10
#define PP_SOCK_STREAM 1
#define PP_SOCK_DGRAM  2

#define PP_V1_MAX	  107 /* longest v1 line, CR LF included (section 2.1) */
#define PP_V1_PREFIX	  6   /* "PROXY " */
#define PP_V1_TCP_ADDRESS 11  /* where the source address of "PROXY TCPn " begins */
#define PP_V1_UNKNOWN	  13  /* what follows "PROXY UNKNOWN" */

#define PP_V2_FIXED	16 /* signature, version and command, family and transport, length */
#define PP_V2_SIGNATURE 12
#define PP_V2_INET	12 /* bytes of addresses and ports (section 2.2) */
#define PP_V2_INET6	36
#define PP_V2_UNIX	216

#define PP_TLV_HEAD	 3 /* type and length */
#define PP_UNIQUE_ID_MAX 128

/* What pp_decode() returns: PP_DONE, PP_MORE, or minus an enum pp_reason. */
#define PP_DONE 1
#define PP_MORE 0

enum pp_v1_field {
	PP_V1_SOURCE,
	PP_V1_DESTINATION,
	PP_V1_SOURCE_PORT,
	PP_V1_DESTINATION_PORT,
	PP_V1_LF,   /* which has to follow a CR */
	PP_V1_REST, /* of an UNKNOWN line */
	PP_V1_REST_CR,
};

#define PP_V1_NO_GAP 0xff

struct pp_decoder {
	__u32 v1_mixed; /* 1: a v1 line may have addresses of two families */

	/* v1: the field being read, and the address or number in it so far */
	__u8 field;
	__u8 digits;  /* digits of the number or group so far */
	__u8 dots;    /* IPv6: dots of an embedded IPv4 address */
	__u8 colons;  /* IPv6: colons just seen, 0 to 2 */
	__u8 decimal; /* IPv6: the group may be a decimal number, no leading zero */
	__u8 place;   /* address bytes written */
	__u8 gap[2];  /* IPv6: where "::" stands, of source and destination */
	__u8 used[2]; /* IPv6: address bytes written, without the gap */
	__u8 address[2][16];
	__u32 tcp4; /* v1_mixed: the line says TCP4, its addresses are read as IPv6 ones */
	__u32 number;
	__u32 group;

	/* v2: the walk over the TLVs, offsets from the start of the header */
	__u32 at;
	__u32 inner_end; /* end of the SSL TLV that the walk is in, 0 outside of one */
	__u32 crc_at;	 /* the four bytes of the CRC32C TLV, 0 when there is none */
	__u32 crc;
};

/* What a step function works on. */
struct pp_scan {
	struct pp_decoder *d;
	struct pp_record *record;
	const __u8 *bytes;
	__u32 start;	/* offset of the first byte that the loop looks at */
	__u32 end;	/* offset after the last one */
	__u32 consumed; /* offset after the last one looked at */
	int result;	/* PP_MORE while the loop goes on */
};

static const __u8 pp_v1_prefix[PP_V1_PREFIX] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const __u8 pp_v1_tcp[3] = {'T', 'C', 'P'};
static const __u8 pp_v1_unknown[7] = {'U', 'N', 'K', 'N', 'O', 'W', 'N'};
static const __u8 pp_v2_signature[PP_V2_SIGNATURE] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
						      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Next digit of a decimal number up to @max. Neither sign nor leading zero (section 2.1). */
static inline int pp_v1_digit(struct pp_decoder *d, __u8 c, __u32 max)
{
	if (c < '0' || c > '9' || (d->digits && !d->number))
		return 0;
	d->number = d->number * 10 + (c - '0');
	d->digits++;
	return d->number <= max;
}

static inline void pp_v1_next_field(struct pp_decoder *d)
{
	d->field++;
	d->number = d->group = 0;
	d->digits = d->dots = d->colons = d->place = 0;
	d->decimal = 1;
}

static inline int pp_v1_ip4(struct pp_decoder *d, __u8 c, __u8 *address)
{
	if (c != '.' && c != ' ')
		return pp_v1_digit(d, c, 255) ? PP_MORE : -PP_BAD_ADDRESS;
	if (!d->digits || d->place > 3 || (c == ' ') != (d->place == 3))
		return -PP_BAD_ADDRESS;
	address[d->place & 3] = d->number;
	d->place++;
	d->digits = 0;
	d->number = 0;
	if (c == ' ')
		pp_v1_next_field(d);
	return PP_MORE;
}

/* A group of hexadecimal digits, or the decimal numbers of an IPv4 tail, is complete. */
static inline int pp_v1_ip6_store(struct pp_decoder *d, __u8 *address, int decimal)
{
	if (decimal) {
		if (!d->decimal || !d->digits || d->number > 255 || d->place > 15)
			return 0;
		address[d->place & 15] = d->number;
		d->place++;
	} else {
		if (d->place > 14)
			return 0;
		address[d->place & 15] = d->group >> 8;
		address[(d->place + 1) & 15] = d->group;
		d->place += 2;
	}
	d->number = d->group = 0;
	d->digits = 0;
	d->decimal = 1;
	return 1;
}

static inline int pp_v1_ip6_colon(struct pp_decoder *d, __u8 *address, __u8 *gap)
{
	if (d->dots)
		return 0;
	if (d->digits) {
		d->colons = 1;
		return pp_v1_ip6_store(d, address, 0);
	}
	if (d->colons == 0 && d->place == 0) { /* first character: must be the first of "::" */
		d->colons = 1;
		return 1;
	}
	if (d->colons != 1 || *gap != PP_V1_NO_GAP)
		return 0;
	d->colons = 2;
	*gap = d->place;
	return 1;
}

static inline int pp_v1_ip6_end(struct pp_decoder *d, __u8 *address, __u8 gap)
{
	if (d->dots) {
		if (d->dots != 3 || !pp_v1_ip6_store(d, address, 1))
			return 0;
		/* a bare IPv4 address: pp_v1_families_fit() judges it */
		if (d->place == 4 && gap == PP_V1_NO_GAP)
			return d->v1_mixed;
	} else if (d->digits) {
		if (!pp_v1_ip6_store(d, address, 0))
			return 0;
	} else if (d->colons != 2) {
		return 0;
	}
	return gap == PP_V1_NO_GAP ? d->place == 16 : d->place <= 14;
}

static inline int pp_v1_is_ip4(const struct pp_decoder *d, __u32 side)
{
	return d->gap[side] == PP_V1_NO_GAP && d->used[side] == 4;
}

/* nginx (stream with realip, mail) names the client's family and writes the server's address in its
 * own: with v1_mixed one address of a line may be of the other family. Two are a lie. */
static inline int pp_v1_families_fit(const struct pp_decoder *d)
{
	int ip4 = pp_v1_is_ip4(d, 0) + pp_v1_is_ip4(d, 1);

	return ip4 != (d->tcp4 ? 0 : 2);
}

/* RFC 4291, section 2.2: groups, at most one "::", perhaps an IPv4 tail. */
static inline int pp_v1_ip6(struct pp_decoder *d, __u8 c, __u8 *address, __u8 *gap, __u8 *used)
{
	__u32 value;

	if (c == ':')
		return pp_v1_ip6_colon(d, address, gap) ? PP_MORE : -PP_BAD_ADDRESS;
	if (c == ' ') {
		if (!pp_v1_ip6_end(d, address, *gap))
			return -PP_BAD_ADDRESS;
		*used = d->place;
		if (d->field == PP_V1_DESTINATION && !pp_v1_families_fit(d))
			return -PP_BAD_ADDRESS;
		pp_v1_next_field(d);
		return PP_MORE;
	}
	if (c == '.') {
		d->dots++;
		if (d->dots > 3 || !pp_v1_ip6_store(d, address, 1))
			return -PP_BAD_ADDRESS;
		return PP_MORE;
	}

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	else
		return -PP_BAD_ADDRESS;
	if (d->digits > 3 || (d->colons == 1 && d->place == 0))
		return -PP_BAD_ADDRESS;
	if (value > 9 || (d->digits && !d->number))
		d->decimal = 0;
	d->number = d->number * 10 + value;
	d->group = (d->group << 4 | value) & 0xffff;
	d->digits++;
	d->colons = 0;
	return PP_MORE;
}

static inline __be16 pp_be16(__u32 host)
{
	__u8 bytes[2] = {host >> 8, host};

	return *(__be16 *)bytes;
}

static inline int pp_v1_port(struct pp_decoder *d, __u8 c, __u8 end, __be16 *port)
{
	if (c != end)
		return pp_v1_digit(d, c, 65535) ? PP_MORE : -PP_BAD_PORT;
	if (!d->digits)
		return -PP_BAD_PORT;
	*port = pp_be16(d->number);
	pp_v1_next_field(d);
	return PP_MORE;
}

static inline int pp_v1_byte(struct pp_decoder *d, struct pp_record *record, __u8 c)
{
	switch (d->field) {
	case PP_V1_SOURCE:
		if (record->family == PP_AF_INET)
			return pp_v1_ip4(d, c, d->address[0]);
		return pp_v1_ip6(d, c, d->address[0], &d->gap[0], &d->used[0]);
	case PP_V1_DESTINATION:
		if (record->family == PP_AF_INET)
			return pp_v1_ip4(d, c, d->address[1]);
		return pp_v1_ip6(d, c, d->address[1], &d->gap[1], &d->used[1]);
	case PP_V1_SOURCE_PORT:
		return pp_v1_port(d, c, ' ', &record->src_port);
	case PP_V1_DESTINATION_PORT:
		return pp_v1_port(d, c, '\r', &record->dst_port);
	case PP_V1_LF:
		return c == '\n' ? PP_DONE : -PP_BAD_LINE;
	case PP_V1_REST_CR:
		if (c == '\n')
			return PP_DONE;
		__attribute__((fallthrough)); /* a lone CR does not end the line */
	default:
		d->field = c == '\r' ? PP_V1_REST_CR : PP_V1_REST;
		return PP_MORE;
	}
}

struct pp_v1_gap {
	__u8 *to;
	const __u8 *from;
	__u32 gap;  /* bytes before the "::" */
	__u32 tail; /* where the bytes after it go to */
	__u32 used; /* bytes in all */
};

static long pp_v1_ip6_step(__u32 i, void *context)
{
	struct pp_v1_gap *move = context;
	__u8 byte = 0;

	if (i >= 16)
		return 1;
	if (i >= move->tail)
		byte = move->from[(i - 16 + move->used) & 15];
	else if (i < move->gap)
		byte = move->from[i];
	move->to[i] = byte;
	return 0;
}

/* Moves the bytes after "::" to the end of the address, and zeroes what lies between. */
static inline void pp_v1_ip6_expand(__u8 *to, const __u8 *from, __u8 gap, __u8 used)
{
	struct pp_v1_gap move = {to, from, gap, 16U - used + gap, used};

	if (gap == PP_V1_NO_GAP && used == 4) { /* v1_mixed */
		to[10] = to[11] = 0xff;
		__builtin_memcpy(to + 12, from, 4);
		return;
	}
	if (gap == PP_V1_NO_GAP)
		move.tail = 0;
	pp_loop(16, pp_v1_ip6_step, &move);
}

/* Do the bytes from @at on agree with @word, as far as they are there? */
static inline int pp_match(const __u8 *bytes, __u32 len, __u32 at, const __u8 *word, __u32 word_len)
{
	__u32 i;

	for (i = 0; i < word_len; i++) {
		if (at + i >= len)
			return PP_MORE;
		if (PP_BYTE(bytes, at + i) != word[i])
			return -PP_BAD_FAMILY;
	}
	return PP_DONE;
}

/* The word after "PROXY ". @start: where the fields that pp_v1_byte() reads begin. */
static inline int pp_v1_family(struct pp_decoder *d, struct pp_record *record, const __u8 *bytes,
			       __u32 len, __u32 *start)
{
	int matched;
	__u8 c;

	if (len <= PP_V1_PREFIX)
		return PP_MORE;
	if (PP_BYTE(bytes, PP_V1_PREFIX) == 'U') {
		matched = pp_match(bytes, len, PP_V1_PREFIX, pp_v1_unknown, sizeof(pp_v1_unknown));
		if (matched != PP_DONE)
			return matched;
		if (len <= PP_V1_UNKNOWN)
			return PP_MORE;
		c = PP_BYTE(bytes, PP_V1_UNKNOWN);
		if (c != ' ' && c != '\r')
			return -PP_BAD_FAMILY;
		record->command = PP_LOCAL;
		d->field = c == ' ' ? PP_V1_REST : PP_V1_LF;
		*start = PP_V1_UNKNOWN + 1;
		return PP_DONE;
	}

	matched = pp_match(bytes, len, PP_V1_PREFIX, pp_v1_tcp, sizeof(pp_v1_tcp));
	if (matched != PP_DONE)
		return matched;
	if (len <= PP_V1_TCP_ADDRESS - 2)
		return PP_MORE;
	c = PP_BYTE(bytes, PP_V1_TCP_ADDRESS - 2);
	if (c != '4' && c != '6')
		return -PP_BAD_FAMILY;
	if (len <= PP_V1_TCP_ADDRESS - 1)
		return PP_MORE;
	if (PP_BYTE(bytes, PP_V1_TCP_ADDRESS - 1) != ' ')
		return -PP_BAD_FAMILY;
	record->command = PP_PROXY;
	record->family = PP_AF_INET6;
	if (c == '4' && d->v1_mixed)
		d->tcp4 = 1;
	else if (c == '4')
		record->family = PP_AF_INET;
	record->transport = PP_SOCK_STREAM;
	*start = PP_V1_TCP_ADDRESS;
	return PP_DONE;
}

static long pp_v1_step(__u32 i, void *context)
{
	struct pp_scan *scan = context;
	__u32 at = scan->start + i;

	if (at >= scan->end)
		return 1;
	scan->result = pp_v1_byte(scan->d, scan->record, PP_BYTE(scan->bytes, at));
	scan->consumed = at + 1;
	return scan->result != PP_MORE;
}

static inline int pp_decode_v1(struct pp_decoder *d, struct pp_record *record, const __u8 *bytes,
			       __u32 len)
{
	struct pp_scan scan = {d, record, bytes, 0, len, 0, PP_MORE};
	int result;

	record->need = len + 1;
	result = pp_v1_family(d, record, bytes, len, &scan.start);
	if (result != PP_DONE)
		return result;

	d->gap[0] = d->gap[1] = PP_V1_NO_GAP;
	d->decimal = 1;
	if (scan.end > PP_V1_MAX)
		scan.end = PP_V1_MAX;
	pp_loop(PP_V1_MAX, pp_v1_step, &scan);
	if (scan.result == PP_MORE)
		return len >= PP_V1_MAX ? -PP_BAD_LINE : PP_MORE;
	if (scan.result < 0)
		return scan.result;

	record->header_len = scan.consumed;
	if (d->tcp4 && pp_v1_is_ip4(d, 0) && pp_v1_is_ip4(d, 1))
		record->family = PP_AF_INET;
	if (record->family == PP_AF_INET) {
		__builtin_memcpy(record->src, d->address[0], 4);
		__builtin_memcpy(record->dst, d->address[1], 4);
	} else if (record->family == PP_AF_INET6) {
		pp_v1_ip6_expand(record->src, d->address[0], d->gap[0], d->used[0]);
		pp_v1_ip6_expand(record->dst, d->address[1], d->gap[1], d->used[1]);
	}
	return PP_DONE;
}

/* Checks a TLV's size by its type, and moves the walk after it or, for SSL, into it. */
static inline int pp_tlv_enter(struct pp_decoder *d, __u32 type, __u32 len)
{
	__u32 value = d->at + PP_TLV_HEAD;

	d->at = value + len;
	if (d->inner_end)
		return PP_MORE;
	switch (type) {
	case PP_TLV_CRC32C:
		if (len != 4 || d->crc_at)
			return -PP_BAD_TLV;
		d->crc_at = value;
		break;
	case PP_TLV_UNIQUE_ID:
		if (len > PP_UNIQUE_ID_MAX)
			return -PP_BAD_TLV;
		break;
	case PP_TLV_SSL:
		if (len < PP_TLV_SSL_FIXED)
			return -PP_BAD_TLV;
		d->inner_end = value + len;
		d->at = value + PP_TLV_SSL_FIXED;
		break;
	}
	return PP_MORE;
}

/* @size: of the buffer, a constant. */
static inline __attribute__((always_inline)) long pp_tlv_step_in(struct pp_scan *scan, __u32 size)
{
	struct pp_decoder *d = scan->d;
	__u32 at = d->at, left, len;

	if (d->inner_end && at == d->inner_end)
		d->inner_end = 0;
	if (at == scan->end) {
		scan->result = PP_DONE;
		return 1;
	}
	scan->result = -PP_BAD_TLV;
	left = (d->inner_end ? d->inner_end : scan->end) - at;
	if (left < PP_TLV_HEAD)
		return 1;
	len = (__u32)PP_BYTE_OF(scan->bytes, at + 1, size) << 8 |
	      PP_BYTE_OF(scan->bytes, at + 2, size);
	if (len > left - PP_TLV_HEAD)
		return 1;
	scan->result = pp_tlv_enter(d, PP_BYTE_OF(scan->bytes, at, size), len);
	return scan->result != PP_MORE;
}

static long pp_tlv_step(__u32 round, void *scan)
{
	(void)round;
	return pp_tlv_step_in(scan, PP_WINDOW);
}

/* Section 2.2.1: each TLV, and each sub-TLV of SSL, ends where its container does or before. */
static inline int pp_tlv_walk(struct pp_decoder *d, const __u8 *bytes, __u32 end)
{
	struct pp_scan scan = {d, 0, bytes, d->at, end, 0, PP_MORE};

	pp_loop(PP_LIMIT / PP_TLV_HEAD + 1, pp_tlv_step, &scan);
	return scan.result;
}

#define PP_CHECKSUM_STEP 8 /* bytes: to call a step costs as much as two of them */

static inline __attribute__((always_inline)) long pp_checksum_step_in(__u32 round,
								      struct pp_scan *scan,
								      __u32 size)
{
	__u32 crc = scan->d->crc, crc_at = scan->d->crc_at, at = round * PP_CHECKSUM_STEP, i;
	__u8 byte;

	for (i = 0; i < PP_CHECKSUM_STEP && at + i < scan->end; i++) {
		byte = PP_BYTE_OF(scan->bytes, at + i, size);
		if (at + i - crc_at < 4)
			byte = 0;
		crc = pp_crc32c_byte(crc, byte);
	}
	scan->d->crc = crc;
	return i < PP_CHECKSUM_STEP;
}

static long pp_checksum_step(__u32 round, void *scan)
{
	return pp_checksum_step_in(round, scan, PP_WINDOW);
}

/* Section 2.2.3: computed over the whole header with the checksum's own bytes zero. */
static inline int pp_checksum_holds(struct pp_decoder *d, const __u8 *bytes, __u32 header_len)
{
	struct pp_scan scan = {d, 0, bytes, 0, header_len, 0, PP_MORE};
	__u32 i, sent = 0;

	d->crc = PP_CRC32C_START;
	pp_loop(PP_LIMIT / PP_CHECKSUM_STEP + 1, pp_checksum_step, &scan);
	for (i = 0; i < 4; i++)
		sent = sent << 8 | PP_BYTE(bytes, d->crc_at + i);
	return sent == ~d->crc;
}

static inline int pp_v2_bytes_of_family(__u32 family)
{
	switch (family) {
	case PP_AF_INET:
		return PP_V2_INET;
	case PP_AF_INET6:
		return PP_V2_INET6;
	case PP_AF_UNIX:
		return PP_V2_UNIX;
	}
	return 0;
}

/* Byte 13: address family and transport protocol. */
static inline int pp_v2_family(struct pp_record *record, __u8 byte)
{
	switch (byte >> 4) {
	case 0:
		record->family = PP_AF_UNSPEC;
		break;
	case 1:
		record->family = PP_AF_INET;
		break;
	case 2:
		record->family = PP_AF_INET6;
		break;
	case 3:
		record->family = PP_AF_UNIX;
		break;
	default:
		return 0;
	}
	record->transport =
		byte & 0xf; /* SOCK_STREAM and SOCK_DGRAM are the protocol's own 1 and 2 */
	return record->transport <= PP_SOCK_DGRAM;
}

static inline void pp_v2_addresses(struct pp_record *record, const __u8 *bytes)
{
	__u8 *source_port = (__u8 *)&record->src_port;
	__u8 *destination_port = (__u8 *)&record->dst_port;
	__u32 i;

	if (record->family == PP_AF_INET) {
		for (i = 0; i < 4; i++) {
			record->src[i] = PP_BYTE(bytes, 16 + i);
			record->dst[i] = PP_BYTE(bytes, 20 + i);
		}
		for (i = 0; i < 2; i++) {
			source_port[i] = PP_BYTE(bytes, 24 + i);
			destination_port[i] = PP_BYTE(bytes, 26 + i);
		}
	} else if (record->family == PP_AF_INET6) {
		for (i = 0; i < 16; i++) {
			record->src[i] = PP_BYTE(bytes, 16 + i);
			record->dst[i] = PP_BYTE(bytes, 32 + i);
		}
		for (i = 0; i < 2; i++) {
			source_port[i] = PP_BYTE(bytes, 48 + i);
			destination_port[i] = PP_BYTE(bytes, 50 + i);
		}
	}
}

/* The sixteen fixed bytes, each as soon as it is there: PP_DONE when they are all there. */
static inline int pp_v2_fixed(struct pp_record *record, const __u8 *bytes, __u32 len)
{
	__u32 length, command;

	record->need = PP_V2_FIXED;
	if (len > 12) {
		if (PP_BYTE(bytes, 12) >> 4 != 2)
			return -PP_BAD_VERSION;
		command = PP_BYTE(bytes, 12) & 0xf;
		if (command > PP_PROXY)
			return -PP_BAD_COMMAND;
		record->command = command;
	}
	/* LOCAL: the family is to be ignored, as all that follows */
	if (len > 13 && record->command == PP_PROXY && !pp_v2_family(record, PP_BYTE(bytes, 13)))
		return -PP_BAD_FAMILY;
	if (len < PP_V2_FIXED)
		return PP_MORE;
	length = PP_BYTE(bytes, 14) << 8 | PP_BYTE(bytes, 15);
	if (length < (__u32)pp_v2_bytes_of_family(record->family))
		return -PP_BAD_LENGTH;
	if (length > PP_HEADER_MAX - PP_V2_FIXED)
		return -PP_BAD_TOO_LARGE;
	record->header_len = PP_V2_FIXED + length;
	record->need = record->header_len;
	return PP_DONE;
}

static inline int pp_decode_v2(struct pp_decoder *d, struct pp_record *record, const __u8 *bytes,
			       __u32 len)
{
	__u32 addresses_end, header_len;
	int result;

	result = pp_v2_fixed(record, bytes, len);
	if (result != PP_DONE)
		return result;
	header_len = record->header_len;

	if (record->command == PP_LOCAL || record->family == PP_AF_UNSPEC)
		return len < header_len ? PP_MORE : PP_DONE;

	addresses_end = PP_V2_FIXED + pp_v2_bytes_of_family(record->family);
	record->tlv_len = header_len - addresses_end;
	if (len < addresses_end)
		return PP_MORE;
	pp_v2_addresses(record, bytes);
	if (len < header_len || header_len > PP_LIMIT)
		return PP_MORE;

	d->at = addresses_end;
	result = pp_tlv_walk(d, bytes, header_len);
	if (result < 0)
		return result;
	if (d->crc_at && !pp_checksum_holds(d, bytes, header_len))
		return -PP_BAD_CHECKSUM;
	return PP_DONE;
}

/**
 * pp_decode - decode the header at the start of a stream
 * @d: working memory; its v1_mixed is the caller's, the rest is zeroed here
 * @record: receives version, command, family, transport, lengths, addresses and need
 * @bytes: the stream's first bytes; in BPF a buffer of PP_WINDOW bytes
 * @len: how many of them there are; no more than PP_LIMIT of them are looked at
 *
 * Pure: no I/O. A prefix of a valid header is PP_MORE, and what is known from it (the addresses,
 * the length) is in @record already; a prefix that no valid header has is bad at once. In BPF a
 * header larger than PP_WINDOW stays PP_MORE, with record->header_len saying how large it is.
 *
 * Return: PP_DONE, PP_MORE, or minus an enum pp_reason.
 */
static inline int pp_decode(struct pp_decoder *d, struct pp_record *record, const __u8 *bytes,
			    __u32 len)
{
	__u32 v1_mixed = d->v1_mixed;
	int result;

	__builtin_memset(d, 0, sizeof(*d));
	__builtin_memset(record, 0, sizeof(*record));
	d->v1_mixed = v1_mixed;
	record->need = 1;
	if (len == 0)
		return PP_MORE;

	if (PP_BYTE(bytes, 0) == pp_v1_prefix[0]) {
		record->version = 1;
		record->need = len + 1;
		result = pp_match(bytes, len, 0, pp_v1_prefix, sizeof(pp_v1_prefix));
		if (result == PP_DONE)
			return pp_decode_v1(d, record, bytes, len);
	} else {
		record->version = 2;
		record->need = PP_V2_FIXED;
		result = pp_match(bytes, len, 0, pp_v2_signature, sizeof(pp_v2_signature));
		if (result == PP_DONE)
			return pp_decode_v2(d, record, bytes, len);
	}
	return result == PP_MORE ? PP_MORE : -PP_BAD_SIGNATURE;
}

#ifdef __bpf__
static long pp_tlv_step_large(__u32 round, void *scan)
{
	(void)round;
	return pp_tlv_step_in(scan, PP_HEADER_MAX);
}

static long pp_checksum_step_large(__u32 i, void *scan)
{
	return pp_checksum_step_in(i, scan, PP_HEADER_MAX);
}

/**
 * pp_decode_large - check what pp_decode() does not see of a header larger than PP_WINDOW
 * @d: as pp_decode() left it
 * @record: likewise; the header's length and addresses are there
 * @bytes: the whole header, in a buffer of PP_HEADER_MAX bytes
 *
 * Return: PP_DONE, or minus an enum pp_reason.
 */
static inline int pp_decode_large(struct pp_decoder *d, struct pp_record *record, const __u8 *bytes)
{
	struct pp_scan scan = {d, 0, bytes, 0, record->header_len, 0, PP_MORE};
	__u32 i, sent = 0;

	if (record->command == PP_LOCAL || record->family == PP_AF_UNSPEC)
		return PP_DONE;
	d->at = record->header_len - record->tlv_len;
	bpf_loop(PP_HEADER_MAX / PP_TLV_HEAD + 1, pp_tlv_step_large, &scan, 0);
	if (scan.result < 0)
		return scan.result;
	if (!d->crc_at)
		return PP_DONE;
	d->crc = PP_CRC32C_START;
	bpf_loop(PP_HEADER_MAX, pp_checksum_step_large, &scan, 0);
	for (i = 0; i < 4; i++)
		sent = sent << 8 | PP_BYTE_OF(bytes, d->crc_at + i, PP_HEADER_MAX);
	return sent == ~d->crc ? PP_DONE : -PP_BAD_CHECKSUM;
}
#endif

/* PP_STATE_VALID, or PP_STATE_LOCAL where the header leaves the proxy itself as the origin. */
static inline __u8 pp_decoded_state(const struct pp_record *record)
{
	if (record->command == PP_LOCAL || record->family == PP_AF_UNSPEC)
		return PP_STATE_LOCAL;
	return PP_STATE_VALID;
}

#endif
