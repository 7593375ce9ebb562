# SPDX-License-Identifier: BSD-2-Clause
# A machine with container engines: build/containers/SUITE/engines as its root file system, with what is written to it in
# memory, systemd as process 1 of namespaces of its own, and a cgroup that it takes for the root. Beside it, in the network namespace
# "lb", a load balancer (198.51.100.1, HAProxy) with the clients 192.0.2.10, 192.0.2.11, 192.0.2.66 and 2001:db8::10; the
# machine is 198.51.100.25. Sourced after tap.sh and pages.sh, so in a lab, which ends all of it.
. selftests/lib/machine.sh
suite=${SUITE:-bookworm}
roots=$PWD/build/containers/$suite
said=$tap_work/said
page=docs/containers.md

# layer NAME TARGET: $roots/NAME at TARGET, to be written to
layer() {
	mkdir -p "$tap_work/memory/$1" "$tap_work/memory/$1.work" "$2"
	mount -t overlay overlay -o "lowerdir=$roots/$1,upperdir=$tap_work/memory/$1,workdir=$tap_work/memory/$1.work" "$2"
}

# installed ROOT: ppsplit's programs, as `make install PREFIX=/usr` puts them
installed() {
	mkdir -p "$1/usr/sbin" "$1/usr/share/containers/oci/hooks.d"
	cp build/bin/ppctl build/bin/ppsplit-oci-hook "$1/usr/sbin/"
	sed 's|@SBINDIR@|/usr/sbin|' user/oci/ppsplit.json.in >"$1/usr/share/containers/oci/hooks.d/ppsplit.json"
}

# What the containers run: Postfix with its page's files, whose log goes to the engine.
make_image() {
	layer image "$machine/image" && installed "$machine/image" || return 1
	page_files docs/postfix.md "$machine/image"
	sed -i 's|^maillog_file.*|maillog_file = /dev/stdout|' "$machine/image/etc/postfix/main.cf"
	mkdir -p "$machine/image/var/mail/vhosts"
	chown 9000:9000 "$machine/image/var/mail/vhosts"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.example.net \
		-keyout "$machine/image/etc/postfix/key.pem" -out "$machine/image/etc/postfix/cert.pem" 2>/dev/null
}

