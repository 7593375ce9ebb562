#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A libpp.so whose struct pp_origin has one more field at its end, and today's: each runs the other's
# programs. And pp.h in C and C++, and the version.
# check: native
. selftests/lib/tap.sh
version=$(sed -n 's/^VERSION := //p' Makefile)

# A server's memory: a struct pp_origin, and after it what a function must not write to.
cat >"$tap_work/server.c" <<'C'
#include <pp/pp.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
	static const char line[] = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n";
	char text[PP_ORIGIN_PRINT_MAX];
	struct {
		struct pp_origin origin;
		char canary[256];
	} memory;
	size_t i;

	memset(&memory, 'C', sizeof(memory));
	if (pp_parse(line, sizeof(line) - 1, &memory.origin) != sizeof(line) - 1)
		return 1;
	for (i = 0; i < sizeof(memory.canary); i++)
		if (memory.canary[i] != 'C')
			return 2;
	pp_origin_print(&memory.origin, text, sizeof(text));
	if (strcmp(text, "PROXY v1 TCP 192.0.2.7:4711 -> 198.51.100.1:25"))
		return 3;
#ifdef LATER
	if (memory.origin.one_more)
		return 4;
#endif
	puts("fine");
	return 0;
}
C

# library FOLDER: libpp.so.1 of FOLDER/include
library() {
	mkdir -p "$1/lib" && cc -shared -fPIC -I"$1/include" "$1"/user/lib/*.c -Wl,-soname,libpp.so.1 \
		-Wl,--version-script,user/lib/libpp.map -o "$1/lib/libpp.so.1" && ln -sf libpp.so.1 "$1/lib/libpp.so"
}
make_both() {
	for folder in today later; do
		mkdir -p "$tap_work/$folder/user" && cp -R include "$tap_work/$folder" && cp -R user/lib "$tap_work/$folder/user" || return 1
	done
	sed -i 's/^\tstruct sockaddr_storage proxy, proxy_dst;$/&\n\tuint64_t one_more;/' "$tap_work/later/include/pp/pp.h"
	grep -q one_more "$tap_work/later/include/pp/pp.h" && library "$tap_work/today" && library "$tap_work/later"
}
check a_library_with_one_more_field_is_built make_both

# runs HEADERS LIBRARY: a program that was built with one's headers and runs with the other's library
runs() {
	case $1 in later) set -- "$@" -DLATER ;; *) set -- "$@" -DTODAY ;; esac
	cc -Wall -Wextra -Werror "$3" -I"$tap_work/$1/include" "$tap_work/server.c" -L"$tap_work/$1/lib" -lpp \
		-o "$tap_work/$1-server" && [ "$(LD_LIBRARY_PATH=$tap_work/$2/lib "$tap_work/$1-server")" = fine ]
}
check a_program_of_today_runs_with_the_later_library runs today later
check a_later_program_runs_with_the_library_of_today runs later today
check each_runs_with_its_own eval 'runs today today && runs later later'

# A program that asks for the symbols without pp.h gets the struct of the first version.
symbols() {
	cat >"$tap_work/symbols.c" <<-'C'
	#include <stdio.h>
	#include <string.h>
	int pp_parse(const void *buf, unsigned long len, void *origin);
	int main(void)
	{
		static const char line[] = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n";
		unsigned char memory[1024];
		unsigned int i;

		memset(memory, 'C', sizeof(memory));
		if (pp_parse(line, sizeof(line) - 1, memory) != sizeof(line) - 1)
			return 1;
		for (i = sizeof(memory); memory[i - 1] == 'C'; i--)
			;
		printf("%u\n", i);
		return 0;
	}
	C
	cc "$tap_work/symbols.c" -L"$tap_work/today/lib" -lpp -o "$tap_work/symbols" || return 1
	for folder in today later; do
		[ "$(LD_LIBRARY_PATH=$tap_work/$folder/lib "$tap_work/symbols")" = 288 ] || return 1
	done
}
check the_symbols_fill_the_first_struct_in_each_version symbols

languages() {
	cat >"$tap_work/user.c" <<-C
	#include <pp/pp.h>
	#include <stdio.h>
	#include <string.h>
	#if PP_VERSION_NUMBER < 0x000100
	#error the version
	#endif
	static int (*const functions[])(int, struct pp_origin *) = {pp_lookup};
	int main(void)
	{
		struct pp_origin origin;

		/* -EBADF */
		if (functions[0](-1, &origin) != -9 || pp_lookup_wait(-1, &origin, 0) != -9)
			return 1;
		if (pp_read_header(-1, &origin, 0) >= 0 || pp_read_header_tlvs(-1, &origin, NULL, 0, 0) >= 0)
			return 2;
		return strcmp(pp_version(), PP_VERSION) || strcmp(pp_version(), "$version");
	}
	C
	cp "$tap_work/user.c" "$tap_work/user.cc"
	# gnu89 and not c89: abi.h includes <linux/types.h>
	for language in gnu89 c99 c11 gnu17 c++98 c++11 c++20; do
		case $language in
		c++*) compiler=g++ file=user.cc ;;
		*) compiler=cc file=user.c ;;
		esac
		$compiler -std=$language -O0 -Wall -Wextra -Werror -I"$tap_work/today/include" "$tap_work/$file" \
			-L"$tap_work/today/lib" -lpp -o "$tap_work/user" && LD_LIBRARY_PATH=$tap_work/today/lib "$tap_work/user" || {
			echo "$language"
			return 1
		}
	done
}
check each_c_and_cxx_calls_the_library_and_knows_its_version languages
tap_end
