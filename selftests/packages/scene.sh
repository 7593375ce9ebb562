# SPDX-License-Identifier: BSD-2-Clause
# What every mail server has to survive in a machine of machine.sh: HAProxy, the server as Debian has it, the packages,
# and the files of the server's page, of which not a letter is changed. Sourced after machine.sh. The test sets
#   page layer   docs/NAME.md; the layer that the server is in
#   variant      of the page's blocks, see page_files; or not set
#   unit port    what is restarted, and the port that HAProxy connects to
#   process      a pattern for pkill: the server's main process
#   talk         the two lines that a client says, with _ for a blank; none where the server only says something
#   log          a command that prints the server's log
said=$tap_work/said

# haproxy_files: selftests/servers/haproxy.cfg as the machine's, for $port
haproxy_files() {
	cp selftests/servers/haproxy.cfg "$machine/etc/haproxy/haproxy.cfg"
	printf 'PORT=%s\nV1=10001\nV2=10002\n' "$port" >>"$machine/etc/default/haproxy"
}

# certificate FOLDER: as the pages name it
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.example.net \
		-keyout "$machine$1/key.pem" -out "$machine$1/cert.pem"
	chmod 644 "$machine$1/key.pem"
}

served() { # somebody listens on $port
	client grep -q "$(printf ':%04X [0-9A-F]*:0000 0A ' "$port")" /proc/net/tcp /proc/net/tcp6
}

# wait_until COMMAND...: 20 s at most
wait_until() {
	for _ in $(seq 200); do
		"$@" && return 0
		sleep 0.1
	done
	echo "not within 20 s: $*"
	return 1
}

# says_since COUNT PATTERN: a line of the log after the first COUNT matches
says_since() {
	inside $log 2>/dev/null | tail -n "+$(($1 + 1))" | grep -Eq -- "$2"
}

# told FROM PORT: a session through HAProxy's PORT has its client's address, and no header in its stream
told() {
	have=$(inside $log 2>/dev/null | wc -l)
	set -- "$1" "$2" $(echo "$talk" | tr ' ' '\n')
	from=$1 by=$2
	shift 2
	for word; do
		set -- "$@" "$(echo "$word" | tr _ ' ')"
		shift
	done
	client "$tools/talk" --from "$from" 198.51.100.1 "$by" "$@" >"$said" 2>&1 || {
		echo "no session from $from by port $by:"
		cat "$said"
		return 1
	}
	! grep -E '^5|BAD' "$said" || return 1
	wait_until says_since "$have" "(^|[^0-9])$from([^0-9]|\$)" || return 1
	! says_since "$have" '198\.51\.100\.1([^0-9]|$)' || {
		echo "the log names the proxy"
		return 1
	}
}

# origin: with v1 and with v2
origin() {
	wait_until served && told 192.0.2.10 10001 && told 192.0.2.11 10002 || {
		inside systemctl --no-pager -n 5 status "$unit" ppsplit haproxy
		inside ppctl status
		return 1
	}
}

# after COMMAND...: in the machine; then the origin is told
after() {
	inside "$@" && origin
}

first_start() {
	inside systemctl daemon-reload && inside systemctl restart haproxy && after systemctl restart "$unit"
}

killed() {
	inside pkill -KILL -o -x "$process" || return 1
	wait_until unserved
	after systemctl restart "$unit"
}

unserved() {
	! served
}

stopped_and_started() {
	inside systemctl stop "$unit" && wait_until unserved && after systemctl start "$unit"
}

reloaded_daemon() {
	after systemctl daemon-reload && after systemctl restart "$unit"
}

stopped_ppsplit() {
	inside systemctl stop ppsplit || return 1
	wait_until unserved && ! inside ls /sys/fs/bpf/pp 2>/dev/null && after systemctl start "$unit"
}

# The programs cannot be had: nobody listens.
without_programs() {
	inside systemctl stop ppsplit
	mv "$machine/usr/sbin/ppctl" "$machine/usr/sbin/ppctl.away"
	! inside systemctl start "$unit" 2>"$said" || echo "systemctl start $unit: 0"
	sleep 1
	result=0
	! served || result=1
	mv "$machine/usr/sbin/ppctl.away" "$machine/usr/sbin/ppctl"
	inside systemctl reset-failed
	[ $result -eq 0 ] && after systemctl start "$unit"
}

