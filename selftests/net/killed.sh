#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppctl is killed at each system call with which it changes something. What is left is the old set, the
# new one, or one that every command names as broken off, in which no proxy is believed on a port where
# neither the old set nor the new one believes it; and the next call completes it. To try every call, and not
# eight for each case: KILLS=1000 make check T=net/killed K=none
# check: all long
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
killer=build/selftests/tools/kill-at
pin=$LAB_BPFFS/pp
kills=${KILLS:-8}
exec 4>&1 # the runner's, which ends a test that says nothing for long
side=${LAB_CGROUP%/*}
for name in a b c proxy; do mkdir -p "$side/$name" || exit 1; done

cat >"$tap_work/old.conf" <<CONF
[serve one]
cgroup = $side/a
port = 2501, 2502
port = 2503 gate=1s
port = 127.0.0.1:2505, 127.0.0.2:2505, 127.0.0.1:2502, 2506
proxy = 192.0.2.1, 192.0.2.2
[serve gone]
cgroup = $side/c
port = 2510
proxy = 192.0.2.1
CONF
cat >"$tap_work/new.conf" <<CONF
[serve one]
cgroup = $side/a, $side/b
port = 2502
port = 2503 gate=2s
port = 2504 transparent=yes
port = 127.0.0.1:2505 gate=2s
port = 127.0.0.3:2503, 2505, 127.0.0.1:2506
proxy = 192.0.2.2, 192.0.2.3
proxy-cgroup = $side/proxy
interface = lo
[serve two]
cgroup = $side/c
port = 2510
proxy = 192.0.2.4
CONF
: >"$tap_work/none.conf"

# What the set NAME serves, or "none".
state() {
	$ppctl --pin "$1" port list >"$tap_work/ports" 2>"$tap_work/said" || {
		echo none
		return
	}
	cat "$tap_work/ports"
	$ppctl --pin "$1" proxy list 2>/dev/null
	$ppctl --pin "$1" proxy-cgroup list 2>/dev/null
	ls "$1/links" | sed 's/_[0-9]*$//' | sort | uniq -c
}

pairs() { # of port and proxy
	for port in $(cut -d' ' -f1 "$1/ports"); do
		for proxy in $(cat "$1/proxies"); do echo "$port $proxy"; done
	done
}

# keep NAME: notes what each set is in the state of that name
keep() {
	for set in $sets; do
		dir=$tap_work/$1/$set
		mkdir -p "$dir"
		path=$pin/$set
		[ "$set" != . ] || path=$pin
		state "$path" >"$dir/state"
		$ppctl --pin "$path" port list >"$dir/ports" 2>/dev/null
		$ppctl --pin "$path" proxy list >"$dir/proxies" 2>/dev/null
		pairs "$dir" >"$dir/pairs"
	done
}

# Is what a killed ppctl has left right?
judge() {
	keep now
	for set in $sets; do
		path=$pin/$set
		[ "$set" != . ] || path=$pin
		now=$tap_work/now/$set
		while read -r pair; do
			grep -qx "$pair" "$tap_work/old/$set/pairs" "$tap_work/new/$set/pairs" || {
				echo "$set: port and proxy $pair are believed, before and after they are not"
				return 1
			}
		done <"$now/pairs"
		cmp -s "$now/state" "$tap_work/old/$set/state" && continue
		cmp -s "$now/state" "$tap_work/new/$set/state" && continue
		for command in "port list" "proxy list" status; do
			$ppctl --pin "$path" $command >"$tap_work/out2" 2>&1 && ! grep -q 'broken off' "$tap_work/out2" && {
				echo "$set: neither old nor new, and ppctl $command does not say so:"
				cat "$now/state" "$tap_work/out2"
				return 1
			}
		done
	done
	return 0
}

is_state() { # new or old
	keep now
	for set in $sets; do
		cmp "$tap_work/now/$set/state" "$tap_work/$1/$set/state" || return 1
		! grep -q 'broken off' "$tap_work/said" || return 1
	done
}

# killed_at_each SETS FROM TO AGAIN: the command TO after FROM, killed at each call; AGAIN completes it
killed_at_each() {
	sets=$1 from=$2 to=$3 again=$4
	$from >/dev/null 2>&1 || return 1
	keep old
	$killer 0 $to 3>"$tap_work/count" >/dev/null 2>"$tap_work/err" || {
		cat "$tap_work/err"
		return 1
	}
	keep new
	calls=$(cat "$tap_work/count")
	[ "$calls" -gt 10 ] || return 1
	step=$(((calls + kills - 1) / kills))
	tried=0
	for call in $(seq 1 "$step" "$calls"); do
		tried=$((tried + 1))
		[ $((tried % 25)) -ne 0 ] || echo "# killed at call $call of $calls: $to" >&4
		$from >"$tap_work/out1" 2>&1 && is_state old || {
			echo "before call $call of $calls, $from:"
			cat "$tap_work/out1"
			return 1
		}
		$killer "$call" $to 3>/dev/null >/dev/null 2>&1
		judge || {
			echo "killed at call $call of $calls"
			return 1
		}
		$again >"$tap_work/out1" 2>&1 && is_state new || {
			echo "killed at call $call of $calls, and then $again:"
			cat "$tap_work/out1"
			return 1
		}
	done
}

apply() {
	$ppctl apply "$tap_work/$1.conf"
}
down() {
	[ ! -e "$pin" ] || $ppctl down
}
up="$ppctl up --cgroup $side/a --port 2520,2521 --proxy 192.0.2.9"

check apply_that_makes_sets killed_at_each "one gone" "apply none" "$ppctl apply $tap_work/old.conf" "apply old"
check apply_that_changes_everything killed_at_each "one gone two" "apply old" "$ppctl apply $tap_work/new.conf" "apply new"
check apply_that_removes_sets killed_at_each "one gone" "apply old" "$ppctl apply $tap_work/none.conf" "apply none"
apply none
check up_from_nothing killed_at_each . down "$up" "$up"
check down_of_a_set killed_at_each . "$up" "$ppctl down" down
tap_end
