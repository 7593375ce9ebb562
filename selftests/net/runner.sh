#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The runner of the tests itself: its last line and status for what passes, fails, is skipped, breaks off
# or hangs; the command that runs a test alone; and that nothing is left when it is interrupted.
# check: native
. selftests/lib/tap.sh
runner=$PWD/build/selftests/tools/runner
out=$tap_work/said
unset CHECK_TARGET CHECK_CASE

cat >"$tap_work/tests" <<'TESTS'
# runs tests that are named after what they do, as selftests/run-tests would
for test; do
	echo "@begin $test"
	case $test in
	net/green) printf 'ok 1 - one\nok 2 - two\n' ;;
	net/red) printf 'ok 1 - one\nnot ok 2 - two\n# why it is so\n' ;;
	net/skips) printf 'ok 1 - one\nok 2 - two # SKIP no such thing here\n' ;;
	net/mute) ;;
	net/breaks) printf 'ok 1 - one\n'; (exit 3) ;;
	net/dies) kill -9 $$ ;;
	net/hangs) echo 'ok 1 - one'; sleep 1000 ;;
	net/labs) build/selftests/tools/lab sh -c 'echo "$LAB_CGROUP"; sleep 1000 & sleep 1000' | tee "$(dirname "$0")/cgroup" ;;
	net/waits) sleep 1000 ;;
	net/ends) for n in 1 2 3 4 5 6 7 8; do sleep 1; echo "ok $n - $n"; done ;;
	esac
	printf '\n@end %s %s\n' "$test" $?
done
TESTS

# job ORDER KERNEL TEST...: a line of the plan
job() {
	order=$1 kernel=$2
	shift 2
	printf 'job\t%s\tLinux here\t%s\texec sh %s/tests %s\t%s\n' "$order" "$kernel" "$tap_work" "$*" "$*" >>"$tap_work/plan"
}

lab_is_gone() {
	[ ! -e "$(cat "$tap_work/cgroup")" ]
}

# ends STATUS LAST-LINE: what the runner makes of the plan
ends() {
	wanted=$1 last=$2
	"$runner" <"$tap_work/plan" >"$out" 2>&1
	status=$?
	: >"$tap_work/plan"
	[ $status -eq "$wanted" ] && [ "$(tail -n 1 "$out")" = "$last" ] || {
		echo "status $status"
		cat "$out"
		return 1
	}
}

green() {
	job native none net/green
	ends 0 '2 passed, 0 failed, 0 skipped' && [ "$(wc -l <"$out")" -eq 1 ]
}
check what_is_green_is_quiet green
red() {
	job native none net/green
	job native none net/red
	ends 1 '3 passed, 1 failed, 0 skipped' && says "$out" 'not ok 2 - two' && says "$out" '# why it is so'
}
check what_fails_is_shown red
check the_command_that_runs_it_alone says "$out" '^ +alone: make check T=net/red/two K=none$'
skips() {
	job native none net/skips
	printf 'skip\tLinux here\tnet/other\tthis needs root\n' >>"$tap_work/plan"
	ends 0 '1 passed, 0 failed, 2 skipped' && says "$out" 'net/skips: .* two # SKIP no such thing here' &&
		says "$out" 'net/other: skipped, this needs root'
}
check a_skip_says_why skips
breaks() {
	job native none net/breaks
	ends 1 '1 passed, 1 failed, 0 skipped' && says "$out" 'net/breaks ended with status 3'
}
check a_status_is_a_failure breaks
mute() {
	job native none net/mute
	ends 1 '0 passed, 1 failed, 0 skipped' && says "$out" 'net/mute ran no case'
}
check a_test_without_a_case_is_a_failure mute
dies() {
	job guest trixie net/green net/dies net/red net/ends
	ends 1 '2 passed, 3 failed, 0 skipped' && says "$out" 'net/dies did not come to its end' &&
		says "$out" 'net/red and the 1 behind it did not run'
}
check a_guest_that_dies_fails_what_it_did_not_run dies
says_slow() {
	export CHECK_SILENCE=7
	job native none net/hangs
	job native none net/ends
	ends 1 '9 passed, 1 failed, 0 skipped' && says "$out" 'net/hangs said nothing for 7 s'
	result=$?
	unset CHECK_SILENCE
	return $result
}
check who_says_nothing_is_ended_and_who_is_slow_is_not says_slow
five_slowest() {
	for n in 1 2 3 4 5; do
		job native none net/green
	done
	job native none net/ends
	ends 0 '18 passed, 0 failed, 0 skipped' && says "$out" '^[0-9]+:[0-9]+ minutes; the slowest: net/ends ([7-9]|[1-9][0-9]+) s, '
}
check the_slowest_are_named five_slowest

