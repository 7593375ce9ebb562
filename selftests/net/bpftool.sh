#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/bpftool.md: its commands, as they stand there, load and unload the programs.
. selftests/lib/tap.sh

# The blocks of shell on the page, with this lab's cgroup and object: "up" to the attaching, "down" after.
awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside' docs/bpftool.md |
	sed -e "s|^CGROUP=.*|CGROUP=$LAB_CGROUP|" \
		-e "s|^PROXY=.*|PROXY=$LAB_OUTSIDE|" -e "s|^OBJECT=.*|OBJECT=$PWD/build/bpf/pp.bpf.o|" >"$tap_work/all"
# The block that takes it down begins with the filters, in a loop.
first=$(grep -n 'tc filter del' "$tap_work/all" | head -n 1 | cut -d: -f1)
first=$((first - 1))
sed "$first,\$d" "$tap_work/all" >"$tap_work/up"
{
	sed -n '1,2p; /^PROXY=/p' "$tap_work/all"
	sed -n "$first,\$p" "$tap_work/all"
} >"$tap_work/down"

start_mta() {
	build/bin/ppmta --listen 127.0.0.1:25 --maildir "$tap_work/Maildir" --user nobody \
		--hostname mail.example.net >"$tap_work/log" 2>&1 &
	mta=$!
	wait_says "$tap_work/log" started
}

send_as_proxy() { # origin
	sh -c 'echo $$ >"$LAB_OUTSIDE/cgroup.procs"; exec "$@"' sh build/selftests/tools/smtp-send \
		--from 127.0.0.2 --header "PROXY TCP4 $1 198.51.100.1 4711 25" 127.0.0.1 25
}

session() {
	start_mta || return 1
	build/selftests/tools/smtp-send --from 127.0.0.2 \
		--header 'PROXY TCP4 192.0.2.66 198.51.100.1 4711 25' 127.0.0.1 25 && return 1
	send_as_proxy 192.0.2.7
}

chmod 755 "$tap_work"
mkdir -m 700 "$tap_work/Maildir" && chown nobody "$tap_work/Maildir"
check the_pages_commands_load_and_attach sh -e "$tap_work/up"
check a_session_is_served session
check the_log_names_the_origin says "$tap_work/log" '\[192\.0\.2\.7\] P=esmtp PRX=127\.0\.0\.2 '
sh -c 'build/bin/ppctl status' >"$tap_work/status" 2>&1
check an_outsider_was_refused sh -c "! grep '\[192\.0\.2\.66\]' '$tap_work/log'"
check ppctl_status_reads_its_maps says "$tap_work/status" '^  v1 +1 '

# the value that the page has for transparent mode
split() {
	value=$(sed -n 's/.*transparent mode it would be `\([0-9a-f ]*\)`.*/\1/p' docs/bpftool.md)
	bpftool map update pinned /sys/fs/bpf/pp/maps/pp_ports key hex 19 00 value hex $value || return 1
	send_as_proxy 192.0.2.8 && says "$tap_work/log" '\[192\.0\.2\.8\] P=esmtp' || return 1
	build/bin/ppctl status >"$tap_work/status"
	says "$tap_work/status" '^  split +1 '
}
check with_a_split_pp_in_takes_the_header_out split
kill $mta
check the_pages_commands_take_it_down sh -e "$tap_work/down"
check nothing_is_left sh -c "test ! -e /sys/fs/bpf/pp && test -z \"\$(bpftool cgroup show $LAB_CGROUP)\" &&
	test -z \"\$(tc filter show dev lo ingress; tc filter show dev lo egress)\""
tap_end
