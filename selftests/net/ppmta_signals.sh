#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Signals that a limit of resources causes, or that come early, do not end ppmta in the middle of something: a file that
# may not grow is a 452, processor time that is used up is an orderly end, and SIGHUP is handled from the start on.
# And a log that takes no more keeps nobody waiting.
# check: all sanitized
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

configure </dev/null
awk 'BEGIN { for (i = 0; i < 600; i++) print "a line of a message that is larger than a file may be" }' >"$tap_work/large"

start_limited() { # all files may have 16 KiB, and the log has them already
	awk 'BEGIN { for (i = 0; i < 1024; i++) print "line 0123456789" }' >"$log"
	(ulimit -f 32 && exec $program -C "$conf" --log "$log") >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	wait_says "$tap_work/ppmta.out" 'daemon started'
}
check a_log_that_may_not_grow_goes_to_standard_error start_limited
too_large() {
	"$tools/smtp-send" --from 127.0.0.3 --body "$tap_work/large" 127.0.0.1 2525 >"$say" 2>&1 && return 1
	says "$say" '^452 Insufficient system storage' && [ -z "$(find "$tap_work/Maildir" -type f)" ]
}
check a_message_that_is_larger_than_a_file_may_be_is_a_452 too_large
fits() {
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 && [ "$(find "$tap_work/Maildir/new" -type f | wc -l)" -eq 1 ]
}
check the_next_one_is_taken fits
stops_by() { # SIGNAL
	kill "-$1" $ppmta && wait $ppmta
}
check processor_time_that_is_used_up_is_an_orderly_end stops_by XCPU

early() { # one that waits since before the start, blocked by whoever started it
	: >"$log"
	env --block-signal=HUP --block-signal=TERM sh -c 'kill -HUP $$; exec "$@"' - $program -C "$conf" --log "$log" >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	wait_log 'SIGHUP received: configuration read again'
}
check a_sighup_before_the_start_is_handled early
check sigterm_is_handled_though_it_was_blocked stops_by TERM

# Standard error is a pipe that nobody reads, and full: clients are served all the same, and the log says what is missing.
stalled() {
	mkfifo "$tap_work/pipe"
	exec 9<>"$tap_work/pipe"
	head -c 65536 /dev/zero >&9
	$program -C "$conf" 2>&9 9>&- &
	ppmta=$!
	soon talk 127.0.0.1 2525 'NONSENSE' 'EHLO x.example' QUIT && "$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1
}
check a_log_that_nobody_reads_keeps_nobody_waiting stalled
said_then() {
	head -c 65536 <&9 >"$tap_work/zeros"
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1
	timeout 60 grep -m 1 -a 'lines of the log are missing' <&9
}
check what_is_missing_is_said_then said_then
check and_it_stops stops_by TERM
tap_end
