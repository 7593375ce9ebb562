# SPDX-License-Identifier: BSD-2-Clause
# For tests of real servers behind HAProxy: what happens on both sides while connections live. Sourced
# after servers.sh by scripts that have
#
#   port, tls_port           of the server; HAProxy in front of port is on 10001 and 10002, and $haproxy; in
#                            front of tls_port on 10003 and 10004
#   speak FROM ADDRESS PORT  a whole session; ends with 0 when it was served. speak_early: one that says
#                            something before the server does
#   speak_tls FROM ADDRESS PORT, and speak_starttls: the same under TLS
#   named ADDRESS            the server's log names that client
#   begin OPTION... ADDRESS PORT, begin_said: talk, with a session that has one more command after the
#                            server has said $begin_said
#   restart                  ends the server, and starts it anew
#   after_restart            goes_on or ends: what becomes of a session then

# These are for SMTP; scripts for other protocols have their own.
speak() {
	send "$@" >"$say"
}
speak_starttls() {
	speak_tls "$@" -starttls smtp
}
begin() {
	"$tools/talk" "$@" 'EHLO live.example' QUIT
}
begin_said='^250 '
speak_early() { # an EHLO that is there before the greeting is answered after it
	"$tools/talk" --from "$1" --hex "$(hex 'EHLO early.example')" "$2" "$3" QUIT >"$say"
	says "$say" '^220 ' && says "$say" '^250' && ! grep '^5' "$say"
}

# Each session has an address of its own: so the log says whose it was.
clients=0
next_client() {
	clients=$((clients + 1))
	client=10.9.3.$clients
}

# served ADDRESS PORT [SPEAK]: a session of a client that was not here before, by its own address
served() {
	next_client
	"${3:-speak}" $client "$1" "$2" && named "$client"
}

begin_live() {
	next_client
	rm -f "$tap_work/go"
	begin --from $client --until "$tap_work/go" 198.51.100.1 10001 >"$tap_work/live" 2>&1 &
	live=$!
	wait_says "$tap_work/live" "$begin_said" && named $client
}

# Ends with 0 when the session was served to its end.
end_live() {
	: >"$tap_work/go"
	wait $live
}

# the old HAProxy keeps the live session, a new one gets what comes
reload_haproxy() {
	begin_live || return 1
	start_haproxy $port 10001 10002 -sf $haproxy
	wait_says "$tap_work/haproxy.10001" 'Proxy v1 stopped' || return 1
	served 198.51.100.1 10001 && served 198.51.100.1 10002 && end_live
}

# the proxy's kernel ends all of its connections at once
kill_haproxy() {
	begin_live || return 1
	kill -9 $haproxy
	wait $haproxy
	if end_live; then
		echo "the session went on without its proxy"
		return 1
	fi
	start_haproxy $port 10001 10002
	served 198.51.100.1 10001 && served 198.51.100.1 10002
}

restart_server() {
	begin_live || return 1
	restart || return 1
	end_live
	case $?:$after_restart in
	0:goes_on | [!0]*:ends) ;;
	*)
		echo "the session should be one that $after_restart:"
		cat "$tap_work/live"
		return 1
		;;
	esac
	served 198.51.100.1 10001 && served 198.51.100.1 10002
}

checks_made() { # at least so many
	[ $(($(counter connections) - before)) -ge "$1" ]
}

# HAProxy's own check: connect, header (UNKNOWN, LOCAL), RST; four servers, ten times a second each
health_checks() {
	main=$haproxy before=$(counter connections)
	sed 's/ send-proxy[^ ]*/& check inter 100/; s/^defaults/&\n\ttimeout check 60s/' selftests/servers/haproxy.cfg >"$tap_work/checks.cfg"
	haproxy_file=$tap_work/checks.cfg
	start_haproxy $port 10005 10006
	haproxy_file=selftests/servers/haproxy.cfg
	checks=$haproxy haproxy=$main result=0
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		served 198.51.100.1 10005 && served 198.51.100.1 10006 || result=1
	done
	soon checks_made 60
	kill $checks
	wait $checks
	checks_made 60 && ! grep 'is DOWN' "$tap_work/haproxy.10005" || result=1
	return $result
}

# through_relay PORT SPEAK OPTION...: a session through a proxy that sends its header in another way
through_relay() {
	relay_port=$1 relay_speak=$2
	shift 2
	start_outside relay "$tools/relay" --from 198.51.100.1 "$@" 198.51.100.1 10007 198.51.100.25 "$relay_port"
	relay=$outside
	wait_port 10007 || return 1
	served 198.51.100.1 10007 "$relay_speak"
	result=$?
	kill $relay
	wait $relay
	[ $result -eq 0 ] || cat "$tap_work/relay"
	return $result
}

# the header byte by byte: each is acknowledged at once, in the server's place
pieces() { # PORT SPEAK OPTION...
	before=$(counter pieces)
	through_relay "$@" --pieces || return 1
	[ $(($(counter pieces) - before)) -ge 27 ] || { # a v2 header is 28 bytes, less the last
		build/bin/ppctl status
		return 1
	}
}

# hex TEXT...: as talk --hex takes it, with CR LF after each
hex() {
	printf '%s\r\n' "$@" | od -An -v -tx1 | tr -d ' \n'
}

# early_commands: a client that speaks before the server does
early_commands() {
	check header_and_first_command_in_one_segment_v1 through_relay "$port" speak_early --joined
	check header_and_first_command_in_one_segment_v2 through_relay "$port" speak_early --joined --v2
}

no_header_in_the_log() {
	! grep -a 'PROXY' $log
}

events() {
	check haproxy_reloaded_while_a_session_lives reload_haproxy
	check haproxy_killed_while_a_session_lives kill_haproxy
	check server_restarted_while_a_session_lives restart_server
	check health_checks_during_logins health_checks
	check starttls_v1 served 198.51.100.1 10001 speak_starttls
	check starttls_v2 served 198.51.100.1 10002 speak_starttls
	check implicit_tls_v1 served 198.51.100.1 10003 speak_tls
	check implicit_tls_v2 served 198.51.100.1 10004 speak_tls
	check header_in_pieces_v1 pieces $port speak
	check header_in_pieces_v2 pieces $port speak --v2
	check header_in_pieces_tls pieces $tls_port speak_tls
	check header_and_client_hello_in_one_segment_v1 through_relay $tls_port speak_tls --joined
	check header_and_client_hello_in_one_segment_v2 through_relay $tls_port speak_tls --joined --v2
	check starttls_after_a_header_in_pieces pieces $port speak_starttls --v2
	check no_header_in_the_log no_header_in_the_log
}
