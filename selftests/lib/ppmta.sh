# SPDX-License-Identifier: BSD-2-Clause
# For tests that are shell scripts: a ppmta with a configuration of the test's. Sourced after tap.sh.
tools=$PWD/build/selftests/tools
conf=$tap_work/ppmta.conf
log=$tap_work/log
say=$tap_work/said
chmod 755 "$tap_work"

# start_ppmta: with $conf, until it says that it is there
start_ppmta() {
	: >"$log"
	chmod 666 "$log"
	build/bin/ppmta -C "$conf" --log "$log" "$@" >"$tap_work/ppmta.out" 2>&1 &
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

# letter FROM EHLO: what a mail client says, for s_client. It waits for each reply, in $say, since what talks
# before it is asked is no mail client.
letter() {
	heard=1 # the banner; or behind STARTTLS the last line of what EHLO said before
	for line in "EHLO $2" "MAIL FROM:<$1>" 'RCPT TO:<you@example.org>' DATA "$(printf 'Subject: x\r\n\r\nx\r\n.')" QUIT; do
		for _ in $(seq 600); do
			[ "$(grep -cs '^[0-9][0-9][0-9] ' "$say")" -ge $heard ] && break
			sleep 0.1
		done
		printf '%s\r\n' "$line"
		heard=$((heard + 1))
	done
}

# letter_by_tls FROM EHLO ARGUMENTS...: of openssl s_client; what was said goes to $say
letter_by_tls() {
	: >"$say"
	from=$1 helo=$2
	shift 2
	letter "$from" "$helo" | timeout 120 openssl s_client -quiet "$@" >"$say" 2>&1
}

now_ms() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

# make_certificate: key.pem and cert.pem in $tap_work
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=mail.example.net \
		-keyout "$tap_work/key.pem" -out "$tap_work/cert.pem" >"$tap_work/openssl" 2>&1
	chmod 644 "$tap_work/key.pem"
}
