#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What got its 250 is there, whole, and once: ppmta is killed at each system call with which a message goes
# from DATA to the next hop, or into a Maildir; and each of these calls fails once, with EIO and with ENOSPC.
# Reads and writes of a few bytes, and a full disk. The next hop is another ppmta.
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
: >"$tap_work/sink.log"
chmod 666 "$tap_work/sink.log"
build/bin/ppmta -C "$tap_work/sink.conf" --log "$tap_work/sink.log" >"$tap_work/sink.out" 2>&1 &
wait_says "$tap_work/sink.log" started

mkdir -p "$tap_work/own/new" "$tap_work/temporary"
chmod -R 777 "$tap_work/own" "$tap_work/temporary"
awk 'BEGIN { for (i = 0; i < 1000; i++) print i, "a line of a message that several reads and writes take" }' >"$tap_work/body"

configure() { # delivery
	cat >"$conf" <<-CONF
		primary_hostname = mail.example.net
		local_interfaces = 127.0.0.1.2525
		delivery = $1
		temporary_directory = $tap_work/temporary
		user = nobody
		acl_smtp_rcpt = rcpt
		begin acl
		rcpt:
		 accept
	CONF
}

send() { # $sent: did it get 250?
	sent=no
	"$tools/smtp-send" --from 127.0.0.3 --body "$tap_work/body" 127.0.0.1 2525 >"$say" 2>&1 && sent=yes
}

# Starts ppmta with faults in its way.
start_with() { # VARIABLE=VALUE...
	: >"$tap_work/count"
	chmod 666 "$tap_work/count" # ppmta is nobody
	: >"$log"
	env "$@" FAULT_COUNT="$tap_work/count" LD_PRELOAD="$fault" build/bin/ppmta -C "$conf" --log "$log" >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	for _ in $(seq 3000); do
		grep -q 'daemon started' "$log" && break
		sleep 0.02
	done
}

delivered() {
	find "$tap_work/Maildir/new" "$tap_work/own/new" -type f
}

# each one that is there has all of its body
whole() {
	for file in $(delivered); do
		tail -n 1000 "$file" | cmp "$tap_work/body" || {
			echo "$file: not whole"
			return 1
		}
	done
}

one_fault() { # call, errno or "" to be killed
	rm -rf "$tap_work/Maildir/new/"* "$tap_work/own/new/"*
	start_with FAULT_IN="$folder" FAULT_AT="$1" ${2:+FAULT_ERROR=$2}
	send
	count=$(delivered | wc -l)
	[ "$count" -le 1 ] && { [ "$sent" = no ] || [ "$count" -eq 1 ]; } && whole || {
		echo "call $1: answered with 250: $sent, there: $count"
		cat "$say" "$log"
		return 1
	}
	if [ -z "$2" ]; then
		kill -9 $ppmta 2>/dev/null
		wait $ppmta 2>/dev/null
		[ -z "$(ls "$tap_work/temporary")" ]
		return
	fi
	# told to come again, unless the fault came after it was safe
	[ "$sent" = yes ] || says "$say" '^45[12] ' || return 1
	[ "$sent" = yes ] || [ "$count" -eq 0 ] || {
		echo "call $1: not answered with 250, and there"
		return 1
	}
	send
	[ "$sent" = yes ] || {
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
count_calls() { # at least
	start_with FAULT_IN="$folder" FAULT_AT=0
	send
	stop_ppmta
	calls=$(cat "$tap_work/count")
	[ "$sent" = yes ] && [ "$calls" -ge "$1" ] && [ "$(delivered | wc -l)" -ge 1 ] && whole
}

short() {
	start_with FAULT_IN="$folder" FAULT_AT=0 FAULT_SHORT=100
	rm -rf "$tap_work/Maildir/new/"* "$tap_work/own/new/"*
	send
	stop_ppmta
	[ "$sent" = yes ] && [ "$(delivered | wc -l)" -eq 1 ] && whole
}

folder=$tap_work/temporary
configure smtp:127.0.0.1:2600
check a_message_takes_its_way_to_the_next_hop count_calls 15
check killed_at_each_call_nothing_is_lost all "$calls" ""
check failing_with_eio_nothing_is_lost all "$calls" 5
check failing_with_enospc_nothing_is_lost all "$calls" 28
check short_reads_and_writes_leave_nothing_out short

folder=$tap_work/own
configure "maildir:$tap_work/own"
check a_message_takes_its_way_into_a_maildir count_calls 10
check killed_at_each_call_of_a_maildir_nothing_is_lost all "$calls" ""
check failing_calls_of_a_maildir_lose_nothing all "$calls" 28
check short_writes_of_a_maildir_leave_nothing_out short

# the disk is full: 452 to the client, and it goes on when there is room
full_disk() { # OPTION VALUE
	mkdir -p "$tap_work/small"
	mount -t tmpfs -o size=64k,mode=777 tmpfs "$tap_work/small" || return 1
	configure "maildir:$tap_work/own"
	sed -i "s|^$1 = .*|$1 = $2|" "$conf"
	start_ppmta || return 1
	awk 'BEGIN { for (i = 0; i < 4000; i++) print "a line of a message that is too large for the disk" }' >"$tap_work/large"
	"$tools/smtp-send" --from 127.0.0.3 --body "$tap_work/large" 127.0.0.1 2525 >"$say" 2>&1 && return 1
	says "$say" '^452 Insufficient system storage' && wait_log 'No space left on device' || return 1
	[ -z "$(find "$tap_work/small" -type f)" ] || return 1
	"$tools/smtp-send" --from 127.0.0.3 127.0.0.1 2525 >"$say" 2>&1 || return 1
	stop_ppmta
	umount "$tap_work/small"
}
check a_full_disk_for_a_maildir_is_a_452 full_disk delivery "maildir:$tap_work/small/Maildir"
check a_full_disk_for_what_comes_in_is_a_452 full_disk temporary_directory "$tap_work/small"
tap_end
