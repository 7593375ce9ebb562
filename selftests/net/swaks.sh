#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian's swaks, which can send a PROXY header itself, holds sessions with ppmta: v1, v2, STARTTLS,
# pipelining, and a long one.
# check: native
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

make_certificate "$tap_work"
configure <<CONF
proxy_required_hosts = 127.0.0.2
log_selector = +proxy
tls_certificate = $tap_work/cert.pem
tls_privatekey = $tap_work/key.pem
CONF
session() {
	swaks --server 127.0.0.1:2525 --from me@example.net --to you@example.org --helo client.example "$@" >"$say" 2>&1 || {
		cat "$say"
		return 1
	}
}
proxied() { # arguments for the version
	session --local-interface 127.0.0.2 "$@" --proxy-source 192.0.2.7 \
		--proxy-source-port 4711 --proxy-dest 198.51.100.1 --proxy-dest-port 25 &&
		wait_log '<= me@example\.net H=\(client\.example\) \[192\.0\.2\.7\] P=esmtp PRX=127\.0\.0\.2 S='
}
all() {
	check "direct_$1" session
	check "v1_$1" proxied --proxy-version 1 --proxy-family TCP4
	check "v2_$1" proxied --proxy-version 2 --proxy-family AF_INET \
		--proxy-protocol STREAM --proxy-command PROXY
	check "starttls_$1" session -tls
	check "starttls_is_logged_$1" wait_log 'P=esmtps X=TLSv1\.3'
	check "pipelining_$1" session --pipeline
	check "a_large_message_$1" session --body "@$tap_work/large"
}
awk 'BEGIN { for (i = 0; i < 100000; i++) print "a line of a large message, and another one" }' >"$tap_work/large"
check ppmta_starts start_ppmta
all userspace
stop_ppmta
build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy 127.0.0.2 >"$tap_work/ppctl"
check it_starts_again start_ppmta
all kernel
tap_end
