/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the split does to packets in tc: change sequence numbers, take bytes out of the front of the
 * payload, and make packets of its own. Checksums stay as true as they were: nothing here computes
 * a new one over bytes that nobody has checked.
 */
#ifndef PP_PACKET_H
#define PP_PACKET_H

#define CHECKSUM_NONE	     0 /* include/linux/skbuff.h: ip_summed */
#define CHECKSUM_UNNECESSARY 1
#define CHECKSUM_COMPLETE    2
#define CHECKSUM_PARTIAL     3

#define TCP_AT_SEQ	4 /* offsets in the TCP header */
#define TCP_AT_ACK	8
#define TCP_AT_CHECKSUM 16
#define TCP_HEADER	20
#define TCP_OPTION_SACK 5

#define HEADERS_MAX 128	 /* bytes of IP and TCP headers that are rewritten, at most */
#define CUT_MAX	    4095 /* bytes that bpf_skb_adjust_room() takes away at once */
#define SUM_STEP    512
#define GROW_MAX    15000 /* bytes of one segment that bpf_skb_adjust_room() makes longer */

/* Working memory, one for each CPU: tc programs run with bottom halves disabled. */
struct packet {
	__u8 headers[HEADERS_MAX]; /* IP and TCP */
	__u8 bytes[SUM_STEP + 4];
	__u32 ip;      /* offset of the IP header in the skb */
	__u32 ip_len;  /* its length, with options and extensions */
	__u32 tcp_len; /* of the TCP header */
	__u32 payload_len;
	__u32 summed; /* CHECKSUM_* */
	__u32 is_ip6;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} pp_packet SEC(".maps");

static __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What the checksum sees of a 32-bit number at @offset of the TCP header: SACK edges of some
 * systems are at odd ones, where each byte is in the other half of its word. */
static __be32 as_summed(__be32 number, __u32 offset)
{
	return offset & 1 ? (number & 0x00ff00ff) << 8 | (number >> 8 & 0x00ff00ff) : number;
}

/* Adds @by to the 32-bit number at @at, which is @old, and corrects the checksum. Return: 0, or -1.
 */
static int change_number(struct __sk_buff *skb, __u32 tcp, __u32 at, __u32 old, __u32 by)
{
	__be32 new = bpf_htonl(old + by);

	if (bpf_l4_csum_replace(skb, tcp + TCP_AT_CHECKSUM, bpf_htonl(old), new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0) ? -1 : 0;
}

/* The same for a number that is not known yet. */
static int add_to_number(struct __sk_buff *skb, __u32 tcp, __u32 at, __u32 by)
{
	__be32 old, new;

	if (bpf_skb_load_bytes(skb, at, &old, sizeof(old)))
		return -1;
	new = bpf_htonl(bpf_ntohl(old) + by);
	if (bpf_l4_csum_replace(skb, tcp + TCP_AT_CHECKSUM, as_summed(old, at - tcp),
				as_summed(new, at - tcp), sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0) ? -1 : 0;
}

static __u32 ip_summed(struct __sk_buff *skb)
{
	struct sk_buff *kernel = (struct sk_buff *)skb;

	return BPF_CORE_READ_BITFIELD_PROBED(kernel, ip_summed);
}

/* Sum of the IPv4 header. */
static __u32 ip_header_sum(struct packet *packet)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 60; i += 2) {
		if (i >= packet->ip_len)
			break;
		sum += *(__u16 *)(packet->headers + i);
	}
	return fold(sum);
}

/* Reads the headers of @segment. Return: its working memory, or NULL: they are too long, or IPv4's
 * checksum is wrong, which nobody has looked at yet. */
static struct packet *packet_read(struct __sk_buff *skb, const struct segment *segment)
{
	__u32 zero = 0, len = segment->payload - segment->ip;
	struct packet *packet = bpf_map_lookup_elem(&pp_packet, &zero);

