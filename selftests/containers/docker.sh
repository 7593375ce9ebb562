#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Docker: a published port over IPv4 (DNAT) and IPv6 (docker-proxy), and without iptables.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
log='docker logs mta'
listening() {
	pid=$(inside docker inspect -f '{{.State.Pid}}' mta 2>/dev/null)
	inside grep -q "$(printf ':%04X [0-9A-F]*:0000 0A ' 25)" "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6"
}

# docker_starts [JSON]: with this configuration
docker_starts() {
	mkdir -p "$machine/etc/docker"
	echo "${1:-{\}}" >"$machine/etc/docker/daemon.json"
	inside systemctl unmask docker.service docker.socket containerd.service
	inside systemctl restart docker || {
		inside journalctl -u docker -o cat -n 5
		return 1
	}
}
image() {
	inside sh -c 'tar -C /image -c . | docker import -c "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin" - mail'
}
check docker_starts docker_starts
[ $tap_failed -eq 0 ] || tap_end
check the_image_is_imported image
check the_pages_commands follow Docker
check origin_after_the_first_start origin
check a_forger_is_only_himself forged
check origin_after_the_containers_restart after docker restart -t 2 mta
check origin_after_sigkill after sh -c 'docker kill mta && docker start mta'
check origin_after_dockers_restart after sh -c 'systemctl restart docker && docker start mta'
check origin_after_ppsplits_restart after systemctl restart ppsplit
check origin_after_the_load_balancers_restart load_balancer_restarts
check origin_when_removed_and_run_again eval 'inside docker rm -f mta && follow Docker && origin'

# unseen: after a client of the balancer's, the server has seen neither a header nor a relay that it takes for a client
unseen() {
	have=$(inside $log 2>&1 | wc -l)
	! client --from "$1" "$2" 10002 'EHLO client.example' QUIT >"$said" 2>&1 || return 1
	! grep '^[25]' "$said" && ! inside $log 2>&1 | tail -n "+$((have + 1))" | grep -E 'connect from|pipelining'
}
# the balancer's IPv6 address is not marked: the relay's connection is an ordinary one, and status says what it is
relayed() {
	client --from 2001:db8::10 2001:db8:1::1 10002 'EHLO client.example' QUIT >/dev/null 2>&1
	inside ppctl status >"$said"
	says "$said" '172\.17\.0\.1 sends PROXY headers to port 25 and is not marked' &&
		says "$said" "a container engine's relay has to go, and is never to be marked" && ! inside $log 2>&1 | grep '2001:db8::10'
}
check docker_proxy_for_ipv6_is_told_and_not_believed relayed
ipv6() {
	sed -i 's/^proxy = .*/&, 2001:db8:1::1/' "$machine/etc/ppsplit.conf"
	inside systemctl reload ppsplit && unseen 2001:db8::10 2001:db8:1::1 || return 1
	inside ppctl status >"$said"
	says "$said" '^  unserved +[1-9]'
}
check docker_proxy_is_refused_where_the_balancer_is_marked ipv6
host_network() {
	inside docker rm -f mta && inside docker run -d --name mta --cgroup-parent mail.slice --network host mail postfix start-fg &&
		origin && told 2001:db8::10 10002 2001:db8:1::1
}
check host_network_has_ipv6_as_well host_network
without_iptables() {
	inside docker rm -f mta && docker_starts '{"iptables": false}' &&
		inside docker run -d --name mta --cgroup-parent mail.slice -p 25:25 mail postfix start-fg && soon listening &&
		unseen 192.0.2.10 198.51.100.1
}
check docker_proxy_without_iptables_is_refused without_iptables
tap_end