no_sleep() {
	[ "$(pgrep -c sleep)" -eq 0 ]
}
# nothing_left: no process but those that were there, no cgroup of a lab, no file
nothing_left() {
	cgroup=$(cat "$tap_work/cgroup")
	soon no_sleep # what was killed, its parent has to wait for
	[ -n "$cgroup" ] && [ ! -e "$cgroup" ] && [ "$(pgrep -c sleep)" -eq 0 ] && [ "$(ls /tmp)" = "$files" ] || {
		echo "left: $cgroup"
		ps ax
		ls /tmp
		cat "$out"
		return 1
	}
}
interrupted() { # SIGNAL STATUS
	files=$(ls /tmp)
	for test in net/green net/labs net/hangs net/waits net/ends; do
		job native none $test
	done
	sh -c 'exec "$0" <"$1" >"$2" 2>&1' "$runner" "$tap_work/plan" "$out" &
	running=$!
	until pgrep -f LAB_CGROUP >/dev/null && [ "$(pgrep -c sleep)" -ge 4 ]; do
		sleep 0.1
	done
	kill -s "$1" $running
	wait $running
	status=$?
	: >"$tap_work/plan"
	[ $status -eq "$2" ] && [ "$(tail -n 1 "$out")" = '2 passed, 4 failed, 0 skipped' ] &&
		says "$out" '^interrupted: 4 tests did not come to their end' && nothing_left
}
check sigterm_leaves_nothing interrupted TERM 143
killed() {
	files=$(ls /tmp)
	job native none net/labs
	sh -c 'exec "$0" <"$1" >"$2" 2>&1' "$runner" "$tap_work/plan" "$out" &
	until pgrep -f LAB_CGROUP >/dev/null && [ "$(pgrep -c sleep)" -ge 2 ]; do
		sleep 0.1
	done
	kill -9 $!
	wait $!
	: >"$tap_work/plan"
	soon lab_is_gone
	nothing_left
}
check a_runner_that_is_killed_leaves_nothing killed
unread() {
	files=$(ls /tmp)
	for n in 1 2 3; do
		job native none net/red
	done
	job native none net/labs
	timeout 60 "$runner" <"$tap_work/plan" 2>&1 | head -n 1 >"$out"
	: >"$tap_work/plan"
	soon lab_is_gone
	nothing_left
}
check output_that_nobody_reads_ends_it unread
on_a_terminal() {
	files=$(ls /tmp)
	job native none net/green
	job native none net/labs
	{
		soon grep -q '1 of 2 done; net/labs' "$tap_work/terminal" >/dev/null
		printf '\003'
		soon grep -q '^status [0-9]' "$tap_work/terminal" >/dev/null
	} | SHELL=/bin/sh script -qec "trap : INT; stty cols 60; $runner <$tap_work/plan; echo status \$?" /dev/null >"$tap_work/terminal" 2>&1
	tr '\r' '\n' <"$tap_work/terminal" | tr -d '\033' | sed 's/\[K//g' >"$out"
	says "$out" '[0-9]+:[0-9]+, 1 of 2 done; net/labs [0-9]+ s' && says "$out" '^2 passed, 1 failed, 0 skipped' &&
		says "$out" '^status 130' && nothing_left
}
check ctrl_c_on_a_terminal_leaves_nothing on_a_terminal
# what a test has mounted in its own folder is not the test's, and is not cleared with it
mounts() {
	mkdir "$tap_work/kept" && echo kept >"$tap_work/kept/file" || return 1
	sh -c '. selftests/lib/tap.sh
		mkdir "$tap_work/one" "$tap_work/one of them"
		for place in one "one of them" one; do
			mount --bind "$0" "$tap_work/$place"
		done
		echo "$tap_work"' "$tap_work/kept" >"$out"
	cleared=$(cat "$out")
	[ -n "$cleared" ] && [ ! -e "$cleared" ] && says "$tap_work/kept/file" kept
}
check clearing_goes_through_no_mount mounts

tap_end
