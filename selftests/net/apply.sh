#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppctl check and ppctl apply: sets become what ppsplit.conf says, all of it or nothing.
# check: all long
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
side=${LAB_CGROUP%/*}
conf=$tap_work/ppsplit.conf
out=$tap_work/said
for name in a b c proxy; do mkdir -p "$side/$name" || exit 1; done

# config: the configuration on standard input
config() {
	cat >"$conf"
}

apply() { # OPTIONS: and what it says is in $out
	$ppctl apply "$@" "$conf" >"$out" 2>"$tap_work/warned" || {
		cat "$out" "$tap_work/warned"
		return 1
	}
}

refuses() { # PATTERN: apply fails and says so
	! $ppctl apply "$conf" >"$out" 2>&1 || {
		echo "it is applied"
		return 1
	}
	says "$out" "$1"
}

says_nothing() {
	[ ! -s "$out" ] || {
		echo "it says:"
		cat "$out"
		return 1
	}
}

programs_on() { # CGROUP COUNT
	count=$(bpftool cgroup show "$1" | grep -c ' pp_')
	[ "$count" = "$2" ] || {
		echo "$1 has $count programs, not $2"
		return 1
	}
}

two() {
	config <<-CONF
		[serve one]
		cgroup = $side/a
		port = 2501
		port = 2502 transparent=yes
		proxy = 192.0.2.1, 2001:db8::/64
		[serve two]
		cgroup = $side/b
		port = 2501
		proxy = 192.0.2.2
	CONF
}

idempotent() {
	two
	apply --dry-run && says "$out" '^\+ set one$' && [ ! -e "$pin" ] || return 1
	cp "$out" "$tap_work/dry"
	apply && cmp "$out" "$tap_work/dry" || return 1
	says "$out" '^\+ port 2502 transparent, gate 3000 ms, on-bad drop \(one\)$' &&
		says "$out" '^\+ proxy 192.0.2.2/32 \(two\)$' && says "$out" "^\\+ cgroup $side/a \\(one\\)$" || return 1
	programs_on "$side/a" 7 && programs_on "$side/b" 7 || return 1
	apply && says_nothing && apply --dry-run && says_nothing
}
check what_is_there_already_is_no_difference idempotent

difference() {
	two && apply || return 1
	config <<-CONF
		[serve one]
		cgroup = $side/a
		port = 2502
		port = 2503 gate=500ms
		proxy = 192.0.2.1, 192.0.2.3
	CONF
	apply || return 1
	sort "$out" >"$tap_work/sorted"
	sort >"$tap_work/expected" <<-SAYS
		- set two
		- port 2501 (one)
		- hooks on lo (one)
		- proxy 2001:db8::/64 (one)
		~ port 2502 split no, gate 3000 ms, on-bad tell (one)
		+ port 2503 split no, gate 500 ms, on-bad tell (one)
		+ proxy 192.0.2.3/32 (one)
	SAYS
	diff "$tap_work/sorted" "$tap_work/expected" || return 1
	[ ! -e "$pin/two" ] && programs_on "$side/b" 0 && apply && says_nothing || return 1
	$ppctl --pin "$pin/one" port add 2777 && $ppctl --pin "$pin/one" proxy add 192.0.2.77 || return 1
	apply && says "$out" '^- port 2777 \(one\)$' && says "$out" '^- proxy 192.0.2.77/32 \(one\)$' || return 1
	apply --json && says "$out" '"schema":1' && says "$out" '"changes":\[' || return 1
	: >"$conf"
	apply && says "$out" '^- set one$' && [ ! -e "$pin" ]
}
check what_differs_is_said_and_what_is_not_named_goes difference

is_closed() { # of the set DIR: over loopback, only proxy cgroups are believed
	flags=$(bpftool -j map lookup pinned "$1/maps/pp_config" key 0 0 0 0 | sed 's/.*"flags": *\([0-9]*\).*/\1/')
	[ $((flags & 1)) -eq 1 ]
}

