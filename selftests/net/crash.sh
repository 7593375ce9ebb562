#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What got its 250 survives: ppmta is killed at each system call with which a message goes into the spool,
# on to the next hop, and out of the spool; then it is started again. And each of these calls fails once,
# with EIO and with ENOSPC. The next hop is another ppmta. Nothing is lost; what comes twice can be told by
# the id in its first Received line.
# check: all
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
fault=$PWD/build/selftests/tools/fault.so

cat >"$tap_work/sink.conf" <<CONF
primary_hostname = sink.example.net
local_interfaces = 127.0.0.1.2600
delivery = maildir:$tap_work/Maildir
user = nobody
CONF
build/bin/ppmta -C "$tap_work/sink.conf" --log "$tap_work/sink.log" >"$tap_work/sink.out" 2>&1 &
for _ in $(seq 1200); do
	grep -qs started "$tap_work/sink.log" && break
	sleep 0.05
done

mkdir -p "$tap_work/own/new"
chmod 777 "$tap_work/own" "$tap_work/own/new"
configure() { # delivery
	cat >"$conf" <<-CONF
		primary_hostname = mail.example.net
		local_interfaces = 127.0.0.1.2525
		delivery = $1
		spool_directory = $tap_work/spool
		retry_interval = 1s
		user = nobody
		acl_smtp_rcpt = rcpt
		begin acl
		rcpt:
		 accept
	CONF
}

# Starts ppmta with the fault in its way, and sends a message. $sent: did it get 250?
send_with_fault() { # call, errno or ""
	: >"$tap_work/count"
	chmod 666 "$tap_work/count" # ppmta is nobody
	: >"$log"
	(
		export FAULT_IN="$folder" FAULT_AT="$1" FAULT_COUNT="$tap_work/count" LD_PRELOAD="$fault"
		[ -z "$2" ] || export FAULT_ERROR="$2"
		exec build/bin/ppmta -C "$conf" --log "$log"
	) >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	for _ in $(seq 3000); do
		grep -q 'daemon started' "$log" && break
		sleep 0.02
	done
	sent=no
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 && sent=yes
}

delivered() {
	find "$tap_work/Maildir/new" "$tap_work/own/new" -type f | wc -l
}

is_done() { # no message is left in the spool; what is left of one goes at the next start
	[ -z "$(find "$tap_work/spool/input" -name '*-H')" ]
}

await_done() {
	for _ in $(seq 1200); do
		is_done && return 0
		sleep 0.05
	done
	ls -l "$tap_work/spool/input"
	return 1
}

# "Received: ... by mail.example.net with esmtp id ID": of how many different messages?
different() {
	find "$tap_work/Maildir/new" "$tap_work/own/new" -type f -exec sed -n 's/.*by mail\.example\.net with .* id \([^;]*\);/\1/p' {} + |
		sort -u | wc -l
}

one_fault() { # call, errno or ""
	stop_ppmta 2>/dev/null
	rm -rf "$tap_work/Maildir/new/"* "$tap_work/own/new/"* "$tap_work/spool/input/"*
	send_with_fault "$1" "$2"
	if [ -z "$2" ]; then
		# killed by now, or it never comes to that call
		for _ in $(seq 40); do
			kill -0 $ppmta 2>/dev/null || break
			[ "$sent" = yes ] && is_done && [ "$(delivered)" -gt 0 ] && break
			sleep 0.05
		done
		kill -9 $ppmta 2>/dev/null
		wait $ppmta 2>/dev/null
		start_ppmta
	fi
	await_done || {
		cat "$log"
		return 1
	}
	[ "$sent" = no ] || [ "$(delivered)" -ge 1 ] || {
		echo "call $1: lost"
		cat "$log"
		return 1
	}
	[ "$(different)" -le 1 ] || {
		echo "call $1: twice, and cannot be told"
		return 1
	}
	[ -z "$2" ] || "$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 || {
		echo "call $1: nothing goes on"
		cat "$say" "$log"
		return 1
	}
	stop_ppmta
}

# all CALLS ERRNO: a fault at each call
all() {
	for call in $(seq "$1"); do
		one_fault "$call" "$2" || return 1
	done
}

# How many calls does a message take?
count_calls() {
	send_with_fault 0 ""
	await_done
	sleep 0.3
	calls=$(cat "$tap_work/count")
	stop_ppmta
	[ "$sent" = yes ] && [ "$calls" -ge "$1" ] && [ "$(delivered)" -ge 1 ]
}

folder=spool/input
configure smtp:127.0.0.1:2600
check a_message_takes_its_way_through_the_spool count_calls 15
check killed_at_each_call_nothing_is_lost all "$calls" ""
check failing_with_eio_nothing_is_lost all "$calls" 5
check failing_with_enospc_nothing_is_lost all "$calls" 28

folder=own/
configure "maildir:$tap_work/own"
rm -rf "$tap_work/Maildir/new/"*
check a_message_takes_its_way_into_a_maildir count_calls 5
check killed_at_each_call_of_a_maildir_nothing_is_lost all "$calls" ""
check failing_calls_of_a_maildir_lose_nothing all "$calls" 28

# a next hop that is not there: the message waits, over a restart too
waiting() {
	configure smtp:127.0.0.1:2601
	start_ppmta || return 1
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 && wait_log '== you@example\.org: Connection refused' || return 1
	stop_ppmta
	configure smtp:127.0.0.1:2600
	start_ppmta && await_done && wait_log '=> you@example\.org: 250 ' && wait_log ' Completed$' || return 1
	stop_ppmta
}
check a_message_waits_for_its_next_hop waiting

# the disk is full: 4xx to the client, and it goes on when there is room
full_disk() {
	mkdir -p "$tap_work/small"
	mount -t tmpfs -o size=64k tmpfs "$tap_work/small" || return 1
	sed -i "s|^spool_directory.*|spool_directory = $tap_work/small/spool|" "$conf"
	start_ppmta || return 1
	awk 'BEGIN { for (i = 0; i < 4000; i++) print "a line of a message that is too large for the disk" }' >"$tap_work/large"
	"$tools/smtp-send" --from 127.0.0.3 --body "$tap_work/large" 127.0.0.1 2525 >"$say" 2>&1 && return 1
	says "$say" '^451 Message could not be stored, try again later' && wait_log 'No space left on device' || return 1
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 && wait_log ' Completed$' || return 1
	stop_ppmta
	umount "$tap_work/small"
}
check a_full_disk_is_a_451 full_disk
tap_end
