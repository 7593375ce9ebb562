#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The packages in a machine: installed, upgraded, removed, purged; and ppmta by its own unit.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
unit=ppmta port=2525 talk='EHLO_client.example QUIT'
log='journalctl -u ppmta -o cat --no-pager'

check the_machine_boots eval 'machine_make && machine_boot'
check the_packages_install install_debs ppsplit libpp1 libpp-dev ppmta
[ $tap_failed -eq 0 ] || tap_end

# is STATE UNIT
is() {
	state=$(inside systemctl is-active "$2")
	[ "$state" = "$1" ] || {
		echo "$2 is $state"
		return 1
	}
}
check nothing_starts_by_itself eval 'is inactive ppsplit && is inactive ppmta'
nothing_to_serve() {
	inside systemctl start ppsplit || return 1
	is inactive ppsplit && ! inside ls /sys/fs/bpf/pp 2>/dev/null || return 1
	inside journalctl -u ppsplit -o cat | grep 'ppsplit.conf has no section' && inside ppctl check
}
check without_a_section_ppsplit_is_skipped nothing_to_serve
mistaken() {
	cp "$machine/etc/ppsplit.conf" "$tap_work/ppsplit.conf"
	echo '[serv mail]' >>"$machine/etc/ppsplit.conf"
	! inside systemctl start ppsplit 2>/dev/null && is failed ppsplit || return 1
	cp "$tap_work/ppsplit.conf" "$machine/etc/ppsplit.conf"
	! inside ls /sys/fs/bpf/pp 2>/dev/null && inside journalctl -u ppsplit -o cat | grep "there is no section \[serv\]"
}
check ppsplit_fails_with_a_mistake_in_the_file mistaken

haproxy_files
printf '[serve mail]\ncgroup = mail.slice\ntransparent = yes\nport = 2525\nproxy = 198.51.100.1\n' >>"$machine/etc/ppsplit.conf"
mkdir -p "$machine/etc/ppmta"
cat >"$machine/etc/ppmta/ppmta.conf" <<'CONF'
primary_hostname = mail.example.net
local_interfaces = 0.0.0.0.2525
delivery = maildir:/var/lib/ppmta/Maildir
log_selector = +smtp_connection
CONF
first() {
	inside systemctl reset-failed && inside systemctl restart haproxy && after systemctl start ppmta
}

check ppmta_knows_the_client first

upgraded_all() {
	cp "$machine/etc/ppsplit.conf" "$tap_work/configured"
	install_debs next/ppsplit next/libpp1 next/libpp-dev next/ppmta || return 1
	is active ppsplit || return 1
	cmp "$machine/etc/ppsplit.conf" "$tap_work/configured" && inside dpkg --audit && origin
}
check an_upgrade_keeps_the_configuration upgraded_all

apt() {
	inside env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}
removed_all() {
	apt remove -y ppmta && unserved && is active ppsplit || return 1
	apt remove -y ppsplit libpp1 libpp-dev || return 1
	! inside ls /sys/fs/bpf/pp 2>/dev/null || return 1
	cmp "$machine/etc/ppsplit.conf" "$tap_work/configured" && ! inside ls /usr/sbin/ppctl 2>/dev/null
}
check a_removal_stops_them_and_keeps_the_configuration removed_all
purged() {
	apt purge -y ppsplit || return 1
	inside dpkg --purge ppmta || return 1
	left=$(inside find / -xdev ! -path '/debs*' ! -path '/var/log/*' ! -path '/etc/ppmta*' ! -path '/var/lib/private/ppmta*' \
		! -path /var/lib/ppmta \( -name '*ppsplit*' -o -name '*libpp1*' -o -name '*libpp.*' -o -name '*ppmta*' \))
	[ -z "$left" ] || {
		echo "left: $left"
		return 1
	}
}
check a_purge_leaves_nothing purged
check they_install_again install_debs ppsplit libpp1
tap_end