later() {
	config <<-CONF
		[serve one]
		cgroup = $side/later
		port = 2501
		proxy = 127.0.0.2
		proxy-cgroup = $side/proxylater
	CONF
	apply && says "$tap_work/warned" "cgroup $side/later does not exist" &&
		says "$out" "cgroup $side/later, when it exists \\(one\\)" || return 1
	$ppctl --pin "$pin/one" port list | grep -q '^2501' || return 1
	is_closed "$pin/one" || {
		echo "loopback is believed while the proxy cgroup does not exist"
		return 1
	}
	apply && says_nothing && is_closed "$pin/one" || return 1
	mkdir "$side/later" "$side/proxylater" && apply && says "$out" "^\\+ cgroup $side/later \\(one\\)$" || return 1
	programs_on "$side/later" 7 && programs_on "$side/proxylater" 1 || return 1
	# a unit that is restarted has a new cgroup under the old name
	rmdir "$side/later" "$side/proxylater" && apply && says_nothing && is_closed "$pin/one" || return 1
	mkdir "$side/later" "$side/proxylater" && apply && programs_on "$side/later" 7 && programs_on "$side/proxylater" 1 || return 1
	apply && says_nothing && rmdir "$side/later" "$side/proxylater"
	$ppctl --pin "$pin/one" proxy-cgroup del "$side/proxylater" && ! is_closed "$pin/one" && $ppctl --pin "$pin/one" down
}
check a_cgroup_that_does_not_exist_yet_is_served_when_it_does later

# The cgroups that the programs were on are gone, there are new ones of those names, and the names are not in the
# file any more.
made_anew() {
	two && echo "proxy-cgroup = $side/proxy" >>"$conf" && apply || return 1
	rmdir "$side/proxy" "$side/b" && mkdir "$side/proxy" "$side/b" && two && apply || return 1
	programs_on "$side/b" 7 && says "$out" "^- proxy-cgroup $side/proxy" || return 1
	! is_closed "$pin/two" || return 1
	$ppctl --pin "$pin" --set two status >"$tap_work/status"
	! grep "a proxy's cgroup is gone" "$tap_work/status" || return 1
	rmdir "$side/b" && mkdir "$side/b" && two && sed -i "s|cgroup = $side/b|cgroup = $side/c|" "$conf" && apply || return 1
	programs_on "$side/b" 0 && programs_on "$side/c" 7 && says "$out" "^- cgroup $side/b" && apply && says_nothing
}
check a_name_that_goes_with_its_cgroup_made_anew_is_said_and_goes made_anew

several() {
	config <<-CONF
		[serve one]
		cgroup = $side/a, $side/b
		port = 2501
		proxy = 192.0.2.1
	CONF
	apply && programs_on "$side/a" 7 && programs_on "$side/b" 7 || return 1
	# the first of them goes: the other one gets its names
	sed -i "s|$side/a, ||" "$conf" && apply && says "$out" "^- cgroup $side/a \\(one\\)$" || return 1
	programs_on "$side/a" 0 && programs_on "$side/b" 7 && [ -e "$pin/one/links/pp_gate" ] && [ "$(ls "$pin/one/links" | wc -l)" = 7 ] || return 1
	apply && says_nothing && $ppctl --pin "$pin/one" down
}
check a_set_has_several_cgroups several

# two sets change places: neither may stand in the other's way
swapped() {
	two && apply && sed -i "s|$side/a|$side/x|;s|$side/b|$side/a|;s|$side/x|$side/b|" "$conf" && apply || return 1
	programs_on "$side/a" 7 && programs_on "$side/b" 7 && apply && says_nothing
	: >"$conf" && apply
}
check sets_can_change_their_cgroups swapped

overlap() {
	$ppctl --pin "$LAB_BPFFS/other" up --cgroup "$side/a" --port 2501 || return 1
	two
	refuses "cgroup $side/a is served by another set already, pinned at $LAB_BPFFS/other" && [ ! -e "$pin/two" ] || return 1
	mkdir -p "$side/a/below"
	sed -i "s|$side/a|$side/a/below|" "$conf"
	refuses "cgroup $side/a/below is served by another set" || return 1
	$ppctl --pin "$LAB_BPFFS/other" down && $ppctl --pin "$LAB_BPFFS/other" up --cgroup "$side/a/below" --port 2501 || return 1
	! $ppctl up --cgroup "$side/a" --port 2501 >"$out" 2>&1 && says "$out" 'served by another set' || return 1
	$ppctl --pin "$LAB_BPFFS/other" down && rmdir "$side/a/below"
}
check two_sets_on_one_cgroup_or_inside_of_it_are_refused overlap

