#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/mistakes.md: what `ppctl check` warns of, each mistake made here. Those of the file are in unit/config, those of
# `ppctl status` in net/health.
# check: all
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
conf=$tap_work/ppsplit.conf
out=$tap_work/said
page=docs/mistakes.md
mkdir -p /run/systemd/system 2>/dev/null

# a file without a mistake: the cgroup is there, somebody listens
mkdir -p "$LAB_CGROUP/server"
listen() { # [ADDRESS:]PORT
	sh -c 'echo $$ >"$1/cgroup.procs" && exec busybox httpd -f -p "$2"' sh "$LAB_CGROUP/server" "$1" &
	listener=$!
	wait_port 2501
}
listen 2501
good() {
	cat >"$conf" <<-CONF
		[serve one]
		cgroup = $LAB_CGROUP/server
		port = 2501
		proxy = 127.0.0.2
		proxy-cgroup = $LAB_OUTSIDE
	CONF
	chown 0:0 "$conf"
	chmod 644 "$conf"
	chmod 700 "$tap_work"
}
no_mistake() {
	good && $ppctl check "$conf" >"$out" 2>&1 && ! grep -v 'no error$' "$out"
}
check a_file_without_a_mistake no_mistake

# edit SED WHERE: the mistake, and what check says before the words, "LINE: warning: WORD" or another pattern
edit() {
	sed -i "$1" "$conf"
	where=$2
}
make_mistake() { # WORDS
	level=warning
	case $1 in
	'has neither proxy nor proxy-cgroup') edit '/^proxy/d' '1: warning: \[serve one\] ' ;;
	'and systemd has no unit of this name'*) edit "s|^cgroup.*|cgroup = nowhere.slice/nowhere.service|" '2: warning: cgroup nowhere.* ' ;;
	"does not exist: 'ppctl apply' has to be called again"*) edit "s|^cgroup.*|cgroup = nowhere.slice|" '2: warning: cgroup nowhere.slice ' ;;
	'is not a cgroup v2 directory') edit "s|^cgroup.*|cgroup = /etc|" '2: cgroup /etc ' && level=error ;;
	'has no listener in this network namespace') edit 's/^port.*/port = 2599/' '3: warning: port 2599 ' ;;
	'is reached by no proxy: its server listens on')
		# that there is no route is another mistake
		ip link set lo up
		ip route replace 198.51.100.7 dev lo
		edit 's/^proxy =.*/proxy = 198.51.100.7/; /^proxy-cgroup/d' '3: warning: port 2501 '
		kill $listener
		wait $listener
		listen 127.0.0.1:2501
		;;
	'is transparent, and listens on IPv4 only')
		edit 's/^port.*/& transparent=yes/' '3: warning: port 2501 '
		kill $listener
		wait $listener
		listen 127.0.0.1:2501
		;;
	'there is no route to it'*) edit 's/^proxy =.*/proxy = 192.0.2.1/' '4: warning: proxy 192.0.2.1/32: ' ;;
	'is every IPv4 address'*) edit 's|^proxy =.*|proxy = 0.0.0.0/0|' '4: warning: proxy 0.0.0.0/0 ' ;;
	'is every IPv6 address'*) edit 's|^proxy =.*|proxy = ::/0|' '4: warning: proxy ::/0 ' ;;
	'is this host: any process here would be believed') edit '/^proxy-cgroup/d' '4: warning: proxy 127.0.0.2/32 ' ;;
	'in it, an address of this host: any process here, and whoever comes by a relay here')
		ip addr add 172.17.0.1/16 dev lo &&
			edit '/^proxy-cgroup/d; s|^proxy =.*|proxy = 172.17.0.0/16|' '4: warning: proxy 172\.17\.0\.0/16 has 172\.17\.0\.1 '
		;;
	'does not exist in this network namespace') edit 's/^port.*/& split=yes\ninterface = eth99/' '4: warning: interface eth99 ' ;;
	'everybody may write to it') chmod o+w "$conf" && where=' warning: ' ;;
	'it belongs to another user than root') chown 4711 "$conf" && where=' warning: ' ;;
	"a group that is not root's may write to it") chgrp 4711 "$conf" && chmod g+w "$conf" && where=' warning: ' ;;
	'can put another file there') chmod 777 "$tap_work" && where=' warning: ' ;;
	'there is no section [serve NAME]: nothing is served') : >"$conf" && where=' warning: ' ;;
	*) echo "no mistake here has the words: $1" && return 1 ;;
	esac
}
named() { # WORDS
	good
	make_mistake "$1" || return 1
	$ppctl check "$conf" >"$out" 2>&1
	status=$?
	[ $status -eq "$([ $level = warning ] && echo 0 || echo 1)" ] || {
		echo "it exits with $status"
		return 1
	}
	grep -- "^$conf:$where" "$out" | grep -qF -- "$1" || {
		cat "$out"
		return 1
	}
	[ "$(grep -vc 'no error$' "$out")" = 1 ]
}
in_json() {
	good && edit 's|^proxy =.*|proxy = ::/0|' '' && $ppctl check --json "$conf" >"$out" && says "$out" '"level":"warning"' && says "$out" '"line":4'
}

sed -n '/^## What the file says of this system/,/^## When/s/^| [^|]* | `\([^`]*\)` | .*/\1/p' $page >"$tap_work/words"
many() {
	[ "$(wc -l <"$tap_work/words")" -ge 17 ] && [ "$(grep -c '^| [^|]* | `' $page)" -ge 55 ]
}
check the_page_lists_them many
while IFS= read -r words; do
	check "$(echo "$words" | tr -c 'a-zA-Z0-9\n' _)" named "$words"
done <"$tap_work/words"
check in_json_too in_json
nowhere() {
	! $ppctl check "$tap_work/nowhere" >"$out" 2>&1 && says "$out" 'No such file'
}
check no_file_at_all nowhere
kill $listener
tap_end
