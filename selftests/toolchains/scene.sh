# SPDX-License-Identifier: BSD-2-Clause
# Debian $suite with nothing but make and git, and the project as it is here: both commands of README's "Try it" and
# `make deb`, with that suite's compilers, libraries, tools and servers. Sourced by the tests, with $suite set. The root
# file system is made once, in build/roots, by mmdebstrap from its own default mirror, or from what SOURCES names, and
# stays as it was made: each run has a layer of its own, in memory (3 GB). The demo and the tests run in the machine's
# kernel.
#
# All of it is in namespaces, with a /dev of its own, and is gone when the test ends.
root=$PWD/build/roots/toolchain-$suite
inside=$root.mounted
if [ -z "${TOOLCHAINS_UNSHARED:-}" ]; then
	mkdir -p "$inside"
	TOOLCHAINS_UNSHARED=1 exec unshare --mount --propagation private --pid --ipc --fork --kill-child "$0"
fi
. selftests/lib/tap.sh
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS

make_root() {
	[ ! -e "$root.complete" ] || return 0
	rm -rf --one-file-system "$root"
	mmdebstrap --variant=minbase --mode=root --include=make,git,ca-certificates --skip=cleanup/apt/lists \
		--aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root" ${SOURCES+"$SOURCES"} && touch "$root.complete"
}

# files: of the project, as they are here
files() {
	git ls-files -z --cached --others --exclude-standard --deduplicate || find . -path ./build -prune -o ! -type d -print0
}

# devices: a /dev as a container has it, with what QEMU and tun devices need
devices() {
	mount -t tmpfs -o mode=755 tmpfs "$inside/dev" && mkdir "$inside/dev/pts" "$inside/dev/shm" "$inside/dev/net" || return 1
	mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$inside/dev/pts" || return 1
	mount -t tmpfs -o mode=1777 tmpfs "$inside/dev/shm" || return 1
	for device in null zero full random urandom tty net/tun kvm; do
		[ -c /dev/$device ] || continue
		touch "$inside/dev/$device" && mount --bind /dev/$device "$inside/dev/$device" || return 1
	done
	ln -s pts/ptmx "$inside/dev/ptmx"
	ln -s /proc/self/fd "$inside/dev/fd"
	for n in 0:stdin 1:stdout 2:stderr; do
		ln -s /proc/self/fd/${n%:*} "$inside/dev/${n#*:}"
	done
}

enter() {
	mount -t tmpfs tmpfs "$inside" && mkdir "$inside/upper" "$inside/work" "$inside/root" &&
		mount -t overlay overlay -o "lowerdir=$root,upperdir=$inside/upper,workdir=$inside/work" "$inside/root" || return 1
	inside=$inside/root
	mount -t proc proc "$inside/proc" && mount -t sysfs sysfs "$inside/sys" && devices || return 1
	mount -t cgroup2 cgroup2 "$inside/sys/fs/cgroup" && mount -t bpf -o mode=755 bpf "$inside/sys/fs/bpf" || return 1
	mount -t tmpfs -o mode=755 tmpfs "$inside/run" && mount -t tmpfs -o mode=1777 tmpfs "$inside/tmp" || return 1
	cp /etc/resolv.conf /etc/hosts "$inside/etc/"
	mkdir "$inside/ppsplit"
	files | xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' sh |
		tar -c --null -T - | tar -x -C "$inside/ppsplit"
}

# in_root COMMAND: there, in the project's folder, with nothing of this environment
in_root() {
	echo "# $suite: $1"
	chroot "$inside" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
		sh -c "cd /ppsplit && $1"
}

without_warning() {
	in_root 'make -j2 all ppmta tests benches V=1 2>&1' >"$tap_work/build" || {
		tail -n 20 "$tap_work/build"
		return 1
	}
	! grep -i 'warning:' "$tap_work/build"
}

versions() {
	in_root 'for tool in gcc clang; do $tool --version | head -n 1; done; pkg-config --modversion libbpf'
}

with_the_library() {
	awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md >"$inside/tmp/server.c" &&
		in_root 'gcc -Wall -Wextra -Werror /tmp/server.c $(pkg-config --cflags --libs pp) -o /tmp/server && ldd /tmp/server | grep -F libpp.so.1'
}

make_root >"$root.log" 2>&1 && enter || {
	tail -n 20 "$root.log"
	echo "no root of Debian $suite"
	exit 1
}
check the_packages_are_found in_root 'make deps'
check the_project_builds_without_a_warning without_warning
versions | sed '/^# /!s/^/# /'
check the_demo_runs in_root 'make demo'
check all_tests_pass in_root 'make check K=none'
check the_manual_pages_are_right in_root 'mandoc -T lint -W warning docs/man/*'
check the_packages_are_built in_root 'apt-get -qq build-dep -y ./ && apt-get -qq install -y --no-install-recommends lintian && make deb'
check lintian_is_content in_root 'lintian --allow-root --profile debian --fail-on error,warning build/deb/*.changes'
check the_packages_install in_root 'apt-get -qq install -y --no-install-recommends systemd bash-completion ./build/deb/*.deb'
check systemd_finds_nothing_wrong in_root 'systemd-analyze verify ppsplit.service ppsplit-metrics.timer ppmta.service mail.slice proxy.slice &&
	systemd-analyze security --offline=yes --threshold=20 ppmta.service'
check the_readmes_server_is_built_with_the_library with_the_library
check bash_loads_the_completion in_root 'bash -c ". /usr/share/bash-completion/bash_completion
	{ _comp_load ppctl || _completion_loader ppctl; } 2>/dev/null
	complete -p ppctl"'
tap_end
