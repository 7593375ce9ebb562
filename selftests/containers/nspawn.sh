#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# systemd-nspawn: the host's network, and veth with DNAT.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
page_files docs/postfix.md "$machine/image" # the log in a file: the journal is no file to open
cp "$machine/etc/ppsplit.conf" "$tap_work/conf"
page_files "$page" "$machine"
log='cat /image/var/log/postfix.log'
listening() {
	pid=$(inside pgrep -o -x master)
	inside grep -q "$(printf ':%04X [0-9A-F]*:0000 0A ' 25)" "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6"
}
inside systemctl daemon-reload
check origin_after_the_first_start after systemctl start mta-nspawn
check a_forger_is_only_himself forged
check origin_after_a_restart after systemctl restart mta-nspawn
killed() {
	inside pkill -KILL -o -x master
	soon inside sh -c '! systemctl -q is-active mta-nspawn' && inside systemctl reset-failed && after systemctl start mta-nspawn
}
check origin_after_sigkill killed
check origin_after_ppsplits_restart after systemctl restart ppsplit
check origin_after_the_load_balancers_restart load_balancer_restarts

veth() {
	sed -i 's/--console/--network-veth --console/' "$machine/etc/systemd/system/mta-nspawn.service"
	inside systemctl daemon-reload && inside systemctl restart mta-nspawn && soon inside ip link show ve-mta || return 1
	soon listening && address || return 1
	inside nft 'add table ip nat' && inside nft 'add chain ip nat pre { type nat hook prerouting priority -100; }' &&
		inside nft 'add rule ip nat pre iifname node0 tcp dport 25 dnat to 10.77.0.2' && origin
}
address() {
	inside sh -exc '
		ip addr add 10.77.0.1/24 dev ve-mta
		ip link set ve-mta up
		in="nsenter --net --target $(pgrep -o -x master)"
		$in ip addr add 10.77.0.2/24 dev host0
		$in ip link set host0 up
		$in ip link set lo up
		$in ip route add default via 10.77.0.1'
}
check veth_with_dnat veth
again() {
	inside systemctl restart mta-nspawn && soon inside ip link show ve-mta && soon listening && address && origin
}
check veth_after_a_restart again
tap_end
