#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppctl apply -n: it says each thing that apply does, of every kind that there is; and it does nothing.
# check: all long
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
side=${LAB_CGROUP%/*}
conf=$tap_work/ppsplit.conf
for name in a b c proxy; do mkdir -p "$side/$name" || exit 1; done
base() {
	cat >"$conf" <<-CONF
		[serve one]
		cgroup = $side/a
		port = 2501
		port = 2502 transparent=yes
		proxy = 127.0.0.2, 2001:db8::/64
		[serve two]
		cgroup = $side/b
		port = 2501
		proxy = 192.0.2.2
		proxy-cgroup = $side/proxy
	CONF
	$ppctl apply "$conf" >/dev/null
}

# state FILE: what there is: all pins; of each set what status knows, but for counters; filters, which have no pin
state() {
	{
		find "$LAB_BPFFS" | sort
		$ppctl --pin "$pin" status -v --json | sed '/"counters":{/,/}/d; /"run_\(count\|time_ns\)"/d; /"unasked":/d'
		for one in "$pin"/*; do
			[ -d "$one" ] && $ppctl --pin "$one" proxy list --json 2>&1
		done
		for interface in $(ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/'); do
			echo "$interface" && tc filter show dev "$interface" ingress
		done
	} >"$1"
}

# agrees PATTERN...: 'apply -n' changes nothing, and says what apply says then, lines that match the patterns; apply
# changes something if it says something. After that there is no difference.
agrees() {
	state "$tap_work/before"
	$ppctl apply -n "$conf" >"$tap_work/dry" 2>"$tap_work/dry.warned" || {
		cat "$tap_work/dry.warned"
		return 1
	}
	state "$tap_work/dry.state"
	diff "$tap_work/before" "$tap_work/dry.state" || return 1
	$ppctl apply "$conf" >"$tap_work/wet" 2>"$tap_work/wet.warned" && diff "$tap_work/dry" "$tap_work/wet" &&
		diff "$tap_work/dry.warned" "$tap_work/wet.warned" || return 1
	state "$tap_work/after"
	if [ -s "$tap_work/dry" ]; then
		! cmp -s "$tap_work/before" "$tap_work/after" || {
			echo "nothing was changed, and it says:"
			cat "$tap_work/dry"
			return 1
		}
	else
		diff "$tap_work/before" "$tap_work/after" || return 1
	fi
	[ $# -gt 0 ] || [ ! -s "$tap_work/dry" ] || return 1
	for pattern; do
		says "$tap_work/dry" "$pattern" || return 1
	done
	[ "$(wc -l <"$tap_work/dry")" = $# ] || {
		echo "not $# lines:"
		cat "$tap_work/dry"
		return 1
	}
}

# changed NAME COMMAND PATTERN...: after COMMAND, and not again after that
changed() {
	name=$1 command=$2
	shift 2
	both() {
		base
		eval "$command" && agrees "$@" && agrees
	}
	check "$name" both "$@"
}

changed nothing true
changed a_first_one '$ppctl --pin "$pin/one" down && $ppctl --pin "$pin/two" down' \
	'^\+ set one$' '^\+ set two$' '^\+ port 2502 ' '^\+ port 2501 .*one' '^\+ port 2501 .*two' "^\\+ cgroup $side/a " "^\\+ cgroup $side/b " \
	'^\+ proxy 127.0.0.2/32 ' '^\+ proxy 2001:db8::/64 ' '^\+ proxy 192.0.2.2/32 ' '^\+ proxy-cgroup ' '^\+ hooks on lo \(one\)$'
changed a_port_by_hand '$ppctl --pin "$pin/one" port add 2777 && $ppctl --pin "$pin/one" port del 2501' '^- port 2777 \(one\)$' '^\+ port 2501 '
changed a_policy '$ppctl --pin "$pin/one" port add 2501 --gate 7' '^~ port 2501 '
changed a_proxy_by_hand '$ppctl --pin "$pin/one" proxy add 192.0.2.9 && $ppctl --pin "$pin/one" proxy del 127.0.0.2' \
	'^- proxy 192.0.2.9/32 ' '^\+ proxy 127.0.0.2/32 '
changed a_proxy_cgroup_by_hand '$ppctl --pin "$pin/two" proxy-cgroup add "$side/c" && $ppctl --pin "$pin/two" proxy-cgroup del "$side/proxy"' \
	"^- proxy-cgroup $side/c " "^\\+ proxy-cgroup $side/proxy "
changed a_cgroup_that_has_lost_a_program 'rm "$pin/one/links/pp_getsockopt"' "^\\+ cgroup $side/a \\(one\\)$"
changed a_cgroup_made_anew 'rmdir "$side/b" && mkdir "$side/b"' "^\\+ cgroup $side/b \\(two\\)$"
changed another_cgroup 'sed -i "s|$side/b|$side/c|" "$conf"' "^- cgroup $side/b \\(two\\)$" "^\\+ cgroup $side/c \\(two\\)$"
changed a_name_of_no_cgroup_yet 'sed -i "s|$side/b|$side/later|" "$conf"' "^- cgroup $side/b \\(two\\)$" "^\\+ cgroup $side/later, when it exists"
changed a_name_whose_cgroup_has_come 'sed -i "s|$side/b|$side/later|" "$conf" && $ppctl apply "$conf" && mkdir "$side/later"' \
	"^\\+ cgroup $side/later \\(two\\)$"
changed a_section_less 'sed -i "/^.serve two/,\$d" "$conf"' '^- set two$'
changed the_last_split_less 'sed -i "/2502/d" "$conf"' '^- port 2502 \(one\)$' '^- hooks on lo \(one\)$'
changed a_split_that_is_none_any_more 'sed -i "s/ transparent=yes//" "$conf"' '^~ port 2502 ' '^- hooks on lo \(one\)$'
changed programs_of_another_build 'build/selftests/next/next/ppctl apply "$conf"' '^~ programs of another build \(one\)$' \
	'^~ programs of another build \(two\)$'
changed a_program_that_is_not_pinned_any_more 'rm "$pin/two/progs/pp_gate"' '^~ programs that are not pinned any more \(two\)$'
changed what_is_left_of_a_set 'rm "$pin/two/maps/pp_build" "$pin/two/maps/pp_ports"' '^- what is left of the set two$' '^\+ set two$' \
	'^\+ port 2501 .*two' "^\\+ cgroup $side/b " '^\+ proxy 192.0.2.2/32 ' '^\+ proxy-cgroup '
changed a_set_without_one_of_its_lists 'rm "$pin/two/maps/pp_proxies"' '^- what is left of the set two$' '^\+ set two$' '^\+ port 2501 .*two' \
	"^\\+ cgroup $side/b " '^\+ proxy 192.0.2.2/32 ' '^\+ proxy-cgroup '
# a mark that a killed 'apply' leaves: PP_CONFIG_CHANGING, 8, among pp_config's flags
broken_off() {
	flags=$(bpftool -j map lookup pinned "$pin/two/maps/pp_config" key 0 0 0 0 | sed 's/.*"flags": *\([0-9]*\).*/\1/')
	bpftool map update pinned "$pin/two/maps/pp_config" key 0 0 0 0 value $((flags | 8)) 0 0 0
}
changed a_change_that_was_broken_off broken_off '^~ a change that was broken off \(two\)$'

