#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# HAProxy on the mail server's own host, in proxy.slice, with docs/sk_msg.md's drop-in; Exim with docs/exim.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
layer=exim4 unit=exim4 port=25 process=exim4 talk='EHLO_client.example QUIT'
log='cat /var/log/exim4/mainlog'

check the_machine_boots eval 'machine_make $layer && machine_boot'
check the_packages_install install_debs ppsplit
haproxy_files
page_files docs/exim.md "$machine"
page_files docs/sk_msg.md "$machine"
certificate /etc/exim4 2>/dev/null

# Who connects from the proxy's address, and is not the proxy, gets no answer.
refused() {
	! timeout 3 nsenter --target "$init" --net "$tools/talk" --from 198.51.100.1 \
		--header 'PROXY TCP4 192.0.2.66 198.51.100.1 4711 25' 198.51.100.25 25 >"$said" 2>&1 </dev/null || return 1
	! grep 220 "$said" || return 1
	! inside grep 192.0.2.66 /var/log/exim4/mainlog
}
killed_proxy() {
	inside pkill -KILL -o haproxy
	inside systemctl reset-failed haproxy
	after systemctl restart haproxy
}
stopped_proxy() {
	inside systemctl stop haproxy && inside systemctl restart exim4 && wait_until served && refused &&
		after systemctl start haproxy
}
outside_of_the_slice() {
	mv "$machine/etc/systemd/system/haproxy.service.d" "$tap_work/aside"
	inside systemctl daemon-reload
	inside systemctl restart haproxy
	! timeout 5 nsenter --target "$init" --net "$tools/talk" --from 192.0.2.10 198.51.100.1 10001 QUIT >"$said" \
		2>&1 </dev/null
	result=$?
	mv "$tap_work/aside" "$machine/etc/systemd/system/haproxy.service.d"
	inside systemctl daemon-reload
	inside systemctl restart haproxy
	[ $result -eq 0 ] && ! grep 220 "$said" && origin
}
check origin_after_the_first_start first_start
check an_outsider_is_refused refused
check origin_after_the_proxys_restart after systemctl restart haproxy
check origin_after_the_proxys_sigkill killed_proxy
check nobody_is_believed_while_the_proxy_is_stopped stopped_proxy
check a_proxy_outside_of_the_slice_is_refused outside_of_the_slice
check origin_after_the_servers_restart after systemctl restart exim4
check origin_after_ppsplits_restart after systemctl restart ppsplit
check origin_after_a_power_cut power_cut
tap_end
