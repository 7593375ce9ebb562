// SPDX-License-Identifier: BSD-2-Clause
/*
 * A forger who can send packets with the proxy's address, but does not see its traffic: whatever it
 * sends through a raw socket, it sets no origin. The true header still does.
 */
#include <arpa/inet.h>

#include "../lib/listeners.h"
#include "../lib/net.h"
#include "../lib/raw.h"

static int setup(void **state)
{
	listeners_setup(state);
	raw_open();
	return 0;
}

/* Numbers near the right ones, and far from them. A forger without a view has to hit two of 2^32;
 * who knows the acknowledgement and a sequence number in the window can put data into any TCP
 * stream. */
static void forge_many(const struct handshake *handshake)
{
	static const int32_t near[] = {-1000, -44, -1, 1, 44, 100, 1000, 30000};
	static const int32_t far[] = {-100000, 10000000, 0x7fffffff, 0x40000000};
	size_t i;

	srandom(4711);
	for (i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		forge(handshake, handshake->seq + near[i], handshake->ack + 1, FORGED);
		forge(handshake, handshake->seq + near[i], handshake->ack + near[i], FORGED);
		forge(handshake, handshake->seq + near[i], random(), FORGED);
	}
	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		forge(handshake, handshake->seq + far[i], handshake->ack, FORGED);
		forge(handshake, random(), random(), FORGED);
	}
}

/* The sequence number is right, the acknowledgement is not. */
static void forge_acknowledgements(const struct handshake *handshake)
{
	static const int32_t off[] = {-100000, -1, 1, 2, 1000, 100000, 0x7fffffff};
	size_t i;

	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		forge(handshake, handshake->seq, handshake->ack + off[i], FORGED);
}

/* What ends a handshake, or a connection, without data. A RST within the window would end any
 * handshake; a FIN and an ACK have to acknowledge the right number. */
static void forge_without_data(const struct handshake *handshake)
{
	static const int32_t near[] = {-1000, -1, 0, 1, 44, 1000};
	static const int32_t far[] = {-100000, 10000000, 0x7fffffff, 0x40000000};
	static const uint8_t flags[] = {TH_ACK, TH_FIN | TH_ACK, TH_FIN, TH_PUSH | TH_ACK};
	static const uint8_t resets[] = {TH_RST, TH_RST | TH_ACK};
	struct raw_segment segment = {0};
	size_t i, k;

	for (i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		for (k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
			segment.flags = flags[k];
			segment.seq = handshake->seq + near[i];
			segment.ack = handshake->ack + 1;
			raw_send(handshake, &segment);
			segment.ack = random();
			raw_send(handshake, &segment);
			segment.ack = 0;
			raw_send(handshake, &segment);
		}
	}
	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		for (k = 0; k < sizeof(resets) / sizeof(resets[0]); k++) {
			segment.flags = resets[k];
			segment.seq = handshake->seq + far[i];
			segment.ack = handshake->ack;
			raw_send(handshake, &segment);
		}
	}
}

/* A handshake that waits for its header: what @attack sends does not end it. */
static void check_on_handshake(void (*attack)(const struct handshake *))
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct handshake handshake;

	sniff(&handshake, port_of(client));
	attack(&handshake);
	assert_int_equal(accept_within(gated_listener, A_WHILE_MS), -ETIMEDOUT);
	server = accept_line(gated_listener, client);
	send_text(client, PAYLOAD);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

static void without_a_connection_a_forged_header_makes_none(void **state)
{
	struct handshake handshake = {.port = htons(40000), .to = htons(PORT)};

	(void)state;
	forge_many(&handshake);
	forge_without_data(&handshake);
	assert_int_equal(accept_within(gated_listener, A_WHILE_MS), -ETIMEDOUT);
}

/* An established connection, of whose header the first @sent bytes have come: what @attack sends
 * neither completes it nor ends the connection. */
static void check_on_connection(size_t sent, void (*attack)(const struct handshake *))
{
	int client = connect_to(PROXY, SERVER, OPEN), server;
	struct handshake handshake;
	struct pp_origin origin;

	sniff(&handshake, port_of(client));
	server = accept_within(open_listener, SOON_MS);
	send_all(client, LINE, sent);
	await_acknowledged(client);
	handshake.seq += sent;
	attack(&handshake);
	assert_int_equal(pp_lookup(server, &origin), -EAGAIN);
	send_text(client, LINE + sent);
	send_text(client, PAYLOAD);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, PAYLOAD);
	close_both(client, server);
}

static void forge_headers(const struct handshake *handshake)
{
	forge_many(handshake);
	forge_acknowledgements(handshake);
	usleep(A_WHILE_MS * 1000);
}

static void before_the_handshake_ends_a_forged_header_sets_no_origin(void **state)
{
	(void)state;
	check_on_handshake(forge_headers);
}

static void blind_segments_without_data_end_no_handshake(void **state)
{
	(void)state;
	check_on_handshake(forge_without_data);
}

static void blind_segments_without_data_end_no_connection(void **state)
{
	(void)state;
	check_on_connection(20, forge_without_data);
}

static void on_an_established_connection_a_forged_header_sets_no_origin(void **state)
{
	(void)state;
	check_on_connection(0, forge_headers);
}

static void half_a_header_cannot_be_completed_by_a_forger(void **state)
{
	(void)state;
	check_on_connection(20, forge_headers);
}

static void a_decoded_header_cannot_be_replaced(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	struct handshake handshake;

	(void)state;
	sniff(&handshake, port_of(client));
	send_text(client, LINE);
	server = accept_within(gated_listener, SOON_MS);
	forge(&handshake, handshake.seq, handshake.ack, FORGED);
	forge_acknowledgements(&handshake);
	forge_many(&handshake);
	assert_origin(server, LINE_ORIGIN);
	send_text(client, "EHLO x\r\n");
	assert_reads_text(server, "EHLO x\r\n");
	assert_origin(server, LINE_ORIGIN);
	close_both(client, server);
}

static void segments_that_overtake_the_header_wait_for_it(void **state)
{
	int client = connect_to(PROXY, SERVER, PORT), server;
	long dropped = counter("dropped_hole");
	struct handshake handshake;

	(void)state;
	sniff(&handshake, port_of(client));
	forge(&handshake, handshake.seq + LINE_LEN, handshake.ack, "EHLO x\r\n");
	assert_int_equal(accept_within(gated_listener, A_WHILE_MS), -ETIMEDOUT);
	assert_int_equal(counter("dropped_hole"), dropped + 1);
	send_text(client, LINE "EHLO x\r\n");
	server = accept_within(gated_listener, SOON_MS);
	assert_origin(server, LINE_ORIGIN);
	assert_reads_text(server, "EHLO x\r\n");
	close_both(client, server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_handshake_ends_a_forged_header_sets_no_origin),
		cmocka_unit_test(blind_segments_without_data_end_no_handshake),
		cmocka_unit_test(blind_segments_without_data_end_no_connection),
		cmocka_unit_test(without_a_connection_a_forged_header_makes_none),
		cmocka_unit_test(on_an_established_connection_a_forged_header_sets_no_origin),
		cmocka_unit_test(half_a_header_cannot_be_completed_by_a_forger),
		cmocka_unit_test(a_decoded_header_cannot_be_replaced),
		cmocka_unit_test(segments_that_overtake_the_header_wait_for_it),
	};

	return cmocka_run_group_tests_name("forge", tests, setup, NULL);
}
