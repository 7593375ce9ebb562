#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The page's pod: an init container puts the programs on its cgroup, an unmodified Postfix is in it; HAProxy is on another
# machine, or in the pod.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
check images images
listening() {
	podman_listens mail-mta 25
}
log='podman logs mail-mta'

check the_pages_commands follow 'A pod'
check origin_after_the_first_start origin
check a_forger_is_only_himself forged
# restarted COMMAND...: podman may stop the pod that it has just restarted, which its events show; then as the page says
settled() {
	listening || [ "$(inside podman pod inspect -f '{{.State}}' mail)" = Exited ]
}
restarted() {
	since=$(inside date +%s)
	inside "$@"
	soon settled && listening && origin && return 0
	sleep 2
	! listening && inside podman events --stream=false --since "$since" --filter type=pod >"$said" &&
		says "$said" ' pod stop ' && grep -q '`podman pod start mail`' "$page" && after podman pod start mail
}
check origin_after_the_containers_restart restarted podman restart -t 2 mail-mta
# only a start of the pod runs its init container
check origin_after_the_containers_sigkill restarted sh -c 'podman kill -s KILL mail-mta; podman pod start mail'
check origin_after_the_pods_restart restarted podman pod restart mail
check origin_after_the_pods_stop_and_start after sh -c 'podman pod stop -t 2 mail && podman pod start mail'
check origin_after_the_load_balancers_restart load_balancer_restarts
check origin_after_an_upgrade after ppctl upgrade --pin /sys/fs/bpf/pods --set mail
ppsplit_restarts() {
	inside ppctl down --now --pin /sys/fs/bpf/pods --set mail &&
		after sh -c 'podman pod stop -t 2 mail && podman pod start mail'
}
check origin_after_ppsplits_removal_and_the_pods_stop_and_start ppsplit_restarts
played_again() {
	inside podman pod rm -f -t 1 mail && follow 'A pod' && origin
}
check origin_when_the_pod_is_removed_and_played_again played_again
swept() {
	inside podman pod rm -f -t 1 mail && inside ppctl sweep --pin /sys/fs/bpf/pods >"$said" &&
		says "$said" '^removed: mail' && ! inside ls /sys/fs/bpf/pods
}
check the_set_of_a_removed_pod_is_swept swept
refused() {
	sed 's/198.51.100.1\]/198.51.100.777]/' "$machine/root/mail.yaml" >"$machine/root/bad.yaml"
	inside podman kube play /root/bad.yaml
	! podman_listens mail-mta 25 && ! inside ls /sys/fs/bpf/pods/mail
}
check a_policy_that_is_refused_keeps_the_server_from_starting refused
inside podman pod rm -f -t 1 mail >/dev/null 2>&1

# HAProxy in the pod, with a parent of its own: the pod's cgroup is not above the containers'
sed 's/ source 198.51.100.1//; s/198.51.100.1:/0.0.0.0:/; /v2_ip6/,$d' "$machine/etc/haproxy/lb.cfg" >"$machine/image/ha.cfg"
proxy_in_the_pod() {
	inside systemctl start mail.slice && inside podman pod create --name p --share-parent=false \
		-p 10001-10002:10001-10002 && inside podman run -d --name mail-mta --pod p --cgroup-parent mail.slice \
		localhost/mail postfix start-fg || return 1
	page_block 'A proxy on the same host' || return 1
	infra=$(inside podman pod inspect -f '{{.InfraContainerID}}' p)
	sed -i "s/ mta)/ $infra)/" "$machine/root/block"
	inside sh -ex /root/block || return 1
	pid=$(inside podman inspect -f '{{.State.Pid}}' mail-mta)
	inside podman run -d --name ha --pod p --cgroup-parent proxy.slice -e TARGET=127.0.0.1:25 --rootfs /image:O \
		haproxy -db -f /ha.cfg || return 1
	soon podman_listens ha 10001 && soon listening && told 192.0.2.10 10001 198.51.100.25 && told 192.0.2.11 10002 198.51.100.25
}
check a_proxy_in_the_pod proxy_in_the_pod
tap_end
