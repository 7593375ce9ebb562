#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What Exim's documentation says of its PROXY protocol support, sentence by sentence, with its own
# configuration lines and its transcript as they are printed: ppmta does it, with the programs
# (proxy_lookup = kernel) and without them (userspace). 127.0.0.2 is the proxy, 127.0.0.3 a client.
# check: all sanitized
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
header='PROXY TCP4 192.0.2.7 198.51.100.1 4711 25'

start_with() { # more options on standard input
	{
		echo "proxy_lookup = $way"
		echo "proxy_protocol_timeout = 1s"
		cat
	} | configure
	start_ppmta
}

mail_from() { # arguments of smtp-send
	"$tools/smtp-send" "$@" 127.0.0.1 2525 >"$say" 2>&1
}

# "It resets the $sender_address_host and $sender_address_port to the IP:port of the connection to the
# proxy." "so that the original sender's hostname and IP get logged"
resets_address_and_port() {
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		log_selector =
		acl_smtp_rcpt = rcpt
		begin acl
		rcpt:
		 accept logwrite = from $sender_host_address:$sender_host_port to $received_ip_address:$received_port
	CONF
	mail_from --from 127.0.0.2 --header "$header" && wait_log 'from 192\.0\.2\.7:4711 to 127\.0\.0\.1:2525'
}

# "A default incoming logline will look like this: ... <= me@example.net H=mail.example.net [1.2.3.4]
# P=esmtp S=433"
default_log_line() {
	wait_log '^[-0-9]{10} [0-9:]{8} [0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2} <= me@example\.net H=\(client\.example\) \[192\.0\.2\.7\] P=esmtp S=[0-9]+$'
}

# "There is no logging if a host passes or fails Proxy Protocol negotiation"
no_logging() {
	talk --from 127.0.0.2 127.0.0.1 2525 QUIT
	says "$say" '^221 ' && says_not "$log" 'egotiation|127\.0\.0\.2'
}

# "With the log selector enabled, an email that was proxied through a Proxy Protocol server at
# 192.168.1.2 will look like this: ... P=esmtp PRX=192.168.1.2 S=433"
log_selector() {
	stop_ppmta
	start_with <<-'CONF'
		hosts_proxy = <; 127.0.0.2 ; 2001:db8::1
		log_selector = +proxy
	CONF
	mail_from --from 127.0.0.2 --header "$header"
	wait_log 'H=\(client\.example\) \[192\.0\.2\.7\] P=esmtp PRX=127\.0\.0\.2 S=[0-9]+$'
}

# "The proxy_required_hosts option will require any IP in that hostlist to use Proxy Protocol."
others_need_no_header() {
	mail_from --from 127.0.0.3 && wait_log '\[127\.0\.0\.3\] P=esmtp S='
}

# "The option is expanded when used, so it can be a hostlist as well as string of IP addresses. Since it is
# expanded, specifying an alternate separator is supported for ease of use with IPv6 addresses."
is_expanded() {
	stop_ppmta
	start_with <<-'CONF'
		hostlist proxies = <; 2001:db8::/32 ; 127.0.0.2
		proxy_required_hosts = ${if eq{a}{a}{+proxies}{}}
		log_selector = +proxy
	CONF
	mail_from --from 127.0.0.2 --header "$header" && wait_log 'PRX=127\.0\.0\.2'
}

# "In the ACL's the following expansion variables are available." and today's names
variables() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		acl_smtp_mail = mail
		begin acl
		mail:
		 accept logwrite = session=$proxy_session host=$proxy_host_address:$proxy_host_port local=$proxy_local_address:$proxy_local_port external=$proxy_external_address:$proxy_external_port
	CONF
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' QUIT
	wait_log 'session=yes host=127\.0\.0\.2:[0-9]+ local=127\.0\.0\.2:[0-9]+ external=198\.51\.100\.1:25$' || return 1
	talk --from 127.0.0.3 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' QUIT
	wait_log 'session=no host=: local=: external=:$'
}

