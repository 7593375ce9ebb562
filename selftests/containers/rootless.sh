#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Rootless podman with slirp4netns as port handler, or with pasta, relays that pass the address on which accept() tells
# them; and with rootlessport, which does not.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
log='journalctl -u rootless -o cat'
listening() {
	inside sh -c 'for pid in $(pgrep -x master); do
		grep -q ":0019 [0-9A-F]*:0000 0A " /proc/$pid/net/tcp && exit 0; done; exit 1' &&
		inside grep -q "$(printf ':%04X [0-9A-F]*:0000 0A ' 25)" /proc/net/tcp /proc/net/tcp6
}
user() {
	inside sh -ec '
		echo u:x:1000:1000::/home/u:/bin/sh >>/etc/passwd
		echo u:x:1000: >>/etc/group
		echo u:100000:65536 >>/etc/subuid
		echo u:100000:65536 >>/etc/subgid
		mkdir -p /home/u /run/user/1000
		mount -t tmpfs tmpfs /home/u
		chown u:u /home/u /run/user/1000
		echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
		printf "[storage]\ndriver = \"vfs\"\n" >/etc/containers/storage.conf
		tar -C /image -cf /home/u/image.tar .'
}
as_user() { # UNIT-OPTIONS -- COMMAND...
	inside systemd-run --quiet --slice=user-1000.slice -p User=u -p Delegate=yes -p LimitNOFILE=65536 \
		--setenv=HOME=/home/u --setenv=XDG_RUNTIME_DIR=/run/user/1000 --working-directory=/home/u "$@"
}
image() {
	as_user --wait --unit=import sh -c 'podman import -c "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin" image.tar localhost/mail' || {
		inside journalctl -u import -o cat
		return 1
	}
}
# its storage is the user's: nothing is left of one before
run() {
	inside systemctl reset-failed
	as_user --unit=rootless podman run --rm --replace --name mta "$@" -p 25:25 localhost/mail postfix start-fg
}
check a_user user
check an_image image
[ $tap_failed -eq 0 ] || tap_end
sed -i 's|mail\.slice|user.slice/user-1000.slice|' "$machine/etc/ppsplit.conf"
slirp() {
	run --network slirp4netns:port_handler=slirp4netns && inside ppctl apply && origin
}
check slirp4netns_passes_the_client_on slirp
check a_forger_is_only_himself forged
again() {
	inside systemctl stop rootless
	run --network slirp4netns:port_handler=slirp4netns && inside ppctl apply && origin
}
check origin_after_a_restart again
check origin_after_the_load_balancers_restart load_balancer_restarts
# the default since podman 5
pasta() {
	inside systemctl stop rootless
	run --network pasta && inside ppctl apply && origin && forged
}
if inside sh -c 'command -v pasta' >/dev/null; then
	check pasta_passes_the_client_on pasta
else
	echo "ok - pasta_passes_the_client_on # SKIP podman 4.3 of Debian 12 does not know pasta"
fi
# the default before that: it eats the header, and the server sees the same address for everybody
relay() {
	inside systemctl stop rootless
	run --network slirp4netns:port_handler=rootlesskit && inside ppctl apply && soon listening || return 1
	have=$(inside $log 2>&1 | wc -l)
	client --from 192.0.2.10 198.51.100.1 10001 'EHLO client.example' QUIT >"$said" 2>&1
	says "$said" '^221 ' && ! grep '^5' "$said" || return 1
	soon sh -c "nsenter --target $init --mount --net --pid --cgroup --uts --ipc --root $log 2>&1 | tail -n +$((have + 1)) |
		grep -E 'connect from .*\[(10\.0\.2\.[0-9]+|127\.0\.0\.1)\]'" || return 1
	inside ppctl status >"$said"
	says "$said" '^mail: degraded: the listener .*:25 is rootlessport[^ ]*, a relay: it eats the header' &&
		says "$said" 'publish the port by DNAT' && says "$said" ':25 .*RELAY: rootlessport'
}
check rootlessport_is_recognised_and_said relay
tap_end
