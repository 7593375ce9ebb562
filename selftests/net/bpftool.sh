#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/bpftool.md: its commands, as they stand there, load and unload the programs.
. selftests/lib/tap.sh

# The blocks of shell on the page, with this lab's cgroup and object: "up" to the attaching, "down" after.
awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside' docs/bpftool.md |
	sed -e "s|^CGROUP=.*|CGROUP=$LAB_CGROUP|" \
		-e "s|^PROXY=.*|PROXY=$LAB_OUTSIDE|" -e "s|^OBJECT=.*|OBJECT=$PWD/build/bpf/pp.bpf.o|" >"$tap_work/all"
sed '/cgroup detach/,$d' "$tap_work/all" >"$tap_work/up"
{
	sed -n '1,2p; /^PROXY=/p' "$tap_work/all"
	sed -n '/cgroup detach/,$p' "$tap_work/all"
} >"$tap_work/down"

session() {
	build/bin/ppmta --listen 127.0.0.1:25 --maildir "$tap_work/Maildir" --user nobody \
		--hostname mail.example.net >"$tap_work/log" 2>&1 &
	mta=$!
	for _ in $(seq 600); do
		grep -q started "$tap_work/log" && break
		sleep 0.1
	done
	build/selftests/tools/smtp-send --from 127.0.0.2 \
		--header 'PROXY TCP4 192.0.2.66 198.51.100.1 4711 25' 127.0.0.1 25 && return 1
	sh -c 'echo $$ >"$LAB_OUTSIDE/cgroup.procs"; exec "$@"' sh build/selftests/tools/smtp-send \
		--from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 25
	sent=$?
	kill $mta
	return $sent
}

chmod 755 "$tap_work"
check the_pages_commands_load_and_attach sh -e "$tap_work/up"
check a_session_is_served session
check the_log_names_the_origin says "$tap_work/log" '\[192\.0\.2\.7\] P=esmtp PRX=127\.0\.0\.2 '
sh -c 'build/bin/ppctl status' >"$tap_work/status" 2>&1
check an_outsider_was_refused sh -c "! grep '\[192\.0\.2\.66\]' '$tap_work/log'"
check ppctl_status_reads_its_maps says "$tap_work/status" '^  v1 +1 '
check the_pages_commands_take_it_down sh -e "$tap_work/down"
check nothing_is_left sh -c "test ! -e /sys/fs/bpf/pp && test -z \"\$(bpftool cgroup show $LAB_CGROUP)\""
tap_end
