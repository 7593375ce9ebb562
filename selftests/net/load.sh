#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta under load: 2,000 sessions at once, 10,000 connections without growth of memory or descriptors,
# and that slow clients and floods of bad headers starve nobody.
# check: all
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
connections=${PP_SOAK:+100000}
connections=${connections:-${LOAD_CONNECTIONS:-10000}}

ip route add local 10.9.0.0/16 dev lo
ulimit -n 20000
configure <<CONF
proxy_required_hosts = 127.0.0.2
proxy_protocol_timeout = 20s
smtp_accept_max = 2500
smtp_accept_max_per_host = 20
CONF
build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --gate 0 --proxy 127.0.0.2 >"$tap_work/ppctl"
check ppmta_starts start_ppmta

descriptors() {
	ls "/proc/$ppmta/fd" | wc -l
}
memory() { # kB
	awk '/^VmRSS/ { print $2 }' "/proc/$ppmta/status"
}
one_thread() {
	threads=$(ls "/proc/$ppmta/task" | wc -l)
	[ "$threads" -eq 1 ] || {
		echo "$threads threads are left"
		return 1
	}
}
settle() { # until all sessions have ended
	soon one_thread
}

crowd() {
	"$tools/smtp-crowd" 127.0.0.1 2525 2000 >"$say" 2>&1 || {
		cat "$say"
		return 1
	}
	[ "$(grep -o 'H=(crowd.example) \[10\.9\.[0-9.]*\]' "$log" | sort -u | wc -l)" -eq 2000 ]
}
check two_thousand_sessions_at_once crowd
check they_end settle

many() { # each with a header of its own
	"$tools/smtp-flood" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 "$1" QUIT
}
growth() {
	many "$connections" || return 1 # the allocator takes what it will need
	settle || return 1
	fds=$(descriptors) kb=$(memory)
	many "$connections" || return 1
	settle || return 1
	[ "$(descriptors)" -eq "$fds" ] && [ "$(memory)" -le $((kb + 4000)) ] || {
		echo "$fds descriptors, $kb kB; then $(descriptors), $(memory) kB"
		return 1
	}
}
check ten_thousand_connections_leave_nothing_behind growth

message() { # of one that is served whatever the others do
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1
}
slow_ones() {
	[ "$(awk '$2 ~ /:09DD$/ && $4 == "01"' /proc/net/tcp | wc -l)" -ge 300 ]
}
slow() { # 300 proxies that send no header
	"$tools/smtp-flood" --from 127.0.0.2 --hold 60 127.0.0.1 2525 300 >"$tap_work/slow" 2>&1 &
	slow=$!
	soon slow_ones && message && kill -0 $slow || return 1
	kill $slow
	wait $slow 2>/dev/null
	return 0
}
check slow_clients_starve_nobody slow
flood() { # which has no end before the messages are there
	: >"$tap_work/going"
	(
		while [ -e "$tap_work/going" ]; do
			"$tools/smtp-flood" --from 127.0.0.2 --header 'PROXY TCP9 nonsense' 127.0.0.1 2525 1000 QUIT || exit 1
		done
	) >"$tap_work/flood" 2>&1 &
	flood=$!
	message && message && message && kill -0 $flood
	result=$?
	rm "$tap_work/going"
	wait $flood && return $result
}
check a_flood_of_bad_headers_starves_nobody flood
check they_end_too settle
tap_end
