# SPDX-License-Identifier: BSD-2-Clause
# For tests that are shell scripts: a ppmta with a configuration of the test's. Sourced after tap.sh.
program=${PPMTA:-build/bin/ppmta}
tools=$PWD/build/selftests/tools
conf=$tap_work/ppmta.conf
log=$tap_work/log
say=$tap_work/said
chmod 755 "$tap_work"
. selftests/lib/tls.sh
nobody=65534
# what ppmta makes is made by the user that it becomes
mkdir -m 700 "$tap_work/Maildir" && chown "$nobody" "$tap_work/Maildir"
: >"$log"
chmod 666 "$log"

# configure [ADDRESSES]: $conf, with more options from standard input
configure() {
	{
		echo "primary_hostname = mail.example.net"
		echo "local_interfaces = ${1:-127.0.0.1.2525}"
		echo "delivery = maildir:$tap_work/Maildir"
		echo "user = nobody"
		cat
	} >"$conf"
}

# start_ppmta: with $conf, until it says that it is there
start_ppmta() {
	: >"$log"
	$program -C "$conf" --log "$log" "$@" >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	for _ in $(seq 1200); do
		grep -q 'daemon started' "$log" && return 0
		kill -0 $ppmta 2>/dev/null || break
		sleep 0.05
	done
	cat "$tap_work/ppmta.out" "$log"
	return 1
}

stop_ppmta() {
	kill "$ppmta" 2>/dev/null
	wait "$ppmta"
}

# wait_log PATTERN: until a line of the log matches
wait_log() {
	wait_says "$log" "$1"
}

says_not() { # FILE PATTERN
	! grep -E -- "$2" "$1"
}

# talk ARGUMENTS...: what was said goes to $say
talk() {
	"$tools/talk" "$@" >"$say" 2>&1
}

now_ms() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}
