# SPDX-License-Identifier: BSD-2-Clause
# For tests of real servers behind HAProxy, in transparent mode. Sourced after tap.sh. Clients are
# 192.0.2.10, .11 and .66 and 2001:db8::10, HAProxy is 198.51.100.1 and 2001:db8:1::1, the server
# 198.51.100.25 and 2001:db8:1::25.
tools=$PWD/build/selftests/tools

for address in 192.0.2.10/32 192.0.2.11/32 192.0.2.66/32 198.51.100.1/32 198.51.100.25/32; do
	ip addr add $address dev lo
done
for address in 2001:db8::10/128 2001:db8:1::1/128 2001:db8:1::25/128; do
	ip -6 addr add $address dev lo
done
ip route add local 10.9.0.0/16 dev lo # smtp-crowd
chmod 755 "$tap_work"
. selftests/lib/tls.sh
. selftests/lib/pages.sh

# user NAME UID [GROUP GID]...: accounts as the packages would make them
user() {
	grep -q "^$1:" /etc/passwd || echo "$1:x:$2:$2::/:/usr/sbin/nologin" >>/etc/passwd
	group "$1" "$2"
}

group() {
	grep -q "^$1:" /etc/group || echo "$1:x:$2:" >>/etc/group
}

# dovecot_variant: of the blocks of docs/dovecot.md (see page_files); after Dovecot 2.3 settings have other names
dovecot_variant() {
	case $(dovecot --version) in
	2.3.*) ;;
	*) echo 2.4 ;;
	esac
}

# page_ppctl PAGE: `ppctl apply` of PAGE's /etc/ppsplit.conf, with this lab's cgroup for mail.slice
page_ppctl() {
	page_files "$1" "$tap_work/page"
	sed "s|mail\.slice|$LAB_CGROUP|" "$tap_work/page/etc/ppsplit.conf" >"$tap_work/ppsplit.conf"
	build/bin/ppctl check "$tap_work/ppsplit.conf" && build/bin/ppctl apply "$tap_work/ppsplit.conf"
}

# start_outside FILE COMMAND...: in the background, not in the mail server's cgroup. $outside is its process
# then, and what it says goes to FILE.
start_outside() {
	outside_output=$tap_work/$1
	shift
	sh -c 'echo $$ >"$LAB_OUTSIDE/cgroup.procs" && exec "$@"' sh "$@" >>"$outside_output" 2>&1 &
	outside=$!
}

# start_haproxy PORT V1 V2 [OPTION...]: in front of PORT; $haproxy is its process then
haproxy_file=selftests/servers/haproxy.cfg
start_haproxy() {
	haproxy_port=$1 haproxy_v1=$2 haproxy_v2=$3
	shift 3
	start_outside "haproxy.$haproxy_v1" env PORT="$haproxy_port" V1="$haproxy_v1" V2="$haproxy_v2" \
		haproxy -db -f "$haproxy_file" "$@"
	haproxy=$outside
	soon haproxy_listens || tail -n 5 "$outside_output"
}

# On each address and port of its file: one of them may come some time after another.
haproxy_listens() {
	binds=$(awk '$1 == "bind" { n++ } END { print n }' "$haproxy_file")
	listens=$(awk -v one="$(printf ':%04X' "$haproxy_v1")" -v two="$(printf ':%04X' "$haproxy_v2")" \
		'$4 == "0A" { port = substr($2, length($2) - 4); n += port == one || port == two } END { print n + 0 }' \
		/proc/net/tcp /proc/net/tcp6)
	[ "$listens" -ge "$binds" ]
}

# 20 MiB of text, the same in each run
make_body() {
	awk 'BEGIN { for (i = 0; i < 270000; i++) printf "%08x%s\n", i * 2654435761 % 4294967296,
		".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.....x" }' >"$tap_work/body"
}

# body_is_intact FILE: what follows the header lines of the message in FILE is the body
body_is_intact() {
	sed '1,/^$/d' "$1" >"$tap_work/received"
	cmp "$tap_work/received" "$tap_work/body" || {
		ls -l "$1" "$tap_work/received" "$tap_work/body"
		return 1
	}
}

# large_file DIR: there is a file of the body's size; $file is its name then
large_file() {
	file=$(find "$1" -size +15000k 2>/dev/null)
	[ -n "$file" ]
}

# mbox_is_intact FILE: the same for a mailbox with one message
mbox_is_intact() {
	sed -i '$ { /^$/d }' "$1" # the blank line behind an mbox message
	body_is_intact "$1"
}

# delivered COUNT PATTERN LOG: so many lines of LOG match, now or soon
delivered() {
	soon are_delivered "$@"
}

are_delivered() {
	count=$(grep -c -- "$2" "$3")
	test "$count" -ge "$1" || {
		echo "$count delivered, not $1"
		return 1
	}
}

send() { # from, arguments of smtp-send
	"$tools/smtp-send" --from "$@"
}

# counter NAME: of `ppctl status`
counter() {
	build/bin/ppctl status --json | sed -n "/\"counters\":/,/}/s/.*\"$1\":\\([0-9]*\\).*/\\1/p"
}

# Headers were taken out in front of the server, and nothing came to it by another way than pp_in.
says_split() {
	test "$(counter split)" -gt 0 && test "$(counter guarded)" -eq 0 || {
		build/bin/ppctl status
		return 1
	}
}

# hold_open COUNT FROM ADDRESS PORT: that many SMTP sessions, for longer than it takes to count them
hold_open() {
	for n in $(seq "$1"); do
		"$tools/talk" --from "$2" --hold 60 "$3" "$4" 'EHLO held.example' >"$tap_work/held.$n" &
	done
	for n in $(seq "$1"); do
		wait_says "$tap_work/held.$n" '^250 ' || return 1
	done
}

# sends_through_haproxy: a letter by each version of the header and of IP, with HAProxy on 10001 (v1)
# and 10002 (v2)
sends_through_haproxy() {
	check v1_over_ipv4 send 192.0.2.10 198.51.100.1 10001
	check v2_over_ipv4 send 192.0.2.11 198.51.100.1 10002
	check v1_over_ipv6 send 2001:db8::10 2001:db8:1::1 10001
	check v2_over_ipv6 send 2001:db8::10 2001:db8:1::1 10002
}

# log_names BEFORE AFTER: the log names the clients of these, between two patterns
log_names() {
	check the_log_names_the_client_v1 wait_says "$log" "${1}192\.0\.2\.10$2"
	check the_log_names_the_client_v2 wait_says "$log" "${1}192\.0\.2\.11$2"
	check the_log_names_the_client_ip6 wait_says "$log" "${1}2001:db8::10$2"
}

# limits_clients PATTERN: a fourth session of a client's is refused with PATTERN, another client is served
limits_clients() {
	hold_open 3 192.0.2.10 198.51.100.1 10001 || return 1
	"$tools/talk" --from 192.0.2.10 198.51.100.1 10002 >"$say"
	says "$say" "$1" || return 1
	"$tools/talk" --from 192.0.2.11 198.51.100.1 10002 >"$say"
	says "$say" '^220 '
}

# large_message PATTERN MAILBOX: 20 MiB, delivered when one more line of the log matches, intact in an mbox
large_message() {
	make_body
	: >"$2"
	before=$(grep -c -- "$1" "$log")
	check a_message_of_20_mib send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
	check it_is_delivered delivered $((before + 1)) "$1" "$log"
	check it_is_intact mbox_is_intact "$2"
}
