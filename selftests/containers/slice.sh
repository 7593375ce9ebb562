#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An unmodified Postfix in a podman container of a unit, in mail.slice, its port published; HAProxy on another machine.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/containers/machine.sh
begin
check images images
check the_pages_commands follow 'A slice'
check origin_after_the_first_start origin
check a_forger_is_only_himself forged
checked() {
	inside ppctl check >"$said" 2>&1 && ! grep warning "$said" && inside ppctl status >"$said" && says "$said" '^mail: serving ports 25'
}
check check_warns_of_nothing_and_status_says_serving checked
check origin_after_the_units_restart after systemctl restart mta
killed() {
	inside podman kill -s KILL mta
	soon inside sh -c '! systemctl -q is-active mta' && after sh -c 'systemctl reset-failed mta; systemctl start mta'
}
check origin_after_sigkill killed
check origin_after_ppsplits_restart after systemctl restart ppsplit
check origin_after_ppsplits_reload after systemctl reload ppsplit
check origin_after_an_upgrade after ppctl upgrade
check origin_after_the_load_balancers_restart load_balancer_restarts
stopped() {
	inside systemctl stop ppsplit && soon inside sh -c '! podman ps -q | grep .' && after systemctl start mta
}
check the_container_stops_with_ppsplit_and_starts_with_it stopped
without_programs() {
	inside systemctl stop ppsplit
	mv "$machine/usr/sbin/ppctl" "$machine/usr/sbin/ppctl.away"
	! inside systemctl start mta 2>"$said"
	result=$?
	mv "$machine/usr/sbin/ppctl.away" "$machine/usr/sbin/ppctl"
	inside systemctl reset-failed
	[ $result -eq 0 ] && ! inside podman ps -q | grep . && after systemctl start mta
}
check the_container_does_not_start_without_programs without_programs
inside systemctl stop mta
# --rm takes a while, and the storage's entry goes last
soon inside sh -c '! podman container exists --external mta'

run() {
	inside systemctl restart ppsplit &&
		inside podman run -d --name mta "$@" localhost/mail postfix start-fg
}
# a container that no unit starts
check origin_in_a_container_alone eval 'run --cgroup-parent mail.slice -p 25:25 && origin'
check its_restart after podman restart -t 2 mta
alone_sigkill() {
	after sh -c 'podman kill -s KILL mta && podman wait mta && podman start mta'
}
check its_sigkill alone_sigkill
check it_is_removed_and_made_again eval 'inside podman rm -f -t 1 mta && run --cgroup-parent mail.slice -p 25:25 && origin'
tap_end
