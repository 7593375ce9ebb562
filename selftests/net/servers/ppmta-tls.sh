#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta under TLS, behind a header and without one: STARTTLS, variables, and that what
# was sent in the clear is not taken for what is said under TLS.
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

make_certificate "$tap_work"
configure "127.0.0.1.2525 : 127.0.0.1.2526" <<CONF
proxy_required_hosts = 127.0.0.2
log_selector = +proxy
tls_certificate = $tap_work/cert.pem
tls_privatekey = $tap_work/key.pem
acl_smtp_mail = mail
begin acl
mail:
 warn logwrite = cipher=\$tls_in_cipher port=\$received_port from=\$sender_host_address
 deny senders = *@secret.example
      condition = \${if eq{\$tls_in_cipher}{}}
      message = under TLS only
 accept
CONF
check ppmta_starts start_ppmta

letter_here() { # arguments of s_client
	letter_by_tls me@secret.example client.example "$@"
}

starttls() {
	letter_here -starttls smtp -bind 127.0.0.3 -connect 127.0.0.1:2525
	wait_log '<= me@secret\.example H=\(client\.example\) \[127\.0\.0\.3\] P=esmtps X=TLSv1\.3:TLS_AES_256_GCM_SHA384:256 S=' &&
		wait_log 'cipher=TLSv1\.3:TLS_AES_256_GCM_SHA384:256 port=2525'
}
check starttls starttls
in_the_clear() {
	talk --from 127.0.0.3 127.0.0.1 2525 'EHLO client.example' 'MAIL FROM:<me@secret.example>' QUIT
	says "$say" '^250-STARTTLS' && says "$say" '^550 under TLS only'
}
check what_needs_tls_is_refused_without in_the_clear

# HAProxy sends the header, and passes the rest on as it is
cat >"$tap_work/haproxy.cfg" <<'CONF'
defaults
	mode tcp
	timeout connect 5s
	timeout client 30s
	timeout server 30s
listen starttls
	bind 127.0.0.9:10001
	server mta 127.0.0.1:2525 send-proxy-v2 source 127.0.0.2
CONF
haproxy -db -f "$tap_work/haproxy.cfg" >"$tap_work/haproxy" 2>&1 &
wait_port 10001
starttls_behind_a_proxy() {
	letter_here -starttls smtp -bind 127.0.0.7 -connect 127.0.0.9:10001
	wait_log '<= me@secret\.example H=\(client\.example\) \[127\.0\.0\.7\] P=esmtps X=TLSv1\.3:.* PRX=127\.0\.0\.2 S='
}
check starttls_behind_a_proxy_userspace starttls_behind_a_proxy
stop_ppmta
build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy 127.0.0.2 >"$tap_work/ppctl"
check it_starts_again start_ppmta
check starttls_behind_a_proxy_kernel starttls_behind_a_proxy

injection() {
	talk --from 127.0.0.3 127.0.0.1 2525 'EHLO x.example' "$(printf 'STARTTLS\r\nMAIL FROM:<injected@x.example>')"
	says "$say" '^554 SMTP synchronization error' && says_not "$log" 'from=injected'
}
check commands_behind_starttls_are_refused injection
garbage() {
	"$tools/talk" --from 127.0.0.3 127.0.0.1 2525 'EHLO x.example' STARTTLS 'this is no TLS' >"$say" 2>&1
	wait_log 'TLS error on connection from H=\(x\.example\) \[127\.0\.0\.3\] \(handshake\)'
}
check a_bad_handshake_is_logged garbage
slow_handshake() { # one that never ends keeps nobody waiting
	"$tools/talk" --from 127.0.0.3 --hold 60 127.0.0.1 2525 'EHLO x.example' STARTTLS >"$tap_work/held" 2>&1 &
	wait_says "$tap_work/held" '^220 TLS'
	letter_here -starttls smtp -bind 127.0.0.3 -connect 127.0.0.1:2525
	says "$say" '^250 OK id='
}
check a_slow_handshake_keeps_nobody_waiting slow_handshake

# another ppmta hands over to this one, which offers STARTTLS
cat >"$tap_work/front.conf" <<CONF
primary_hostname = front.example.net
local_interfaces = 127.0.0.1.2600
delivery = smtp:localhost:2525
delivery_timeout = 20s
user = nobody
acl_smtp_rcpt = rcpt
begin acl
rcpt:
 accept
CONF
: >"$tap_work/front.log"
chmod 666 "$tap_work/front.log"
$program -C "$tap_work/front.conf" --log "$tap_work/front.log" >"$tap_work/front.out" 2>&1 &
wait_says "$tap_work/front.log" 'daemon started'
handed_over() {
	: >"$log"
	awk 'BEGIN { for (i = 0; i < 20000; i++) print i, "a line of a message that takes many records of TLS" }' >"$tap_work/body"
	"$tools/smtp-send" --from 127.0.0.3 --body "$tap_work/body" 127.0.0.1 2600 >"$say" 2>&1 || {
		cat "$say" "$tap_work/front.log"
		return 1
	}
	wait_log '<= me@example\.net H=\(front\.example\.net\) \[127\.0\.0\.1\] P=esmtps X=TLSv1\.3:' &&
		says "$tap_work/front.log" '=> you@example\.org R=1 H=127\.0\.0\.1:2525: 250 OK id=' &&
		tail -n 20000 "$(ls -t "$tap_work/Maildir/new/"* | head -n 1)" | cmp "$tap_work/body"
}
check a_message_goes_on_under_tls handed_over
tap_end
