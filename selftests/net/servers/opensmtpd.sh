#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's opensmtpd behind HAProxy, with docs/opensmtpd.md's configuration.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
log=$tap_work/smtpd
say=$tap_work/said

user opensmtpd 9001
user opensmtpq 9002
user you 9000
mkdir -p /var/mail/you /var/lib/opensmtpd/empty /var/spool/smtpd
chown you:you /var/mail/you
chmod 711 /var/spool/smtpd
chmod 755 /var/lib/opensmtpd/empty
page_files docs/opensmtpd.md
check the_pages_ppctl page_ppctl docs/opensmtpd.md
smtpd -d -f /etc/smtpd.conf >"$log" 2>&1 &
smtpd=$!
check opensmtpd_starts wait_port 25
start_haproxy 25 10001 10002

sends_through_haproxy
log_names 'smtp connected address=\[?' '\]? '
check the_log_never_names_the_proxy sh -c "! grep -q '198.51.100.1 \\|2001:db8:1::1' $log"

refused() {
	"$tools/talk" --from 192.0.2.66 198.51.100.1 10001 >"$say"
	says "$say" '^550 not welcome here'
}
check a_filter_acts_on_the_client refused
# smtpd listens with a backlog of 5: one caller at a time, 200 sessions all the same
check two_hundred_sessions_at_once "$tools/smtp-crowd" --steady 198.51.100.1 10001 200
crowd() {
	test "$(grep -o 'smtp connected address=10\.9\.0\.[0-9]* ' "$log" | sort -u | wc -l)" -eq 200
}
check each_of_them_is_logged_by_its_address soon crowd

make_body
check a_message_of_20_mib send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
intact() {
	soon large_file /var/mail/you/new
	body_is_intact "$file"
}
check it_is_intact intact
check nothing_came_past_the_split says_split
kill $smtpd
tap_end
