# SPDX-License-Identifier: BSD-2-Clause
# A machine to test packages in: Debian with systemd as process 1, in namespaces of its own and with a cgroup that it
# takes for the root; a root file system of make-root, with what is written to it in memory. Sourced after tap.sh, so in
# a lab, which ends all of it. Addresses are those of selftests/lib/servers.sh.
. selftests/lib/machine.sh
suite=${SUITE:-bookworm}
roots=$PWD/build/roots/$suite

# machine_make [LAYER]: its root file system, once
machine_make() {
	mkdir -p "$machine" "$tap_work/memory"
	mount -t tmpfs -o mode=755 tmpfs "$tap_work/memory" || return 1
	mkdir "$tap_work/memory/upper" "$tap_work/memory/work"
	lower=$roots/base
	[ $# -eq 0 ] || lower=$roots/$1:$lower
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$tap_work/memory/upper,workdir=$tap_work/memory/work" \
		"$machine" || return 1
	mkdir -p "$machine/debs" "$machine/etc/systemd/system.conf.d"
	# the tests restart a unit more often than anybody else would
	printf '[Manager]\nDefaultStartLimitIntervalSec=0\n' >"$machine/etc/systemd/system.conf.d/limit.conf"
	mount --bind build/deb "$machine/debs"
}

cat >"$tap_work/boot" <<'BOOT'
# in the new namespaces: /dev, /proc and so on as a container has them, then systemd
cd "$1" || exit 1
mount --make-rprivate /
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=755 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p "$1.dev"
mount -t tmpfs -o mode=755 tmpfs "$1.dev"
for device in null zero full random urandom tty; do
	touch "$1.dev/$device"
	mount --bind "/dev/$device" "$1.dev/$device"
done
mkdir "$1.dev/shm" "$1.dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$1.dev/pts"
ln -s pts/ptmx "$1.dev/ptmx"
ln -s /proc/self/fd "$1.dev/fd"
mount --move "$1.dev" dev
ip link set lo up
for address in 192.0.2.10/32 192.0.2.11/32 198.51.100.1/32 198.51.100.25/32; do
	ip addr add $address dev lo
done
for address in 2001:db8::10/128 2001:db8:1::1/128 2001:db8:1::25/128; do
	ip -6 addr add $address dev lo nodad
done
pivot_root . mnt && umount -l /mnt
export container=podman
exec /lib/systemd/systemd --log-level=warning --show-status=false multi-user.target </dev/null
BOOT

# machine_kill: as a power cut ends it
machine_kill() {
	kill -9 "$init"
	wait "$machine_parent"
	for _ in $(seq 100); do
		find "$LAB_CGROUP/machine" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$LAB_CGROUP/machine" ] || return 0
		sleep 0.1
	done
	echo "its cgroups are not empty"
	return 1
}

# client COMMAND...: a program of this project as a client of the machine
client() {
	nsenter --target "$init" --net "$@" </dev/null
}

# install_debs [next/]PACKAGE...: as an operator does, without a network; next/ is the version after this one
install_debs() {
	set -- $(cd "$machine" && for package; do echo "debs/$package"_*.deb; done | sed 's|^|/|')
	inside env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o Dpkg::Options::=--force-confold "$@"
}
