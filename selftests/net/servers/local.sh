#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's haproxy, nginx and stunnel in a proxy cgroup of the mail server's own host, with the files of
# docs/sk_msg.md; and one more HAProxy on another host, on the same port.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
. selftests/lib/ppmta.sh
log=$tap_work/mta

ip addr add 192.0.2.12/32 dev lo
ip addr add 192.0.2.13/32 dev lo
ip -6 addr add 2001:db8::12/128 dev lo
mkdir -p /var/log/nginx /var/lib/nginx /etc/stunnel
page_files docs/sk_msg.md
make_certificate /etc/stunnel
build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy-cgroup "$LAB_OUTSIDE" >"$tap_work/ppctl"
# as_proxy COMMAND...: in the background, in the proxies' cgroup
as_proxy() {
	sh -c 'echo $$ >"$LAB_OUTSIDE/cgroup.procs"; exec "$@"' sh "$@" >"$tap_work/proxy.$1" 2>&1 &
}
as_proxy haproxy -db -f /etc/haproxy/local.cfg
as_proxy nginx
as_proxy stunnel /etc/stunnel/local.conf

# another host, behind veth: its HAProxy is marked by address
mkfifo "$tap_work/go"
unshare -n sh -c 'echo $$ >'"$tap_work"'/remote; read -r _ && ip link set lo up &&
	ip addr add 10.50.50.2/24 dev v1 && ip link set v1 up && ip addr add 192.0.2.99/32 dev lo &&
	haproxy -D -f '"$tap_work"'/remote.cfg && exec build/selftests/tools/smtp-send --from 192.0.2.99 \
	127.0.0.1 10009' <"$tap_work/go" >"$tap_work/remote.out" 2>&1 &
remote=$!
exec 9>"$tap_work/go"
cat >"$tap_work/remote.cfg" <<CONFIG
defaults
	mode tcp
	timeout connect 10s
	timeout client 60s
	timeout server 60s
listen remote
	bind 127.0.0.1:10009
	server mta 10.50.50.1:2525 send-proxy-v2
CONFIG
soon [ -s "$tap_work/remote" ]
ip link add v0 type veth peer name v1
ip link set v1 netns "$(cat "$tap_work/remote")"
ip addr add 10.50.50.1/24 dev v0
ip link set v0 up
build/bin/ppmta --listen '198.51.100.25:2525 ; [2001:db8:1::25]:2525 ; 10.50.50.1:2525' \
	--maildir "$tap_work/Maildir" --user nobody --hostname mail.example.net \
	--set log_selector="+proxy +proxy_negotiation" >"$log" 2>&1 &
build/bin/ppctl proxy add 10.50.50.2,198.51.100.25 # the second is the mail server's own address
check ppmta_starts wait_port 2525
check haproxy_starts wait_port 10003
check nginx_starts wait_port 10004
check stunnel_starts wait_port 10005

check haproxy_v1 send 192.0.2.10 198.51.100.1 10001
check haproxy_v1_ip6 send 2001:db8::10 2001:db8:1::1 10001
check haproxy_v2_with_tlvs send 192.0.2.11 198.51.100.1 10002
check nginx_v1 send 192.0.2.12 198.51.100.1 10004
check nginx_v1_ip6 send 2001:db8::12 2001:db8:1::1 10004
check the_log_names_haproxys_clients sh -c "grep -q '<= .*\[192.0.2.10\]' '$log' && grep -q '<= .*\[192.0.2.11\]' '$log'"
check the_log_names_nginxs_clients sh -c "grep -q '<= .*\[192.0.2.12\]' '$log' && grep -q '<= .*\[2001:db8::12\]' '$log'"
check the_log_names_the_client_ip6 says "$log" '<= .*\[2001:db8::10\]'

over_tls() {
	letter_by_tls tls@example.net tls.example -bind 192.0.2.10 -connect 198.51.100.1:10005
	wait_log '<= tls@example.net .*\[192\.0\.2\.10\]'
}
check stunnel_protocol_proxy over_tls

# the second connection finds HAProxy's handshake without the ACK that its header brings
check haproxy_tcp_smart_connect send 192.0.2.13 198.51.100.1 10003
check the_log_names_its_client says "$log" '<= .*\[192\.0\.2\.13\]'

echo >&9
from_afar() {
	wait $remote || {
		cat "$tap_work/remote.out"
		return 1
	}
	says "$log" '<= .*\[192\.0\.2\.99\]'
}
check a_proxy_on_another_host_too from_afar

outsider() {
	"$tools/smtp-send" --from 198.51.100.25 --raw 'PROXY TCP4 192.0.2.66 198.51.100.25 4711 25' \
		198.51.100.25 2525 >"$say" 2>&1 && return 1
	! grep '\[192\.0\.2\.66\]' "$log"
}
check an_outsider_with_a_marked_address_is_refused outsider
check it_is_counted sh -c "build/bin/ppctl status | grep -q 'outsiders  *[1-9]'"

counted() { # every header from this host was read in the proxy's send()
	test "$(counter sent)" -eq 7 && test "$(counter from_sender)" -eq 7 &&
		test "$(counter unseen)" -eq 0 && test "$(counter senders_native)" -eq 7 || {
		build/bin/ppctl status
		return 1
	}
}
check all_were_read_at_the_sender counted
check two_hundred_sessions_at_once "$tools/smtp-crowd" 198.51.100.1 10001 200
crowd() {
	test "$(grep -c '<= .*\[10\.9\.0\.' "$log")" -eq 200 && test "$(counter unseen)" -eq 0
}
check each_of_them_is_logged_by_its_address crowd
make_body
check a_message_of_20_mib send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
intact() {
	body_is_intact "$(find "$tap_work/Maildir/new" -size +15000k)"
}
check it_is_intact intact

# The same proxies, with pp_in in the way: each is split over lo, and known by who sent it.
check the_port_gets_a_split build/bin/ppctl port add 2525 --split yes
: >"$log"
split_send() { # origin, address, port
	send "$1" "$2" "$3" && wait_log "<= .*\[$1\]"
}
check haproxy_v1_split split_send 192.0.2.10 198.51.100.1 10001
check haproxy_v1_ip6_split split_send 2001:db8::10 2001:db8:1::1 10001
check haproxy_v2_with_tlvs_split split_send 192.0.2.11 198.51.100.1 10002
check nginx_v1_split split_send 192.0.2.12 198.51.100.1 10004
check nginx_v1_ip6_split split_send 2001:db8::12 2001:db8:1::1 10004
check haproxy_tcp_smart_connect_split split_send 192.0.2.13 198.51.100.1 10003
check stunnel_protocol_proxy_split over_tls
counted_split() {
	test "$(counter split)" -eq 7 && test "$(counter guarded)" -eq 0 || {
		build/bin/ppctl status
		return 1
	}
	grep -c 'sent by process' "$log" | grep -qx 7 || {
		cat "$log"
		return 1
	}
}
check each_is_split_once_and_known_by_its_sender counted_split
check two_hundred_sessions_at_once_split "$tools/smtp-crowd" 198.51.100.1 10001 200
silent() { # its SYN is dropped
	timeout 5 "$tools/smtp-send" --from 198.51.100.25 198.51.100.25 2525 >"$say" 2>&1
	test $? -eq 124 && test "$(counter outsiders)" -gt "$outsiders"
}
outsiders=$(counter outsiders)
check an_outsider_with_a_marked_address_is_refused_split silent
tap_end