	if (!packet || len > HEADERS_MAX - 1 || len < TCP_HEADER)
		return NULL;
	packet->ip = segment->ip;
	packet->tcp_len = segment->payload - segment->options + TCP_HEADER;
	packet->ip_len = len - packet->tcp_len;
	packet->payload_len = segment->payload_len;
	packet->is_ip6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	packet->summed = ip_summed(skb);
	len -= 1;
	pp_opaque(len);
	len &= HEADERS_MAX - 1;
	len += 1;
	if (len > HEADERS_MAX - 1)
		return NULL;
	if (bpf_skb_load_bytes(skb, packet->ip, packet->headers, len))
		return NULL;
	if (!packet->is_ip6 && ip_header_sum(packet) != 0xffff)
		return NULL;
	return packet;
}

static struct tcphdr *packet_tcp(struct packet *packet)
{
	__u32 at = packet->ip_len;

	pp_opaque(at);
	at &= HEADERS_MAX - 1;
	if (at > HEADERS_MAX - TCP_HEADER)
		return NULL;
	return (struct tcphdr *)(packet->headers + at);
}

/* Sum of the pseudo header for @len bytes of TCP header and payload. */
static __u32 pseudo_sum(struct packet *packet, __u32 len)
{
	__u64 sum;

	if (packet->is_ip6)
		sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)(packet->headers + 8), 32, 0);
	else
		sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)(packet->headers + 12), 8, 0);
	return fold(sum + bpf_htons(IPPROTO_TCP) + (__u64)bpf_htons(len & 0xffff) + (len >> 16));
}

static __u32 tcp_header_sum(struct packet *packet)
{
	__u64 sum = 0;
	__u32 i, at = packet->ip_len;

	for (i = 0; i < 60; i += 2) {
		__u32 k = at + i;

		if (i >= packet->tcp_len)
			break;
		pp_opaque(k);
		k &= HEADERS_MAX - 2;
		sum += *(__u16 *)(packet->headers + k);
	}
	return fold(sum);
}

struct sum_scan {
	struct __sk_buff *skb;
	struct packet *packet;
	__u64 sum;
	__u32 at;
	__u32 left;
	int failed;
};

static long sum_step(__u32 round, void *context)
{
	struct sum_scan *scan = context;
	__u32 len = scan->left, padded, at;

	(void)round;
	if (!len)
		return 1;
	if (len > SUM_STEP)
		len = SUM_STEP;
	scan->left -= len;
	len -= 1;
	pp_opaque(len);
	len &= SUM_STEP - 1;
	len += 1;
	if (bpf_skb_load_bytes(scan->skb, scan->at, scan->packet->bytes, len)) {
		scan->failed = 1;
		return 1;
	}
	at = len;
	pp_opaque(at);
	at &= 2 * SUM_STEP - 1;
	if (at > SUM_STEP)
		return 1;
	scan->packet->bytes[at] = 0; /* bpf_csum_diff() takes multiples of four bytes */
	scan->packet->bytes[at + 1] = 0;
	scan->packet->bytes[at + 2] = 0;
	padded = (len + 3) & (2 * SUM_STEP - 4);
	if (padded > SUM_STEP)
		return 1;
	scan->sum += (__u32)bpf_csum_diff(0, 0, (__be32 *)scan->packet->bytes, padded, 0);
	scan->at += len;
	return 0;
}

/* Sum of @len bytes at @at, as of an even offset. Return: 0; or -1. */
static int sum_of(struct __sk_buff *skb, struct packet *packet, __u32 at, __u32 len, __u32 *sum)
{
	struct sum_scan scan = {skb, packet, 0, at, len, 0};

	bpf_loop(65536 / SUM_STEP + 2, sum_step, &scan, 0);
	*sum = fold(scan.sum);
	return scan.failed || scan.left ? -1 : 0;
}

/* Has somebody checked the checksum of this packet, or does it hold? What is not checked yet must
 * not be acknowledged or believed. */
