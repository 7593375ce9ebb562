#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The packages themselves: lintian, the same bytes from another folder, hardening, what a program needs to be built with
# the library; and a cross build for arm64, with the libraries in build/roots/arm64 (make-root).
. selftests/lib/tap.sh
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS

check lintian_is_content lintian --allow-root --profile debian --fail-on error,warning build/deb/*.changes

reproducible() {
	mkdir -p "$tap_work/in/another/folder"
	{ git ls-files -z --cached --others --exclude-standard --deduplicate || find . -path ./build -prune -o ! -type d -print0; } |
		xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' sh |
		tar -c --null -T - | tar -x -C "$tap_work/in/another/folder"
	(cd "$tap_work/in/another/folder" && LC_ALL=C TZ=UTC-9 scripts/deb "$tap_work/deb") || return 1
	for deb in build/deb/*.deb; do
		cmp "$deb" "$tap_work/deb/${deb##*/}" || return 1
	done
}
check another_folder_makes_the_same_packages reproducible

for package in build/deb/*.deb; do
	dpkg-deb -x "$package" "$tap_work/root"
done
# hardened FILE: bound at once, read-only after that, and with checks of the stack and of copies
hardened() {
	readelf -Wld "$1" >"$tap_work/elf"
	says "$tap_work/elf" BIND_NOW && says "$tap_work/elf" GNU_RELRO && ! grep -E 'GNU_STACK.* RWE' "$tap_work/elf" || return 1
	readelf -W --dyn-syms "$1" >"$tap_work/elf"
	says "$tap_work/elf" __stack_chk_fail
}
program() {
	hardened "$1" && readelf -Wh "$1" | grep 'DYN (Position-Independent Executable' && says "$tap_work/elf" '__[a-z]+_chk'
}
check ppctl_is_hardened program "$tap_work/root/usr/sbin/ppctl"
check the_oci_hook_is_hardened program "$tap_work/root/usr/sbin/ppsplit-oci-hook"
check ppmta_is_hardened program "$tap_work/root/usr/sbin/ppmta"
check libpp_is_hardened hardened "$tap_work"/root/usr/lib/*/libpp.so.1

# README.md's server, as the package has the library
compiles() {
	awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md >"$tap_work/server.c"
	libdir=$(dirname "$tap_work"/root/usr/lib/*/libpp.so)
	flags=$(PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tap_work/root pkg-config --cflags --libs pp) &&
		gcc "$tap_work/server.c" $flags -o "$tap_work/server" &&
		LD_LIBRARY_PATH=$libdir ldd "$tap_work/server" | grep "libpp.so.1 => $libdir"
}
check the_readmes_server_is_built_with_libpp_dev compiles

# each function of the library has a manual page, which the package has
pages() {
	for name in $(sed -n '/global:/,/local:/s/^\t\(.*\);/\1/p' user/lib/libpp.map); do
		man -l "$tap_work/root/usr/share/man/man3/$name.3.gz" >/dev/null || return 1
	done
}
check each_function_has_its_page pages

if ! command -v aarch64-linux-gnu-gcc >/dev/null; then
	echo "ok - a_cross_build_for_arm64 # SKIP no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)"
elif [ ! -d build/roots/arm64/base/usr/include ]; then
	echo "ok - a_cross_build_for_arm64 # SKIP no build/roots/arm64 (selftests/packages/make-root arm64)"
else
	cross() {
		make -s BUILD="$tap_work/arm64" CC="aarch64-linux-gnu-gcc --sysroot=$PWD/build/roots/arm64/base" all || return 1
		for file in bin/ppctl lib/libpp.so.0*; do
			readelf -h "$tap_work"/arm64/$file | grep 'Machine: *AArch64' || return 1
		done
		cmp "$tap_work/arm64/bpf/pp.bpf.o" "$(ls "$tap_work"/root/usr/lib/*/ppsplit/pp.bpf.o)"
	}
	check a_cross_build_for_arm64 cross
fi
tap_end
