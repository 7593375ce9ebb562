#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each header of bpf/ compiles alone: it includes what it uses. And the reading order in pp.bpf.c is one: each header
# includes only headers that come before it there. And the folders of user/ppmta are layers.
# check: native
flags=$(make -s --no-print-directory bpf-flags) || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

for header in bpf/*.h; do
	name=$(basename "$header" .h)_compiles_alone
	[ -z "${CHECK_CASE:-}" ] || [ "$name" = "$CHECK_CASE" ] || continue
	# shellcheck disable=SC2086 # they are words
	if ${CLANG:-clang} $flags -fsyntax-only -x c "$header" >"$out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		sed 's/^/# /' "$out"
		failed=1
	fi
done

the_reading_order_is_one() {
	read_before=
	for file in $(sed -n '/^ \* Where to read on/,/^ \* Words/p' bpf/pp.bpf.c | grep -oE '(include/pp/)?\<[a-z0-9_]+\.h'); do
		case $file in include/*) continue ;; esac
		for needed in $(sed -n 's/^#include "\(.*\)"$/\1/p' "bpf/$file"); do
			case "$read_before vmlinux.h " in *" $needed "*) continue ;; esac
			echo "$file comes before $needed, which it includes"
		done
		case "$read_before " in *" $file "*) echo "$file is there twice" ;; esac
		read_before="$read_before $file"
	done
	for header in bpf/*.h; do
		case "$read_before " in *" ${header#bpf/} "*) ;; *) echo "$header is not there" ;; esac
	done
}

# Another CPU may see a socket's record as soon as there is one. Those of pp_origins, in calls of one line or more.
records_are_made_empty() {
	cat bpf/*.h bpf/*.c | tr -s '\n\t ' ' ' | grep -o 'bpf_sk_storage_get(&pp_origins,[^;]*' >"$out.calls"
	[ "$(grep -c BPF_SK_STORAGE_GET_F_CREATE "$out.calls")" -ge 5 ] || echo "too few calls found: look at this test"
	grep -E '^[^,]*,[^,]*, *(0|NULL) *,.*BPF_SK_STORAGE_GET_F_CREATE' "$out.calls"
	rm "$out.calls"
}

# Each folder of user/ppmta includes its own headers and those of folders before it, and of those only the one that
# has the folder's name.
ppmta_includes_downwards() {
	below=" "
	for folder in util config net policy delivery smtp; do
		[ -e "user/ppmta/$folder/$folder.h" ] || echo "user/ppmta/$folder has no $folder.h"
		for needed in $(sed -n 's/^#include "\.\.\/\(.*\)"$/\1/p' "user/ppmta/$folder"/*.[ch] | sort -u); do
			case $needed in ../common/*) continue ;; esac
			case "$below" in *" $needed "*) continue ;; esac
			echo "user/ppmta/$folder includes $needed, which is not below it"
		done
		below="$below$folder/$folder.h "
	done
}

# finds_nothing NAME COMMAND: it prints what is wrong
finds_nothing() {
	[ -z "${CHECK_CASE:-}" ] || [ "$1" = "$CHECK_CASE" ] || return
	"$2" >"$out" 2>&1
	if [ -s "$out" ]; then
		echo "not ok - $1"
		sed 's/^/# /' "$out"
		failed=1
	else
		echo "ok - $1"
	fi
}

finds_nothing each_header_is_read_after_those_that_it_includes the_reading_order_is_one
finds_nothing a_sockets_record_is_whole_when_it_is_seen records_are_made_empty
finds_nothing ppmta_calls_only_downwards ppmta_includes_downwards
exit $failed
