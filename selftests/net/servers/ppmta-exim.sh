#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The tables that ppmta is held to are what Debian 12's Exim says; Debian 13's differs where its own list has it.
# check: all long
. selftests/lib/tap.sh
. selftests/lib/exim-tables.sh

exim_user
version=$(exim4 -bV 2>/dev/null | sed -n '1s/^Exim version \([0-9]*\.[0-9]*\).*/\1/p')

# is_exims TABLE
is_exims() {
	$tables/exim "$1" >"$tap_work/answers" 2>"$tap_work/errors"
	diff $tables/"$1" "$tap_work/answers" | grep '^[<>]' >"$tap_work/differences"
	case $version in
	4.96) : >"$tap_work/known" ;;
	*) cp "$tables/$1.$version" "$tap_work/known" ;;
	esac
	diff "$tap_work/known" "$tap_work/differences"
}
if [ "$version" = 4.96 ] || [ -e "$tables/sessions.$version" ]; then
	check expansions_are_exims is_exims expansions
	check sessions_are_exims is_exims sessions
else
	echo "ok - the_tables_are_exims # SKIP there is none for Exim $version, only for 4.96 and $(echo $tables/sessions.* | sed 's/[^ ]*sessions\.//g')"
fi
tap_end