# what fails is taken back: here another tool lets no program of this type on the new cgroup
fails() {
	two && apply || return 1
	$ppctl --pin "$pin/one" port list >"$tap_work/ports" && $ppctl --pin "$pin/one" proxy list >"$tap_work/proxies"
	config <<-CONF
		[serve one]
		cgroup = $side/a, $side/c
		port = 2601
		proxy = 192.0.2.9
		[serve two]
		cgroup = $side/b
		port = 2602
		proxy = 192.0.2.2
		[serve three]
		cgroup = $side/proxy
		port = 2603
		proxy = 192.0.2.2
	CONF
	bpftool cgroup attach "$side/c" cgroup_sock_ops pinned "$pin/one/progs/pp_sender" || return 1
	refuses 'admits no other of its type there' || return 1
	bpftool cgroup detach "$side/c" cgroup_sock_ops pinned "$pin/one/progs/pp_sender" || return 1
	[ ! -e "$pin/three" ] && $ppctl --pin "$pin/one" port list 2>&1 | cmp - "$tap_work/ports" &&
		$ppctl --pin "$pin/one" proxy list 2>&1 | cmp - "$tap_work/proxies" || return 1
	$ppctl --pin "$pin/two" port list 2>&1 | grep -q '^2501' && programs_on "$side/c" 0 && programs_on "$side/proxy" 0 || return 1
	two && apply && says_nothing
	: >"$conf" && apply
}
check what_fails_changes_nothing fails

# a unit's AssertPathExists= relies on it
first_fails() {
	others=$LAB_BPFFS/others
	bpftool prog loadall build/selftests/others.bpf.o "$others" &&
		bpftool cgroup attach "$side/b" cgroup_sock_ops pinned "$others/other" || return 1
	two && refuses 'admits no other of its type there' && [ ! -e "$pin" ] && programs_on "$side/a" 0 || return 1
	bpftool cgroup detach "$side/b" cgroup_sock_ops pinned "$others/other" && rm -r "$others" || return 1
	two && apply && $ppctl apply /dev/null && [ ! -e "$pin" ]
}
check a_first_apply_that_fails_leaves_no_directory first_fails

# 256 ports are more than there is room for beside the others; 5,000 proxies are not
full() {
	two && apply || return 1
	seq 3000 3255 | sed 's/^/port = /' >"$tap_work/many"
	sed -i "/2001:db8/r $tap_work/many" "$conf"
	refuses 'pp_ports is full .256 entries.' && two && apply && says_nothing || return 1
	awk 'BEGIN { for (i = 0; i < 5000; i++) printf "proxy = 10.1.%d.%d\n", i / 250, i % 250 + 1 }' >"$tap_work/many"
	sed -i "/2001:db8/r $tap_work/many" "$conf"
	apply && apply && says_nothing && [ "$($ppctl --pin "$pin/one" proxy list | wc -l)" -gt 5000 ] || return 1
	tail -n 1 "$tap_work/many" >"$tap_work/twice"
	sed -i "/2001:db8/r $tap_work/twice" "$conf"
	refuses 'proxy 10.1.19.250 is in line [0-9]+ already' || return 1
	: >"$conf" && apply
}
check more_than_there_is_room_for_changes_nothing full

by_up() {
	$ppctl up --cgroup "$side/c" --port 2501 --proxy 192.0.2.1 && two && apply || return 1
	says "$tap_work/warned" "the set at $pin is of 'ppctl up', and stays as it is" || return 1
	programs_on "$side/c" 7 && programs_on "$side/a" 7 || return 1
	: >"$conf" && apply && programs_on "$side/c" 7 && $ppctl port list | grep -q '^2501' && $ppctl down && [ ! -e "$pin" ]
}
check a_set_of_up_stays by_up

