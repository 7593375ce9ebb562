#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# podman calls ppsplit-oci-hook: a policy for each container, from its annotations.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
check images images
pins=/sys/fs/bpf/ppsplit-oci

# sets COUNT: so many are there
sets() {
	count=$(inside ls $pins 2>/dev/null | wc -l)
	[ "$count" -eq "$1" ] || {
		echo "$count sets, not $1"
		inside ls $pins
		return 1
	}
}

check the_pages_commands follow 'A policy for each container'
check origin_after_the_first_start origin
check a_forger_is_only_himself forged
status() {
	inside ppctl status --pin $pins >"$said" && says "$said" '^[0-9a-f]+: serving ports 25'
}
check status_with_the_pages_option_says_serving status
another() {
	inside podman run -d --name direct --annotation ppsplit.port=25 --annotation ppsplit.proxy=198.51.100.77 \
		-p 26:25 localhost/mail postfix start-fg && soon podman_listens direct 25 && sets 2 || return 1
	client --from 198.51.100.1 --header 'PROXY TCP4 203.0.113.9 192.0.2.1 1 25' 198.51.100.25 26 QUIT >"$said" 2>&1
	soon sh -c "nsenter --target $init --mount --net --pid --cgroup --uts --ipc --root podman logs direct 2>&1 |
		grep 'connect from unknown.198\.51\.100\.1'" && origin
}
check another_container_on_the_port_has_another_policy another
check origin_after_the_containers_restart after podman restart -t 2 mta
check origin_after_sigkill after sh -c 'podman kill -s KILL mta && podman wait mta && podman start mta'
check there_is_a_set_for_each sets 2
check origin_after_the_load_balancers_restart load_balancer_restarts
upgraded() {
	for set in $(inside ls $pins); do
		inside ppctl upgrade --pin $pins --set "$set" || return 1
	done
	origin
}
check origin_after_an_upgrade upgraded

# its monitor cannot call poststop any more
killed() {
	pid=$(inside podman inspect -f '{{.State.Pid}}' direct)
	inside kill -KILL "$(inside podman inspect -f '{{.State.ConmonPid}}' direct)" "$pid"
	sets 2 && inside podman run --rm --annotation ppsplit.port=2525 localhost/mail true && sets 1 && origin
}
check the_set_of_a_container_that_was_killed_with_its_monitor_goes killed

# refused PATTERN PODMAN-OPTION...
refused() {
	pattern=$1
	shift
	! inside podman run --name bad "$@" localhost/mail touch /tmp/ran >"$said" 2>&1
	result=$?
	says "$said" "$pattern" || result=1
	! inside podman logs bad 2>/dev/null | grep . || result=1
	[ "$(inside podman inspect -f '{{.State.Status}}' bad)" = created ] || result=1
	inside podman rm -f bad
	[ $result -eq 0 ] && sets 1
}
check a_policy_that_ppctl_refuses_keeps_it_from_starting refused "'25x' is not a port" --annotation ppsplit.port=25x
check so_does_an_unknown_annotation refused 'did you mean ppsplit\.port' --annotation ppsplit.ports=25
above() {
	! inside podman run --name bad --cgroup-parent mail.slice --annotation ppsplit.port=25 localhost/mail true >"$said" 2>&1 &&
		says "$said" 'served by another set already' && inside podman rm -f bad && inside systemctl stop ppsplit
}
check so_does_a_set_on_the_parent eval 'inside systemctl start ppsplit && inside podman rm -f -t 1 mta && sets 0 && above'
check without_annotations_there_is_no_set eval 'inside podman run --rm localhost/mail true && sets 0'

macvlan() {
	inside podman network create -d macvlan --subnet 198.51.100.0/24 -o parent=node0 balancers &&
		inside podman run -d --name mta --annotation ppsplit.port=25 --annotation ppsplit.transparent=yes \
			--annotation ppsplit.proxy=198.51.100.1 --network balancers --ip 198.51.100.26 \
			--mac-address 02:00:c6:33:64:1a localhost/mail postfix start-fg && inside systemctl stop lb &&
		load_balancer 198.51.100.26:25 && origin && after podman restart -t 2 mta
}
check macvlan_needs_nothing_else_and_survives_a_restart macvlan
tap_end
