#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The Makefile: what a changed version or flag builds again, what install puts down and uninstall takes
# away, and compile_commands.json. In a copy of the tree.
# check: native long
. selftests/lib/tap.sh
tree=$tap_work/tree
dest=$tap_work/dest
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS VERSION PREFIX LIBDIR DESTDIR

mkdir "$tree"
cp -R CHANGELOG.md Makefile vmlinux.h bpf docs include scripts selftests units user "$tree"
in_tree() {
	make -s -C "$tree" "$@"
}

ppmta_builds() {
	in_tree -j "$(nproc)" build/bin/ppmta && "$tree/build/bin/ppmta" -bV >"$tap_work/said" &&
		! grep -F 9.8.7 "$tap_work/said"
}
check ppmta_builds_alone ppmta_builds
version() {
	in_tree -j "$(nproc)" VERSION=9.8.7 all ppmta && "$tree/build/bin/ppmta" -bV >"$tap_work/said" &&
		says "$tap_work/said" '^ppmta version 9\.8\.7$' && says "$tree/build/lib/pp.pc" '^Version: 9\.8\.7$' &&
		[ "$(readlink "$tree/build/lib/libpp.so.1")" = libpp.so.9.8.7 ]
}
check a_changed_version_is_in_all_that_names_it version
nothing() {
	in_tree VERSION=9.8.7 all ppmta >"$tap_work/said" && [ ! -s "$tap_work/said" ] || {
		cat "$tap_work/said"
		return 1
	}
}
check a_second_make_builds_nothing nothing

# flags FLAG PATTERN [OTHER]: each of the compiler's commands that matches PATTERN, and not OTHER, has FLAG;
# and there are some
flags() {
	make -C "$tree" -n V=1 VERSION=9.8.7 CFLAGS=-O1 CPPFLAGS=-DFROM_HERE LDFLAGS=-Wl,-z,now all tests >"$tap_work/said" || return 1
	sed -i -e ':a' -e '/\\$/N; s/\\\n//; ta' "$tap_work/said"
	grep -E "^(gcc|cc) .*$2" "$tap_work/said" | grep -vE -e "${3:-^$}" >"$tap_work/commands"
	[ -s "$tap_work/commands" ] && ! grep -v -e "$1" "$tap_work/commands"
}
all_again() {
	flags ' -O1 ' ' -c user/' && [ "$(wc -l <"$tap_work/commands")" -eq "$(ls user/*/*.c user/*/*/*.c | wc -l)" ]
}
check changed_cflags_build_each_object_again all_again
check cppflags_are_in_each_compilation flags ' -DFROM_HERE ' '\.c '
check ldflags_are_in_each_link flags ' -Wl,-z,now ' ' -o build/(bin|lib|selftests/(net|unit|tools))/[^ ]*( .*)?$' ' -c '

without_ppmta() {
	make -C "$tree" -n V=1 BUILD="$tap_work/elsewhere" all >"$tap_work/said" && grep -q -e ' -ljson-c' "$tap_work/said" &&
		! grep -e ppmta -e ' -lssl' -e ' -lspf2' "$tap_work/said"
}
check a_plain_make_needs_no_library_of_ppmtas without_ppmta
elsewhere() {
	(cd "$tree" && find . -type f -newer "$tap_work/said") >"$tap_work/before"
	in_tree -j "$(nproc)" VERSION=9.8.7 BUILD="$tap_work/elsewhere" "$tap_work/elsewhere/lib/pp.pc" "$tap_work/elsewhere/bpf/pp.bpf.o" || return 1
	[ -s "$tap_work/elsewhere/lib/pp.pc" ] && (cd "$tree" && find . -type f -newer "$tap_work/said") | cmp - "$tap_work/before" &&
		cmp "$tap_work/elsewhere/bpf/pp.bpf.o" "$tree/build/bpf/pp.bpf.o"
}
check build_names_another_folder elsewhere

