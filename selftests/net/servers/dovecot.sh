#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's dovecot-imapd behind HAProxy, with docs/dovecot.md's configuration: IMAP, and IMAP over
# implicit TLS.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
. selftests/lib/events.sh
log=/var/log/dovecot.log
say=$tap_work/said
logged_in='(Login|Logged in)' # of Dovecot 2.3 and 2.4

user dovecot 9001
user dovenull 9002
user you 9000
mkdir -p /var/mail /var/lib/dovecot /run/dovecot
chown you:you /var/mail
page_files docs/dovecot.md '' "$(dovecot_variant)"
make_certificate /etc/dovecot
check the_pages_ppctl page_ppctl docs/dovecot.md
start_dovecot() {
	dovecot -F >>"$tap_work/dovecot" 2>&1 &
	dovecot=$!
	wait_port 993
}
check dovecot_starts start_dovecot
start_haproxy 993 10003 10004
start_haproxy 143 10001 10002

login() { # user from address port
	"$tools/talk" --from "$2" "$3" "$4" "a LOGIN $1 secret" 'b SELECT INBOX' 'c LOGOUT' >"$say"
	says "$say" '^a OK' && says "$say" '^c OK'
}

# answered LINE: the server has said that, to s_client
answered() {
	soon grep -q "^$1" "$say" >/dev/null
}
# login over TLS: s_client speaks no IMAP, but passes lines on; the greeting comes before STARTTLS, or after the handshake
tls_login() { # from address port option...
	: >"$say"
	{
		[ -n "${4-}" ] || answered '\* OK'
		printf 'a LOGIN you secret\r\n'
		answered 'a '
		printf 'c LOGOUT\r\n'
		answered 'c '
	} | timeout 120 openssl s_client -quiet -bind "$1" -connect "$2:$3" ${4-} ${5-} >"$say" 2>&1
	says "$say" '^a OK' && says "$say" '^c OK'
}

check imap_v1_over_ipv4 login you 192.0.2.10 198.51.100.1 10001
check imap_v2_over_ipv4 login you 192.0.2.11 198.51.100.1 10002
check imap_v1_over_ipv6 login you 2001:db8::10 2001:db8:1::1 10001
check imap_v2_over_ipv6 login you 2001:db8::10 2001:db8:1::1 10002
check the_log_names_the_client_v1 wait_says $log "$logged_in: user=<you>.* rip=192\.0\.2\.10, lip=198\.51\.100\.25"
check the_log_names_the_client_v2 wait_says $log "$logged_in: user=<you>.* rip=192\.0\.2\.11, "
check the_log_names_the_client_ip6 wait_says $log "$logged_in: user=<you>.* rip=2001:db8::10, "
check tls_v1 tls_login 192.0.2.66 198.51.100.1 10003
check the_log_names_the_client_tls wait_says $log "$logged_in: user=<you>.* rip=192\.0\.2\.66, .*TLS"
check tls_v2 tls_login 192.0.2.11 198.51.100.1 10004
check the_log_names_the_client_tls_v2 wait_says $log "$logged_in: user=<you>.* rip=192\.0\.2\.11, .*TLS"
check the_log_never_names_the_proxy sh -c "! grep -q 'rip=198.51.100.1\\|rip=2001:db8:1::1' $log"

refused() {
	! login near 192.0.2.11 198.51.100.1 10001 && says "$say" '^a NO'
}
check allow_nets_lets_the_client_in login near 192.0.2.10 198.51.100.1 10001
check allow_nets_keeps_another_out refused

limit() {
	for n in 1 2 3 4; do
		"$tools/talk" --from 192.0.2.10 --hold 60 198.51.100.1 10001 'a LOGIN you secret' \
			>"$tap_work/held.$n" &
	done
	for n in 1 2 3 4; do
		wait_says "$tap_work/held.$n" '^a OK' || return 1
	done
	"$tools/talk" --from 192.0.2.10 198.51.100.1 10002 'a LOGIN you secret' 'b NOOP' >"$say"
	wait_says $log 'Maximum number of connections from user\+IP exceeded.*192\.0\.2\.10|rip=192\.0\.2\.10.*mail_max_userip_connections' &&
		login you 192.0.2.11 198.51.100.1 10002
}
check a_limit_for_user_and_address_counts_clients limit

crowd() {
	n=0
	while [ $n -lt 200 ]; do
		n=$((n + 1))
		"$tools/talk" --from 10.9.1.$n --hold 2 198.51.100.1 10001 'a LOGIN you secret' \
			>"$tap_work/crowd.$n" 2>&1 &
	done
	soon crowd_is_logged
}
crowd_is_logged() {
	count=$(grep -Eo "$logged_in: user=<you>.* rip=10\.9\.1\.[0-9]*," $log |
		sed 's/.*rip=//' | sort -u | wc -l)
	test "$count" -eq 200 || {
		echo "$count of 200 addresses in the log"
		return 1
	}
}
check two_hundred_sessions_each_by_its_address crowd

make_body
store() { # 20 MiB by APPEND, and back by FETCH
	size=$(($(wc -c <"$tap_work/body") + $(wc -l <"$tap_work/body")))
	: >"$say"
	{
		answered '\* OK'
		printf 'a LOGIN you secret\r\n'
		answered 'a '
		printf 'b APPEND INBOX {%d+}\r\n' $((size + 14))
		printf 'Subject: a\r\n\r\n'
		sed 's/$/\r/' "$tap_work/body"
		printf '\r\nc LOGOUT\r\n'
		answered 'c '
	} | timeout 120 openssl s_client -quiet -bind 192.0.2.11 -connect 198.51.100.1:10004 \
		>"$say" 2>&1
	says "$say" '^b OK' || return 1
	sed 's/\r$//' /var/mail/you/new/* /var/mail/you/cur/* 2>/dev/null >"$tap_work/stored"
	body_is_intact "$tap_work/stored"
}
check a_message_of_20_mib_over_tls_is_intact store

port=143 tls_port=993
speak() {
	login you "$@"
}
speak_tls() {
	tls_login "$@"
}
speak_starttls() {
	tls_login "$@" -starttls imap
}
named() {
	wait_says $log "$logged_in: user=<you>.* rip=$1, "
}
begin() {
	"$tools/talk" "$@" 'a LOGIN you secret' 'b LOGOUT'
}
begin_said='^a OK'
restart() {
	kill $dovecot
	wait $dovecot
	start_dovecot
}
after_restart=goes_on # a process for each session that has logged in
events
# the command is answered after the greeting
speak_early() {
	"$tools/talk" --from "$1" --hex "$(hex 'a LOGIN you secret')" "$2" "$3" 'b LOGOUT' >"$say"
	says "$say" '^a OK' && says "$say" '^b OK'
}
early_commands
check nothing_came_past_the_split says_split
kill $dovecot
tap_end
