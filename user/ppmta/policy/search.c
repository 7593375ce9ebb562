// SPDX-License-Identifier: BSD-2-Clause
/*
 * What strings are looked for in: files with keys (lsearch), and regular expressions by PCRE2.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy.h"

/* Does @line begin with @key? Return: what follows it, or NULL. A key in quotes may have blanks. */
static char *after_key(char *line, const char *key)
{
	char *end;

	if (*line == '"') {
		line++;
		end = line + strcspn(line, "\"");
	} else {
		end = line + strcspn(line, ": \t");
	}
	if ((size_t)(end - line) != strlen(key) || strncasecmp(line, key, end - line))
		return NULL;
	end += *end == '"';
	end += strspn(end, " \t");
	end += *end == ':';
	return end + strspn(end, " \t");
}

/* "key: value" or "key value"; lines that begin with a blank continue the one before. */
char *list_lsearch(struct pool *pool, const char *file, const char *key, char **error)
{
	struct text value = {.pool = pool};
	FILE *stream = fopen(file, "re");
	char *line = NULL, *found = NULL;
	size_t room = 0;

	if (!stream) {
		*error = pool_printf(pool, "%s: %s", file, strerror(errno));
		return NULL;
	}
	while (getline(&line, &room, stream) >= 0) {
		bool goes_on = *line == ' ' || *line == '\t';

		if (*line == '#' || !*string_trim(line))
			continue;
		if (found && !goes_on)
			break;
		if (found)
			text_add_string(&value, " ");
		else if (!goes_on)
			found = after_key(string_trim(line), key);
		if (found)
			text_add_string(&value, goes_on ? string_trim(line) : found);
	}
	if (!found && ferror(stream)) /* what was not read may have had it */
		*error = pool_printf(pool, "%s: cannot be read", file);
	free(line);
	fclose(stream);
	return found ? text_get(&value) : NULL;
}

static pcre2_code *compile(const char *pattern, bool is_caseless, struct pool *pool, char **error)
{
	PCRE2_UCHAR text[256];
	PCRE2_SIZE offset;
	pcre2_code *regex;
	int code;

	regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
			      is_caseless ? PCRE2_CASELESS : 0, &code, &offset, NULL);
	if (!regex) {
		pcre2_get_error_message(code, text, sizeof(text));
		*error = pool_printf(pool, "regular expression '%s': %s at %zu", pattern,
				     (char *)text, offset);
	}
	return regex;
}

char *regex_check(const char *pattern, struct pool *pool)
{
	char *error = NULL;

	pcre2_code_free(compile(pattern, false, pool, &error));
	return error;
}

static void keep_captured(struct session *session, const char *subject, int count,
			  const PCRE2_SIZE *ends)
{
	int i;

	for (i = 0; i < CAPTURED_MAX; i++)
		session->captured[i] = i < count && ends[2 * i] != PCRE2_UNSET
					       ? pool_copy(&session->pool, subject + ends[2 * i],
							   ends[2 * i + 1] - ends[2 * i])
					       : NULL;
}

int regex_match(struct session *session, const char *subject, const char *pattern, bool is_caseless,
		char **error)
{
	pcre2_code *regex = compile(pattern, is_caseless, &session->pool, error);
	pcre2_match_data *match;
	int count;

	if (!regex)
		return -1;
	match = pcre2_match_data_create_from_pattern(regex, NULL);
	count = pcre2_match(regex, (PCRE2_SPTR)subject, strlen(subject), 0, 0, match, NULL);
	if (count > 0)
		keep_captured(session, subject, count, pcre2_get_ovector_pointer(match));
	if (count < 0 && count != PCRE2_ERROR_NOMATCH)
		*error = pool_printf(&session->pool, "regular expression '%s': error %d of PCRE2",
				     pattern, count);
	pcre2_match_data_free(match);
	pcre2_code_free(regex);
	return *error ? -1 : count > 0;
}