# A reload with a mistake in the file, or without a section, leaves what is up.
wrong_file() {
	cp "$machine/etc/ppsplit.conf" "$tap_work/ppsplit.conf"
	result=0
	for wrong in 's/^proxy/proxies/' 's/^/#/'; do
		sed "$wrong" "$tap_work/ppsplit.conf" >"$machine/etc/ppsplit.conf"
		inside systemctl reload ppsplit 2>/dev/null && echo "reloaded with $wrong" && result=1
		inside systemctl is-active ppsplit && origin || result=1
	done
	cp "$tap_work/ppsplit.conf" "$machine/etc/ppsplit.conf"
	inside journalctl -u ppsplit -o cat | grep "ppsplit.conf:[0-9]*: .*'proxies'" || result=1
	inside journalctl -u ppsplit -o cat | grep 'no section' || result=1
	[ $result -eq 0 ] && after systemctl reload ppsplit
}

# What is new in the file is there after a reload, and what is not in it any more is gone.
changed_file() {
	echo 'port = 2599' >>"$machine/etc/ppsplit.conf"
	inside systemctl reload ppsplit && inside ppctl port list >"$said" && says "$said" '^2599 ' || return 1
	sed -i '/2599/d' "$machine/etc/ppsplit.conf"
	inside systemctl reload ppsplit && inside ppctl port list >"$said" && ! grep '^2599 ' "$said" && origin
}

# The file serves nothing, as the package brings it: no failure, and no server without programs.
without_a_section() {
	inside systemctl stop ppsplit
	mv "$machine/etc/ppsplit.conf" "$tap_work/ppsplit.conf"
	cp debian/ppsplit.conf "$machine/etc/ppsplit.conf"
	result=0
	inside systemctl start "$unit" 2>"$said"
	inside systemctl is-failed ppsplit && result=1
	sleep 1
	! served || result=1
	mv "$tap_work/ppsplit.conf" "$machine/etc/ppsplit.conf"
	[ $result -eq 0 ] && after systemctl start "$unit"
}

# Each section is a set, and each goes when ppsplit is stopped.
two_sections() {
	printf '[serve second]\ncgroup = other.slice\nport = 2598\nproxy = 192.0.2.200\n' >>"$machine/etc/ppsplit.conf"
	inside systemctl reload ppsplit && inside ls /sys/fs/bpf/pp/mail /sys/fs/bpf/pp/second >/dev/null || return 1
	stopped_ppsplit || return 1
	sed -i '/^\[serve second/,$d' "$machine/etc/ppsplit.conf"
	inside systemctl reload ppsplit && ! inside ls /sys/fs/bpf/pp/second 2>/dev/null && origin
}

# A session that began with one version of the programs ends with the next one (not where the server ends it).
upgraded() {
	living=
	if [ -n "$talk" ]; then
		client "$tools/talk" --from 192.0.2.10 --until "$tap_work/upgraded" 198.51.100.1 10001 \
			"$(echo "${talk% *}" | tr _ ' ')" "$(echo "${talk#* }" | tr _ ' ')" >"$tap_work/living" 2>&1 &
		living=$!
		wait_until test -s "$tap_work/living" || return 1
	fi
	install_debs next/ppsplit || return 1
	touch "$tap_work/upgraded"
	[ -z "$living" ] || wait $living || return 1
	inside journalctl -u ppsplit -o cat | grep 'programs of another build (mail)' || {
		inside journalctl -u ppsplit -o cat
		return 1
	}
	origin
}

power_cut() {
	machine_kill && machine_boot && origin
}

# The package is gone, and the drop-in is not: also at boot, where systemd starts what a target wants though a unit that
# it requires is not there.
removed() {
	inside env DEBIAN_FRONTEND=noninteractive apt-get remove -y ppsplit || return 1
	unserved || return 1
	! inside systemctl restart "$unit"
	machine_kill && machine_boot || return 1
	unserved
}

scene() {
	check the_machine_boots eval 'machine_make $layer && machine_boot'
	check the_packages_install install_debs ppsplit
	[ $tap_failed -eq 0 ] || tap_end
	haproxy_files
	page_files "$page" "$machine" "${variant-}"
	prepare
	check origin_after_the_first_start first_start
	check origin_after_a_restart after systemctl restart "$unit"
	check origin_after_sigkill killed
	check origin_after_stop_and_start stopped_and_started
	check origin_after_daemon_reload reloaded_daemon
	check origin_after_the_proxys_restart after systemctl restart haproxy
	check origin_after_ppsplits_reload after systemctl reload ppsplit
	check origin_after_ppsplits_restart after systemctl restart ppsplit
	check a_reload_with_a_wrong_file_leaves_what_is_up wrong_file
	check a_reload_makes_what_the_file_says changed_file
	check a_stop_takes_both_of_two_sections_down two_sections
	check without_a_section_nothing_runs_and_nothing_fails without_a_section
	check the_server_stops_with_ppsplit stopped_ppsplit
	check the_server_does_not_start_without_programs without_programs
	check an_upgrade_replaces_the_programs_under_a_session upgraded
	check origin_after_a_power_cut power_cut
	check the_server_does_not_run_without_the_package removed
}