# "There is no expansion for a failed proxy session, however you can detect it by checking if
# $proxy_session is true but $proxy_host is empty. As an example, in my connect ACL, I have:"
the_example() {
	stop_ppmta
	{
		echo "proxy_required_hosts = 127.0.0.2"
		echo "acl_smtp_connect = check_connect"
		echo "begin acl"
		echo "check_connect:"
		cat selftests/ppmta/acl-of-the-section
		echo " accept"
	} >"$tap_work/example"
	start_with <"$tap_work/example"
}
failure_is_detected() {
	talk --from 127.0.0.2 127.0.0.1 2525 QUIT
	wait_log 'H=\[127\.0\.0\.2\] Warning: Failed required proxy protocol negotiation from  \[127\.0\.0\.2\]$'
}
success_is_detected() {
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 QUIT
	wait_log 'Warning: Successfully proxied from  \[192\.0\.2\.7\] through proxy protocol host 127\.0\.0\.2$'
}
# "But don't log health probes from the proxy itself"
probes_are_silent() {
	before=$(wc -l <"$log")
	talk --from 127.0.0.2 --header 'PROXY UNKNOWN' 127.0.0.1 2525 QUIT || return 1
	talk --from 127.0.0.2 --hex 0d0a0d0a000d0a515549540a20000000 127.0.0.1 2525 QUIT || return 1
	talk --from 127.0.0.2 --header 'PROXY TCP4 127.0.0.2 127.0.0.1 4711 25' 127.0.0.1 2525 || return 1
	sleep 0.2
	[ "$(wc -l <"$log")" -eq "$before" ] || {
		cat "$log"
		return 1
	}
}

# "The proxy has 3 seconds to send the required Proxy Protocol header after it connects. If it does not, the
# response to any commands will be:" and "the banner does not get sent until the timeout occurs"
three_seconds() {
	stop_ppmta
	echo 'proxy_required_hosts = 127.0.0.2' | configure
	start_ppmta && start=$(now_ms)
	talk --from 127.0.0.2 127.0.0.1 2525 'EHLO x.example' QUIT
	took=$(($(now_ms) - start))
	says "$say" '^503 Command refused, required Proxy negotiation failed' && [ $took -ge 2900 ] || return 1
	stop_ppmta
	start_with <"$tap_work/example"
}
one_wait() {
	# how long as much talk takes here and now without the wait
	start=$(now_ms)
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' NOOP QUIT
	quick=$(($(now_ms) - start))
	start=$(now_ms)
	talk --from 127.0.0.2 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' NOOP QUIT
	took=$(($(now_ms) - start))
	says "$say" '^220 ' && [ "$(grep -c '^503 Command refused, required Proxy negotiation failed' "$say")" -eq 3 ] &&
		says "$say" '^221 ' && [ $took -ge 700 ]
}
refused() { # always, and not before; other work may come in between: in one of several tries it takes no longer
	for _ in 1 2 3 4; do
		one_wait || return 1
		[ $took -ge $((1800 + 5 * quick)) ] || return 0
	done
	return 1
}

# "If the sending host sent any input (before the banner), this causes a standard Exim synchronization error"
sync_error() {
	talk --from 127.0.0.2 --header 'EHLO x.example' 127.0.0.1 2525
	says "$say" '^554 SMTP synchronization error' &&
		wait_log 'SMTP protocol synchronization error \(input sent without waiting for greeting\): rejected connection from H=\[127\.0\.0\.2\] input="EHLO x\.example'
}
sync_error_behind_the_header() {
	talk --from 127.0.0.2 --header "$(printf '%s\r\nEHLO x.example' "$header")" 127.0.0.1 2525
	says "$say" '^554 SMTP synchronization error' && wait_log 'rejected connection from H=\[192\.0\.2\.7\] input="EHLO x\.example'
}

# hold NAME: a session that is open until it is killed; $held has its process
hold() {
	"$tools/talk" --from 127.0.0.2 --hold 600 --header "$header" 127.0.0.1 2525 'EHLO x.example' >"$tap_work/held.$1" &
	held="$held $!"
	wait_says "$tap_work/held.$1" '^250 '
}

