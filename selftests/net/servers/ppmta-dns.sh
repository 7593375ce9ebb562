#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta and a real DNS server (Debian's dnsmasq): the origin's name, SPF by the origin and not by the
# proxy, lists with names; and that an answer which does not come keeps nobody else waiting.
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh
. selftests/lib/dnsmasq.sh

start_dnsmasq <<'CONF'
local=/example/
local=/example.net/
host-record=mail.client.example,192.0.2.7
host-record=six.example,2001:db8::7
ptr-record=8.2.0.192.in-addr.arpa,liar.example
host-record=liar.example,192.0.2.99
host-record=none.example,192.0.2.1
txt-record=pass.example,"v=spf1 ip4:192.0.2.7 ip6:2001:db8::/32 -all"
txt-record=proxy.example,"v=spf1 ip4:127.0.0.2 -all"
txt-record=softfail.example,"v=spf1 ~all"
txt-record=neutral.example,"v=spf1 ?all"
txt-record=permerror.example,"v=spf1 nonsense:x -all"
txt-record=mx.example,"v=spf1 mx -all"
txt-record=xn--bcher-kva.example,"v=spf1 ip4:192.0.2.8 -all"
mx-host=mx.example,mail.client.example,10
txt-record=included.example,"v=spf1 include:pass.example -all"
txt-record=long.example,"v=spf1 ip4:198.51.100.1 ip4:198.51.100.2 ip4:198.51.100.3 ip4:198.51.100.4 ip4:198.51.100.5 ip4:198.51.100.6 ip4:198.51.100.7 ip4:198.51.100.8 ip4:198.51.100.9 ip4:198.51.100.10 ip4:198.51.100.11 ip4:198.51.10","0.12 ip4:192.0.2.7 -all"
address=/7.2.0.192.bl.example/127.0.0.2
txt-record=7.2.0.192.bl.example,"192.0.2.7 is listed"
address=/2.0.0.127.bl.example/127.0.0.2
address=/3.2.0.192.bl.example/127.0.0.2
txt-record=3.2.0.192.bl.example,"a\nBcc: x@example.org\033[2J"
server=/broken.example/127.0.0.9
CONF

configure <<CONF
dns_servers = 127.0.0.1
dns_timeout = 5s
proxy_required_hosts = 127.0.0.2
log_selector = +proxy
acl_smtp_connect = connect
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
connect:
 deny condition = \${if match{\$sender_host_name}{liar}}
 accept
mail:
 warn spf = fail
      logwrite = result is fail: \$spf_result
 warn spf = ! pass
      logwrite = not pass: \$spf_result
 warn spf = pass : softfail : none : neutral : permerror : temperror : fail
      logwrite = spf=\$spf_result from=\$sender_address_domain address=\$sender_host_address comment=<\$spf_header_comment> received=<\$spf_received>
 deny spf = permerror
      message = the record of \$sender_address_domain cannot be read
 defer spf = temperror
      message = no answer about \$sender_address_domain
 deny spf = fail
      message = \$spf_smtp_comment
 accept
rcpt:
 accept condition = \${if match{\$sender_host_name}{^(.*[.]client|six)[.]example\\\$}}
 deny message = relay not permitted
CONF
check ppmta_starts start_ppmta

from() { # origin, sender, more commands
	origin=$1 sender=$2
	shift 2
	case $origin in
	*:*) header="PROXY TCP6 $origin 2001:db8::1 4711 25" ;;
	*) header="PROXY TCP4 $origin 198.51.100.1 4711 25" ;;
	esac
	talk --from 127.0.0.2 --header "$header" 127.0.0.1 2525 'EHLO client.example' "MAIL FROM:<$sender>" "$@" QUIT
}

