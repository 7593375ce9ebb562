#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# README.md and the manual pages: their programs compile against an installed libpp, and tell the origin; each
# function has a page; install and uninstall.
# check: native
. selftests/lib/tap.sh

prefix=$tap_work/prefix
awk '/^```c/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md >"$tap_work/server.c"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

# The pages' examples that are whole files: PAGE-1.c, PAGE-2.py and so on.
for page in docs/man/*; do
	[ -L "$page" ] || awk -v name="$tap_work/$(basename "$page")" '
		/^\.EX/ { text = type = ""; inside = 1; next }
		/^\.EE/ { inside = 0; if (type) { file = name "-" ++count type; printf "%s", text >file; close(file) } }
		inside && /^#include/ { type = ".c" }
		inside && /^import/ { type = ".py" }
		inside { gsub(/\\-/, "-"); gsub(/\\e/, "\\"); text = text $0 "\n" }' "$page"
done
export LD_LIBRARY_PATH="$prefix/lib"

build() { # program how...
	program=$1
	shift
	cc -Wall -Wextra -Werror "$tap_work/$program.c" -o "$tap_work/$program" "$@"
}

# A client at address $1: sends the other arguments, a segment each, and prints what it gets.
make_client() {
	cat >"$tap_work/client.c" <<-'C'
	#include <arpa/inet.h>
	#include <netinet/tcp.h>
	#include <stdio.h>
	#include <string.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0), i, one = 1;
		char text[512];
		ssize_t len;

		from.sin_addr.s_addr = inet_addr(argv[1]);
		to.sin_addr.s_addr = inet_addr("127.0.0.1");
		to.sin_port = htons(2525);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (bind(fd, (void *)&from, sizeof(from)) || connect(fd, (void *)&to, sizeof(to)))
			return 1;
		for (i = 2; i < argc; i++) {
			usleep(50000);
			if (write(fd, argv[i], strlen(argv[i])) < 0)
				return 1;
		}
		len = read(fd, text, sizeof(text));
		return len > 0 && write(1, text, len) == len ? 0 : 1;
	}
	C
	cc "$tap_work/client.c" -o "$tap_work/client"
}

start() { # command...
	build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --gate 0 --proxy 127.0.0.2 || return 1
	"$@" &
	server=$!
	wait_port 2525
}

stop() {
	kill $server
	wait $server
	build/bin/ppctl down
}

client() { # what it has to get, address, segments...
	banner=$1
	shift
	timeout 60 "$tap_work/client" "$@" >"$tap_work/banner"
	says "$tap_work/banner" "$banner"
}

line=$(printf 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n.')
line=${line%.}
end=$(printf '98.51.100.1 4711 25\r\n.')
hello='220 hello, PROXY v1 TCP 192\.0\.2\.7:4711 -> 198\.51\.100\.1:25'

greets() { # program
	start "$tap_work/$1"
	client "$hello" 127.0.0.2 "$line"
	result=$?
	stop
	return $result
}

greets_each() { # whole header, ordinary client, bad header: what each has to get; command...
	origin=$1 ordinary=$2 bad=$3
	shift 3
	start "$@"
	client "$origin" 127.0.0.2 "$line" &&
		client "$origin" 127.0.0.2 'PROXY ' 'TCP4 192.0.2.7 1' "${end%.}" &&
		client "$ordinary" 127.0.0.3 &&
		client "$bad" 127.0.0.2 'PROXY TCP4 1.2.3.256 '
	result=$?
	stop
	return $result
}

greets_by_getsockopt() { # command...
	greets_each '220 hello, 192\.0\.2\.7 port 4711' '220 hello, peer' '554 no origin: state 5, reason 5' "$@"
}

each_example_compiles() {
	set -- "$tap_work"/*-*.c
	[ $# -ge 6 ] || return 1
	for file; do
		cc -Wall -Wextra -Werror $(pkg-config --cflags pp) -c "$file" -o "${file%.c}.o" || return 1
		! grep -q '^int main' "$file" || cc "${file%.c}.o" -o "${file%.c}" $(pkg-config --libs pp) || return 1
	done
}

each_function_has_a_page() {
	for name in libpp ppsplit pp_getsockopt $(sed -n 's/^\t\(pp_.*\);/\1/p' user/lib/libpp.map); do
		page=$(man -M "$prefix/share/man" -w "$name") && man -l "$page" | sed -n '/^NAME/,/^[A-Z]*$/p' |
			grep -q "\<$name\>" || {
			echo "no page says $name"
			return 1
		}
	done
}

# Not while another test installs elsewhere: files that name PREFIX are written in build/.
check make_install flock build make -s install PREFIX="$prefix"
check the_clients_program_compiles make_client
check the_readmes_program_compiles build server $(pkg-config --cflags --libs pp)
check the_readmes_program_tells_the_origin greets server
check the_manuals_examples_compile each_example_compiles
check the_manuals_server_greets_each_client_by_its_origin greets_each "$hello" '220 hello, ordinary client' \
	'554 not a valid PROXY header: an address is malformed' "$tap_work/pp_lookup.3-1"
check the_manuals_parser_says_what_it_parsed sh -c "'$tap_work/pp_parse.3-1' |
	grep -q '^PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25, then EHLO x'"
check getsockopt_in_c_greets_each_client_by_its_origin greets_by_getsockopt "$tap_work/pp_getsockopt.7-1"
check getsockopt_in_python_greets_each_client_by_its_origin \
	greets_by_getsockopt /usr/bin/python3 "$tap_work/pp_getsockopt.7-2.py"
check the_library_called_from_python_tells_the_client sh -c \
	"test \"\$(/usr/bin/python3 '$tap_work/pp_lookup_sized.3-1.py')\" = 192.0.2.7"
check each_function_has_a_page each_function_has_a_page
check it_links_with_the_static_library \
	build server $(pkg-config --cflags pp) "$prefix/lib/libpp.a"
check it_compiles_as_cxx sh -c "printf '#include <pp/pp.h>\nint main() { pp_origin o; return pp_parse(\"\", 0, &o); }\n' >'$tap_work/a.cc' &&
	g++ -std=c++11 -Wall -Wextra -Werror '$tap_work/a.cc' -o '$tap_work/cxx' $(pkg-config --cflags --libs pp) &&
	LD_LIBRARY_PATH='$prefix/lib' '$tap_work/cxx'"
check libpp_exports_its_api_and_nothing_else sh -c "nm -D --defined-only '$prefix/lib/libpp.so' |
	awk '\$2 == \"T\" { sub(/@.*/, \"\", \$3); print \$3 }' | sort | tr '\n' ' ' |
	grep -qx 'pp_lookup pp_lookup_sized pp_lookup_wait pp_lookup_wait_sized pp_origin_print pp_parse pp_parse_sized pp_read_header pp_read_header_sized pp_read_header_tlvs pp_read_header_tlvs_sized pp_reason_text pp_strerror pp_tlv_next pp_tlvs pp_version '"
check libpp_needs_nothing_but_libc sh -c "test \"\$(ldd '$prefix/lib/libpp.so' | grep -c '=>')\" -eq 1"
check make_uninstall sh -c "make -s uninstall PREFIX='$prefix' && test -z \"\$(find '$prefix' -type f)\""
tap_end