# "smtp_accept_max_per_host must be set high enough to handle all of the parallel volume you expect per
# inbound proxy": not here, since origins are counted
per_host() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		smtp_accept_max_per_host = 2
	CONF
	held=
	for n in 1 2; do
		hold "$n"
	done
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525
	says "$say" '^421 Too many concurrent SMTP connections from this IP address' &&
		wait_log 'Connection from \[192\.0\.2\.7\] refused: too many connections from that IP address' || return 1
	talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.8 198.51.100.1 4711 25' 127.0.0.1 2525 QUIT
	kill $held
	says "$say" '^220 '
}

# An origin of IPv6 is its /64: whoever has one address of it has all of them.
of_one_64() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		smtp_accept_max_per_host = 1
		acl_smtp_helo = helo
		begin acl
		helo:
		 deny ratelimit = 2.5 / 1h / per_conn / strict
		      message = $sender_rate in $sender_rate_period
		 accept
	CONF
	for host in 1 2 3; do
		talk --from 127.0.0.2 --header "PROXY TCP6 2001:db8:1:2::$host 2001:db8::25 4711 25" 127.0.0.1 2525 'EHLO x.example' QUIT
	done
	says "$say" '^550 3\.0 in 1h' || return 1
	"$tools/talk" --from 127.0.0.2 --hold 600 --header 'PROXY TCP6 2001:db8:1:3::1 2001:db8::25 4711 25' \
		127.0.0.1 2525 'EHLO x.example' >"$tap_work/held" &
	held=$!
	wait_says "$tap_work/held" '^250 ' || return 1
	talk --from 127.0.0.2 --header 'PROXY TCP6 2001:db8:1:3::2 2001:db8::25 4711 25' 127.0.0.1 2525
	kill $held
	says "$say" '^421 Too many concurrent SMTP connections from this IP address' || return 1
	talk --from 127.0.0.2 --header 'PROXY TCP6 2001:db8:1:4::1 2001:db8::25 4711 25' 127.0.0.1 2525 'EHLO x.example' QUIT
	says "$say" '^250 HELP'
}

# "you may simply set the hostlist to "*", however, this will prevent local mail programs from working"
everybody() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = *
	CONF
	talk --from 127.0.0.3 127.0.0.1 2525 'EHLO x.example' QUIT
	says "$say" '^503 Command refused, required Proxy negotiation failed'
}

# "Example of a refused connection": its transcript, with what was typed there
transcript() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		smtp_banner = $primary_hostname, ESMTP Exim 4.82+proxy, Mon, 04 Nov 2013 10:45:59\n-0800 RFC's enforced
	CONF
	set --
	while IFS= read -r line; do
		case $line in
		'#'* | [0-9][0-9][0-9]*) ;;
		*) set -- "$@" "$line" ;;
		esac
	done <selftests/ppmta/transcript-of-the-section
	talk --from 127.0.0.2 127.0.0.1 2525 "$@"
	tr -d '\r' <"$say" >"$tap_work/heard"
	grep '^[0-9]' selftests/ppmta/transcript-of-the-section | diff - "$tap_work/heard"
}