at_once() {
	two
	for round in 1 2 3; do
		for caller in 1 2 3; do
			$ppctl apply "$conf" >"$tap_work/out$caller" 2>&1 &
			eval "pid$caller=$!"
		done
		for caller in 1 2 3; do
			eval "wait \$pid$caller" || {
				cat "$tap_work/out$caller"
				return 1
			}
		done
		cat "$tap_work"/out[123] | grep -c '^+ set' | grep -qx 2 || return 1
		apply && says_nothing && $ppctl --pin "$pin/one" down && $ppctl --pin "$pin/two" down || return 1
	done
}
check several_at_once_wait_for_each_other at_once

# As of a newer ppctl, and of one whose maps have other sizes.
versions() {
	two && apply || return 1
	cp "$conf" "$tap_work/two.conf"
	bpftool map update pinned "$pin/one/maps/pp_version" key 0 0 0 0 value hex 63 00 00 00 39 2e 39 2e 39 $(printf '00 %.0s' $(seq 55)) || return 1
	for command in "port list" "port add 26" "proxy list" "proxy add 192.0.2.5" "proxy-cgroup list" status upgrade down \
		"up --cgroup $side/a --port 27"; do
		! $ppctl --pin "$pin/one" $command >"$out" 2>&1 && says "$out" 'was pinned by ppsplit 9.9.9, .* this is [0-9.]+' || return 1
	done
	refuses 'was pinned by ppsplit 9.9.9' || return 1
	$ppctl --pin "$pin/one" down --now && apply || return 1
	bpftool map create "$pin/one/maps/pp_other" type hash key 2 value 32 entries 8 name pp_ports || return 1
	mv "$pin/one/maps/pp_other" "$pin/one/maps/pp_ports" || return 1
	for command in "port list" "port add 26" status upgrade down; do
		! $ppctl --pin "$pin/one" $command >"$out" 2>&1 && says "$out" 'pp_ports has keys of 2 and values of 32 bytes there, and 2 and 8 here' || return 1
	done
	refuses 'was pinned by ppsplit' && $ppctl --pin "$pin/one" down --now && $ppctl --pin "$pin/two" down
}
check what_another_version_has_pinned_is_refused_by_name versions

# As of an older ppctl, of whose maps some mean something else: what lives on them goes on with its own programs.
older() {
	two && apply || return 1
	bpftool map update pinned "$pin/one/maps/pp_version" key 0 0 0 0 value hex 01 00 00 00 30 2e 30 2e 39 $(printf '00 %.0s' $(seq 55)) &&
		bpftool map update pinned "$pin/one/maps/pp_build" key 0 0 0 0 value 1 2 3 4 5 6 7 8 || return 1
	bpftool cgroup show "$side/a" >"$tap_work/before" && [ "$(grep -c ' pp_' "$tap_work/before")" -eq 7 ] || return 1
	for command in upgrade "up --cgroup $side/a"; do
		! $ppctl --pin "$pin/one" $command >"$out" 2>&1 &&
			says "$out" 'was pinned by ppsplit 0.0.9, with maps of version 1, .*: .ppctl down., then up again' || return 1
	done
	refuses 'was pinned by ppsplit 0.0.9, with maps of version 1' || return 1
	bpftool cgroup show "$side/a" | diff "$tap_work/before" - && $ppctl --pin "$pin/one" port list >"$out" && says "$out" '^2501' || return 1
	$ppctl --pin "$pin/one" down && apply && programs_on "$side/a" 7 && $ppctl --pin "$pin/one" down && $ppctl --pin "$pin/two" down
}
check programs_do_not_take_over_maps_that_mean_something_else older