ip link add d0 type veth peer name d1
for interface in d0 d1; do ip link set $interface addrgenmode none && ip link set $interface up; done
changed an_interface_that_has_got_an_address 'ip addr add 198.18.0.1/24 dev d0' '^\+ hooks on d0 \(one\)$'
changed an_interface_that_has_lost_its_address 'ip addr flush dev d0' '^- hooks on d0 \(one\)$'
ip addr add 198.18.0.1/24 dev d0
without_hook() {
	rm "$pin"/one/links/pp_tcx_* 2>/dev/null || { tc qdisc del dev lo clsact && tc qdisc del dev d0 clsact; }
}
changed hooks_that_were_taken_away without_hook '^\+ hooks on lo \(one\)$' '^\+ hooks on d0 \(one\)$'
changed an_interface_by_name 'sed -i "s/^port = 2502.*/&\ninterface = d0/" "$conf"' '^\+ interface d0 \(one\)$' '^- hooks on lo \(one\)$'
changed no_interface_by_name_any_more 'sed -i "s/^port = 2502.*/&\ninterface = d0/" "$conf" && $ppctl apply "$conf" && sed -i /interface/d "$conf"' \
	'^- interface d0 \(one\)$' '^\+ hooks on lo \(one\)$'
elsewhere() {
	busybox unshare -n sh -c "ip link set lo up && $ppctl --pin '$pin/one' port add 2502 --transparent && exec sleep 1000" &
	other=$!
	sed -i '/2502/d' "$conf" && soon grep -q sleep /proc/$other/comm
}
changed hooks_in_another_network_namespace elsewhere '^- port 2502 \(one\)$' '^- hooks on lo \(one\)$' '^- hooks on d0 \(one\)$' \
	'^- hooks in other network namespaces \(one\)$'
kill $other
ip link del d0

# one connection with a split, that lives
sh -c 'echo $$ >"$1/cgroup.procs" && exec busybox nc -l -p 2502 -e sh -c "echo 220 here; exec sleep 1000"' \
	sh "$side/a" >"$tap_work/server" 2>&1 &
server=$!
living() {
	base && wait_port 2502 || return 1
	build/selftests/tools/talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' --hold 1000 127.0.0.1 2502 \
		>"$tap_work/client" 2>&1 &
	client=$!
	wait_says "$tap_work/client" '220 here'
}
check a_connection_with_a_split_lives living
changed a_port_that_drains 'sed -i "/2502/d" "$conf"' '^- port 2502, which waits for connections: 1 \(one\)$'
changed going_down '$ppctl --pin "$pin/one" down; [ $? -eq 3 ]' '^~ going down no more \(one\)$'
draining_set() {
	sed -i '/^.serve one/,/^.serve two/{/^.serve two/!d}' "$conf"
}
goes() {
	base
	draining_set && agrees '^- set one, which waits for connections: 1$' && says "$tap_work/dry" one || return 1
	kill $client $server && soon gone
}
gone() {
	$ppctl apply "$conf" >/dev/null && [ ! -e "$pin/one" ]
}
check a_set_that_drains goes
check and_that_is_gone agrees
: >"$conf"
check all_of_them_go agrees '^- set two$'
check nothing_is_left_of_them agrees
tap_end
