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

check v1_over_ipv4 send 192.0.2.10 198.51.100.1 10001
check v2_over_ipv4 send 192.0.2.11 198.51.100.1 10002
check v1_over_ipv6 send 2001:db8::10 2001:db8:1::1 10001
check v2_over_ipv6 send 2001:db8::10 2001:db8:1::1 10002
check the_log_names_the_client_v1 wait_says $log 'client=unknown\[192\.0\.2\.10\]'
check the_log_names_the_client_v2 wait_says $log 'client=unknown\[192\.0\.2\.11\]'
check the_log_names_the_client_ip6 wait_says $log 'client=unknown\[2001:db8::10\]'
check the_log_never_names_the_proxy sh -c "! grep -q '198.51.100.1\\|2001:db8:1::1' $log"
check a_direct_client_is_itself send 192.0.2.11 198.51.100.25 25

check a_restriction_acts_on_the_client \
	sh -c "! '$tools/smtp-send' --from 192.0.2.66 198.51.100.1 10001 >'$say'"
check a_restriction_says_the_client says "$say" '^554 .*\[192\.0\.2\.66\]>: Client host rejected'

limit() {
	hold_open 3 192.0.2.10 198.51.100.1 10001 || return 1
	"$tools/talk" --from 192.0.2.10 198.51.100.1 10002 >"$say"
	says "$say" '^421 .*too many connections' || return 1
	"$tools/talk" --from 192.0.2.11 198.51.100.1 10002 >"$say"
	says "$say" '^220 '
}
check anvils_limit_counts_clients limit

check two_hundred_sessions_at_once "$tools/smtp-crowd" 198.51.100.1 10001 200
crowd() {
	test "$(grep -o 'client=unknown\[10\.9\.0\.[0-9]*\]' $log | sort -u | wc -l)" -eq 200
}
check each_of_them_is_logged_by_its_address crowd

make_body
mail=/var/mail/vhosts/you
check all_is_delivered delivered 205 'status=sent' $log
: >$mail
check a_message_of_20_mib send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
check it_is_delivered delivered 206 'status=sent' $log
check it_is_intact mbox_is_intact $mail

port=25 tls_port=465
speak() {
	send "$@" >"$say"
}
speak_tls() { # from address port option...
	letter_by_tls me@example.net client.example -bind "$1" -connect "$2:$3" $4 $5
	says "$say" '^250 .*queued as'
}
speak_starttls() {
	speak_tls "$@" -starttls smtp
}
named() {
	wait_says $log "connect from unknown\[$1\]"
}
begin() {
	"$tools/talk" "$@" 'EHLO live.example' QUIT
}
begin_said='^250 '
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

# smtpd answers a command that was there before its greeting
speak_early() {
	"$tools/talk" --from "$1" --hex "$(hex 'EHLO early.example')" "$2" "$3" 'QUIT' >"$say"
	says "$say" '^220 ' && says "$say" '^250' && ! grep '^5' "$say"
}
check header_and_first_command_in_one_segment_v1 through_relay 25 speak_early --joined
check header_and_first_command_in_one_segment_v2 through_relay 25 speak_early --joined --v2
check nothing_came_past_the_split says_split
postfix stop >/dev/null 2>&1
tap_end
