#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppsplit-oci-hook, called as a runtime calls it: with a container's state on standard input. selftests/containers has
# podman call it.
# check: native long
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
	second=$(cd $pins && echo second_contain*-*)
	$ppctl status --pin $pins --set "$second" >"$said"
	says "$said" "^cgroup +$LAB_CGROUP/two\$" &&
		says "$said" '^25 +split no'
}
check another_one_on_the_same_port_gets_another second
stop() {
	kill $one
	wait $one
	calls stopped $id ppsplit.port=25,587 && [ ! -e $pins/$set ] && [ -e "$pins/$second" ]
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
# no_set: its folder may be there
no_set() {
	[ -z "$(ls $pins 2>/dev/null)" ] || {
		ls $pins
		return 1
	}
}
# raw VALUE: the annotation ppsplit.transparent is this, as JSON has it
raw() {
	printf '{"id": "%s", "status": "creating", "pid": %s, "annotations": {"ppsplit.port": "25", "ppsplit.transparent": %s}}' \
		$id "$pid" "$1"
}
# what whoever makes a container may write: refused in one line, without what a terminal would take for a command
hostile() {
	pid=$(cat "$LAB_CGROUP/three/cgroup.procs")
	long=$(printf '%05000d' 0)
	for value in null 5 true '["yes"]' '{"a": "b"}' '"yes\u0000x"' '"yes\nno"' '"\u001b[2Jyes"' '"j\u00e4"' "\"$long\"" '""' '" yes"'; do
		raw "$value" >"$tap_work/state"
		! $hook <"$tap_work/state" 2>"$said" && says "$said" '^ppsplit-oci-hook: annotation ppsplit\.transparent' &&
			[ "$(wc -l <"$said")" -eq 1 ] && ! LC_ALL=C grep -q '[^ -~]' "$said" && no_set || {
			echo "$value"
			return 1
		}
	done
}
check annotations_that_are_no_plain_text_are_refused hostile
hostile_names() {
	for name in 'ppsplit.' 'ppsplit.p\n\u001b[2Jort' "ppsplit.$long"; do
		printf '{"id": "x", "status": "creating", "pid": %s, "annotations": {"%s": "25"}}' "$pid" "$name" >"$tap_work/state"
		! $hook <"$tap_work/state" 2>"$said" && says "$said" '^ppsplit-oci-hook: there is no annotation ppsplit\.' &&
			[ "$(wc -l <"$said")" -eq 1 ] && ! LC_ALL=C grep -q '[^ -~]' "$said" || return 1
	done
}
check and_so_are_their_names hostile_names
cut_off() {
	state creating $id ppsplit.port=25 >"$tap_work/whole"
	size=$(wc -c <"$tap_work/whole")
	len=0
	while [ $len -lt "$size" ]; do
		! head -c $len "$tap_work/whole" | $hook 2>"$said" && says "$said" 'is not the state of a container' || return 1
		len=$((len + 9))
	done
	{
		head -c $((size - 1)) "$tap_work/whole"
		head -c 2000000 /dev/zero | tr '\0' ' '
	} >"$tap_work/huge"
	! $hook <"$tap_work/huge" 2>"$said" && says "$said" 'too long' && ! $hook <&- 2>"$said" && says "$said" 'standard input' &&
		! $hook </dev/null 2>"$said" && no_set
}
check a_state_that_is_cut_off_or_huge cut_off
no_process() {
	sh -c 'exit 0' &
	pid=$!
	wait $pid
	for pid in "$pid" 0 -5 2147483647 99999999999999999999; do
		! calls creating $id ppsplit.port=25 && says "$said" 'the state has no process' && no_set || return 1
	done
	calls stopped $id
}
check a_process_that_is_gone no_process
# ids that the runtime's user chooses
ids() {
	for other in a.b a_b "$(printf 'x%.0s' $(seq 40))" "$(printf 'x%.0s' $(seq 41))" "$id" "$(echo $id | tr a-f g-l)"; do
		container "c$(printf '%s' "$other" | cksum | tr -d ' ')" && calls creating "$other" ppsplit.port=25 || return 1
	done
	[ "$(ls $pins | wc -l)" -eq 6 ] || {
		ls $pins
		return 1
	}
	for other in a.b a_b "$(printf 'x%.0s' $(seq 40))" "$(printf 'x%.0s' $(seq 41))" "$id" "$(echo $id | tr a-f g-l)"; do
		calls stopped "$other" || return 1
	done
	no_set
}
check containers_whose_ids_are_alike_have_sets_of_their_own ids
reserved() {
	for name in maps links progs pp_x; do
		! calls creating $name ppsplit.port=25 && says "$said" "ppctl: .*$name" && [ ! -e "$pins/$name" ] || return 1
	done
}
check an_id_that_is_no_name_for_a_set_is_refused reserved
# names that mean something to ppctl
words() {
	for name in self parent 'a,b' -x; do
		container "$name" || return 1
		if calls creating "$name" ppsplit.port=25; then
			$ppctl status --pin $pins >"$said"
			says "$said" "^cgroup +$LAB_CGROUP/$name\$" || return 1
		else
			[ "$name" = 'a,b' ] && says "$said" 'one cgroup for a set' || return 1
		fi
		calls stopped "$name" && no_set || return 1
	done
}
check a_cgroup_with_a_name_of_ppctls words
# as with podman run --cgroups=disabled: the runtime is in it, too
runtimes() {
	container shared && state creating $id ppsplit.port=25 >"$tap_work/state" && mkdir -p "$LAB_CGROUP/shared/below" || return 1
	for place in shared shared/below; do
		! sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$LAB_CGROUP/$place" "$hook" <"$tap_work/state" 2>"$said" &&
			says "$said" "its cgroup .*/shared is the runtime's, too" && no_set || return 1
	done
}
check a_cgroup_that_the_runtime_is_in_is_refused runtimes
# poststop_only ID: for a container of which nothing is there
poststop_only() {
	calls stopped $id ppsplit.port=25 && calls stopped $id && no_set
}
check poststop_before_createruntime_and_twice poststop_only

# The hook, or it and ppctl, are killed at any time: the next call makes a whole set, and poststop leaves nothing.
killed_half_way() {
	container half && state creating $id ppsplit.port=25 ppsplit.proxy=192.0.2.7 ppsplit.transparent=yes >"$tap_work/state" || return 1
	for delay in 0.02 0.1 0.2 0.4; do
		for whom in "" -; do
			setsid "$hook" <"$tap_work/state" >/dev/null 2>&1 &
			victim=$!
			sleep $delay
			kill -KILL "$whom$victim" 2>/dev/null
			wait $victim
			"$hook" <"$tap_work/state" >"$said" 2>&1 || {
				cat "$said"
				return 1
			}
			$ppctl status --pin $pins --set $set >"$said"
			says "$said" "^cgroup +$LAB_CGROUP/half\$" && says "$said" '^25 .*transparent' && says "$said" '^192\.0\.2\.7/32' &&
				calls stopped $id && no_set || return 1
		done
	done
}
check killed_half_way_it_leaves_what_the_next_call_mends killed_half_way
# restarted as fast as it can, while others change and sweep sets
restarts() {
	printf '[serve beside]\ncgroup = %s\nport = 25\nproxy = 192.0.2.8\n' "$LAB_OUTSIDE" >"$tap_work/conf"
	: >"$tap_work/going"
	while [ -e "$tap_work/going" ]; do
		$ppctl apply "$tap_work/conf" && $ppctl sweep --empty --pin $pins && $ppctl apply /dev/null || echo failed
	done >"$tap_work/beside" 2>&1 &
	beside=$!
	round=0
	while [ $round -lt 20 ]; do
		container again && calls creating $id ppsplit.port=25 ppsplit.proxy=192.0.2.7 &&
			$ppctl port list --pin $pins --set $set >"$said" && says "$said" '^25 ' || break
		kill "$pid"
		wait "$pid"
		rmdir "$cgroup" && { [ $((round % 3)) -eq 0 ] || calls stopped $id; } || break
		round=$((round + 1))
	done
	rm "$tap_work/going"
	wait $beside
	[ $round -eq 20 ] || {
		echo "round $round, and beside it:"
		tail -n 5 "$tap_work/beside"
		ls -l $pins "$cgroup"
		cat "$cgroup/cgroup.events"
	}
	calls stopped $id && [ $round -eq 20 ] && no_set && ! grep failed "$tap_work/beside"
}
check twenty_restarts_while_sets_are_applied_and_swept restarts
# The hook of another container sweeps after this one has looked for its set, and before its 'ppctl down'.
swept() {
	mkdir "$tap_work/between" && cp "$hook" "$tap_work/between/" || return 1
	cat >"$tap_work/between/ppctl" <<-EOF
		#!/bin/sh
		[ "\$1" != down ] || $ppctl sweep --empty --pin $pins
		exec $ppctl "\$@"
	EOF
	chmod 755 "$tap_work/between/ppctl"
	hook=$tap_work/between/ppsplit-oci-hook
	container again && calls creating $id ppsplit.port=25 || return 1
	kill "$pid"
	wait "$pid"
	rmdir "$cgroup" && calls stopped $id && says "$said" '^removed: ' && no_set
}
check a_set_that_another_hook_sweeps_first swept
hook=$PWD/build/bin/ppsplit-oci-hook
# The package is replaced while containers run, by a version whose maps differ: their poststop, or the next start, is the
# other hook's.
replaced() { # HOOK OTHER-HOOK
	for poststop in yes no; do
		hook=$1
		container old && calls creating $id ppsplit.port=25 ppsplit.proxy=192.0.2.7 || return 1
		hook=$2
		kill "$pid"
		wait "$pid"
		rmdir "$cgroup" || return 1
		[ $poststop = no ] || { calls stopped $id && no_set; } || return 1
		container new && calls creating new ppsplit.port=25 && [ "$(ls $pins)" = new ] || {
			cat "$said"
			return 1
		}
		kill "$pid"
		calls stopped new && no_set || return 1
	done
}
newer=$tap_work/newer/ppsplit-oci-hook
mkdir -p "$tap_work/newer"
cp "$hook" build/selftests/next/newer/ppctl "$tap_work/newer/"
check an_upgrade_while_containers_run replaced "$hook" "$newer"
hook=$PWD/build/bin/ppsplit-oci-hook
check a_downgrade_while_containers_run replaced "$newer" "$hook"
hook=$PWD/build/bin/ppsplit-oci-hook
read_only() {
	container ro && mount -o remount,ro "$LAB_BPFFS" || return 1
	! calls creating $id ppsplit.port=25
	result=$?
	mount -o remount,rw "$LAB_BPFFS"
	[ $result -eq 0 ] && says "$said" "ppctl: $pins.*: Read-only file system" && no_set
}
check a_read_only_bpf_file_system_keeps_it_from_starting read_only
not_a_folder() {
	mkdir -p $pins && chmod 777 $pins && ! calls creating $id ppsplit.port=25 && says "$said" 'others may write there' && rmdir $pins
}
check a_folder_that_others_may_write_to_is_refused not_a_folder

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
