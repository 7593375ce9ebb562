#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The units: systemd finds nothing wrong with them, and ppmta's sandbox is a tight one; and ppmta runs as
# an unprivileged user without any right, on a port above 1023, and logs to syslog.
# check: native
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

if ! command -v systemd-analyze >/dev/null; then
	echo "ok - the_unit # SKIP no systemd here"
else
	mkdir "$tap_work/units"
	for unit in units/*.slice units/*.timer units/*.in; do
		name=${unit##*/}
		sed -e "s|@SBINDIR@|$PWD/build/bin|" -e '/^Documentation=/d' "$unit" >"$tap_work/units/${name%.in}"
	done
	verified() {
		systemd-analyze verify --man=no "$tap_work"/units/* 2>&1 | grep -E 'ppmta|ppsplit|mail\.slice|proxy\.slice' && return 1
		return 0
	}
	check systemd_finds_nothing_wrong verified
	sandboxed() {
		systemd-analyze security --offline=yes --threshold=20 "$tap_work/units/ppmta.service"
	}
	check the_sandbox_is_tight sandboxed
fi

cat >"$conf" <<CONF
primary_hostname = mail.example.net
local_interfaces = 127.0.0.1.2525
delivery = maildir:$tap_work/state/Maildir
smtp_accept_max = 200
proxy_required_hosts = 127.0.0.2
log_file_path = $tap_work/state/log
CONF
mkdir -m 777 "$tap_work/state"
unprivileged() {
	build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy 127.0.0.2 >"$say" || return 1
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \
		build/bin/ppmta -C "$conf" >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	log=$tap_work/state/log
	for _ in $(seq 1200); do
		grep -qs 'daemon started' "$log" && break
		sleep 0.05
	done
	grep -q '^CapEff:.*0000000000000000' /proc/$ppmta/status || return 1
	"$tools/smtp-send" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 >"$say" &&
		wait_log '<= me@example\.net H=\(client\.example\) \[192\.0\.2\.7\]' && [ "$(ls "$tap_work/state/Maildir/new" | wc -l)" -eq 1 ]
}
check it_runs_without_any_right unprivileged

tap_end
