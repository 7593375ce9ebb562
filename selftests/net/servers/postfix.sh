#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's postfix behind HAProxy, with docs/postfix.md's configuration.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
. selftests/lib/events.sh
log=/var/log/postfix.log
say=$tap_work/said

user postfix 9001
group postdrop 9002
user you 9000
mkdir -p /var/mail/vhosts /var/spool/postfix /var/lib/postfix
chown you:you /var/mail/vhosts
chown postfix:postfix /var/lib/postfix
page_files docs/postfix.md
make_certificate /etc/postfix
check the_pages_ppctl page_ppctl docs/postfix.md
postfix set-permissions >/dev/null 2>&1
postfix start-fg >"$tap_work/postfix" 2>&1 &
check postfix_starts wait_port 465
start_haproxy 465 10003 10004
start_haproxy 25 10001 10002

sends_through_haproxy
log_names 'client=unknown\[' '\]'
check the_log_never_names_the_proxy sh -c "! grep -q '198.51.100.1\\|2001:db8:1::1' $log"
check a_direct_client_is_itself send 192.0.2.11 198.51.100.25 25

check a_restriction_acts_on_the_client \
	sh -c "! '$tools/smtp-send' --from 192.0.2.66 198.51.100.1 10001 >'$say'"
check a_restriction_says_the_client says "$say" '^554 .*\[192\.0\.2\.66\]>: Client host rejected'

check anvils_limit_counts_clients limits_clients '^421 .*too many connections'

check two_hundred_sessions_at_once "$tools/smtp-crowd" 198.51.100.1 10001 200
crowd() {
	test "$(grep -o 'client=unknown\[10\.9\.0\.[0-9]*\]' $log | sort -u | wc -l)" -eq 200
}
check each_of_them_is_logged_by_its_address soon crowd

check all_is_delivered delivered 205 'status=sent' $log
large_message 'status=sent' /var/mail/vhosts/you

port=25 tls_port=465
speak_tls() { # from address port option...
	letter_by_tls me@example.net client.example -bind "$1" -connect "$2:$3" $4 $5
	says "$say" '^250 .*queued as'
}
named() {
	wait_says $log "connect from unknown\[$1\]"
}
restart() {
	postfix reload >/dev/null 2>&1
	wait_says $log 'master.*: reload -- version'
}
after_restart=goes_on # smtpd ends with its last client
events
stop_and_start() {
	postfix stop >/dev/null 2>&1
	postfix start-fg >>"$tap_work/postfix" 2>&1 &
	wait_port 25
}
restart() {
	stop_and_start
}
after_restart=ends
check server_stopped_while_a_session_lives restart_server

# smtpd answers a command that was there before its greeting; since 3.9 it refuses it
speak_early() {
	"$tools/talk" --from "$1" --hex "$(hex 'EHLO early.example')" "$2" "$3" QUIT >"$say"
	case $(postconf -h smtpd_forbid_unauth_pipelining) in
	yes) says "$say" '^554 .*SMTP protocol synchronization' ;;
	*) says "$say" '^220 ' && says "$say" '^250' && ! grep '^5' "$say" ;;
	esac
}
early_commands
check nothing_came_past_the_split says_split
postfix stop >/dev/null 2>&1
tap_end
