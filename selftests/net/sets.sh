#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check: all long
# What is pinned is one whole set, whoever is interrupted, and nobody else's pins are touched.
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
links="pp_gate pp_getpeer4 pp_getpeer6 pp_getsock4 pp_getsock6 pp_getsockopt pp_sockops"
up="$ppctl up --cgroup $LAB_CGROUP --port 2525 --proxy 127.0.0.2"

is_whole() {
	here=$(ls "$pin/links" | sort | tr '\n' ' ')
	[ "$here" = "$links " ] || {
		echo "the links are: $here"
		return 1
	}
	$ppctl port list | grep -q '^2525'
}

two_at_once() {
	for round in 1 2 3 4 5; do
		$up >"$tap_work/one" 2>&1 &
		one=$!
		$up >"$tap_work/two" 2>&1 || return 1
		wait $one || return 1
		is_whole || return 1
		cat "$tap_work/one" "$tap_work/two" | sort >"$tap_work/said"
		says "$tap_work/said" '^up on' && says "$tap_work/said" '^already up on' || return 1
		$ppctl down || return 1
	done
}
check two_at_once_leave_one_whole_set two_at_once

# as one that was killed leaves it: pins go one by one, in any order
interrupted() {
	for gone in $links; do
		$up || return 1
		rm "$pin/links/$gone"
		$up || return 1
		is_whole || return 1
		$ppctl down || return 1
	done
	$up && rm "$pin"/links/* && $up && is_whole || return 1
	rm "$pin"/maps/* && $up && $ppctl down && $up && is_whole && $ppctl down
}
check what_was_interrupted_is_completed interrupted

half_down() {
	$up && rm "$pin"/links/pp_gate "$pin"/links/pp_sockops && $ppctl down && [ ! -e "$pin" ]
}
check a_half_finished_down_is_finished half_down

unit=${LAB_CGROUP%/*}/unit
restarted() {
	mkdir "$unit" && $ppctl up --cgroup "$unit" --port 2525 --proxy 127.0.0.2 || return 1
	$ppctl port add 2526 && rmdir "$unit" && mkdir "$unit" || return 1
	$ppctl up --cgroup "$unit" --port 2525 >"$tap_work/again" || return 1
	says "$tap_work/again" '^up again on' && is_whole || return 1
	$ppctl port list | grep -q '^2526' || return 1
	$ppctl status >"$tap_work/status"
	says "$tap_work/status" "^cgroup .*unit" || return 1
	bpftool cgroup show "$unit" | grep -c pp_ | grep -qx 7 && $ppctl down && rmdir "$unit"
}
check a_cgroup_that_is_made_anew_gets_its_programs_back restarted

foreign() {
	mkdir -p "$pin/maps" && bpftool map create "$pin/maps/theirs" type hash key 4 value 4 entries 8 name theirs || return 1
	$up >"$tap_work/said" 2>&1 && return 1
	says "$tap_work/said" 'theirs is not a pin of ppsplit' && [ -e "$pin/maps/theirs" ] || return 1
	$ppctl down >"$tap_work/said" 2>&1 && return 1
	[ -e "$pin/maps/theirs" ] && rm "$pin/maps/theirs" && rmdir "$pin/maps" "$pin"
}
check pins_of_others_are_refused_and_kept foreign

places() {
	mkdir "$tap_work/target" && mkdir "$tap_work/target/maps" && : >"$tap_work/target/maps/precious"
	ln -s "$tap_work/target" "$pin" && ! $up >"$tap_work/said" 2>&1 && rm "$pin" || return 1
	says "$tap_work/said" 'is not a directory' && [ -e "$tap_work/target/maps/precious" ] || return 1
	mkdir -m 777 "$pin" && ! $up >"$tap_work/said" 2>&1 && rmdir "$pin" || return 1
	says "$tap_work/said" 'others may write there'
}
check a_place_that_others_may_change_is_refused places

lists() {
	$up || return 1
	! $ppctl port add 2600,99999 && ! $ppctl port list | grep -q '^2600' || return 1
	! $ppctl proxy add 192.0.2.1,192.0.2.1/33 && ! $ppctl proxy list | grep -q 192.0.2.1 || return 1
	! $ppctl port add "$(seq -s , 3000 3299)" >"$tap_work/said" 2>&1 || return 1
	says "$tap_work/said" 'room for 255 more' || return 1
	! $ppctl port list | grep -q '^3000' || return 1
	! $up --port 2700 --proxy 9.9.9.9/99 && ! $ppctl port list | grep -q '^2700' && $ppctl down
}
check a_list_is_added_whole_or_not_at_all lists

# unchanged COMMAND...: fails, and the lists are what they were
unchanged() {
	for list in port proxy proxy-cgroup; do $ppctl $list list; done | sort >"$tap_work/before"
	! "$@" >"$tap_work/said" 2>&1 || return 1
	for list in port proxy proxy-cgroup; do $ppctl $list list; done | sort >"$tap_work/after"
	diff "$tap_work/before" "$tap_work/after"
}
deletions() {
	$up && $ppctl port add 2600,2601 && $ppctl proxy add 192.0.2.1 192.0.2.0/24 || return 1
	unchanged $ppctl port del 2600,2602 && says "$tap_work/said" '2602 is not served' || return 1
	unchanged $ppctl port del 2600 nonsense && unchanged $ppctl proxy del 192.0.2.1 192.0.2.9 || return 1
	says "$tap_work/said" '192.0.2.9 is not in the list' || return 1
	# the trie has it within another, but not itself
	unchanged $ppctl proxy del 192.0.2.1 192.0.2.0/25 || return 1
	$ppctl proxy del 192.0.2.0/24,192.0.2.0/24 && $ppctl proxy list | grep -qx 192.0.2.1/32 &&
		! $ppctl proxy list | grep -q 192.0.2.0 && $ppctl down
}
check a_list_is_deleted_whole_or_not_at_all deletions
# the second cgroup has a program that admits no other: found when the first has its own already
in_the_middle() {
	others=/sys/fs/bpf/others
	$up && mkdir "$unit" "$unit/a" "$unit/b" && bpftool prog loadall build/selftests/others.bpf.o $others &&
		bpftool cgroup attach "$unit/b" cgroup_sock_ops pinned $others/other || return 1
	unchanged $ppctl proxy-cgroup add "$unit/a" "$unit/b" && says "$tap_work/said" BPF_F_ALLOW_MULTI || return 1
	bpftool map dump pinned "$pin/maps/pp_config" | grep -q '"flags": 0' || return 1
	unchanged $up --port 2700 --gate 9000 --proxy-cgroup "$unit/a,$unit/b" || return 1
	# nor does a port get another policy
	unchanged $up --port 2525,2701 --gate 9000 --proxy-cgroup "$unit/b" || return 1
	bpftool cgroup detach "$unit/b" cgroup_sock_ops pinned $others/other && rm -r $others && $ppctl down &&
		rmdir "$unit/a" "$unit/b" "$unit"
}
check what_fails_in_the_middle_is_undone in_the_middle
full() {
	$up && unchanged $up --proxy 10.0.0.1 --port "$(seq -s , 3000 3255)" && says "$tap_work/said" 'pp_ports has room for 256 ports' && $ppctl down
}
check an_up_that_finds_a_list_full_is_undone full
entries() {
	bpftool -j map show pinned "$pin/maps/$1" | sed 's/.*"max_entries":\([0-9]*\).*/\1/'
}

# each map that has a size of its own is in its place
maps_are_made_for_so_many_connections() {
	for number in 256 16384 100000; do
		$up --connections $number || return 1
		[ "$(entries pp_senders)" = $number ] && [ "$(entries pp_outgoing)" = $((number * 2)) ] &&
			[ "$(entries pp_forwarded)" = $((number * 4)) ] && [ "$(entries pp_flows)" -ge $number ] || return 1
		$up --connections 512 2>"$tap_work/said" || return 1
		says "$tap_work/said" "connections 512: the set at $pin is made for $number, and stays so" || return 1
		$up 2>"$tap_work/said" || return 1
		[ ! -s "$tap_work/said" ] || return 1
		$ppctl down || return 1
	done
	$up || return 1
	[ "$(entries pp_senders)" = 16384 ] && $ppctl down
}
check maps_are_made_for_so_many_connections maps_are_made_for_so_many_connections
tap_end