# "It also re-queries the DNS information for this new IP address so that the original sender's hostname and
# IP get logged in the Exim logfile."
name_is_logged() {
	"$tools/smtp-send" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 >"$say" 2>&1
	wait_log '<= me@example\.net H=mail\.client\.example \(client\.example\) \[192\.0\.2\.7\] P=esmtp PRX=127\.0\.0\.2 S='
}
check the_origins_name_is_logged name_is_logged
ip6_name() {
	from 2001:db8::7 a@none.example 'RCPT TO:<you@example.org>' && says "$say" '^250 Accepted'
}
check an_ip6_origin_has_a_name ip6_name
not_confirmed() {
	from 192.0.2.8 a@none.example 'RCPT TO:<you@example.org>'
	says "$say" '^550 relay not permitted' && wait_log 'H=\(client\.example\) \[192\.0\.2\.8\] F=<a@none\.example> rejected RCPT'
}
check a_name_that_does_not_lead_back_is_no_name not_confirmed
result() { # origin, domain, result, reply
	from "$1" "a@$2"
	says "$say" "$4" && wait_log "spf=$3 from=$2 address=$1 "
}
check spf_pass result 192.0.2.7 pass.example pass '^250 OK'
check spf_pass_ip6 result 2001:db8::7 pass.example pass '^250 OK'
check spf_fail result 192.0.2.8 pass.example fail '^550 '
check spf_is_about_the_origin_not_the_proxy result 192.0.2.7 proxy.example fail '^550 '
check spf_softfail result 192.0.2.7 softfail.example softfail '^250 OK'
check spf_neutral result 192.0.2.7 neutral.example neutral '^250 OK'
check spf_none result 192.0.2.7 none.example none '^250 OK'
check spf_permerror_may_be_denied result 192.0.2.7 permerror.example permerror '^550 the record of permerror\.example'
check spf_temperror_may_be_deferred result 192.0.2.7 broken.example temperror '^451 no answer about broken\.example'
check spf_by_mx result 192.0.2.7 mx.example pass '^250 OK'
check spf_by_mx_fails result 192.0.2.8 mx.example fail '^550 '
check spf_by_include result 192.0.2.7 included.example pass '^250 OK'
check spf_in_several_strings result 192.0.2.7 long.example pass '^250 OK'
check a_result_can_be_negated wait_log 'not pass: softfail'
negated() {
	! grep -q 'not pass: pass' "$log" && grep -q 'result is fail: fail' "$log" && ! grep -q 'result is fail: [^f]' "$log"
}
check a_result_matches_itself_only negated
in_utf8() { # RFC 8616
	talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 'EHLO x.example' \
		"MAIL FROM:<a@$(printf 'B\303\234CHER').example> SMTPUTF8" QUIT
	says "$say" '^550 ' && wait_log 'spf=fail from=B.*CHER\.example address=192\.0\.2\.7'
}
check the_record_of_a_domain_that_is_not_ascii in_utf8
check received_spf wait_log 'received=<Received-SPF: pass .*192\.0\.2\.7'
bounce() {
	talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 'EHLO pass.example' 'MAIL FROM:<>' QUIT
	says "$say" '^250 OK' && wait_log 'spf=pass from= address=192\.0\.2\.7'
}
check a_bounce_is_checked_by_its_helo_name bounce

# Those who wait for an answer wait longer than a test takes.
with_patience() {
	stop_ppmta
	sed -i 's/^dns_timeout.*/dns_timeout = 300s/' "$conf"
	start_ppmta
}
# asked COUNT: so many wait for an answer of the name server's
asked() {
	[ "$(awk '$3 ~ /:0035$/' /proc/net/udp | wc -l)" -ge "$1" ]
}
# those_wait COUNT COMMAND...: and there is somebody else, whom the command serves before they have their answer
those_wait() {
	soon asked "$1"
	result=$?
	shift
	"$@" && kill -0 $waiting || result=1
	kill $waiting
	wait $waiting 2>/dev/null
	return $result
}
# ten that wait for an answer, and one that does not
patience() {
	with_patience || return 1
	waiting=
	for n in 1 2 3 4 5 6 7 8 9 10; do
		"$tools/talk" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25' 127.0.0.1 2525 \
			'EHLO x.example' "MAIL FROM:<a@broken.example>" QUIT >"$tap_work/waiting.$n" 2>&1 &
		waiting="$waiting $!"
	done
	those_wait 10 passes
}
passes() {
	from 192.0.2.7 a@pass.example
	says "$say" '^250 OK'
}
check dns_keeps_nobody_else_waiting patience

