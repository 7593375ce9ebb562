// SPDX-License-Identifier: BSD-2-Clause
/*
 * user/common/file.c: which files are read, and what is said of those that are not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/common/array.h"
#include "../../user/common/file.h"

#define MAX 20000

static char folder[] = "/tmp/ppsplit-file.XXXXXX", path[64];

static void put(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(file_write(fd, bytes, len), 0);
	close(fd);
}

/* Reading is an error that ends with @why. */
static void assert_refused(const char *file, const char *why)
{
	char error[FILE_ERROR_MAX] = "", *text = file_text(file, MAX, error);

	assert_null(text);
	assert_int_equal(strncmp(error, file, strlen(file)), 0);
	assert_string_equal(error + strlen(file), why);
}

static void a_text_is_read_up_to_its_limit(void **state)
{
	static const size_t lens[] = {0, 1, 8190, 8191, 8192, 8193, 16384, MAX};
	static char bytes[MAX + 1];
	char error[FILE_ERROR_MAX], *text;
	size_t i;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		put(bytes, lens[i]);
		text = file_text(path, MAX, error);
		assert_non_null(text);
		assert_int_equal(strlen(text), lens[i]);
		assert_memory_equal(text, bytes, lens[i]);
		free(text);
	}
	put(bytes, MAX + 1);
	assert_refused(path, ": more than 20000 bytes");
}

static void a_nul_has_its_line(void **state)
{
	(void)state;
	put("\0", 1);
	assert_refused(path, ":1: a NUL, which no text has: is this the right file?");
	put("a\nb\n\0c\n", 7);
	assert_refused(path, ":3: a NUL, which no text has: is this the right file?");
	put("a\nb\n\0", 5);
	assert_refused(path, ":3: a NUL, which no text has: is this the right file?");
}

static void what_is_no_file_is_not_waited_for(void **state)
{
	(void)state;
	assert_refused("/dev/zero", ": not a file");
	assert_refused(folder, ": not a file");
	unlink(path);
	assert_refused(path, ": No such file or directory");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(path, ": not a file");
	assert_int_equal(file_open(path, O_WRONLY), -1);
	assert_int_equal(errno, EINVAL);
}

static void what_cannot_be_written_is_said(void **state)
{
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	assert_int_equal(file_write(fd, "x", 1), ENOSPC);
	assert_int_equal(file_write(fd, "", 0), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/text", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_read_up_to_its_limit),
		cmocka_unit_test(a_nul_has_its_line),
		cmocka_unit_test(what_is_no_file_is_not_waited_for),
		cmocka_unit_test(what_cannot_be_written_is_said),
	};

	return cmocka_run_group_tests_name("file", tests, setup, teardown);
}
