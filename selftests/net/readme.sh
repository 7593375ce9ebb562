#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# README.md and the manual pages: their programs compile against an installed libpp, and tell the origin; what
# pp_getsockopt(7) says of the record is so; each function has a page; install and uninstall.
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
	for _ in $(seq 600); do
		grep -q ':09DD .* 0A ' /proc/net/tcp6 && return # LISTEN
		sleep 0.1
	done
	return 1
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

# Each number in pp_getsockopt(7), and the order of the reasons in pp_strerror(3), as the compiler sees them.
the_numbers_are_so() {
	awk 'BEGIN { print "#include <stddef.h>\n#include <pp/abi.h>" }
		function same(what, number) { print "_Static_assert((" what ") == " number ", \"" what "\");"; count++ }
		/^\.RI "[0-9]+ " / {
			size = substr($2, 2)
			same("offsetof(struct pp_record, " $4 ")", at)
			same("sizeof(((struct pp_record *)0)->" $4 ")", size)
			sum += size
		}
		/^(0x)?[0-9]+, PP_/ { sub(/,$/, "", $1); same($2, $1) }
		/^\.BR PP_.* " \(/ {
			number = $0
			sub(/.* "./, "", number); sub(/"$/, "", number); sub(/n\)/, "3)", number); sub(/n/, "3", $2)
			same($2, number)
		}
		/^PP_BAD_[A-Z_]*$/ { same($1, ++reason) }
		{ at = $1 }
		END {
			same("sizeof(struct pp_record)", sum)
			same("PP_REASON_COUNT", reason + 1)
			if (count < 74) print "#error only " count " numbers found"
		}' docs/man/pp_getsockopt.7 docs/man/pp_strerror.3 >"$tap_work/numbers.c"
	cc $(pkg-config --cflags pp) -c "$tap_work/numbers.c" -o "$tap_work/numbers.o"
}