hint() {
	"$tree/scripts/ldconfig-hint" "$1" libpp-of-nobody.so.1 >"$tap_work/said" && says "$tap_work/said" "$2"
}
check a_folder_that_the_loader_searches_needs_ldconfig hint /usr/local/lib 'sudo ldconfig$'
check another_folder_has_to_be_named hint /opt/pp/lib 'name that folder in a file in /etc/ld\.so\.conf\.d'
known() {
	library=$(/sbin/ldconfig -p | sed -n 's|.* => \(/.*\)|\1|p' | head -n 1)
	[ -z "$("$tree/scripts/ldconfig-hint" "${library%/*}" "${library##*/}")" ]
}
check a_library_that_the_loader_knows_needs_nothing known

files() {
	(cd "$dest" && find . ! -type d | sort)
}
install_all() {
	in_tree VERSION=9.8.7 DESTDIR="$dest" PREFIX=/usr LIBDIR=/usr/lib/x install install-ppmta >"$tap_work/said" && files >"$tap_work/installed" || return 1
	for file in sbin/ppctl sbin/ppmta lib/x/libpp.a lib/x/libpp.so lib/x/libpp.so.1 lib/x/libpp.so.9.8.7 \
		lib/x/pkgconfig/pp.pc lib/x/ppsplit/pp.bpf.o include/pp/pp.h include/pp/abi.h share/man/man8/ppctl.8 \
		share/doc/ppsplit/exim.md lib/systemd/system/ppsplit.service lib/systemd/system/mail.slice \
		lib/systemd/system/ppmta.service; do
		grep -qx "./usr/$file" "$tap_work/installed" || {
			echo "$file is missing"
			return 1
		}
	done
	grep -q '^ExecStart=/usr/sbin/ppctl ' "$dest/usr/lib/systemd/system/ppsplit.service" || return 1
	[ ! -s "$tap_work/said" ] || return 1 # of ldconfig: not with DESTDIR
	[ "$(cd docs/man && echo *)" = "$(cd "$dest/usr/share/man" && find . -type f -printf '%f\n' | sort | xargs)" ]
}
check install_puts_down_programs_library_and_pages install_all
compiles() {
	printf '#include <pp/pp.h>\nint main(void) { return !pp_strerror(0); }\n' >"$tap_work/a.c"
	cc -I "$dest/usr/include" "$tap_work/a.c" -o "$tap_work/a" -L "$dest/usr/lib/x" -lpp &&
		LD_LIBRARY_PATH=$dest/usr/lib/x "$tap_work/a"
}
check what_is_installed_compiles_and_runs compiles
uninstall_all() {
	touch "$dest/usr/include/pp/other.h" "$dest/usr/share/man/man8/other.8"
	in_tree VERSION=9.8.7 DESTDIR="$dest" PREFIX=/usr LIBDIR=/usr/lib/x uninstall && files >"$tap_work/said" || return 1
	printf './usr/include/pp/other.h\n./usr/share/man/man8/other.8\n' | cmp - "$tap_work/said" || {
		cat "$tap_work/said"
		return 1
	}
}
check uninstall_takes_away_that_and_nothing_else uninstall_all
own_folders() {
	[ ! -e "$dest/usr/lib/x/ppsplit" ] && [ ! -e "$dest/usr/share/doc/ppsplit" ] && [ -d "$dest/usr/include/pp" ] &&
		rm "$dest/usr/include/pp/other.h" && in_tree VERSION=9.8.7 DESTDIR="$dest" PREFIX=/usr LIBDIR=/usr/lib/x uninstall &&
		[ ! -e "$dest/usr/include/pp" ]
}
check its_own_folders_go_when_they_are_empty own_folders

database() {
	in_tree compile_commands.json || return 1
	(cd "$tree" && perl -MJSON::PP -e '
		local $/;
		my %known = map { $_->{file} => $_ } @{decode_json(<STDIN>)};
		my $missing = 0;
		for (@ARGV) {
			my $entry = $known{$_};
			next if $entry && $entry->{directory} && $entry->{command} =~ / \Q$_\E( |$)/;
			print "$_ has no entry\n";
			$missing = 1;
		}
		exit $missing' user/*/*.c user/*/*/*.c bpf/*.c bpf/*.h selftests/*/*.c <compile_commands.json)
}
check compile_commands_names_each_source database
tap_end
