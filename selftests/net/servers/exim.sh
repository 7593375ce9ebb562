#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's exim4 behind HAProxy, with docs/exim.md's configuration.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
. selftests/lib/events.sh
log=/var/log/exim4/mainlog
say=$tap_work/said

user Debian-exim 9001
user mail 8
user you 9000
mkdir -p /var/log/exim4 /var/spool/exim4 /var/mail
chown Debian-exim:Debian-exim /var/log/exim4 /var/spool/exim4
chown mail:mail /var/mail
chmod 2775 /var/mail
page_files docs/exim.md
make_certificate /etc/exim4
check the_pages_ppctl page_ppctl docs/exim.md
start_exim() {
	/usr/sbin/exim4 -bdf -q30m >"$tap_work/exim" 2>&1 &
	exim=$!
	wait_port 25 && wait_port 465
}
check exim_starts start_exim
start_haproxy 465 10003 10004
start_haproxy 25 10001 10002

sends_through_haproxy
log_names '<= me@example.net H=\(client.example\) \[' '\] P=esmtp'
check the_log_never_names_the_proxy sh -c "! grep -q '198.51.100.1\\|2001:db8:1::1' $log"
check a_direct_client_is_itself send 192.0.2.11 198.51.100.25 25

# an ACL on $sender_host_address
check an_acl_acts_on_the_client sh -c "! '$tools/smtp-send' --from 192.0.2.66 198.51.100.1 10001 >'$say'"
check an_acl_says_the_client says "$say" '550 192\.0\.2\.66 is not welcome here'

# smtp_accept_max_per_host = 3, for each client
check a_limit_per_host_counts_clients limits_clients '^421 .*[Tt]oo many concurrent SMTP connections'

check two_hundred_sessions_at_once "$tools/smtp-crowd" 198.51.100.1 10001 200
crowd() {
	test "$(grep -c '<= me@example.net H=(crowd.example) \[10\.9\.0\.' $log)" -eq 200
}
check each_of_them_is_logged_by_its_address soon crowd

check all_is_delivered delivered 205 ' Completed' $log
large_message ' Completed' /var/mail/you

port=25 tls_port=465
speak_tls() { # from address port option...
	letter_by_tls me@example.net client.example -bind "$1" -connect "$2:$3" $4 $5
	says "$say" '^250 OK id='
}
named() {
	wait_says $log "(<= me@example.net H=.*|SMTP connection from )\[$1\]"
}
restart() {
	kill $exim
	wait $exim
	start_exim
}
after_restart=goes_on # Exim has a process for each connection
events
check tls_clients_are_logged_with_tls says $log '<= me@example\.net H=\(client\.example\) \[10\.9\.3\.[0-9]*\] P=esmtps X=TLS1\.3:'

# Exim takes an EHLO that is there before its greeting (PIPECONNECT), and nothing in front of it
early_commands
check nothing_came_past_the_split says_split
tap_end