machine_make() {
	mkdir -p "$machine" "$tap_work/memory"
	mount -t tmpfs -o mode=755 tmpfs "$tap_work/memory" && layer engines "$machine" && installed "$machine" || return 1
	make_image || return 1
	page_files "$page" "$machine"
	haproxy_files
	mkdir -p "$machine/etc/containers" "$machine/etc/systemd/system" "$machine/usr/lib/systemd/system"
	cp units/*.slice build/units/ppsplit.service "$machine/usr/lib/systemd/system/"
	sed -i 's|/usr/local/sbin|/usr/sbin|' "$machine/usr/lib/systemd/system/ppsplit.service"
	# the tests start what they need
	for unit in docker.service docker.socket containerd.service haproxy.service podman.service podman.socket \
		podman-restart.service podman-auto-update.timer; do
		ln -sf /dev/null "$machine/etc/systemd/system/$unit"
	done
	# Debian's crun needs CAP_SYS_RESOURCE, which a guest of another engine may lack
	cat >"$machine/etc/containers/containers.conf" <<-'CONF'
		[containers]
		pids_limit = 0
		[engine]
		events_logger = "file"
		runtime = "runc"
		infra_image = "localhost/pause"
	CONF
	echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$machine/etc/containers/policy.json"
	printf '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' \
		>"$machine/etc/containers/storage.conf"
}

# haproxy_files: the load balancer's, for the port that the machine publishes
haproxy_files() {
	cat >"$machine/etc/haproxy/lb.cfg" <<-'CFG'
		global
			maxconn 100
		defaults
			mode tcp
			timeout connect 5s
			timeout client 60s
			timeout server 60s
		listen v1
			bind 198.51.100.1:10001
			server mta "$TARGET" send-proxy source 198.51.100.1
		listen v2
			bind 198.51.100.1:10002
			server mta "$TARGET" send-proxy-v2 source 198.51.100.1
		listen v2_ip6
			bind [2001:db8:1::1]:10002
			server mta "[2001:db8:1::25]:25" send-proxy-v2 source [2001:db8:1::1]
	CFG
}

cat >"$tap_work/boot" <<'BOOT'
# in the new namespaces: /dev, /proc and so on as a machine has them
cd "$1" || exit 1
mount --make-rprivate /
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=755 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p var/lib/containers var/lib/docker
mount -t tmpfs tmpfs var/lib/containers
mount -t tmpfs tmpfs var/lib/docker
mkdir -p "$1.dev"
mount -t tmpfs -o mode=755 tmpfs "$1.dev"
for device in null zero full random urandom tty; do
	touch "$1.dev/$device"
	mount --bind "/dev/$device" "$1.dev/$device"
done
mkdir "$1.dev/shm" "$1.dev/pts" "$1.dev/mqueue" "$1.dev/net"
mknod -m 666 "$1.dev/net/tun" c 10 200
mount -t devpts -o newinstance,ptmxmode=666 devpts "$1.dev/pts"
ln -s pts/ptmx "$1.dev/ptmx"
ln -s /proc/self/fd "$1.dev/fd"
mount --move "$1.dev" dev
ip link set lo up
# Where all controllers are bound to cgroup v1 there are none here, and podman writes "+" then, which the kernel refuses.
if ! grep -q . sys/fs/cgroup/cgroup.controllers; then
	: >run/subtree_control
	mkdir -p sys/fs/cgroup/libpod_parent sys/fs/cgroup/ppsplit sys/fs/cgroup/proxies
	for folder in . libpod_parent ppsplit proxies; do
		mount --bind run/subtree_control sys/fs/cgroup/$folder/cgroup.subtree_control
	done
fi
echo 1 >proc/sys/net/ipv4/ip_forward
echo 1 >proc/sys/net/ipv6/conf/all/forwarding
pivot_root . mnt && umount -l /mnt
mount --make-rshared /
hostname machine
ip netns add lb
ip link add node0 type veth peer name lb0 netns lb
ip addr add 198.51.100.25/24 dev node0
ip -6 addr add 2001:db8:1::25/64 dev node0 nodad
ip link set node0 up
ip route add 192.0.2.0/24 via 198.51.100.1
ip -6 route add 2001:db8::10/128 via 2001:db8:1::1
ip -n lb addr add 198.51.100.1/24 dev lb0
ip -n lb -6 addr add 2001:db8:1::1/64 dev lb0 nodad
ip -n lb link set lb0 up
ip -n lb link set lo up
for address in 192.0.2.10 192.0.2.11 192.0.2.66; do
	ip -n lb addr add $address/32 dev lo
done
ip -n lb -6 addr add 2001:db8::10/128 dev lo nodad
ip -n lb route add default via 198.51.100.25
export container=podman
exec /lib/systemd/systemd --log-level=warning --show-status=false multi-user.target </dev/null
BOOT

# page_block HEADING: /root/block in the machine is what the page has in blocks of commands below that heading
page_block() {
	awk -v heading="$1" '/^#/ { under = $0 == "## " heading } /^```/ { block = /^```sh$/; next } under && block' "$page" >"$tap_work/block"
	[ -s "$tap_work/block" ] || {
		echo "$page has no commands below '$1'"
		return 1
	}
	cp "$tap_work/block" "$machine/root/block"
}

# follow HEADING: does what the page says there
follow() {
	page_block "$1" && inside sh -ex /root/block
}

# Sets of "ppctl up" and of ppsplit.service go, with the containers: for the next part of a test
clean() {
	inside podman rm -f -a -t 0
	inside systemctl stop ppsplit
	! inside ls /sys/fs/bpf/pp/maps >/dev/null 2>&1 || inside ppctl down --now
}

# images: what the page calls localhost/mail, and what a pod's first container is
images() {
	mkdir -p "$machine/root/pause"
	cp "$roots/engines/usr/bin/catatonit" "$machine/root/pause/"
	inside sh -c '
		tar -C /image -c . | podman import -q -c "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin" - localhost/mail &&
		tar -C /root/pause -c . | podman import -q -c "ENTRYPOINT [\"/catatonit\", \"-P\"]" - localhost/pause'
}

# load_balancer [TARGET]: HAProxy on another machine, before what this one publishes
load_balancer() {
	inside systemd-run --quiet --unit=lb --setenv=TARGET="${1:-198.51.100.25:25}" \
		nsenter --net=/run/netns/lb haproxy -db -f /etc/haproxy/lb.cfg
	soon inside nsenter --net=/run/netns/lb grep -q "$haproxy_listens" /proc/net/tcp6
}
haproxy_listens=$(printf ':%04X [0-9A-F]*:0000 0A ' 10002)

load_balancer_restarts() {
	inside systemctl stop lb && load_balancer "$@" && origin
}

# client ADDRESS PORT LINE...: in the load balancer's network namespace
client() {
	nsenter --net="/proc/$init/root/run/netns/lb" timeout 60 "$tools/talk" "$@" </dev/null
}

# What a test says of its server: `listening` and `log`, a command that prints its log.
podman_listens() { # NAME PORT
	pid=$(inside podman inspect -f '{{.State.Pid}}' "$1" 2>/dev/null)
	inside grep -q "$(printf ':%04X [0-9A-F]*:0000 0A ' "$2")" "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6"
}

listening() {
	podman_listens mta 25
}
log='podman logs mta'

# told FROM PORT [ADDRESS]: a session by the load balancer's PORT has its client's address, and no header in its stream
told() {
	have=$(inside $log 2>&1 | wc -l)
	client --from "$1" "${3:-198.51.100.1}" "$2" 'EHLO client.example' QUIT >"$said" 2>&1 && says "$said" '^221 ' || {
		echo "no session from $1 by port $2:"
		cat "$said"
		return 1
	}
	! grep -E '^5' "$said" || return 1
	soon names "$have" "$1"
}

# names COUNT ADDRESS: the log's lines after the first COUNT name the client, and not the proxy or a gateway
names() {
	inside $log 2>&1 | tail -n "+$(($1 + 1))" | grep -o ' connect from .*' >"$said.log"
	grep -qF "[$2]" "$said.log" && ! grep -vF "[$2]" "$said.log" || {
		echo "not $2 in the log, but"
		cat "$said.log"
		return 1
	}
}

# origin: with v1 and with v2
origin() {
	soon listening && told 192.0.2.10 10001 && told 192.0.2.11 10002 || {
		inside ppctl status
		inside $log 2>&1 | tail -n 5
		return 1
	}
}

# after COMMAND...: in the machine; then the origin is told
after() {
	inside "$@" && origin
}

# what each test begins with; it ends where there is nothing to test with
begin() {
	check the_machine_boots eval 'machine_make && machine_boot'
	[ $tap_failed -eq 0 ] && check the_load_balancer_starts load_balancer
	[ $tap_failed -eq 0 ] || tap_end
}

# Somebody else than the balancer, who sends a header to the published port, is who he is.
forged() {
	have=$(inside $log 2>&1 | wc -l)
	client --from 192.0.2.66 --header 'PROXY TCP4 203.0.113.9 192.0.2.1 1 25' 198.51.100.25 25 QUIT >"$said" 2>&1
	soon names "$have" 192.0.2.66
}
