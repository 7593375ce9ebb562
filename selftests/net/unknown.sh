#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the kernel does not say is not taken for "it is not there": where a pin, a directory of pins or a cgroup
# cannot be seen or changed, for whatever reason, each command of ppctl says so with the kernel's words, exits with an error, and
# changes nothing.
# check: all
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
conf=$tap_work/ppsplit.conf
said=$tap_work/said
side=${LAB_CGROUP%/*}
mkdir -p "$side/a"
printf '[serve one]\ncgroup = %s\nport = 2501 split=yes\nproxy = 192.0.2.1\n' "$side/a" >"$conf"
printf '[serve one]\ncgroup = %s\nport = 2502\nproxy = 192.0.2.2\n' "$side/a" >"$tap_work/other.conf"

# what a set is: its pins, and its lists
state() {
	find "$pin" | sort
	bpftool cgroup show "$side/a" | awk '{ print $1, $NF }'
	$ppctl port list --set one
	$ppctl proxy list --set one
}

# answers STATUS PATTERN WORD...: and it says neither that all is well, nor that nothing is there
answers() {
	expected=$1 pattern=$2
	shift 2
	timeout 60 $runner $ppctl "$@" >"$said" 2>&1 </dev/null
	status=$?
	[ $status = "$expected" ] || {
		echo "ppctl $*: exit $status, not $expected:"
		cat "$said"
		return 1
	}
	says "$said" "$pattern" || return 1
	! grep -E '^down|nothing is up|^removed' "$said"
}

# changing PATTERN DIR SET: all commands that change something
changing() {
	set_option=${3:+--set $3}
	answers 1 "$1" down --pin "$2" $set_option || return 1
	answers 1 "$1" down --now --pin "$2" $set_option || return 1
	answers 1 "$1" up --cgroup "$side/a" --port 2503 --pin "$2" $set_option || return 1
	answers 1 "$1" upgrade --pin "$2" $set_option || return 1
	answers 1 "$1" port add 2504 --pin "$2" $set_option || return 1
	answers 1 "$1" port del 2501 --pin "$2" $set_option || return 1
	answers 1 "$1" proxy add 192.0.2.7 --pin "$2" $set_option || return 1
	answers 1 "$1" proxy-cgroup add "$side/a" --pin "$2" $set_option || return 1
	answers 1 "$1" apply "$tap_work/other.conf" --pin "$2" || return 1
	answers 1 "$1" apply /dev/null --pin "$2" || return 1
	answers 1 "$1" sweep --empty --pin "$2"
}

# reading PATTERN DIR SET: those that only look
reading() {
	set_option=${3:+--set $3}
	answers 3 "$1" status --pin "$2" || return 1
	answers 1 "$1" metrics --pin "$2" || return 1
	answers 1 "$1" connections --pin "$2" || return 1
	answers 1 "$1" lookup 127.0.0.1:1 127.0.0.1:2 --pin "$2" || return 1
	answers 1 "$1" monitor --pin "$2" || return 1
	answers 1 "$1" port list --pin "$2" $set_option || return 1
	answers 1 "$1" proxy list --pin "$2" $set_option || return 1
	answers 1 "$1" proxy-cgroup list --pin "$2" $set_option
}

runner=
$ppctl apply "$conf" >"$said" 2>&1 || cat "$said"
unchanged() {
	state >"$tap_work/now" 2>&1
	diff "$tap_work/before" "$tap_work/now"
}
state >"$tap_work/before" 2>&1
there() {
	says "$tap_work/before" '^2501 ' && says "$tap_work/before" 'pp_gate$'
}
check there_is_a_set there

# the mount alone: what is pinned can be opened
read_only() {
	mount --bind "$LAB_BPFFS" "$LAB_BPFFS" && mount -o remount,ro,bind "$LAB_BPFFS" || return 1
	changing 'Read-only file system' "$pin" one
	result=$?
	$ppctl port list --set one | grep -q '^2501 ' && $ppctl apply --dry-run "$tap_work/other.conf" >"$said" 2>&1 &&
		says "$said" '^- port 2501' || result=1
	umount "$LAB_BPFFS"
	return $result
}
check a_bpffs_that_is_mounted_read_only read_only
check nothing_was_changed_there unchanged

# the whole file system: nothing that is pinned can be opened
read_only_whole() {
	mount -o remount,ro "$LAB_BPFFS" || return 1
	changing 'Read-only file system' "$pin" one && reading 'Read-only file system' "$pin" one
	result=$?
	mount -o remount,rw "$LAB_BPFFS"
	return $result
}
check a_bpffs_that_is_read_only read_only_whole
check nothing_was_changed_in_it unchanged

loop() {
	ln -s loop "$LAB_BPFFS/loop"
	changing 'Too many levels of symbolic links|is not a directory' "$LAB_BPFFS/loop" && reading 'Too many levels of symbolic links' "$LAB_BPFFS/loop"
	result=$?
	rm "$LAB_BPFFS/loop"
	return $result
}
check a_link_that_leads_to_itself loop

file() {
	: >"$tap_work/file"
	changing 'Not a directory|is not a directory|not on a BPF' "$tap_work/file" && reading 'Not a directory' "$tap_work/file" &&
		changing 'Not a directory|is not a directory|not on a BPF' "$tap_work/file/pp" && reading 'Not a directory' "$tap_work/file/pp"
}
check a_file_in_the_place_of_the_directory file

# somebody who may not look: not "nothing is up"
stranger() {
	runner="setpriv --reuid=65534 --regid=65534 --clear-groups --"
	chmod 755 "$tap_work"
	cp $ppctl "$tap_work/ppctl" && chmod 755 "$tap_work/ppctl"
	ppctl=$tap_work/ppctl
	chmod 700 "$pin"
	changing 'Permission denied|needs root|Operation not permitted' "$pin" one && reading 'Permission denied.*needs root|needs root' "$pin" one
	result=$?
	chmod 755 "$pin"
	runner='' ppctl=build/bin/ppctl
	return $result
}
if setpriv --reuid=65534 --clear-groups -- true 2>/dev/null; then
	check somebody_who_may_not_look stranger
	check nothing_was_changed_by_him unchanged
else
	echo "ok - somebody_who_may_not_look # SKIP setpriv is busybox's"
fi

# too few descriptors, from none for a pin to nearly enough: an error, or what was asked for
descriptors() {
	for limit in 3 4 5 6 7 8; do
		for command in 'status --pin' 'port list --set one --pin' 'metrics --pin'; do
			(
				ulimit -n $limit
				exec timeout 60 $ppctl $command "$pin"
			) >"$said" 2>&1
			status=$?
			[ $status -lt 2 ] || [ $status = 3 ] || [ $status = 127 ] || return 1
			! grep -E 'nothing is up|pins of the set are missing' "$said" || return 1
		done
		(
			ulimit -n $limit
			exec timeout 60 $ppctl apply "$tap_work/other.conf"
		) >"$said" 2>&1 && continue
		says "$said" 'Too many open files|shared librar' || return 1
	done
	$ppctl apply "$conf" >"$said" 2>&1 && unchanged
}
check too_few_descriptors descriptors

busy() {
	mkdir "$pin/one/links/pp_foreign" || return 1
	answers 1 'pp_foreign' down --now --set one --pin "$pin"
	result=$?
	rmdir "$pin/one/links/pp_foreign"
	[ $result = 0 ] || return 1
	mount -t tmpfs -o mode=755 tmpfs "$pin/one/links" || return 1
	answers 1 '/one/links.* cannot be removed: Device or resource busy' down --now --set one --pin "$pin"
	result=$?
	umount "$pin/one/links"
	return $result
}
check what_cannot_be_removed_is_named busy

# a name that leads through a file, or in a circle, is no name of a cgroup that comes later
names() {
	ln -s round "$tap_work/round"
	for name in "$side/a/cgroup.procs/x" "$tap_work/round" "$(printf '%0300d' 0)"; do
		printf '[serve one]\ncgroup = %s\nport = 2501\nproxy = 192.0.2.1\n' "$name" >"$tap_work/name.conf"
		! $ppctl check "$tap_work/name.conf" >"$said" 2>&1 || return 1
		says "$said" 'Not a directory|Too many levels|File name too long|characters' || return 1
		! $ppctl apply --dry-run "$tap_work/name.conf" >/dev/null 2>&1 || return 1
	done
}
check a_name_of_a_cgroup_that_can_never_be names

if [ -x build/bin/ppsplit-oci-hook ]; then
	# a container that has ended: its set is not taken for one that never was
	hook() {
		echo '{"id":"one","status":"stopped"}' | build/bin/ppsplit-oci-hook --pin "$tap_work/file" >"$said" 2>&1 && return 1
		says "$said" 'file/one: Not a directory'
	}
	check the_hook_says_so_too hook
fi

gone() {
	$ppctl down --set one >"$said" 2>&1 && says "$said" '^down$' && [ ! -e "$pin" ]
}
check and_at_last_it_can_be_removed gone
tap_end