static int packet_is_whole(struct __sk_buff *skb, struct packet *packet,
			   const struct segment *segment)
{
	__u32 sum;

	if (packet->summed == CHECKSUM_PARTIAL || packet->summed == CHECKSUM_UNNECESSARY)
		return 1;
	if (sum_of(skb, packet, segment->payload, segment->payload_len, &sum))
		return 0;
	return fold((__u64)pseudo_sum(packet, packet->tcp_len + segment->payload_len) +
		    tcp_header_sum(packet) + sum) == 0xffff;
}

static void set_ip_length(struct packet *packet, __u32 tcp_total)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)packet->headers;
	struct iphdr *ip = (struct iphdr *)packet->headers;

	if (packet->is_ip6) {
		ip6->payload_len = bpf_htons(packet->ip_len - sizeof(*ip6) + tcp_total);
		return;
	}
	ip->tot_len = bpf_htons(packet->ip_len + tcp_total);
	ip->check = 0;
	ip->check = ~ip_header_sum(packet);
}

static int store_headers(struct __sk_buff *skb, struct packet *packet)
{
	__u32 len = packet->ip_len + packet->tcp_len;

	len -= 1;
	pp_opaque(len);
	len &= HEADERS_MAX - 1;
	len += 1;
	if (len > HEADERS_MAX - 1)
		return -1;
	return bpf_skb_store_bytes(skb, packet->ip, packet->headers, len,
				   packet->summed == CHECKSUM_COMPLETE ? BPF_F_RECOMPUTE_CSUM : 0)
		       ? -1
		       : 0;
}

struct cut_scan {
	struct __sk_buff *skb;
	__u32 left;
	int failed;
};

static long cut_step(__u32 round, void *context)
{
	struct cut_scan *cut = context;
	__u32 len = cut->left;

	(void)round;
	if (!len)
		return 1;
	if (len > CUT_MAX)
		len = CUT_MAX;
	cut->failed =
		bpf_skb_adjust_room(cut->skb, -(__s32)len, BPF_ADJ_ROOM_NET,
				    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) != 0;
	cut->left -= len;
	return cut->failed;
}

/* Moves the IP and TCP headers @len bytes on, over the payload's first ones. Return: 0, or -1. */
static int move_headers(struct __sk_buff *skb, __u32 len)
{
	struct cut_scan cut = {skb, len, 0};

	bpf_loop(PP_HEADER_MAX / CUT_MAX + 2, cut_step, &cut, 0);
	return cut.failed || cut.left ? -1 : 0;
}

/*
 * The same where the kernel would go on taking the checksum for a partial one that starts
 * elsewhere: it sees that this cannot be only when the headers move by more than their own length.
 * So they go @more bytes farther, and back; what they overwrite is put there again.
 */
static __noinline int move_headers_far(struct __sk_buff *skb, struct packet *packet, __u32 len)
{
	__u32 payload = packet->ip + packet->ip_len + packet->tcp_len;
	__u32 more = packet->ip + packet->ip_len + 1 - len, rest = packet->payload_len - len, keep;

	keep = rest < more ? rest : more;
	keep -= 1;
	pp_opaque(keep);
	keep &= SUM_STEP / 2 - 1;
	keep += 1;
	if (bpf_skb_load_bytes(skb, payload + len, packet->bytes, keep))
		return -1;
	if (rest < more && bpf_skb_change_tail(skb, payload + len + more, 0))
		return -1;
	if (move_headers(skb, len + more) ||
	    bpf_skb_adjust_room(skb, more, BPF_ADJ_ROOM_NET,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) ||
	    bpf_skb_store_bytes(skb, payload, packet->bytes, keep, 0))
		return -1;
	return rest < more && bpf_skb_change_tail(skb, payload + rest, 0) ? -1 : 0;
}

