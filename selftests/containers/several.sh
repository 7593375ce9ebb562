#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Three servers that listen on one port: two slices with a policy each from one ppsplit.conf, and one behind no proxy.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
check images images
check the_pages_commands follow 'Several servers'
check the_first_ones_origin origin
check a_forger_is_only_himself forged

# sees CONTAINER FROM PORT CLIENT [HEADER]: the container's log names CLIENT, and nobody else
sees() {
	log="podman logs $1"
	have=$(inside $log 2>&1 | wc -l)
	soon podman_listens "$1" 25 && client --from "$2" ${5:+--header "$5"} 198.51.100.25 "$3" 'EHLO client.example' QUIT >"$said" 2>&1
	says "$said" '^221 ' && ! grep '^5' "$said" && soon names "$have" "$4"
	result=$?
	log='podman logs mta'
	return $result
}
each() {
	origin && sees submission 198.51.100.1 587 192.0.2.20 'PROXY TCP4 192.0.2.20 192.0.2.1 1 25' &&
		sees direct 192.0.2.66 26 192.0.2.66
}
check each_has_its_own each
check the_balancer_is_one_where_nothing_is_served sees direct 198.51.100.1 26 198.51.100.1
check each_after_all_containers_restart eval 'inside podman restart -t 1 mta submission direct && each'
check each_after_sigkill eval 'inside sh -c "podman kill -s KILL submission && podman wait submission && podman start submission" && each'
check each_after_another_apply eval 'inside ppctl apply /root/several.conf && each'
above() {
	printf '[serve all]\ncgroup = mail.slice\nport = 25\n' >>"$machine/root/several.conf"
	! inside ppctl apply /root/several.conf 2>"$said" && says "$said" 'inside' && each
}
check one_for_all_is_refused_by_name above
tap_end