# a list whose pin somebody has removed
lost() {
	$ppctl up --cgroup "$side/a" --port 2501 --proxy 192.0.2.1 && rm "$pin/maps/pp_proxies" || return 1
	! $ppctl up --cgroup "$side/a" --port 2502 >"$out" 2>&1 && says "$out" "a list of the set at $pin is gone" || return 1
	$ppctl down && $ppctl up --cgroup "$side/a" --port 2501 --proxy 192.0.2.1 || return 1
	rm "$pin"/links/* "$pin"/progs/pp_gate "$pin"/maps/pp_stats && $ppctl up --cgroup "$side/a" || return 1
	programs_on "$side/a" 7 && $ppctl port list | grep -q '^2501' && $ppctl proxy list | grep -q 192.0.2.1 && $ppctl down
}
check a_list_is_never_lost_in_silence lost


example() {
	$ppctl check docs/ppsplit.conf >"$out" 2>&1 && ! grep -v ': warning: ' "$out" | grep -v 'no error$'
}
check the_example_is_right example

# no_file PATTERN FILE: check and apply say so at once, and nothing is changed
no_file() {
	for command in check 'apply --dry-run' apply; do
		timeout 20 $ppctl $command "$2" >"$out" 2>&1
		[ $? = 1 ] && says "$out" "$1" && [ "$(wc -l <"$out")" -le 101 ] || {
			echo "$command $2:"
			head -5 "$out"
			return 1
		}
	done
	$ppctl port list --set one >"$out" && says "$out" '^2501 '
}
no_files() {
	two && apply || return 1
	mkfifo "$tap_work/pipe" && mknod "$tap_work/zero" c 1 5 && mkdir "$tap_work/folder" || return 1
	no_file 'is a pipe' "$tap_work/pipe" && no_file 'is a device' "$tap_work/zero" && no_file 'is a directory' "$tap_work/folder" || return 1
	truncate -s 2M "$tap_work/large" && no_file 'more than 1048576 bytes' "$tap_work/large" || return 1
	printf '[serve one]\n\0\n' >"$tap_work/zeroes" && no_file 'zeroes:2: a byte that is 0' "$tap_work/zeroes" || return 1
	head -c 100000 $ppctl >"$tap_work/program" && no_file ':1: a byte that is 0' "$tap_work/program" || return 1
	yes 'nonsense' | head -c 1000000 >"$tap_work/text" && no_file 'text: and [0-9]* more$' "$tap_work/text" || return 1
	yes "$(printf '\001\033[31m')" | head -c 100000 >"$tap_work/text" && no_file 'a control character' "$tap_work/text" || return 1
	# an empty configuration is one
	apply && timeout 20 $ppctl apply /dev/null >"$out" 2>&1 && says "$out" '^- set one$'
}
check what_is_no_configuration_file_is_refused no_files

# stranger WORDS: apply refuses the file, check warns of it
stranger() {
	refuses "$1" && ! refuses ': warning: .*'"$1" >/dev/null && $ppctl check "$conf" >"$out" 2>&1 && says "$out" "warning: .*$1"
}
strangers() {
	two && apply || return 1
	chown 4711 "$conf" && stranger 'it belongs to another user' && chown 0 "$conf" || return 1
	chmod 666 "$conf" && stranger 'everybody may write to it' && chmod 664 "$conf" && chgrp 4711 "$conf" || return 1
	stranger "a group that is not root's may write to it" && chgrp 0 "$conf" && apply || return 1
	chmod 644 "$conf" && chmod 777 "$tap_work" && stranger "folder $tap_work can put another file there" || return 1
	# others can replace there only what is theirs
	chmod 1777 "$tap_work" && apply && chown 4711 "$tap_work" && stranger 'belongs to another' || return 1
	chown 0 "$tap_work" && chmod 700 "$tap_work"
	# a link from a folder of root's into one of others'
	mkdir -p "$tap_work/others" && chmod 777 "$tap_work/others" && cp "$conf" "$tap_work/others/real" && ln -sf others/real "$tap_work/link" || return 1
	! $ppctl apply "$tap_work/link" >"$out" 2>&1 && says "$out" "others can put another file there" || return 1
	# as Kubernetes mounts a ConfigMap
	mount --bind "$tap_work/others" "$tap_work/others" && mount -o remount,ro,bind "$tap_work/others" || return 1
	$ppctl apply "$tap_work/link" >"$out" 2>&1
	result=$?
	umount "$tap_work/others"
	[ $result = 0 ] && $ppctl apply /dev/null >"$out" 2>&1
}
check a_file_that_strangers_can_change_is_refused strangers
tap_end
