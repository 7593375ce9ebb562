// SPDX-License-Identifier: BSD-2-Clause
/*
 * docs/mistakes.md, a table for each place that a mistake shows in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mistakes.h"

/* The words of a row: between the first two back-quotes of its second column. */
static char *words_of(char *row)
{
	char *column = strstr(row, " | "), *words, *end;

	if (row[0] != '|' || !column)
		return NULL;
	words = strchr(column, '`');
	if (!words || words != column + 3)
		return NULL;
	end = strchr(++words, '`');
	if (!end)
		return NULL;
	*end = 0;
	return words;
}

void assert_mistakes_are_said(const char *title, size_t least, int (*is_said)(const char *words))
{
	FILE *page = fopen("docs/mistakes.md", "re");
	int inside = 0, unsaid = 0;
	char line[1024], *words;
	size_t rows = 0;

	if (!page)
		fail_msg("docs/mistakes.md cannot be read");
	while (fgets(line, sizeof(line), page)) {
		if (!strncmp(line, "## ", 3))
			inside = !strncmp(line + 3, title, strlen(title));
		words = inside ? words_of(line) : NULL;
		if (!words)
			continue;
		rows++;
		if (is_said(words))
			continue;
		print_error("no case says '%s'\n", words);
		unsaid++;
	}
	fclose(page);
	assert_int_equal(unsaid, 0);
	if (rows < least)
		fail_msg("%zu rows below '%s', not %zu", rows, title, least);
}