/* bpf_skb_adjust_room() makes no packet longer that is one segment of more than 16 KiB. These are
 * on lo, or where an MTU is as large: a whole checksum is written then, since they do not leave
 * this machine. */
static int can_grow(struct __sk_buff *skb)
{
	return skb->gso_size || skb->len <= GROW_MAX;
}

/*
 * Takes @len bytes out of the payload's front, and gives what is left the sequence number @seq.
 *
 * The checksum of a packet that has a whole one is corrected by what goes: a wrong one stays wrong.
 * A partial one (lo, veth) covers the pseudo header only: nobody has computed it yet, and nobody
 * needs to where the packet goes, which is a socket of this machine. So it becomes one that needs
 * no check.
 *
 * Return: 0; or -1: drop the packet.
 */
static __noinline int packet_cut(struct __sk_buff *skb, struct packet *packet, __u32 len, __u32 seq)
{
	__u32 payload = packet->ip + packet->ip_len + packet->tcp_len, total, rest = 0;
	int partial = packet->summed == CHECKSUM_PARTIAL;
	struct tcphdr *tcp = packet_tcp(packet);
	__u32 pseudo;

	if (!tcp || len > packet->payload_len)
		return -1;
	total = packet->tcp_len + packet->payload_len;
	if (!partial) {
		if (sum_of(skb, packet, payload, len, &rest))
			return -1;
		/* what is in none of these three sums is what stays, if the whole is right */
		rest = 0xffff &
		       ~fold((__u64)pseudo_sum(packet, total) + tcp_header_sum(packet) + rest);
		if (len & 1)
			rest = (rest & 0xff) << 8 | rest >> 8;
	}
	tcp->seq = bpf_htonl(seq);
	tcp->check = 0;
	/* its pointer counts from the first byte, and what was urgent may go */
	if (bpf_ntohs(tcp->urg_ptr) > len) {
		tcp->urg_ptr = bpf_htons(bpf_ntohs(tcp->urg_ptr) - len);
	} else {
		tcp->urg = 0;
		tcp->urg_ptr = 0;
	}
	set_ip_length(packet, total - len);
	pseudo = pseudo_sum(packet, total - len);
	if (len == packet->payload_len) {
		if (bpf_skb_change_tail(skb, payload, 0))
			return -1;
	} else if (partial && len <= packet->ip + packet->ip_len && !can_grow(skb)) {
		if (move_headers(skb, len) ||
		    sum_of(skb, packet, payload, packet->payload_len - len, &rest))
			return -1;
		partial = 0;
	} else if (partial) {
		if (len <= packet->ip + packet->ip_len ? move_headers_far(skb, packet, len)
						       : move_headers(skb, len))
			return -1;
		bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
	} else if (move_headers(skb, len)) {
		return -1;
	}
	if (partial)
		tcp->check = pseudo;
	else
		tcp->check = ~fold((__u64)pseudo + rest + tcp_header_sum(packet));
	packet->payload_len -= len;
	return store_headers(skb, packet);
}

/* The numbers and flags of a packet without payload. */
struct reply {
	__u32 seq;
	__u32 ack;
	__u16 window; /* host order */
	__u8 flags;   /* TCP_* */
	__u8 unused;
};

/* Functions of their own: inlined, the compiler shares what it keeps on the stack between the two,
 * and 6.1 refuses to read there what one way has not written. */
static __noinline int swap_ends_ip4(struct packet *packet)
{
	struct iphdr *ip = (struct iphdr *)packet->headers;
	__be32 address = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->ttl = 64;
	ip->id = 0;
	return 0;
}

static __noinline int swap_ends_ip6(struct packet *packet)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)packet->headers;
	__u64 *from = (__u64 *)&ip6->saddr, *to = (__u64 *)&ip6->daddr, half;

	half = from[0];
	from[0] = to[0];
	to[0] = half;
	half = from[1];
	from[1] = to[1];
	to[1] = half;
	ip6->hop_limit = 64;
	return 0;
}

