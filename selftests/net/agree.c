// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's copy of the decoder and libpp's give the same answer to every header of the table.
 */
#include "../lib/net.h"
#include "../unit/headers.h"

static void check(const struct header_case *header, int listener)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	size_t len = header_bytes(header, bytes);
	struct pp_origin ours, theirs;
	char text[PP_ORIGIN_PRINT_MAX];
	int client, server, result, want;

	if (len == 0)
		return;
	client = connect_to(PROXY, SERVER, PORT);
	send_all(client, bytes, len);
	await_acknowledged(client);
	server = accept_within(listener, SOON_MS);
	result = pp_lookup(server, &theirs);
	want = pp_parse(bytes, len, &ours);
	if (want == 0 ? result != -EAGAIN : result != (want > 0 ? 0 : want))
		fail_msg("%s: pp_lookup says %d (%s), pp_parse says %d", header->rule, result,
			 pp_strerror(result), want);
	if (want > 0) {
		pp_origin_print(&theirs, text, sizeof(text));
		if (strcmp(text, header->origin))
			fail_msg("%s: %s, not %s", header->rule, text, header->origin);
		assert_memory_equal(&ours, &theirs, sizeof(ours));
		assert_int_equal(pp_lookup(server, &theirs), 0);
		assert_memory_equal(&ours, &theirs, sizeof(ours));
		assert_reads(server, bytes + want, len - want);
		assert_nothing_to_read(server);
	} else {
		assert_reads(server, bytes, len);
	}
	reset(client);
	close(server);
}

static void kernel_and_library_agree_on_every_header(void **state)
{
	int listener = listen_on(SERVER, PORT);
	size_t i;

	(void)state;
	for (i = 0; i < header_case_count; i++)
		check(&header_cases[i], listener);
	close(listener);
}

/* Damaged headers, the same ones in every run. */
static void kernel_and_library_agree_on_damaged_headers(void **state)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	int listener = listen_on(SERVER, PORT), client, server, result, want;
	int rounds = getenv("PP_SOAK") ? 100 : 2, round;
	struct pp_origin ours, theirs;
	size_t i, len;

	(void)state;
	srandom(20131104);
	for (i = 0; i < header_case_count * rounds; i++) {
		len = header_bytes(&header_cases[i % header_case_count], bytes);
		if (len == 0 || len > 2000)
			continue;
		for (round = random() % 3; round >= 0; round--)
			bytes[random() % len] = random();
		client = connect_to(PROXY, SERVER, PORT);
		send_all(client, bytes, len);
		await_acknowledged(client);
		server = accept_within(listener, SOON_MS);
		result = pp_lookup(server, &theirs);
		want = pp_parse(bytes, len, &ours);
		if (want == 0 ? result != -EAGAIN : result != (want > 0 ? 0 : want))
			fail_msg("%s, damaged: pp_lookup says %d, pp_parse says %d",
				 header_cases[i % header_case_count].rule, result, want);
		if (want > 0)
			assert_memory_equal(&ours, &theirs, sizeof(ours));
		reset(client);
		close(server);
	}
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_and_library_agree_on_every_header),
		cmocka_unit_test(kernel_and_library_agree_on_damaged_headers),
	};

	return cmocka_run_group_tests_name("agree", tests, net_setup, NULL);
}
