# SPDX-License-Identifier: BSD-2-Clause
# Debian $suite with nothing but make and git, and the project as it is here: both commands of README's "Try it" and
# `make deb`, with that suite's compilers and libraries. Sourced by the tests, with $suite set. The root file system is
# made once, in build/roots, by mmdebstrap from its own default mirror, or from what SOURCES names, and stays as it was
# made: each run has a layer of its own, in memory. The demo runs in the machine's kernel.
#
# It is mounted in a namespace of its own, at a folder that nobody clears: its /dev and /sys are the machine's.
root=$PWD/build/roots/toolchain-$suite
inside=$root.mounted
if [ -z "${TOOLCHAINS_UNSHARED:-}" ]; then
	mkdir -p "$inside"
	TOOLCHAINS_UNSHARED=1 exec unshare --mount --propagation private --pid --fork --kill-child "$0"
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

enter() {
	mount -t tmpfs tmpfs "$inside" && mkdir "$inside/upper" "$inside/work" "$inside/root" &&
		mount -t overlay overlay -o "lowerdir=$root,upperdir=$inside/upper,workdir=$inside/work" "$inside/root" || return 1
	inside=$inside/root
	mount -t proc proc "$inside/proc" && mount --rbind /sys "$inside/sys" && mount --rbind /dev "$inside/dev" || return 1
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
	in_root 'make -j2 all ppmta V=1 2>&1' >"$tap_work/build" || {
		tail -n 20 "$tap_work/build"
		return 1
	}
	! grep -iE 'warning' "$tap_work/build"
}

versions() {
	in_root 'for tool in gcc clang; do $tool --version | head -n 1; done; pkg-config --modversion libbpf'
}

make_root >"$root.log" 2>&1 && enter || {
	tail -n 20 "$root.log"
	echo "no root of Debian $suite"
	exit 1
}
check the_packages_are_found in_root 'make deps'
check the_project_builds_without_a_warning without_warning
versions | sed 's/^/# /'
check unit_tests_pass in_root 'make check T=unit K=none'
check the_demo_runs in_root 'make demo'
check the_packages_are_built in_root 'apt-get -qq build-dep -y ./ && make deb'
tap_end
