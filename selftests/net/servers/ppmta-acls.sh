#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Access control lists: in each case of selftests/ppmta/sessions ppmta says and logs what Exim does, or refuses the
# configuration when it is read.
# check: all long
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
. selftests/lib/exim-tables.sh
copy_lookups
mkdir -p "$tap_work/Maildir/tmp" "$tap_work/Maildir/new" "$tap_work/Maildir/cur"
start_name_server
split_sessions

# log_of FILE: the lines of the table's log that are of the policy, and not about what went wrong
log_of() {
	grep '^\* ' "$1" | grep -Ev 'failed to|unknown |no host name|no IP address|error|returned|assumed|cannot use|^\* H=.* is not|DIR/|conf:|nothing|expected|no HELO|no answer|no ACL|tainted|temporarily rejected [A-Z]+ <[^>]*>$'
}

# session CASE: what ppmta says to it is what the table says
session() {
	{
		case_configuration "$1" | sed '/^begin acl/,$d'
		echo "delivery = maildir:$tap_work/Maildir"
		echo "dns_servers = 127.0.0.1"
		echo "dns_timeout = 2s"
		case_configuration "$1" | sed -n '/^begin acl/,$p'
	} >"$conf"
	$program -C "$conf" -bV >"$say" 2>&1
	taken=$?
	if [ -e "$1/refused" ] || [ "$(cat "$1/expected")" = '< refused' ]; then
		[ $taken -eq 1 ] && says "$say" "^ppmta: $conf:[0-9]+: " && says "$say" "$(cat "$1/refused" 2>/dev/null)"
		return
	fi
	[ $taken -eq 0 ] || {
		cat "$say"
		return 1
	}
	case_session "$1" $program -C "$conf"
	sed -i "s|$tap_work/lookups|DIR|g" "$tap_work/replies"
	as_expected >"$tap_work/heard"
	grep '^< ' "$1/expected" >"$tap_work/wanted"
	[ ! -e "$1/instead" ] || cp "$1/instead" "$tap_work/wanted"
	diff "$tap_work/wanted" "$tap_work/heard" || {
		cat "$tap_work/errors"
		return 1
	}
	[ ! -e "$1/instead" ] || return 0
	sed -n "s/^[-0-9]\{10\} [:0-9]\{8\} \([0-9A-Za-z]\{6\}-[0-9A-Za-z]\{6\}-[0-9A-Za-z]\{2\} \)*/* /p" "$tap_work/errors" >"$tap_work/logged"
	log_of "$1/expected" >"$tap_work/wanted"
	log_of "$tap_work/logged" | grep -v ' => \| <= ' | diff "$tap_work/wanted" -
}

for one in "$tap_work"/cases/*; do
	check "$(tr -c 'a-zA-Z_0-9\n' _ <"$one/name")" session "$one"
done
tap_end
