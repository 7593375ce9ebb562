#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/containers.md's DaemonSet, without a kubelet: its command with its capabilities, on the cgroups and network
# namespaces of pods as kubelet makes them, a port of which is published by DNAT (hostPort, or a Service with
# externalTrafficPolicy: Local). selftests/containers has engines.
# check: native
. selftests/lib/tap.sh
. selftests/lib/pages.sh
tools=$PWD/build/selftests/tools
ppctl=$PWD/build/bin/ppctl
said=$tap_work/said
chmod 755 "$tap_work"
kubepods=$LAB_CGROUP/kubepods.slice
page_files docs/containers.md "$tap_work/page"
manifest=$tap_work/page/root/ppsplit.yaml

# What the manifest says: the file of the ConfigMap, the DaemonSet's command for one round, and its capabilities.
sed -n '/^  ppsplit.conf: |/,/^---/s/^    //p' "$manifest" | sed "s|kubepods\.slice|$kubepods|" >"$tap_work/ppsplit.conf"
command=$(sed -n 's/^ *- while \(ppctl .*\); do sleep .*/\1/p' "$manifest" |
	sed "s|^ppctl|$ppctl|; s|/host/bpf|$LAB_BPFFS|; s|/config|$tap_work|")
capabilities=$(sed -n 's/^ *add: \[\(.*\)\]/\1/p' "$manifest" | tr -d ' ' | tr 'A-Z,' 'a-z ')

daemon() {
	bounding=-all
	for capability in $capabilities; do
		bounding=$bounding,+$capability
	done
	sh -c 'echo 0 >"$LAB_OUTSIDE/cgroup.procs" && exec "$@"' sh setpriv --bounding-set "$bounding" \
		--inh-caps "$bounding" $command
}

# pod NAME ADDRESS: its cgroup, its network namespace with a veth; its server listens on port 25. $pid is the server.
pod() {
	cgroup=$kubepods/kubepods-burstable.slice/kubepods-burstable-pod$1.slice/cri-containerd-$1.scope
	mkdir -p "$cgroup"
	ip netns add "$1"
	ip link add "veth-$1" type veth peer name eth0 netns "$1"
	ip link set "veth-$1" up
	ip addr add "10.244.0.1/32" dev "veth-$1"
	ip route add "$2" dev "veth-$1"
	ip -n "$1" link set lo up
	ip -n "$1" link set eth0 up
	ip -n "$1" addr add "$2/32" dev eth0
	ip -n "$1" route add 10.244.0.1 dev eth0
	ip -n "$1" route add default via 10.244.0.1
	mkdir "$tap_work/mail.$1"
	chown nobody "$tap_work/mail.$1"
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$cgroup" nsenter --net="/run/netns/$1" build/bin/ppmta \
		--listen 0.0.0.0:25 --maildir "$tap_work/mail.$1/Maildir" --user nobody --hostname mail.example.net \
		--set log_selector="+proxy +proxy_negotiation" \
		>"$tap_work/log.$1" 2>&1 &
	wait_says "$tap_work/log.$1" started
}

node() {
	mount -t tmpfs tmpfs /run
	echo 1 >/proc/sys/net/ipv4/ip_forward
	mkdir -p "$kubepods"
	ip netns add lb
	ip link add node0 type veth peer name lb0 netns lb
	ip link set node0 up
	ip addr add 198.51.100.25/24 dev node0
	ip -n lb link set lo up
	ip -n lb link set lb0 up
	for address in 198.51.100.1/24 198.51.100.66/24; do
		ip -n lb addr add $address dev lb0
	done
	nft add table ip nat && nft 'add chain ip nat pre { type nat hook prerouting priority -100; }'
}

# send FROM PORT [HEADER]: what the server of the pod at that port says to this
send() {
	nsenter --net=/run/netns/lb timeout 60 "$tools/talk" --from "$1" ${3:+--header "$3"} 198.51.100.25 "$2" \
		'EHLO client.example' QUIT >"$said" 2>&1
}
# served FROM PORT [HEADER]: a session, which its server has not had to take a header out of
served() {
	send "$@" && says "$said" '^221 '
}
named() { # POD ADDRESS
	wait_says "$tap_work/log.$1" "$2"
}
# The header itself may be in the log: as input before the greeting, which is an error, or after it, as a command.
not_named() { # POD ADDRESS
	! grep -F "[$2]" "$said" "$tap_work/log.$1"
}

check a_node node
check the_command_and_its_capabilities_are_found [ "$capabilities" = "bpf net_admin perfmon" ] && [ -n "$command" ]
check the_daemonset_starts daemon
one() {
	pod one 10.244.0.11 && nft add rule ip nat pre iifname node0 tcp dport 25 dnat to 10.244.0.11 &&
		served 198.51.100.1 25 'PROXY TCP4 192.0.2.10 198.51.100.1 4711 25' && named one '192\.0\.2\.10'
}
check a_pod_that_comes_later_is_served one
stranger() {
	served 198.51.100.66 25 && says "$said" 'Hello client\.example \[198\.51\.100\.66\]' || return 1
	send 198.51.100.66 25 'PROXY TCP4 203.0.113.9 198.51.100.1 4711 25'
	not_named one 203.0.113.9
}
check whoever_is_not_the_balancer_is_not_believed stranger
two() {
	pod two 10.244.0.12 && nft add rule ip nat pre iifname node0 tcp dport 2525 dnat to 10.244.0.12:25 && daemon &&
		served 198.51.100.1 25 'PROXY TCP4 192.0.2.11 198.51.100.1 4711 25' && named one '192\.0\.2\.11'
}
check another_round_with_another_pod two
gone() {
	ip netns pids one | xargs kill
	soon rmdir "$cgroup_one" && soon rmdir "${cgroup_one%/*}"
	daemon && nft flush chain ip nat pre && nft add rule ip nat pre iifname node0 tcp dport 25 dnat to 10.244.0.12 &&
		served 198.51.100.1 25 'PROXY TCP4 192.0.2.12 198.51.100.1 4711 25' && named two '192\.0\.2\.12'
}
cgroup_one=$kubepods/kubepods-burstable.slice/kubepods-burstable-podone.slice/cri-containerd-one.scope
check a_pod_that_replaces_it_is_served gone
# externalTrafficPolicy: Cluster: a node forwards with its own address. Nobody is believed then, and status says who it is.
cluster() {
	nft 'add chain ip nat post { type nat hook postrouting priority 100; }' &&
		nft 'add rule ip nat post oifname "veth-two" masquerade' || return 1
	send 198.51.100.1 25 'PROXY TCP4 192.0.2.13 198.51.100.1 4711 25'
	nft delete chain ip nat post
	not_named two 192.0.2.13 || return 1
	$ppctl status >"$said"
	says "$said" '10\.244\.0\.1 sends PROXY headers to port 25 and is not marked' && says "$said" 'is never to be marked' &&
		served 198.51.100.1 25 'PROXY TCP4 192.0.2.14 198.51.100.1 4711 25' && named two '192\.0\.2\.14'
}
check a_node_that_forwards_with_its_own_address_is_told_and_not_believed cluster
status() {
	$ppctl status >"$said"
	says "$said" "^cgroup +$kubepods\$"
}
check status_on_the_node_shows_it status
tap_end
