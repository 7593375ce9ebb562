#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppsplit-oci-hook, called as a runtime calls it: with a container's state on standard input. selftests/containers has
# podman call it.
# check: native
# In guests unshare is busybox's, which knows no cgroup namespaces.
. selftests/lib/tap.sh
hook=$PWD/build/bin/ppsplit-oci-hook
ppctl=$PWD/build/bin/ppctl
said=$tap_work/said
pins=/sys/fs/bpf/ppsplit-oci
id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
set=0123456789abcdef0123456789abcdef

# container NAME [COMMAND...]: a process in a cgroup of its own, by COMMAND; $pid is it then
container() {
	mkdir -p "$LAB_CGROUP/$1"
	cgroup=$LAB_CGROUP/$1
	shift
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@" sleep 1000 &
	pid=$!
	soon grep -q "^$pid\$" "$cgroup/cgroup.procs"
}

# state STATUS ID [ANNOTATION...]: as the runtime writes it
state() {
	printf '{"ociVersion": "1.0.2", "id": "%s", "status": "%s", "pid": %s, "bundle": "/run/b", "annotations": {' "$2" "$1" "$pid"
	shift 2
	comma=
	for annotation; do
		printf '%s"%s": "%s"' "$comma" "${annotation%%=*}" "${annotation#*=}"
		comma=', '
	done
	printf '}}'
}

# calls STATUS ID ANNOTATION...
calls() {
	state "$@" | $hook >"$said" 2>&1 || {
		cat "$said"
		return 1
	}
}

# refuses PATTERN ANNOTATION...: and no set is left
refuses() {
	pattern=$1
	shift
	! calls creating $id "$@" && says "$said" "$pattern" && [ -z "$(ls "$pins" 2>/dev/null)" ]
}

container one
one=$pid
start() {
	calls creating $id ppsplit.port=25,587 ppsplit.proxy=192.0.2.7 ppsplit.transparent=yes ppsplit.gate=500 other=x || return 1
	$ppctl status --pin $pins --set $set >"$said"
	says "$said" "^cgroup +$LAB_CGROUP/one\$" && says "$said" '^587 .*transparent, gate 500 ms' &&
		says "$said" '^192\.0\.2\.7/32'
}
check a_container_gets_its_policy start
second() {
	container two
	calls created second.container ppsplit.port=25 ppsplit.proxy=192.0.2.8 ppsplit.transparent=no || return 1
	$ppctl status --pin $pins --set second_container >"$said"
	says "$said" "^cgroup +$LAB_CGROUP/two\$" &&
		says "$said" '^25 +split no'
}
check another_one_on_the_same_port_gets_another second
stop() {
	kill $one
	wait $one
	calls stopped $id ppsplit.port=25,587 && [ ! -e $pins/$set ] && [ -e $pins/second_container ]
}
check its_set_goes_when_it_ends stop
again() {
	rmdir "$LAB_CGROUP/one" && container one && calls creating $id ppsplit.port=25 ppsplit.proxy=192.0.2.7 || return 1
	$ppctl status --pin $pins --set $set >"$said"
	says "$said" "^cgroup +$LAB_CGROUP/one\$"
}
check a_restart_gets_a_new_one again
# neither of these has a poststop: the next container's start removes the sets of both
killed() {
	kill "$pid" "$(cat "$LAB_CGROUP/two/cgroup.procs")"
	wait
	rmdir "$LAB_CGROUP/one" && container three && calls creating third ppsplit.port=25 || return 1
	[ "$(ls $pins)" = third ] || {
		ls $pins
		return 1
	}
}
check sets_of_killed_containers_go_with_the_next_call killed
last() {
	calls stopped third && [ ! -e $pins ]
}
check the_directory_goes_with_the_last_set last
check a_container_without_a_set_that_ends_is_no_error calls stopped nobody

# hooks where packets for published ports come, and where others do
network() {
	container net unshare --net && nsenter --target "$pid" --net ip link set lo up &&
		calls creating net ppsplit.port=25 ppsplit.transparent=yes ppsplit.proxy=192.0.2.7 || return 1
	for command in "" "nsenter --target $pid --net"; do
		$command $ppctl status --pin $pins >"$said"
		says "$said" '^  lo +(tcx|clsact)' || return 1
	done
	calls stopped net
}
check hooks_are_in_the_containers_network_namespace_too network

none() {
	calls creating $id other.ppsplit.port=25 && [ ! -s "$said" ] && [ ! -e $pins ]
}
check a_container_without_annotations_is_left_alone none
check an_unknown_annotation_is_refused refuses 'no annotation ppsplit\.ports \(did you mean ppsplit\.port\?\)' ppsplit.ports=25
check a_policy_without_a_port refuses 'no annotation ppsplit\.port: ' ppsplit.proxy=192.0.2.7
check a_wrong_port refuses "ppctl: '25x' is not a port" ppsplit.port=25x
check a_wrong_proxy refuses "ppctl: .*192\.0\.2" ppsplit.port=25 ppsplit.proxy=192.0.2.700
check a_switch_that_is_neither_yes_nor_no refuses "ppsplit\.transparent: 'true' is neither yes nor no" \
	ppsplit.port=25 ppsplit.transparent=true
check what_does_not_go_together refuses 'ppctl: .*local needs transparent' ppsplit.port=25 ppsplit.local=yes
check others_cgroups_are_no_policy refuses 'no annotation ppsplit\.proxy-cgroup' ppsplit.port=25 ppsplit.proxy-cgroup=x
check options_of_ppctl_are_no_value refuses 'ppctl: ' ppsplit.port=--allow-root-cgroup

garbled() {
	for text in '' 'x' '[]' '{}' '{"id": 5}' '{"id": "x", "annotations": {"ppsplit.port": "25"}}' \
		'{"id": "x", "pid": -1, "annotations": {"ppsplit.port": "25"}}'; do
		! echo "$text" | $hook 2>"$said" && says "$said" '^ppsplit-oci-hook: .*(state|process)' || return 1
	done
}
check what_is_no_state_of_a_container_is_refused garbled
# the cgroup of a process in the root, or outside of the caller's cgroup namespace, is others', too
shared() {
	pid=$(cat "$LAB_CGROUP/three/cgroup.procs")
	state creating $id ppsplit.port=25 >"$tap_work/state"
	! sh -c 'echo 0 >"$LAB_OUTSIDE/cgroup.procs" && exec unshare --cgroup "$@"' sh "$hook" <"$tap_work/state" 2>"$said" &&
		says "$said" 'it has no cgroup v2 of its own'
}
check a_container_whose_cgroup_is_not_its_own_is_refused shared
check a_wrong_option sh -c "! $hook --pins x 2>/dev/null && $hook --help >/dev/null && $hook --version"
away() {
	cp "$hook" "$tap_work/"
	! state creating $id ppsplit.port=25 | "$tap_work/ppsplit-oci-hook" 2>"$said" && says "$said" "$tap_work/ppctl: No such file"
}
check without_ppctl_the_container_does_not_start away
tap_end
