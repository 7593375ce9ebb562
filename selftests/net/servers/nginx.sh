#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's nginx (stream) behind HAProxy, with docs/nginx.md's configuration; ppmta is its upstream.
# check: guests long
. selftests/lib/tap.sh
. selftests/lib/servers.sh
log=/var/log/nginx/stream.log
say=$tap_work/said

mkdir -p /var/log/nginx /var/lib/nginx
page_files docs/nginx.md
check the_pages_ppctl page_ppctl docs/nginx.md
nginx -g "daemon off;" >"$tap_work/nginx" 2>&1 &
nginx=$!
chmod 755 "$tap_work"
mkdir -m 700 "$tap_work/Maildir" && chown nobody "$tap_work/Maildir"
build/bin/ppmta --listen 127.0.0.1:2526 --maildir "$tap_work/Maildir" --user nobody \
	--hostname mail.example.net --set smtp_accept_max_per_host=0 >"$tap_work/mta" 2>&1 &
check nginx_starts wait_port 2525
wait_port 2526
start_haproxy 2525 10001 10002

sends_through_haproxy
log_names '^' ' 200'
denied() {
	! "$tools/talk" --from 192.0.2.66 198.51.100.1 10001 >"$say" && wait_says $log '^192\.0\.2\.66 403'
}
check deny_acts_on_the_client denied
limit() {
	hold_open 3 192.0.2.10 198.51.100.1 10001 || return 1
	! "$tools/talk" --from 192.0.2.10 198.51.100.1 10002 >"$say" || return 1
	"$tools/talk" --from 192.0.2.11 198.51.100.1 10002 >"$say"
	says "$say" '^220 '
}
check limit_conn_counts_clients limit
check two_hundred_sessions_at_once "$tools/smtp-crowd" 198.51.100.1 10001 200
crowd() {
	test "$(grep -o '^10\.9\.0\.[0-9]* 200' $log | sort -u | wc -l)" -eq 200
}
check each_of_them_is_logged_by_its_address soon crowd
make_body
check a_message_of_20_mib send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
intact() {
	body_is_intact "$(find "$tap_work/Maildir/new" -size +15000k)"
}
check it_is_intact intact
check nothing_came_past_the_split says_split
kill $nginx
tap_end
