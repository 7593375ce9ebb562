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
 *
 * check: both
 */
#define _GNU_SOURCE
#include <linux/bpf.h>

#include <bpf/bpf.h>

#include "../lib/chance.h"
#include "../lib/contexts.h"
#include "../lib/map.h"
#include "../lib/random_frame.h"

#define ROUND	20000
#define PROGS	"/sys/fs/bpf/pp/progs/"
#define TC_NEXT 0xffffffffU
#define TC_PASS 0
#define TC_DROP 2

static int prog_in, prog_out, flows;
static size_t frame_max; /* that this kernel runs */

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
		if (was->payload_len && (i == 13 || i == 18 || i == 19)) /* TH_URG, its pointer */
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
		if (clean && was.right && context && !(was.flags & (TH_SYN | TH_RST | TH_FIN)) &&
		    was.flags & TH_ACK && was.ack == context->ack && was.seq == context->first &&
		    was.payload_len >= context->h && was.payload - was.ip < 120)
			fail_frame("a whole header is dropped", in, out, verdict);
		if (context && context->established && was.right && !(was.flags & TH_SYN))
			fail_frame("a packet of a connection is dropped", in, out, verdict);
		return;
	case TC_NEXT:
		/* a SYN goes on to the next program, whatever was changed */
		if ((was.flags & (TH_SYN | TH_ACK)) == TH_SYN &&
		    (!same ||
		     (context && was.payload_len && was.right && was.extensions <= EXTENSIONS)))
			break;
		left_alone++;
		if (!same)
			fail_frame("a packet that is left alone is changed", in, out, verdict);
		if (context && context->established && was.right && !(was.flags & TH_SYN) &&
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
	if (!wrong && context && context->established && was.flags & TH_SYN &&
	    was.seq + 1 == context->first && is.seq == was.seq - context->h) {
		wrong = check_translated(in, &was, out, &is, context->h);
		syns_again++;
	} else if (!wrong && was.flags & TH_SYN)
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
	if (!context || !context->established || !(was.flags & TH_ACK) || was.flags & TH_SYN ||
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
	plan_for(&plan, context, TH_ACK);
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
			random_frame(&in, 1, frame_max);
			remember(&in);
			check_out(&in, &out, run_program(prog_out, &in, &out));
		} else {
			clean = random_frame(&in, 0, frame_max) && forgotten;
			verdict = run_program(prog_in, &in, &out);
			check_in(&in, &out, verdict, clean);
			forgotten = 0;
		}
		while (i % 8 == 0 && next_of_server(&answer, 0))
			;
	}
	end_contexts();
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
	(void)state;
	contexts_setup();
	prog_in = program_of_here("pp_in");
	prog_out = program_of_here("pp_out");
	flows = map_open("pp_flows");
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
		chance_seed(atol(seed));
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
