#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check: all
# Where every port says that nobody calls pp_lookup(), pp_getsockopt is on no cgroup; where one does not say so it is on
# all of them, before that port is served.
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
side=${LAB_CGROUP%/*}
mkdir -p "$side/a" "$side/b" || exit 1
up="$ppctl up --cgroup $side/a --port 2525 --proxy 127.0.0.2"

# attached N: on so many cgroups, by the pins and by the kernel; and the set is whole
attached() {
	pinned=$(find "$pin/links" -name 'pp_getsockopt*' | wc -l)
	there=$(for cgroup in "$side/a" "$side/b"; do bpftool cgroup show "$cgroup"; done | grep -c pp_getsockopt)
	[ "$pinned" = "$1" ] && [ "$there" = "$1" ] || {
		echo "pp_getsockopt: pinned $pinned times, attached $there times"
		return 1
	}
	$ppctl status >"$tap_work/status" 2>&1
	! grep 'not attached' "$tap_work/status"
}

refused() {
	$up --lookup no 2>"$tap_work/said" && return 1
	says "$tap_work/said" 'lookup no needs transparent' || return 1
	printf '[serve a]\ncgroup = %s\nport = 2525 lookup=no\n' "$side/a" >"$tap_work/conf"
	$ppctl check "$tap_work/conf" 2>"$tap_work/said" && return 1
	says "$tap_work/said" 'conf:3: .*lookup no needs transparent'
}
check a_server_that_would_be_told_nothing_is_refused refused

by_itself() {
	$up --transparent --lookup no && attached 0 && $up --transparent --lookup no >"$tap_work/said" || return 1
	says "$tap_work/said" '^already up on' && $ppctl port list >"$tap_work/said" || return 1
	says "$tap_work/said" '^2525 .*lookup no' && $ppctl down
}
check a_set_that_nobody_asks_does_without by_itself

comes_and_goes() {
	$up --transparent --lookup no && attached 0 && $ppctl port add 2526 && attached 1 || return 1
	$ppctl port add 2526 --transparent --lookup no && attached 0 || return 1
	$ppctl port add 2527 && attached 1 && $ppctl port del 2527 && attached 0 || return 1
	$ppctl port add 2525 && attached 1 && $ppctl down
}
check it_comes_and_goes_with_the_ports_that_need_it comes_and_goes

configured() {
	printf '[serve a]\ncgroup = %s, %s\ntransparent = yes\nlookup = no\nport = 2525, 2526%s\n' \
		"$side/a" "$side/b" "$1" >"$tap_work/conf"
	$ppctl apply "$tap_work/conf" >"$tap_work/said" && $ppctl apply --dry-run "$tap_work/conf" >"$tap_work/again" || return 1
	! grep '^[-+~]' "$tap_work/again" && attached "$2"
}
by_apply() {
	pin=$LAB_BPFFS/pp/a
	configured '' 0 && configured ' lookup=yes' 2 && configured '' 0 || return 1
	: >"$tap_work/conf"
	$ppctl apply "$tap_work/conf"
}
check apply_has_it_on_every_cgroup_or_none by_apply

upgraded() {
	pin=$LAB_BPFFS/pp
	$up --transparent --lookup no && $ppctl upgrade && attached 0 && rm "$pin/links/pp_sockops" && $up && attached 1 || return 1
	$ppctl port add 2525 --transparent --lookup no && attached 0 && $ppctl down
}
check an_upgrade_and_a_repair_keep_that upgraded

# as a ppctl that was killed half-way leaves it: with one too many
left_over() {
	$up --transparent --lookup no || return 1
	cat >"$tap_work/kills" <<-LIST
	$ppctl port add 2526
	$ppctl port del 2526
	LIST
	for call in $(seq 1 12); do
		while read -r command; do
			build/selftests/tools/kill-at "$call" $command >/dev/null 2>&1
			if $ppctl port list | grep -q '^2526'; then
				[ "$(find "$pin/links" -name 'pp_getsockopt*' | wc -l)" = 1 ] || {
					echo "killed at change $call of: $command: a port without it"
					return 1
				}
			fi
		done <"$tap_work/kills"
		$ppctl port add 2526 >/dev/null && attached 1 && $ppctl port del 2526 && attached 0 || return 1
	done
	$ppctl down
}
check a_ppctl_that_is_killed_leaves_no_port_without_it left_over

tap_end
