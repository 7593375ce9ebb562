#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# String expansions: each row of selftests/ppmta/expansions has Exim's answer, or is refused when the configuration is
# read. What Exim refuses is refused, then or when it is expanded.
# check: all sanitized long
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
. selftests/lib/exim-tables.sh
copy_lookups

# refused_at REGEX: $say is the error of a configuration that was not taken
refused_at() {
	[ $taken -ne 0 ] && says "$say" "^ppmta: $conf:[0-9]+: smtp_banner: .*$1"
}

# row STRING ANSWER REFUSED
row() {
	string=$(printf '%s\n' "$1" | in_dir)
	printf '%s\ndelivery = maildir:/tmp/m\nsmtp_banner = %s\n' "$expansion_preamble" "$string" >"$conf"
	$program -C "$conf" -bV >"$say" 2>&1
	taken=$?
	if [ -n "$3" ]; then
		refused_at "$3"
		return
	fi
	if [ "$2" = Failed ] && refused_at . >/dev/null; then
		return
	fi
	echo "$expansion_preamble" >"$conf"
	answer=$($program -C "$conf" -be "$string" 2>&1 | one_line)
	case $2,$answer in
	'Failed,Failed: '*) return ;;
	esac
	[ $taken -eq 0 ] && [ "$answer" = "$2" ] || {
		cat "$say"
		echo "-be: $answer"
		return 1
	}
}

# rows SECTION: those after the line "# ---- SECTION"
rows() {
	failed=0 string= answer= refused=
	sed -n "/^# ---- $1\$/,\${/^# ---- $1\$/n;/^# ----/q;p}" $tables/expansions >"$tap_work/rows"
	echo end >>"$tap_work/rows"
	while IFS= read -r line; do
		case $line in
		'= '*) answer=${line#= } ;;
		'! '*) refused=${line#! } ;;
		*)
			[ -z "$string" ] || row "$string" "$answer" "$refused" >"$tap_work/row" || {
				failed=$((failed + 1))
				printf '%s  should be  %s\n' "$string" "${refused:+refused, }${refused:-$answer}"
				cat "$tap_work/row"
			}
			string=$line refused=
			;;
		esac
	done <"$tap_work/rows"
	[ -n "$answer" ] && [ $failed -eq 0 ]
}

sed -n 's/^# ---- //p' $tables/expansions >"$tap_work/sections"
while IFS= read -r section; do
	check "$(echo "$section" | tr -c 'a-z_0-9\n' _)" rows "$section"
done <"$tap_work/sections"
tap_end
