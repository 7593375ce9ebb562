#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Containers that all listen on port 25 under one parent, each with a policy of its own or none: sections of one
# ppsplit.conf, made by one `ppctl apply`. Their ports are published by DNAT, and an engine's placeholder listens on the
# host for each, as conmon and docker-proxy do.
# check: native
. selftests/lib/tap.sh
tools=$PWD/build/selftests/tools
ppctl=$PWD/build/bin/ppctl
said=$tap_work/said
chmod 755 "$tap_work"
parent=$LAB_CGROUP/ppsplit.slice
conf=$tap_work/ppsplit.conf

# container NAME HOST-ADDRESS:PORT: its cgroup and its network namespace, the published port and its placeholder
count=10
container() {
	count=$((count + 1))
	inner=10.88.0.$count
	mkdir -p "$parent/ppsplit-$1.slice/$1.scope"
	ip netns add "$1"
	ip link add "veth-$1" type veth peer name eth0 netns "$1"
	ip link set "veth-$1" up
	ip addr add 10.88.0.1/32 dev "veth-$1"
	ip route add "$inner" dev "veth-$1"
	ip -n "$1" link set lo up
	ip -n "$1" link set eth0 up
	ip -n "$1" addr add "$inner/32" dev eth0
	ip -n "$1" route add 10.88.0.1 dev eth0
	ip -n "$1" route add default via 10.88.0.1
	nft add rule ip nat pre iifname node0 ip daddr "${2%:*}" tcp dport "${2#*:}" dnat to "$inner:25"
	sh -c 'echo 0 >"$LAB_OUTSIDE/cgroup.procs" && exec "$@"' sh \
		"$PWD/build/bin/ppmta" --listen "$2" --maildir "$tap_work/placeholder" --user nobody --hostname placeholder \
		>"$tap_work/placeholder.$1" 2>&1 &
	wait_says "$tap_work/placeholder.$1" started || return 1
	server "$1"
}

# server NAME: starts it, in a new cgroup below its own slice
server() {
	mkdir -p "$tap_work/mail.$1" "$parent/ppsplit-$1.slice/$1.scope"
	chown nobody "$tap_work/mail.$1"
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$parent/ppsplit-$1.slice/$1.scope" \
		nsenter --net="/run/netns/$1" build/bin/ppmta --listen 0.0.0.0:25 --maildir "$tap_work/mail.$1/Maildir" \
		--user nobody --hostname "$1" >"$tap_work/log.$1" 2>&1 &
	wait_says "$tap_work/log.$1" started
}

node() {
	mount -t tmpfs tmpfs /run
	echo 1 >/proc/sys/net/ipv4/ip_forward
	mkdir -p "$parent" "$tap_work/placeholder"
	chown nobody "$tap_work/placeholder"
	ip netns add lb
	ip link add node0 type veth peer name lb0 netns lb
	ip link set node0 up
	ip -n lb link set lo up
	ip -n lb link set lb0 up
	for last in 25 26 27; do
		ip addr add 198.51.100.$last/24 dev node0
	done
	for last in 1 2 66; do
		ip -n lb addr add 198.51.100.$last/24 dev lb0
	done
	nft add table ip nat && nft 'add chain ip nat pre { type nat hook prerouting priority -100; }'
}

# told SERVER FROM ADDRESS:PORT CLIENT [HEADER]: the server of that name greets, and takes CLIENT for its client
told() {
	nsenter --net=/run/netns/lb timeout 60 "$tools/talk" --from "$2" ${5:+--header "$5"} "${3%:*}" "${3#*:}" \
		'EHLO client.example' QUIT >"$said" 2>&1
	says "$said" "^220 $1 " && says "$said" "Hello client\.example \[$4\]" && says "$said" '^221 '
}
v1() {
	echo "PROXY TCP4 $1 198.51.100.1 4711 25"
}

cat >"$conf" <<CONF
[serve mta]
cgroup = $parent/ppsplit-mta.slice
transparent = yes
port = 25
proxy = 198.51.100.1

[serve other]
cgroup = $parent/ppsplit-other.slice
split = yes
gate = 500ms
connections = 1024
port = 25
proxy = 198.51.100.1, 198.51.100.2
CONF
check a_node_with_containers eval 'node && container mta 198.51.100.25:25 && container other 198.51.100.26:25 &&
	container direct 198.51.100.27:25'
one_apply() {
	$ppctl check "$conf" && $ppctl apply "$conf" >"$said" && says "$said" '^\+ set mta$' && says "$said" '^\+ set other$'
}
check one_apply_makes_a_set_for_each one_apply
# each_is_who_it_is: the two behind the balancer, and the one that clients connect to
each_is_who_it_is() {
	told mta 198.51.100.1 198.51.100.25:25 192.0.2.10 "$(v1 192.0.2.10)" &&
		told other 198.51.100.1 198.51.100.26:25 192.0.2.11 "$(v1 192.0.2.11)" &&
		told direct 198.51.100.66 198.51.100.27:25 198.51.100.66
}
check each_has_its_own_policy each_is_who_it_is
check one_set_has_a_proxy_that_the_other_has_not told other 198.51.100.2 198.51.100.26:25 192.0.2.12 "$(v1 192.0.2.12)"
check which_is_an_ordinary_client_of_the_other told mta 198.51.100.2 198.51.100.25:25 198.51.100.2
check the_balancer_is_one_where_nothing_is_served told direct 198.51.100.1 198.51.100.27:25 198.51.100.1
# forged SERVER ADDRESS:PORT: a stranger's header is not believed, whether it comes before the greeting or after it
forged() {
	told "$1" 198.51.100.66 "$2" 203.0.113.9 "$(v1 203.0.113.9)"
	! grep '203\.0\.113\.9\]' "$said"
}
for server in mta:25 other:26 direct:27; do
	check "a_strangers_header_at_${server%:*}" forged "${server%:*}" "198.51.100.${server#*:}:25"
done
status() {
	$ppctl status --set "$1" >"$said" && says "$said" "^$1: serving ports 25"
}
check both_serve eval 'status mta && status other'
restarted() {
	ip netns pids mta | xargs kill
	soon rmdir "$parent/ppsplit-mta.slice/mta.scope" && server mta && each_is_who_it_is
}
check a_container_that_is_made_anew_keeps_its_policy restarted
again() {
	$ppctl apply "$conf" >"$said" && [ ! -s "$said" ] && each_is_who_it_is
}
check another_apply_changes_nothing again
# a set on the parent would decode for both of them, too
nested() {
	printf '[serve all]\ncgroup = %s\nport = 25\n' "$parent" >"$tap_work/nested.conf"
	cat "$conf" >>"$tap_work/nested.conf"
	! $ppctl check "$tap_work/nested.conf" >"$said" 2>&1 && says "$said" 'inside' || return 1
	! $ppctl up --pin "$LAB_BPFFS/all" --cgroup "$parent" --port 25 2>"$said" &&
		says "$said" 'served by another set already, pinned at .*/(mta|other)' && each_is_who_it_is
}
check a_set_on_their_parent_is_refused_by_name nested
one_goes() {
	sed -i '/^\[serve mta\]/,/^$/d' "$conf"
	$ppctl apply "$conf" && told other 198.51.100.1 198.51.100.26:25 192.0.2.11 "$(v1 192.0.2.11)" &&
		told mta 198.51.100.66 198.51.100.25:25 198.51.100.66
}
check one_goes_and_the_other_stays one_goes
tap_end
