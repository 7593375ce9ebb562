// SPDX-License-Identifier: BSD-2-Clause
/*
 * pp_tlv_next(), pp_strerror(), pp_reason_text(), pp_origin_print().
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include <pp/pp.h>

static void a_walk_finds_each_tlv_and_then_the_end(void **state)
{
	static const uint8_t tlvs[] = {PP_TLV_ALPN,	 0, 2, 'h', '2', PP_TLV_NOOP, 0, 0,
				       PP_TLV_UNIQUE_ID, 0, 3, 'a', 'b', 'c'};
	struct pp_tlv tlv;
	size_t offset = 0;

	(void)state;
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &tlv), 1);
	assert_int_equal(tlv.type, PP_TLV_ALPN);
	assert_int_equal(tlv.len, 2);
	assert_memory_equal(tlv.value, "h2", 2);
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &tlv), 1);
	assert_int_equal(tlv.type, PP_TLV_NOOP);
	assert_int_equal(tlv.len, 0);
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &tlv), 1);
	assert_int_equal(tlv.len, 3);
	assert_memory_equal(tlv.value, "abc", 3);
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &tlv), 0);
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &tlv), 0);
}

static void a_walk_enters_the_sub_tlvs_of_ssl(void **state)
{
	static const uint8_t tlvs[] = {PP_TLV_SSL,    0, 11, 1,	  0,   0,  0, 0,
				       PP_TLV_SSL_CN, 0, 3,  'm', 'x', '1'};
	struct pp_tlv ssl, cn;
	size_t offset = 0;

	(void)state;
	assert_int_equal(pp_tlv_next(tlvs, sizeof(tlvs), &offset, &ssl), 1);
	assert_int_equal(ssl.len, 11);
	offset = 0;
	assert_int_equal(pp_tlv_next(ssl.value + PP_TLV_SSL_FIXED, ssl.len - PP_TLV_SSL_FIXED,
				     &offset, &cn),
			 1);
	assert_int_equal(cn.type, PP_TLV_SSL_CN);
	assert_memory_equal(cn.value, "mx1", 3);
}

static void a_tlv_past_the_end_is_an_error(void **state)
{
	static const uint8_t one_short[] = {PP_TLV_NOOP, 0, 2, 'a'}, head[] = {PP_TLV_NOOP, 0};
	struct pp_tlv tlv;
	size_t offset = 0;

	(void)state;
	assert_int_equal(pp_tlv_next(one_short, sizeof(one_short), &offset, &tlv), -EBADMSG);
	assert_int_equal(pp_tlv_next(head, sizeof(head), &offset, &tlv), -EBADMSG);
	offset = 100;
	assert_int_equal(pp_tlv_next(head, sizeof(head), &offset, &tlv), -EBADMSG);
}

static void every_error_has_a_text(void **state)
{
	static const int errors[] = {0,	       -EAGAIN,	     -ETIMEDOUT, -ENOENT,
				     -EBADMSG, -ENOPROTOOPT, -ENODATA,	 -ENOBUFS,
				     -EBUSY,   -ENOTCONN,    -EBADF,	 12345};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_non_null(pp_strerror(errors[i]));
		assert_true(strlen(pp_strerror(errors[i])) > 3);
		for (k = 0; k < i; k++)
			assert_string_not_equal(pp_strerror(errors[i]), pp_strerror(errors[k]));
	}
}

static void every_reason_has_a_text_of_its_own(void **state)
{
	int reason, other;

	(void)state;
	for (reason = 0; reason < PP_REASON_COUNT; reason++) {
		assert_true(strlen(pp_reason_text(reason)) > 10);
		assert_string_not_equal(pp_reason_text(reason), pp_reason_text(-1));
		for (other = 0; other < reason; other++)
			assert_string_not_equal(pp_reason_text(reason), pp_reason_text(other));
	}
	assert_non_null(pp_reason_text(PP_REASON_COUNT));
	assert_non_null(pp_reason_text(-1000000));
}

static void an_origin_has_no_hidden_padding(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct pp_origin, src), 8);
	assert_int_equal(offsetof(struct pp_origin, sender_cgroup),
			 8 + 2 * sizeof(struct sockaddr_storage));
	assert_int_equal(offsetof(struct pp_origin, reserved) + 7,
			 offsetof(struct pp_origin, proxy));
	assert_int_equal(offsetof(struct pp_origin, proxy) + 2 * sizeof(struct sockaddr_storage),
			 sizeof(struct pp_origin));
}

static void an_origin_that_does_not_fit_is_cut_and_says_its_length(void **state)
{
	struct pp_origin origin = {.version = 1, .command = PP_LOCAL};
	char text[6];

	(void)state;
	assert_int_equal(pp_origin_print(&origin, text, sizeof(text)), 8);
	assert_string_equal(text, "LOCAL");
}

static void a_unix_path_cannot_break_a_line(void **state)
{
	struct pp_origin origin = {
		.version = 2, .command = PP_PROXY, .family = AF_UNIX, .transport = SOCK_STREAM};
	struct sockaddr_un *un = (struct sockaddr_un *)&origin.src;
	char text[PP_ORIGIN_PRINT_MAX];

	(void)state;
	un->sun_family = origin.dst.ss_family = AF_UNIX;
	memcpy(un->sun_path, "/a\nb\x1b[0m", 9);
	pp_origin_print(&origin, text, sizeof(text));
	assert_string_equal(text, "PROXY v2 UNIX /a?b?[0m -> @");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_finds_each_tlv_and_then_the_end),
		cmocka_unit_test(a_walk_enters_the_sub_tlvs_of_ssl),
		cmocka_unit_test(a_tlv_past_the_end_is_an_error),
		cmocka_unit_test(every_error_has_a_text),
		cmocka_unit_test(every_reason_has_a_text_of_its_own),
		cmocka_unit_test(an_origin_has_no_hidden_padding),
		cmocka_unit_test(an_origin_that_does_not_fit_is_cut_and_says_its_length),
		cmocka_unit_test(a_unix_path_cannot_break_a_line),
	};

	return cmocka_run_group_tests_name("tlv", tests, NULL, NULL);
}
