// SPDX-License-Identifier: BSD-2-Clause
/*
 * In every test with cmocka: CHECK_CASE names the one case that is to run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose_case(void)
{
	const char *name = getenv("CHECK_CASE");

	if (name && *name)
		cmocka_set_test_filter(name);
}