# what no other MTA offers: TLVs as variables. ALPN h2, authority mail.example, unique id u1, SSL (TLSv1.3,
# CN client, cipher C), Amazon's endpoint vpce-1
tlvs=0100026832\
02000c6d61696c2e6578616d706c65\
0500027531\
20001d0700000000\
210007544c5376312e33220006636c69656e74\
23000243\
43\
ea00070176706365\
2d31\
e5000361ff62
tlv_variables() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		acl_smtp_mail = mail
		begin acl
		mail:
		 accept logwrite = alpn=$pp_tlv_alpn authority=$pp_tlv_authority id=$pp_tlv_unique_id ssl=$pp_tlv_ssl_version cn=$pp_tlv_ssl_cn cipher=$pp_tlv_ssl_cipher vpce=$pp_tlv_aws_vpce_id
	CONF
	len=$((12 + ${#tlvs} / 2))
	talk --from 127.0.0.2 --hex "0d0a0d0a000d0a515549540a2111$(printf %04x $len)c0000207c633640112670019$tlvs" \
		127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' QUIT
	wait_log 'alpn=h2 authority=mail\.example id=u1 ssl=TLSv1\.3 cn=client cipher=CC vpce=vpce-1$'
}

# tlvs_are PATTERN TLVS: what the log says of a header with these TLVs, in hexadecimal digits
tlvs_are() {
	len=$((12 + ${#2} / 2))
	talk --from 127.0.0.2 --hex "0d0a0d0a000d0a515549540a2111$(printf %04x $len)c0000207c633640112670019$2" \
		127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' QUIT
	wait_log "$1"
}
# relay.example.net as the name in a certificate that was verified, that was not, and that was not shown
certificates() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		acl_smtp_mail = mail
		begin acl
		mail:
		 deny condition = ${if eq{$pp_tlv_authority}{reply}}
		      message = <$pp_tlv_alpn>
		 accept logwrite = $pp_tlv_authority: cn=<$pp_tlv_ssl_cn> verify=<$pp_tlv_ssl_verify> alpn=<$pp_tlv_alpn>
	CONF
	name=22001172656c61792e6578616d706c652e6e6574
	tlvs_are 'one: cn=<relay\.example\.net> verify=<yes>' "0200036f6e65200019""0300000000$name" &&
		tlvs_are 'two: cn=<relay\.example\.net> verify=<yes>' "02000374776f200019""0500000000$name" &&
		tlvs_are 'three: cn=<> verify=<no>' "0200057468726565200019""0300000001$name" &&
		tlvs_are 'four: cn=<> verify=<no>' "020004666f7572200019""0100000000$name" &&
		tlvs_are 'five: cn=<> verify=<>' "02000466697665"
}
# A text with a NUL or another control character, or that is not UTF-8, is empty, and the log says so.
text_of_tlvs() {
	tlvs_are 'six: cn=<> verify=<yes> alpn=<>' "020003736978200027""030000000022001f""72656c61792e6578616d706c652e6e657400""2e6576696c2e6578616d706c65" &&
		wait_log 'TLV 0x22 of H=.*192\.0\.2\.7.* is no text' &&
		tlvs_are 'seven: .* alpn=<>' "020005736576656e0100041b5b324a" &&
		tlvs_are 'eight: .* alpn=<>' "02000565696768740100036100""62" &&
		tlvs_are 'nine: .* alpn=<[$][{]if>' "0200046e696e65010004247b6966" &&
		tlvs_are 'ten: .* alpn=<>$' "02000374656e010002ff9b" && tlvs_are 'ten: .* alpn=<>$' "02000374656e010002c29b" &&
		tlvs_are ' : cn=<> verify=<> alpn=<q1>' "0200056120623d63""0100027131" &&
		tlvs_are ' : cn=<> verify=<> alpn=<q2>' "0200095b312e322e332e345d""0100027132" || return 1
	says_not "$log" "$(printf '\033')"
}
# After 6,000 bytes of another TLV, which is more than the programs look at in a packet.
large_tlvs() {
	tlvs_are 'late: cn=<> verify=<> alpn=<h2>' "e51770$(printf '%012000d' 0)0200046c6174650100026832"
}

# TLVs that the kernel does not give are not taken for none: what asks for them fails, and a list that denies does not let by.
lost_tlvs() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		acl_smtp_mail = mail
		begin acl
		mail:
		 deny condition = ${if eq{$pp_tlv_alpn}{h2}}
		 accept
	CONF
	talk --from 127.0.0.2 --hex "0d0a0d0a000d0a515549540a21110011c0000207c6336401126700190100026832" \
		127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' QUIT
	says "$say" '^451 ' && wait_log '\$pp_tlv_alpn: the TLVs of this header could not be read'
}

acl_verbs() {
	stop_ppmta
	start_with <<-'CONF'
		proxy_required_hosts = 127.0.0.2
		acl_smtp_helo = helo
		acl_smtp_rcpt = rcpt
		acl_smtp_data = data
		begin acl
		helo:
		 deny hosts = 192.0.2.66
		      message = 521 not you, $sender_helo_name
		 drop condition = ${if eq{$sender_helo_name}{drop.example}}
		 accept
		rcpt:
		 require message = no relay to $domain
		         domains = example.org : example.com
		 defer  local_parts = later
		        message = try $local_part
		        log_message = was told later
		 warn   senders = *@b.example
		        set acl_m_seen = seen
		        log_message = b is sending, $acl_m_seen
		 deny   ratelimit = 2 / 1h / strict / per_rcpt
		        message = slow down: $sender_rate / $sender_rate_period
		 accept
		data:
		 deny   condition = ${if eq{$recipients_count}{0}}
		 accept
	CONF
}
verbs() {
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' \
		'RCPT TO:<a@elsewhere.example>' 'RCPT TO:<later@example.org>' \
		'RCPT TO:<one@example.org>' 'RCPT TO:<two@example.org>' 'RCPT TO:<three@example.org>' QUIT
	says "$say" '^550 no relay to elsewhere\.example' && says "$say" '^451 try later' &&
		[ "$(grep -c '^250 Accepted' "$say")" -eq 2 ] && says "$say" '^550 slow down: 3\.0 / 1h' &&
		wait_log 'F=<a@b.example> temporarily rejected RCPT <later@example\.org>: was told later' &&
		wait_log 'Warning: b is sending, seen'
}
refusals() {
	talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.66 198.51.100.1 1 25' 127.0.0.1 2525 'EHLO x.example' QUIT
	says "$say" '^521 not you, x\.example' && wait_log 'H=\(x\.example\) \[192\.0\.2\.66\] rejected EHLO or HELO x\.example: 521 not you' || return 1
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO drop.example' NOOP
	says "$say" '^550 Administrative prohibition' && says_not "$say" '^250 OK'
}

reload() {
	sed -i 's/no relay to/not to/' "$conf"
	chmod 644 "$conf"
	kill -HUP $ppmta
	wait_log 'SIGHUP received: configuration read again' || return 1
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@c.example>' 'RCPT TO:<a@elsewhere.example>' QUIT
	says "$say" '^550 not to elsewhere\.example' || return 1
	echo 'nonsense' >>"$conf"
	kill -HUP $ppmta
	wait_log 'configuration not changed: .*ppmta.conf:[0-9]+: ' || return 1
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO x.example' QUIT
	says "$say" '^250 HELP'
}
graceful() {
	held=
	hold one
	kill $ppmta
	wait_log 'ppmta stopping: 1 sessions' || return 1
	kill $held
	wait $ppmta && wait_log 'ppmta stopped$'
}

section() {
	check "the_origins_address_and_port_$way" resets_address_and_port
	check "the_default_log_line_$way" default_log_line
	check "no_logging_of_negotiations_$way" no_logging
	check "the_proxy_with_the_log_selector_$way" log_selector
	check "others_need_no_header_$way" others_need_no_header
	check "the_list_is_expanded_$way" is_expanded
	check "the_variables_$way" variables
	check "the_example_is_read_$way" the_example
	check "the_example_detects_failure_$way" failure_is_detected
	check "the_example_detects_success_$way" success_is_detected
	check "probes_are_silent_$way" probes_are_silent
	# with the programs it is their gate that has a time
	[ $way = kernel ] || check three_seconds_are_the_default three_seconds
	check "all_but_quit_is_refused_$way" refused
	check "input_before_the_banner_$way" sync_error
	check "input_behind_the_header_$way" sync_error_behind_the_header
	check "limits_count_origins_$way" per_host
	check "an_origin_of_ip6_is_its_64_$way" of_one_64
	check "everybody_needs_a_header_$way" everybody
	check "the_transcript_$way" transcript
	check "tlvs_are_variables_$way" tlv_variables
	check "a_name_is_of_a_verified_certificate_$way" certificates
	check "control_characters_are_no_text_$way" text_of_tlvs
	check "tlvs_of_a_large_header_$way" large_tlvs
	check "acls_are_read_$way" acl_verbs
	check "verbs_and_conditions_$way" verbs
	check "refusals_of_a_session_$way" refusals
	check "reload_$way" reload
	check "graceful_stop_$way" graceful
}

way=userspace
section
build/bin/ppctl up --cgroup "$LAB_CGROUP" --port 2525 --gate 900 --proxy 127.0.0.2 >"$tap_work/ppctl"
way=kernel
section
# The programs keep them; this ppmta cannot have them. A sanitizer wants to be the first library.
case $program in
*-?san) ;;
*)
	export LD_PRELOAD="$PWD/build/selftests/tools/fault.so" FAULT_OPTION=3
	check tlvs_that_are_lost_are_not_taken_for_none lost_tlvs
	;;
esac
tap_end
