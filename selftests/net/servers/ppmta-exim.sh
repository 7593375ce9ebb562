#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The tables that ppmta is held to are what Debian's Exim says.
. selftests/lib/tap.sh
tables=selftests/ppmta

# is_exims TABLE
is_exims() {
	$tables/exim "$1" >"$tap_work/answers" 2>"$tap_work/errors"
	diff $tables/"$1" "$tap_work/answers"
}
check expansions_are_exims is_exims expansions
check sessions_are_exims is_exims sessions
tap_end