# The structures that libpp(3) and pp_tlvs(3) show, each member at its place.
the_structures_are_so() {
	awk 'BEGIN { print "#include <stddef.h>\n#include <pp/pp.h>" }
		/^struct pp_[a-z]* {$/ { name = $2; print "struct manual_" name " {"; members = ""; next }
		name && /^};/ {
			print "};\n_Static_assert(sizeof(struct manual_" name ") == sizeof(struct " name "), \"" name "\");"
			print members
			name = ""
			count++
		}
		name {
			print
			line = $0
			sub(/;.*/, "", line); gsub(/[*,]|\[.*\]/, " ", line)
			for (i = split(line, word, " "); word[i] !~ /_t$|^sockaddr_storage$/; i--)
				members = members "_Static_assert(offsetof(struct manual_" name ", " word[i] \
					") == offsetof(struct " name ", " word[i] "), \"" word[i] "\");\n"
		}
		END { if (count != 2) print "#error only " count " structures found" }' \
		docs/man/libpp.3 docs/man/pp_tlvs.3 >"$tap_work/structures.c"
	cc $(pkg-config --cflags pp) -c "$tap_work/structures.c" -o "$tap_work/structures.o"
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

each_reference_has_a_page() {
	sed -n 's/^\.BR .*\<\(pp[a-z_.]*\)\\*f*R* *"*(\([3578]\).*/\1.\2/p' docs/man/* | sort -u >"$tap_work/references"
	[ "$(wc -l <"$tap_work/references")" -ge 10 ] || return 1
	while read -r page; do
		[ -e "docs/man/$page" ] || {
			echo "no page $page"
			return 1
		}
	done <"$tap_work/references"
}

each_map_is_named() {
	maps=$(sed -n 's/^} \(pp_.*\) SEC("\.maps").*/\1/p' bpf/*.h)
	[ "$(echo "$maps" | wc -l)" -ge 30 ] || return 1
	for map in $maps; do
		grep -q "\<$map\>" docs/man/ppctl.8 && grep -q "^| .*\<$map\>" docs/architecture.md || {
			echo "ppctl(8) or the table in docs/architecture.md lacks $map"
			return 1
		}
	done
}

# Habits that a reader stumbles over: "behind the header" for after it, "Who sends ..." for a client that does.
the_words_are_plain() {
	stream='(header|payload|stream|banner|greeting|SYN|FIN|segment|byte|TLV)'
	! grep -nE "\\<(anew|told from|be had|comes? again|nobody's|no proxy's)\\>|(in front of|behind) (a|the|its) $stream|^(Who|What) [^?]*\$" \
		README.md CHANGELOG.md docs/*.md docs/man/*
}

# Links between the pages: to files, and to headings in them.
each_link_leads_somewhere() {
	grep -oE '\]\([^)]*\)' README.md docs/*.md | sed 's/:\](/ /; s/)$//' >"$tap_work/links"
	[ "$(wc -l <"$tap_work/links")" -ge 40 ] || return 1
	while read -r page link; do
		file=$(dirname "$page")/${link%%#*}
		[ -n "${link%%#*}" ] || file=$page
		[ -f "$file" ] || {
			echo "$page: no file $link"
			return 1
		}
		case $link in *#*) ;; *) continue ;; esac
		sed -n 's/^##* //p' "$file" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-' | grep -qx -- "${link#*#}" || {
			echo "$page: no heading $link"
			return 1
		}
	done <"$tap_work/links"
}

# Files of the sources that the pages name, and tests (the table of promises says NAME.c).
each_file_is_there() {
	{
		grep -ohE '\<(bpf|user|include|selftests|docs)/[a-zA-Z0-9_/.-]+\.[a-z0-9]+' README.md docs/*.md docs/man/*
		sed -n 's/^|.*|.*| \(.*\.c.*\) |$/\1/p' docs/architecture.md | grep -oE '[a-z_/0-9]+\.c' | sed '/\//!s|^|net/|; s|^|selftests/|'
	} | sort -u >"$tap_work/named"
	[ "$(wc -l <"$tap_work/named")" -ge 50 ] || return 1
	while read -r file; do
		[ -e "$file" ] || {
			echo "the pages name $file, which is not there"
			return 1
		}
	done <"$tap_work/named"
}

check make_install make -s install PREFIX="$prefix"
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
check what_the_manual_says_of_the_record_is_so the_numbers_are_so
check what_the_manual_says_of_structures_is_so the_structures_are_so
check each_function_has_a_page each_function_has_a_page
check each_map_is_in_the_manual_and_in_the_architecture each_map_is_named
check each_page_that_is_named_is_there each_reference_has_a_page
check it_links_with_the_static_library \
	build server $(pkg-config --cflags pp) "$prefix/lib/libpp.a"
check it_compiles_as_cxx sh -c "printf '#include <pp/pp.h>\nint main() { pp_origin o; return pp_parse(\"\", 0, &o); }\n' >'$tap_work/a.cc' &&
	g++ -std=c++11 -Wall -Wextra -Werror '$tap_work/a.cc' -o '$tap_work/cxx' $(pkg-config --cflags --libs pp) &&
	LD_LIBRARY_PATH='$prefix/lib' '$tap_work/cxx'"
check libpp_exports_its_api_and_nothing_else sh -c "nm -D --defined-only '$prefix/lib/libpp.so' |
	awk '\$2 == \"T\" { sub(/@.*/, \"\", \$3); print \$3 }' | sort | tr '\n' ' ' |
	grep -qx 'pp_lookup pp_lookup_wait pp_origin_print pp_parse pp_read_header pp_read_header_tlvs pp_reason_text pp_strerror pp_tlv_next pp_tlvs '"
check libpp_needs_nothing_but_libc sh -c "test \"\$(ldd '$prefix/lib/libpp.so' | grep -c '=>')\" -eq 1"
check the_manual_pages_are_well_formed sh -c "for page in docs/man/*; do
	man --warnings -l \$page 2>&1 >/dev/null | grep . && exit 1; done
	mandoc -T lint docs/man/*"
check the_words_are_plain the_words_are_plain
check each_link_leads_somewhere each_link_leads_somewhere
check each_file_that_is_named_is_there each_file_is_there
check make_uninstall sh -c "make -s uninstall PREFIX='$prefix' && test -z \"\$(find '$prefix' -type f)\""
tap_end
