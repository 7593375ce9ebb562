#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A bystander in the same cgroup: Debian's sshd is not served, and nothing happens to it; not even where
# the client is a marked proxy.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
say=$tap_work/said

user sshd 9001
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$tap_work/key" >"$tap_work/keygen" 2>&1
printf 'HostKey %s\nListenAddress 198.51.100.25\nLogLevel VERBOSE\n' "$tap_work/key" >"$tap_work/config"
check the_programs build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 25 --transparent \
	--proxy 198.51.100.1
/usr/sbin/sshd -D -e -f "$tap_work/config" >"$tap_work/sshd" 2>&1 &
sshd=$!
check sshd_starts wait_port 22
greeting() {
	"$tools/talk" --from "$1" 198.51.100.25 22 >"$say"
	says "$say" '^SSH-2\.0-OpenSSH' && wait_says "$tap_work/sshd" "Connection from $1 "
}
check a_client_is_greeted greeting 192.0.2.10
check a_proxy_is_greeted_too greeting 198.51.100.1
check nothing_was_counted test "$(counter connections)" -eq 0
kill $sshd
tap_end