# lists in the DNS, of the origin and not of the proxy; some give no answer, to 192.0.2.9
kill -9 $ppmta # it would wait for those who wait for an answer
wait $ppmta 2>/dev/null
configure <<CONF
dns_servers = 127.0.0.1
dns_timeout = 4s
proxy_required_hosts = 127.0.0.2
acl_smtp_connect = connect
acl_smtp_rcpt = rcpt
begin acl
connect:
 warn hosts = 192.0.2.9
      dnslists = 1.broken.example : 2.broken.example : 3.broken.example : 4.broken.example
 deny dnslists = none.example : bl.example=127.0.0.9,127.0.0.2
      message = \$sender_host_address is in \$dnslist_domain (\$dnslist_value): \$dnslist_text
 accept
rcpt:
 warn spf = pass : fail : none
      add_header = \$spf_received
      add_header = X-Origin: \$sender_host_address\n\tby \$proxy_host_address
 accept
CONF
check ppmta_starts_again start_ppmta
listed() {
	from 192.0.2.7 a@pass.example
	says "$say" '^550 192\.0\.2\.7 is in bl\.example \(127\.0\.0\.2\): 192\.0\.2\.7 is listed'
}
check dnslists_ask_for_the_origin listed
# What others put into the DNS begins no line, of a reply or a header.
text_of_others() {
	from 192.0.2.3 a@pass.example
	says "$say" '^550 192\.0\.2\.3 is in bl\.example \(127\.0\.0\.2\): a.*Bcc: x@example\.org' && says_not "$say" "$(printf '\033')|^Bcc"
}
check the_text_of_a_list_begins_no_line text_of_others
# All that is asked before the banner has dns_timeout together. Each of five questions would have it alone.
one_budget() {
	start=$(now_ms)
	from 192.0.2.9 a@none.example
	took=$(($(now_ms) - start))
	says "$say" '^250 OK' && wait_log '4\.broken\.example: assumed not in list' && [ $took -ge 3000 ] && [ $took -lt 15000 ] || {
		echo "$took ms"
		return 1
	}
}
check what_is_asked_before_the_banner_has_one_budget one_budget
others_are_not_held_up() {
	with_patience || return 1
	waiting=
	for n in 1 2 3 4 5 6 7 8; do
		"$tools/talk" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.9 198.51.100.1 4711 25' 127.0.0.1 2525 QUIT >"$tap_work/waiting.$n" 2>&1 &
		waiting="$waiting $!"
	done
	those_wait 8 listed
}
check a_list_that_does_not_answer_keeps_nobody_else_waiting others_are_not_held_up
headers_are_added() {
	"$tools/smtp-send" --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.8 198.51.100.1 4711 25' 127.0.0.1 2525 >"$say" 2>&1
	wait_log ' <= .*\[192\.0\.2\.8\]' && soon grep -rq '^X-Origin' "$tap_work/Maildir/new" || return 1
	file=$(grep -rl '^X-Origin' "$tap_work/Maildir/new")
	says "$file" '^Received-SPF: [a-z]+ .*192\.0\.2\.8' && says "$file" '^X-Origin: 192\.0\.2\.8$' && says "$file" '^.by 127\.0\.0\.2$'
}
check headers_that_an_acl_adds_are_in_the_mail headers_are_added
postmaster() {
	talk --from 127.0.0.2 --header 'PROXY TCP4 192.0.2.8 198.51.100.1 4711 25' 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<>' 'RCPT TO:<Postmaster>' QUIT
	says "$say" '^250 Accepted'
}
check postmaster_needs_no_domain postmaster
tap_end
