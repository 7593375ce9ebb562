#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# README.md: its program compiles against an installed libpp, and tells the origin; install and uninstall.
# check: native
. selftests/lib/tap.sh

prefix=$tap_work/prefix
awk '/^```c/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md >"$tap_work/server.c"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

build() { # how
	cc -Wall -Wextra -Werror "$tap_work/server.c" -o "$tap_work/server" "$@"
}


# The program behind the programs: what its banner says to a client of the proxy.
banner() {
	cat >"$tap_work/client.c" <<-'C'
	#include <arpa/inet.h>
	#include <stdio.h>
	#include <unistd.h>
	int main(void)
	{
		struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		char text[512];
		ssize_t len;

		from.sin_addr.s_addr = inet_addr("127.0.0.2");
		to.sin_addr.s_addr = inet_addr("127.0.0.1");
		to.sin_port = htons(2525);
		if (bind(fd, (void *)&from, sizeof(from)) || connect(fd, (void *)&to, sizeof(to)))
			return 1;
		dprintf(fd, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n");
		len = read(fd, text, sizeof(text));
		return len > 0 && write(1, text, len) == len ? 0 : 1;
	}
	C
	cc "$tap_work/client.c" -o "$tap_work/client" || return 1
	build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy 127.0.0.2
	LD_LIBRARY_PATH="$prefix/lib" "$tap_work/server" &
	server=$!
	for _ in $(seq 600); do
		grep -q ':09DD ' /proc/net/tcp6 && break
		sleep 0.1
	done
	timeout 60 "$tap_work/client" >"$tap_work/banner"
	kill $server
	build/bin/ppctl down
	says "$tap_work/banner" '220 hello, PROXY v1 TCP 192\.0\.2\.7:4711 -> 198\.51\.100\.1:25'
}

check make_install make -s install PREFIX="$prefix"
check the_readmes_program_compiles build $(pkg-config --cflags --libs pp)
check the_readmes_program_tells_the_origin banner
check it_links_with_the_static_library \
	build $(pkg-config --cflags pp) "$prefix/lib/libpp.a"
check it_compiles_as_cxx sh -c "printf '#include <pp/pp.h>\nint main() { pp_origin o; return pp_parse(\"\", 0, &o); }\n' >'$tap_work/a.cc' &&
	g++ -std=c++11 -Wall -Wextra -Werror '$tap_work/a.cc' -o '$tap_work/cxx' $(pkg-config --cflags --libs pp) &&
	LD_LIBRARY_PATH='$prefix/lib' '$tap_work/cxx'"
check libpp_exports_its_api_and_nothing_else sh -c "nm -D --defined-only '$prefix/lib/libpp.so' |
	awk '\$2 == \"T\" { sub(/@.*/, \"\", \$3); print \$3 }' | sort | tr '\n' ' ' |
	grep -qx 'pp_lookup pp_lookup_wait pp_origin_print pp_parse pp_read_header pp_strerror pp_tlv_next pp_tlvs '"
check libpp_needs_nothing_but_libc sh -c "test \"\$(ldd '$prefix/lib/libpp.so' | grep -c '=>')\" -eq 1"
check the_manual_pages_are_well_formed sh -c "for page in docs/man/*; do
	man --warnings -l \$page 2>&1 >/dev/null | grep . && exit 1; done; true"
check make_uninstall sh -c "make -s uninstall PREFIX='$prefix' && test -z \"\$(find '$prefix' -type f)\""
tap_end
