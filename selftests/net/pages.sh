#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# README.md, docs/ and the manual pages: their numbers, structures, maps, links and names of files are those of the
# sources; manual pages are well formed; their configurations are right.
# check: native
. selftests/lib/tap.sh
. selftests/lib/pages.sh

each_manual_page_is_well_formed() {
	for page in docs/man/*; do
		! man --warnings -l "$page" 2>&1 >/dev/null | grep . || return 1
	done
	mandoc -T lint docs/man/* || return 1
	# groff 1.24 puts one synopsis into another that has no end
	awk '$1 == ".SY" && open || $1 ~ /^\.S[HS]$/ && open { print FILENAME ":" FNR ": .SY without .YS"; bad = 1 }
		$1 == ".SY" { open = 1 } $1 == ".YS" { open = 0 } END { exit bad }' docs/man/*
}

# Each number in pp_getsockopt(7), and the order of the reasons in pp_strerror(3), as the compiler sees them.
the_numbers_are_so() {
	awk 'BEGIN { print "#include <stddef.h>\n#include <pp/abi.h>"; of = "pp_record" }
		function same(what, number) { print "_Static_assert((" what ") == " number ", \"" what "\");"; count++ }
		/^\.RI "[0-9]+ " / {
			size = substr($2, 2)
			same("offsetof(struct " of ", " $4 ")", at)
			same("sizeof(((struct " of " *)0)->" $4 ")", size)
			sum += size
		}
		/^\.SS The proxy/ { same("sizeof(struct pp_record)", sum); of = "pp_answer" }
		/^(0x)?[0-9]+, PP_/ { sub(/,$/, "", $1); same($2, $1) }
		/^\.BR PP_.* " \(/ {
			number = $0
			sub(/.* "./, "", number); sub(/"$/, "", number); sub(/n\)/, "3)", number); sub(/n/, "3", $2)
			same($2, number)
		}
		/^PP_BAD_[A-Z_]*$/ { same($1, ++reason) }
		{ at = $1 }
		END {
			same("sizeof(struct pp_answer)", sum)
			same("PP_REASON_COUNT", reason + 1)
			if (count < 89) print "#error only " count " numbers found"
		}' docs/man/pp_getsockopt.7 docs/man/pp_strerror.3 >"$tap_work/numbers.c"
	cc -Iinclude -c "$tap_work/numbers.c" -o "$tap_work/numbers.o"
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
	cc -Iinclude -c "$tap_work/structures.c" -o "$tap_work/structures.o"
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

# The same for HACKING.md and for the comments in bpf/, which name headers without their folder, and functions.
each_pointer_leads_somewhere() {
	{
		grep -ohE '(^|[^a-z/_])(bpf|user|include|selftests|docs|\.ci)/[a-zA-Z0-9_/.-]*[a-zA-Z0-9_]' HACKING.md | sed 's/^[^a-z.]//'
		{
			cat HACKING.md
			grep -hv '^#include' bpf/*.[ch] | grep -oE '(^|[[:space:]])(/\*|\*|//).*|/\*.*'
		} | grep -oE '[a-zA-Z0-9_./-]+\.[ch]\>' | grep -v '^include/\(net\|linux\|uapi\)/'
	} | grep -v 'NAME' | sort -u >"$tap_work/files"
	grep -oE '`[a-z_0-9]+\(\)`' HACKING.md | tr -d '`()' | sort -u >"$tap_work/functions"
	[ "$(wc -l <"$tap_work/files")" -ge 50 ] && [ "$(wc -l <"$tap_work/functions")" -ge 5 ] || return 1
	while read -r file; do
		set -- $file bpf/$file include/$file include/pp/$file user/*/$file user/*/*/$file
		while [ $# -gt 0 ] && [ ! -e "$1" ]; do shift; done
		[ $# -gt 0 ] || {
			echo "HACKING.md or a comment in bpf/ names $file, which is not there"
			return 1
		}
	done <"$tap_work/files"
	while read -r name; do
		grep -qrw "$name" bpf include user || {
			echo "HACKING.md names $name(), which is not there"
			return 1
		}
	done <"$tap_work/functions"
}

# Each /etc/ppsplit.conf that the pages show, and the two examples, as ppctl reads them.
each_configuration_is_right() {
	count=0
	mkdir "$tap_work/page"
	for page in README.md docs/*.md docs/ppsplit.conf debian/ppsplit.conf; do
		conf=$tap_work/page/etc/ppsplit.conf
		rm -rf "$tap_work/page/etc"
		case $page in
		*.md) page_files "$page" "$tap_work/page" ;;
		*) mkdir "$tap_work/page/etc" && sed 's/^#\([[a-z]\)/\1/' "$page" >"$conf" ;;
		esac
		[ -e "$conf" ] || continue
		build/bin/ppctl check "$conf" >"$tap_work/checked" 2>&1 && grep 'sections: 1,' "$tap_work/checked" || {
			echo "$page:"
			cat "$tap_work/checked"
			return 1
		}
		count=$((count + 1))
	done
	[ $count -ge 10 ]
}

# selftests/README has a table of what each test covers.
each_test_is_listed() {
	for file in selftests/unit/*.c selftests/unit/*.sh selftests/net/*.c selftests/net/*.sh; do
		name=${file%.*}
		case $name in
		*/headers) continue ;; # the vectors that tests share
		*/unit/*) name=unit/${name##*/} ;;
		*) name=${name##*/} ;;
		esac
		grep -Eq "^    ([a-z_/]+, )*${name}[, ]" selftests/README || {
			echo "selftests/README does not say what $name covers"
			return 1
		}
	done
}

# The block of docs/kernels.md prints nothing where all helpers are, and those that are taken out of bpftool's answer.
helpers_are_judged() {
	mkdir "$tap_work/kernels"
	cp docs/kernels.md "$tap_work/kernels/"
	awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside' docs/kernels.md >"$tap_work/kernels/block"
	(cd "$tap_work/kernels" && sh -e block) >"$tap_work/missing" || return 1
	! grep . "$tap_work/missing" || return 1
	sed 1d "$tap_work/kernels/block" >"$tap_work/kernels/again"
	sed -i '/- bpf_loop$/d; /cgroup_sock_addr/,/^$/{/bpf_sk_storage_get$/d}' "$tap_work/kernels/features"
	(cd "$tap_work/kernels" && sh -e again) >"$tap_work/missing" || return 1
	says "$tap_work/missing" '^pp_gate \(all\): bpf_loop$' && says "$tap_work/missing" '^pp_getpeer4 \(transparent mode\): bpf_sk_storage_get$'
}

check each_manual_page_is_well_formed each_manual_page_is_well_formed
check what_the_manual_says_of_the_record_is_so the_numbers_are_so
check what_the_manual_says_of_structures_is_so the_structures_are_so
check each_map_is_in_the_manual_and_in_the_architecture each_map_is_named
check each_page_that_is_named_is_there each_reference_has_a_page
check the_words_are_plain the_words_are_plain
check each_link_leads_somewhere each_link_leads_somewhere
check each_file_that_is_named_is_there each_file_is_there
check each_file_and_function_that_a_developer_is_sent_to_is_there each_pointer_leads_somewhere
check each_configuration_is_right each_configuration_is_right
check a_kernels_helpers_are_judged_as_the_page_says helpers_are_judged
check each_test_is_in_the_tests_own_page each_test_is_listed
tap_end
