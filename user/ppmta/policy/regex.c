// SPDX-License-Identifier: BSD-2-Clause
/*
 * Regular expressions, by PCRE2.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "policy.h"

static void keep_captured(struct session *session, const char *subject, int count,
			  const PCRE2_SIZE *ends)
{
	int i;

	memset(session->captured, 0, sizeof(session->captured));
	for (i = 0; i < CAPTURED_MAX && i < count; i++) {
		if (ends[2 * i] != PCRE2_UNSET)
			session->captured[i] = pool_copy(&session->pool, subject + ends[2 * i],
							 ends[2 * i + 1] - ends[2 * i]);
	}
}

int regex_match(struct evaluation *eval, const char *subject, const char *pattern, bool is_caseless)
{
	pcre2_match_data *match;
	PCRE2_UCHAR text[256];
	PCRE2_SIZE offset;
	pcre2_code *regex;
	int code, count = 0;

	regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
			      is_caseless ? PCRE2_CASELESS : 0, &code, &offset, NULL);
	if (!regex) {
		pcre2_get_error_message(code, text, sizeof(text));
		return failed(eval, "regular expression '%s': %s at %zu", pattern, (char *)text,
			      offset);
	}
	match = pcre2_match_data_create_from_pattern(regex, NULL);
	if (eval->session && match)
		count = pcre2_match(regex, (PCRE2_SPTR)subject, strlen(subject), 0, 0, match, NULL);
	if (count > 0)
		keep_captured(eval->session, subject, count, pcre2_get_ovector_pointer(match));
	else if (!match || (count < 0 && count != PCRE2_ERROR_NOMATCH))
		failed(eval, "regular expression '%s': error %d of PCRE2", pattern, count);
	pcre2_match_data_free(match);
	pcre2_code_free(regex);
	return eval->error ? -1 : count > 0;
}
