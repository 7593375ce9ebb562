#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Names of cgroups, interfaces, sets and files may have any bytes in them: each works, or is refused by its name, on the
# command line and in the configuration; and nothing that ppctl prints for people has a control character.
# check: all long
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
pin=$LAB_BPFFS/pp
conf=$tap_work/ppsplit.conf
said=$tap_work/said
side=${LAB_CGROUP%/*}

# plain FILE: lines of characters, and no control characters: C0, DEL, and in UTF-8 C1, U+2028, U+202E, U+2066
plain() {
	[ "$(LC_ALL=C tr -d '\n\40-\176\200-\377' <"$1" | wc -c)" = 0 ] &&
		! LC_ALL=C grep -q "$(printf '\302[\200-\237]\\|\342\200[\250-\256]\\|\342\201[\246-\251]')" "$1" || {
		echo "what it says has control characters:"
		od -c "$1"
		return 1
	}
}

# says_plainly STATUS WORD...: ppctl does, to both outputs
says_plainly() {
	expected=$1
	shift
	timeout 60 $ppctl "$@" >"$said" 2>&1
	status=$?
	[ $status = "$expected" ] && plain "$said" || {
		echo "$*: exit $status"
		cat "$said"
		return 1
	}
}

# each of these is one name
printf 'a,b\n' >"$tap_work/works"
for name in 'a b' 'a#b' 'a #b' 'a;b' 'a ;b' '"ab"' "'ab" '-x' '--now' 'a\x2db' 'a=b' '[serve b]' ' a' 'a ' '%s%n' '$(a)' '*' 'a:b'; do
	printf '%s\n' "$name" >>"$tap_work/works"
done
printf 'a\377b\n\303\244\n' >>"$tap_work/works"

on_the_command_line() {
	while IFS= read -r name; do
		mkdir "$side/$name" || return 1
		says_plainly 0 up --cgroup "$side/$name" --port 25 --proxy-cgroup "$side/outside" || return 1
		says_plainly 1 status || return 1
		bpftool cgroup show "$side/$name" | grep -q pp_gate || return 1
		# again, and what is remembered of it is one name
		says_plainly 0 up --cgroup "$side/$name" && says "$said" '^already up' || return 1
		says_plainly 0 --json port add 26 || return 1
		$ppctl --json status >"$said"
		iconv -f utf-8 -t utf-16 "$said" >/dev/null || return 1
		$ppctl metrics | iconv -f utf-8 -t utf-16 >/dev/null || return 1
		says_plainly 0 down && rmdir "$side/$name" || return 1
	done <"$tap_work/works"
}
check each_name_of_a_cgroup_works_on_the_command_line on_the_command_line

# a list has commas between its words: one that has one is none; the others
in_a_list() {
	says_plainly 0 up --cgroup "$LAB_CGROUP" --port 25 || return 1
	grep -v , "$tap_work/works" >"$tap_work/listed"
	while IFS= read -r name; do
		mkdir "$side/$name"
		says_plainly 0 proxy-cgroup add -- "$side/$name" && says_plainly 0 proxy-cgroup list && says_plainly 0 proxy-cgroup del -- "$side/$name" || return 1
		rmdir "$side/$name"
	done <"$tap_work/listed"
	mkdir "$side/a,b"
	says_plainly 1 proxy-cgroup add "$side/a,b" && says "$said" 'a: .*No such file' || return 1
	rmdir "$side/a,b"
	says_plainly 0 down
}
check and_those_without_a_comma_in_a_list in_a_list

in_the_file() {
	for name in 'a b' 'a#b' 'a;b' '-x' 'a\x2db' 'a=b' '%s%n' "$(printf 'a\377b')" "$(printf '\303\244')"; do
		mkdir "$side/$name"
		printf '[serve one]\ncgroup = %s\nport = 25\nproxy = 192.0.2.1\n' "$side/$name" >"$conf"
		says_plainly 0 check "$conf" && says_plainly 0 apply "$conf" && bpftool cgroup show "$side/$name" | grep -q pp_gate || return 1
		says_plainly 0 apply "$conf" && [ ! -s "$said" ] && says_plainly 0 apply /dev/null && rmdir "$side/$name" || return 1
	done
	for name in '"ab"' "'ab'" "$(printf 'a\033[31mb')" "$(printf 'a\177b')"; do
		printf '[serve one]\ncgroup = %s\nport = 25\nproxy = 192.0.2.1\n' "$name" >"$conf"
		says_plainly 1 check "$conf" && says "$said" ':2: .*(a quotation mark would be part of the name|a control character)' || return 1
	done
	# a word of the file is printed with each kind of mistake
	printf '[serve one]\ncgroup = %s\nport = \302\233\nproxy = \342\200\256\n\377 = 1\n[\302\205]\n' "$LAB_CGROUP" >"$conf"
	says_plainly 1 check "$conf"
}
check in_the_configuration_they_work_or_are_refused in_the_file

controls() {
	for name in "$(printf 'a\nb')" "$(printf 'a\033[31mb')" "$(printf 'a\tb')" "$(printf 'a\177b')" "$(printf 'a\rppctl: all is well')"; do
		mkdir "$side/$name" 2>/dev/null # the kernel allows no line feed
		says_plainly 2 up --cgroup "$side/$name" --port 25 && says "$said" '^ppctl: .*a control character in the name' || return 1
		says_plainly 0 up --cgroup "$LAB_CGROUP" --port 25 && says_plainly 2 proxy-cgroup add "$side/$name" || return 1
		says_plainly 0 down || return 1
		[ ! -d "$side/$name" ] || rmdir "$side/$name" || return 1
	done
}
check a_control_character_is_refused_in_a_name_of_a_cgroup controls

# names that ppctl does not choose: of interfaces, of cgroups below
found_there() {
	name=$(printf 'v\033[31m,\302\233')
	ip link add "$name" type dummy 2>/dev/null || ip link add "$name" type bridge || return 1
	ip link set "$name" up && ip address add 198.51.100.1/32 dev "$name" || return 1
	mkdir -p "$LAB_CGROUP/x"
	says_plainly 0 up --cgroup "$LAB_CGROUP" --port 25 --split yes && says "$said" 'hooks attached: .*v\?\[31m' || return 1
	says_plainly 1 status -v && says "$said" '^  v\?\[31m,\?' || return 1
	$ppctl --json status >"$said"
	says "$said" 'v\\u001b\[31m' || return 1
	$ppctl metrics >"$said" && says "$said" 'interface="v.\[31m' || return 1
	says_plainly 0 down && ip link delete "$name"
}
check names_of_interfaces_are_printed_plainly found_there

# whatever is typed comes back in errors
typed() {
	for word in "$(printf '\033[31m')" "$(printf 'a\nppctl: all is well')" "$(printf '\302\205x')" "$(printf '\377')" '%s%s%n'; do
		for command in "$word" "port add $word" "proxy add $word"; do
			says_plainly 2 $command || says_plainly 1 $command || return 1
			! grep -qx 'ppctl: all is well' "$said" || return 1
		done
		for option in set pin cgroup port proxy gate split state client; do
			timeout 20 $ppctl status --$option "$word" >"$said" 2>&1
			plain "$said" || return 1
			timeout 20 $ppctl up --cgroup "$LAB_CGROUP" --$option "$word" >"$said" 2>&1
			plain "$said" && [ ! -e "$pin" ] || return 1
		done
		says_plainly 1 check "$tap_work/$word" && says_plainly 1 apply "$tap_work/$word" && says_plainly 1 metrics --output "/nowhere/$word" || return 1
		timeout 20 $ppctl lookup "$word" "$word" >"$said" 2>&1
		plain "$said" || return 1
	done
}
check what_is_typed_is_printed_plainly typed

pins() {
	for name in 'a,b' 'a b' "$(printf 'a\377')"; do
		says_plainly 0 up --cgroup "$LAB_CGROUP" --port 25 --pin "$LAB_BPFFS/$name" && says_plainly 1 status --pin "$LAB_BPFFS/$name" || return 1
		says_plainly 0 down --pin "$LAB_BPFFS/$name" && [ ! -e "$LAB_BPFFS/$name" ] || return 1
		printf '[serve one]\ncgroup = %s\nport = 25\nproxy = 192.0.2.1\n' "$LAB_CGROUP" >"$conf"
		says_plainly 0 apply --pin "$LAB_BPFFS/$name" "$conf" && [ -e "$LAB_BPFFS/$name/one/maps/pp_ports" ] || return 1
		says_plainly 0 apply --pin "$LAB_BPFFS/$name" "$conf" && says_plainly 0 apply --pin "$LAB_BPFFS/$name" /dev/null || return 1
		[ ! -e "$LAB_BPFFS/$name" ] || return 1
	done
}
check each_name_of_a_directory_works pins

if [ -x build/bin/ppsplit-oci-hook ]; then
	hook() {
		printf '{"id":"a\\u001b[31mb","status":"creating","pid":1,"annotations":{"ppsplit.\\u001b[2J":"x"}}' |
			build/bin/ppsplit-oci-hook >"$said" 2>&1 && return 1
		plain "$said" && says "$said" 'no annotation'
	}
	check the_hook_prints_annotations_plainly hook
fi
tap_end
