// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's copy of the decoder and libpp's give the same answer to every header of the table,
 * and the same reason for every bad one.
 */
#include "../lib/net.h"
#include "../unit/headers.h"

/* One connection that begins with @bytes, which the kernel and libpp are both asked about. */
struct question {
	int client, server;
	int want; /* what pp_parse() says */
	struct pp_origin ours, theirs;
};

/* But for the proxy, which pp_parse() cannot know. */
static void assert_same(const struct question *question)
{
	assert_memory_equal(&question->ours, &question->theirs, offsetof(struct pp_origin, proxy));
}

static void ask(struct question *question, int listener, const char *rule, const uint8_t *bytes,
		size_t len)
{
	int result, want;

	question->client = connect_to(PROXY, SERVER, PORT);
	send_all(question->client, bytes, len);
	await_acknowledged(question->client);
	question->server = accept_within(listener, SOON_MS);
	result = pp_lookup(question->server, &question->theirs);
	want = question->want = pp_parse(bytes, len, &question->ours);
	if (want == 0 ? result != -EAGAIN : result != (want > 0 ? 0 : want))
		fail_msg("%s: pp_lookup says %d (%s), pp_parse says %d", rule, result,
			 pp_strerror(result), want);
	if (want > 0)
		assert_same(question);
	if (want < 0 && question->ours.reason != question->theirs.reason)
		fail_msg("%s: pp_lookup's reason: %s; pp_parse's: %s", rule,
			 pp_reason_text(question->theirs.reason),
			 pp_reason_text(question->ours.reason));
}

static void hang_up(const struct question *question)
{
	reset(question->client);
	close(question->server);
}

static void check(const struct header_case *header, int listener)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	size_t len = header_bytes(header, bytes);
	char text[PP_ORIGIN_PRINT_MAX];
	struct question question;

	if (len == 0)
		return;
	ask(&question, listener, header->rule, bytes, len);
	if (question.want > 0) {
		pp_origin_print(&question.theirs, text, sizeof(text));
		if (strcmp(text, header->origin))
			fail_msg("%s: %s, not %s", header->rule, text, header->origin);
		assert_int_equal(pp_lookup(question.server, &question.theirs), 0);
		assert_same(&question);
		assert_reads(question.server, bytes + question.want, len - question.want);
		assert_nothing_to_read(question.server);
	} else if (question.want ==
		   0) { /* taken so far, so that the socket is quiet until more comes */
		assert_nothing_to_read(question.server);
	} else {
		assert_reads(question.server, bytes, len);
	}
	hang_up(&question);
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
	int listener = listen_on(SERVER, PORT);
	int rounds = getenv("PP_SOAK") ? 100 : 2, round;
	struct question question;
	size_t i, len;

	(void)state;
	srandom(20131104);
	for (i = 0; i < header_case_count * rounds; i++) {
		len = header_bytes(&header_cases[i % header_case_count], bytes);
		if (len == 0 || len > 2000)
			continue;
		for (round = random() % 3; round >= 0; round--)
			bytes[random() % len] = random();
		ask(&question, listener, header_cases[i % header_case_count].rule, bytes, len);
		hang_up(&question);
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
