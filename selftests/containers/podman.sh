#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# podman's networks (netavark, CNI, host, macvlan, a proxy on the same host), with a parent cgroup of the cgroupfs manager
# or mail.slice.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
check images images

sed -i '/^\[engine\]/a cgroup_manager = "cgroupfs"' "$machine/etc/containers/containers.conf"
check the_parents_commands follow 'A parent without systemd'
check origin_with_a_parent origin
check a_forger_is_only_himself forged
check origin_after_the_containers_restart after podman restart -t 2 mta
check origin_after_sigkill after sh -c 'podman kill -s KILL mta && podman wait mta && podman start mta'
check origin_after_the_load_balancers_restart load_balancer_restarts
ppsplit_restarts() {
	inside ppctl down --now && inside sh -c "$(grep '^ppctl up' "$machine/root/block")" && origin
}
check origin_after_ppsplits_restart ppsplit_restarts
removed_and_made() {
	inside podman rm -f -t 1 mta && follow 'A parent without systemd' && origin
}
check origin_after_remove_and_run removed_and_made
clean >/dev/null 2>&1
sed -i '/cgroup_manager/d' "$machine/etc/containers/containers.conf"

# network PODMAN-OPTION...: a new container in mail.slice
network() {
	clean
	inside systemctl start ppsplit &&
		inside podman run -d --name mta --cgroup-parent mail.slice "$@" localhost/mail postfix start-fg
}
check host_network eval 'network --network host && origin && forged'

# HAProxy here, in proxy.slice: it connects to TARGET
local_proxy() {
	follow 'A proxy on the same host' && inside systemd-run --quiet --unit=local --slice=proxy.slice \
		--setenv=TARGET="$1" haproxy -db -f /etc/haproxy/local.cfg && soon inside grep -q "$haproxy_listens" /proc/net/tcp
}
sed 's/ source 198.51.100.1//; s/198.51.100.1:/198.51.100.25:/; /v2_ip6/,$d' "$machine/etc/haproxy/lb.cfg" >"$machine/etc/haproxy/local.cfg"
address_of() {
	inside podman inspect -f '{{.NetworkSettings.IPAddress}}' "$1"
}
told_locally() {
	soon listening && told 192.0.2.10 10001 198.51.100.25 && told 192.0.2.11 10002 198.51.100.25
}
on_the_host() {
	network || return 1
	inside systemctl stop ppsplit && local_proxy "$(address_of mta):25" && told_locally
}
check a_proxy_on_the_host_to_the_containers_address on_the_host
outsider() {
	have=$(inside $log 2>&1 | wc -l)
	"$tools/talk" --header 'PROXY TCP4 203.0.113.9 192.0.2.1 1 25' "$(address_of mta)" 25 QUIT >"$said" 2>&1 </dev/null
	! inside $log 2>&1 | tail -n "+$((have + 1))" | grep '203\.0\.113\.9'
}
check and_no_other_process_there_is_believed outsider
inside systemctl stop local

macvlan() {
	network --network none || return 1
	inside podman network create -d macvlan --subnet 198.51.100.0/24 -o parent=node0 balancers
	inside podman rm -f -t 0 mta
	follow macvlan && inside systemctl stop lb && load_balancer 198.51.100.26:25 && origin
}
check macvlan macvlan
check macvlan_after_a_restart eval 'inside podman restart -t 1 mta && inside sh -c "$(tail -n 1 "$machine/root/block")" && origin'
inside systemctl stop lb
load_balancer

# what a container that loads the programs needs
in_a_container() {
	clean
	inside systemctl start mail.slice && follow 'What a container needs' &&
		inside podman run -d --name mta --cgroup-parent mail.slice -p 25:25 localhost/mail postfix start-fg && origin
}
check ppctl_in_a_container in_a_container
lacking() {
	clean
	sed -i "s/$1//" "$machine/root/block"
	! inside sh -e /root/block 2>"$said" && says "$said" "$2"
}
check without_a_capability_it_is_named eval "page_block 'What a container needs'; lacking ,PERFMON 'lacks CAP_PERFMON'"

sed -i 's/netavark/cni/; s/^\[network\]//' "$machine/etc/containers/containers.conf"
printf '[network]\nnetwork_backend = "cni"\n' >>"$machine/etc/containers/containers.conf"
cni() {
	network -p 25:25 && [ "$(inside podman info -f '{{.Host.NetworkBackend}}')" = cni ] && origin && forged
}
if inside podman info 2>&1 | grep -q 'cni support is not enabled'; then
	echo "ok - cni # SKIP Debian's podman has no CNI since 5"
else
	check cni cni
fi
tap_end