static void swap_ends(struct packet *packet, struct tcphdr *tcp)
{
	__be16 port = tcp->source;

	tcp->source = tcp->dest;
	tcp->dest = port;
	if (packet->is_ip6)
		swap_ends_ip6(packet);
	else
		swap_ends_ip4(packet);
}

/* Timestamps, where they stand alone as all systems send them: two NOPs before them. */
static __u8 *packet_timestamps(struct packet *packet, struct tcphdr *tcp)
{
	__u8 *option = (__u8 *)(tcp + 1);

	if (packet->tcp_len < 32 || packet->ip_len > HEADERS_MAX - TCP_HEADER - 12)
		return NULL;
	if (option[0] != TCP_OPTION_NOP || option[1] != TCP_OPTION_NOP || option[2] != 8 ||
	    option[3] != 10)
		return NULL;
	return option;
}

static void set_reply(struct tcphdr *tcp, const struct reply *reply, __u32 tcp_len)
{
	tcp->seq = bpf_htonl(reply->seq);
	tcp->ack_seq = bpf_htonl(reply->ack);
	((__u8 *)tcp)[12] = tcp_len << 2;
	((__u8 *)tcp)[13] = reply->flags;
	tcp->window = bpf_htons(reply->window);
	tcp->urg_ptr = 0;
	tcp->check = 0;
}

/* Makes this packet one without payload. Return: 0, or -1. */
static int packet_become(struct __sk_buff *skb, struct packet *packet, const struct reply *reply)
{
	struct tcphdr *tcp = packet_tcp(packet);
	__u32 pseudo;

	if (!tcp)
		return -1;
	packet->tcp_len = packet_timestamps(packet, tcp) ? 32 : TCP_HEADER;
	packet->payload_len = 0;
	set_reply(tcp, reply, packet->tcp_len);
	set_ip_length(packet, packet->tcp_len);
	pseudo = pseudo_sum(packet, packet->tcp_len);
	tcp->check = packet->summed == CHECKSUM_PARTIAL
			     ? pseudo
			     : ~fold((__u64)pseudo + tcp_header_sum(packet));
	if (bpf_skb_change_tail(skb, packet->ip + packet->ip_len + packet->tcp_len, 0))
		return -1;
	return store_headers(skb, packet);
}

/* Turns this packet round, and sends a copy to the proxy in the server's place; then turns it back,
 * with its payload gone. Return: 0, or -1. */
static __noinline int packet_answer(struct __sk_buff *skb, struct packet *packet,
				    const struct reply *reply)
{
	struct tcphdr *tcp = packet_tcp(packet);
	__u8 ether[12], turned[12], *option;
	__u32 stamps[2] = {0, 0}, swapped[2];
	int result;

	if (!tcp)
		return -1;
	option = packet_timestamps(packet, tcp);
	swap_ends(packet, tcp);
	if (option) {
		__builtin_memcpy(stamps, option + 4, 8);
		swapped[0] = stamps[1];
		swapped[1] = stamps[0];
		__builtin_memcpy(option + 4, swapped, 8);
	}
	if (packet_become(skb, packet, reply))
		return -1;
	if (packet->ip >= 14) {
		if (bpf_skb_load_bytes(skb, 0, ether, sizeof(ether)))
			return -1;
		__builtin_memcpy(turned, ether + 6, 6);
		__builtin_memcpy(turned + 6, ether, 6);
		if (bpf_skb_store_bytes(skb, 0, turned, sizeof(turned), 0))
			return -1;
	}
	result = bpf_clone_redirect(skb, skb->ifindex, 0);
	if (packet->ip >= 14)
		bpf_skb_store_bytes(skb, 0, ether, sizeof(ether), 0);
	swap_ends(packet, tcp);
	if (option)
		__builtin_memcpy(option + 4, stamps, 8);
	return result ? -1 : 0;
}

#endif
