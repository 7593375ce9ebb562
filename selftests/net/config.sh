#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta's configuration: its syntax, its errors, -bV, -be, -bh; expansions, conditions, lists.
# check: all sanitized long
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

# refuses PATTERN: the configuration on standard input, with an error that matches
refuses() {
	cat >"$conf"
	! $program -C "$conf" -bV >"$say" 2>&1 && says "$say" "$1"
}

# expands STRING RESULT
expands() {
	$program -C "$conf" -be "$1" >"$say" 2>&1
	[ "$(cat "$say")" = "$2" ] || {
		echo "$1: $(cat "$say"), not $2"
		return 1
	}
}

takes() {
	cat >"$conf"
	$program -C "$conf" -bV >"$say" 2>&1 || {
		cat "$say"
		return 1
	}
}
check comments_continuations_and_values_of_each_kind takes <<'CONF'
# a comment
hosts_proxy = 192.0.2.7 : \
          # a comment between the lines of one
          192.0.2.8
primary_hostname = mail.example.net
delivery = maildir:/tmp/m
smtp_accept_max = 17
proxy_protocol_timeout = 1m30s
message_size_limit = 2M
smtp_enforce_sync = false
smtp_banner = $primary_hostname\n\tESMTP
domainlist ours = example.org : *.example.net : ! bad.example.com : *.example.com
hostlist friends = 10.0.0.0/8
acl_smtp_rcpt = check_rcpt

begin acl

check_rcpt:
  accept domains = +ours
  deny
CONF
# refuses_all PATTERN: each line of standard input
refuses_all() {
	failed=0
	while IFS= read -r line; do
		first='delivery = maildir:/tmp/m'
		case $line in
		delivery' '*) first='' ;;
		esac
		printf '%s\nacl_smtp_rcpt = a\n%s\nbegin acl\na:\n accept\n' "$first" "$line" >"$conf"
		! $program -C "$conf" -bV >"$say" 2>&1 && says "$say" "^ppmta: $conf:3: .*($1)" || {
			echo "$line"
			failed=1
		}
	done
	return $failed
}
check no_limit_is_0 refuses_all "'0[a-zA-Z]*' is not a" <<'CONF'
message_size_limit = 0
message_size_limit = 0M
recipients_max = 0
received_headers_max = 0
smtp_accept_max = 0
smtp_accept_max_nonmail = 0
smtp_max_synprot_errors = 0
smtp_receive_timeout = 0s
smtp_session_timeout = 0s
delivery_timeout = 0s
dns_timeout = 0s
proxy_protocol_timeout = 0s
CONF
check values_that_are_none refuses_all 'is not|is none of|needs|supported|unknown option' <<'CONF'
proxy_protocol_timeout = soon
message_size_limit = 5X
recipients_max = -1
smtp_accept_max = 100001
proxy_lookup = maybe
smtp_enforce_sync = perhaps
delivery_origin = xforward
log_file_path = syslog
temporary_directory = tmp
smtp_enforce_sync
no_smtp_enforce_sync =
primary_hostname = "mail.example.net"
PROXIES = 192.0.2.7
.include /etc/x
hide smtp_banner = x
hostlist = 192.0.2.7
local_interfaces = 192.0.2
local_interfaces = 127.0.0.1.0
local_interfaces = <; [::1]:99999
local_interfaces = localhost
dns_servers = nowhere
primary_hostname = a b
CONF
check deliveries_that_are_none refuses_all 'delivery: .* is ' <<'CONF'
delivery = smtp://192.0.2.1:25
delivery = lmtp://run/dovecot/lmtp
delivery = smtp:/run/socket
delivery = smtp:2001:db8::1:25
delivery = smtp:192.0.2.1:25, 2001:db8::2
delivery = smtp:[2001:db8::1
delivery = smtp:192.0.2.1:
delivery = smtp:192.0.2.256
delivery = smtp:mx.example.net:0
delivery = smtp:mx.example.net:smtp
delivery = smtp:mx_.example..net
delivery = smtp:
delivery = maildir:/var/mail/$local_part
delivery = smtp:$domain
delivery = maildir:Maildir
delivery = mx.example.net
CONF
takes_all() { # each line of standard input
	while IFS= read -r line; do
		printf '%s\nacl_smtp_rcpt = a\nbegin acl\na:\n accept\n' "$line" | takes || return 1
	done
}
check deliveries takes_all <<'CONF'
delivery = smtp:192.0.2.1
delivery = smtp:192.0.2.1:2525 [2001:db8::1]:25, [2001:db8::2] mx.example.net:26 mx2.example.net
delivery = lmtp:/run/dovecot/lmtp
delivery = maildir:/var/lib/ppmta/Maildir
CONF
no_interfaces() {
	printf 'delivery = maildir:/tmp/m\nlocal_interfaces =\n' >"$conf"
	! $program -C "$conf" -bV >"$say" 2>&1 && says "$say" "$conf:2: local_interfaces: is empty"
}
check no_interface_at_all no_interfaces
no_delivery() {
	echo 'primary_hostname = mail.example.net' >"$conf"
	! $program -C "$conf" -bV >"$say" 2>&1 && says "$say" 'needs the option delivery'
}
check a_configuration_without_delivery_is_an_error no_delivery
version() {
	$program -bV >"$say" && says "$say" '^ppmta version [0-9.]+$' && says "$say" 'OpenSSL 3.*libspf2'
}
check the_version_and_the_libraries version

check an_unknown_option_names_the_nearest refuses "$conf:2: unknown option 'smtp_acept_max' \(did you mean smtp_accept_max\?\)" <<'CONF'
primary_hostname = mail.example.net
smtp_acept_max = 3
CONF
check an_unknown_variable_names_the_nearest refuses 'smtp_banner: unknown variable .\$primary_hostnam. \(did you mean \$primary_hostname\?\)' <<'CONF'
smtp_banner = hello from $primary_hostnam
CONF
check an_unknown_condition_names_the_nearest refuses "$conf:4: unknown condition or modifier 'domain' \(did you mean domains\?\)" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  accept domain = example.org
CONF
check an_unknown_verb_names_the_nearest refuses "$conf:3: unknown verb 'acept' \(did you mean accept\?\)" <<'CONF'
begin acl
a:
  acept
CONF
check an_unknown_condition_of_if_has_its_line refuses "$conf:4: condition: unknown condition 'eqq' \(did you mean eq\?\)" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  accept condition = ${if eqq{a}{b}}
CONF
check a_missing_acl_is_named refuses "there is no ACL 'nowhere'" <<'CONF'
acl_smtp_rcpt = nowhere
CONF
check a_name_of_spf_that_is_none refuses "unknown SPF result 'sofftail' \(did you mean softfail\?\)" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  deny spf = sofftail
CONF
check err_perm_is_now_permerror refuses "$conf:4: spf: 'err_perm' has been called permerror since Exim 4.83" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  deny spf = err_perm
CONF
check err_temp_is_now_temperror refuses "'err_temp' has been called temperror" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  defer spf = !err_temp
CONF
check an_unknown_section refuses "there is no section 'routers'" <<'CONF'
begin routers
CONF
check an_open_brace_is_an_error refuses "is missing" <<'CONF'
smtp_banner = ${if eq{a}{b}{c}
CONF
check a_bad_selector refuses 'did you mean \+proxy' <<'CONF'
log_selector = +prxy
CONF
check no_open_relay refuses 'needs acl_smtp_rcpt' <<'CONF'
delivery = smtp:192.0.2.1:25
CONF
check a_certificate_that_is_not_there refuses '/nowhere.pem' <<'CONF'
tls_certificate = /nowhere.pem
CONF
example() {
	cp docs/ppmta.conf "$conf"
	$program -C "$conf" -bV >"$say" 2>&1
}
check the_example_is_right example
no_socket() {
	printf 'smtp_acept_max = 3\nlocal_interfaces = 127.0.0.1\n' >"$conf"
	! $program -C "$conf" >"$say" 2>&1 && says "$say" 'unknown option'
}
check an_error_comes_before_any_socket no_socket

printf 'primary_hostname = mail.example.net\ndomainlist ours = example.org : ! bad.example.com : *.example.com\n' >"$conf"
check lc_and_uc expands '${lc:ABC} ${uc:abc}' 'abc ABC'
check if_eq expands '${if eq{a}{a}{yes}{no}}' yes
check if_without_texts expands '${if eq{a}{a}}' true
check if_without_texts_fails expands '[${if eq{a}{b}}]' '[]'
check if_eqi expands '${if eqi{a}{A}{yes}{no}}' yes
check if_not expands '${if !eq{a}{b}{yes}{no}}' yes
check if_and expands '${if and{ {eq{a}{a}} {!eq{a}{b}} }{yes}{no}}' yes
check if_or expands '${if or{{eq{a}{b}}{eq{b}{b}}}{yes}{no}}' yes
check if_bool expands '${if bool{yes}{1}{0}}${if bool{false}{1}{0}}${if bool{}{1}{0}}${if bool{7}{1}{0}}' 1001
check if_bool_lax expands '${if bool_lax{anything}{1}{0}}${if bool_lax{no}{1}{0}}' 10
check bool_of_nonsense expands '${if bool{maybe}{1}{0}}' "Failed: 'maybe' is neither true nor false in \"\${if bool{maybe}{1}{0}}\""
check if_def expands '${if def:primary_hostname{yes}{no}}${if def:sender_host_address{yes}{no}}' yesno
check if_match_captures expands '${if match{me@example.net}{^(.+)@(.+)\$}{$2 $1}}' 'example.net me'
check if_match_ip expands '${if match_ip{192.0.2.9}{192.0.2.0/24}{in}{out}}' in
check if_match_ip6 expands '${if match_ip{2001:db8::9}{<; 192.0.2.0/24 ; 2001:db8::/32}{in}{out}}' in
check doubled_colons expands '${if match_ip{2001:db8::9}{192.0.2.1 : 2001::db8::::/32}{in}{out}}' in
check negation_in_a_list expands '${if match_ip{10.1.1.1}{! 10.1.0.0/16 : 10.0.0.0/8}{in}{out}} ${if match_ip{10.2.1.1}{! 10.1.0.0/16 : 10.0.0.0/8}{in}{out}}' 'out in'
check a_list_that_ends_with_a_negation expands '${if match_ip{10.2.1.1}{! 10.1.0.0/16}{in}{out}}' in
check named_lists expands '${if match_domain{x.example.com}{+ours}{in}{out}} ${if match_domain{bad.example.com}{+ours}{in}{out}}' 'in out'
printf '# hosts\n192.0.2.0/24\n!10.1.1.1\n10.0.0.0/8\n' >"$tap_work/hosts"
check files_in_lists expands "\${if match_ip{192.0.2.77}{$tap_work/hosts}{in}{out}} \${if match_ip{10.1.1.1}{$tap_work/hosts}{in}{out}} \${if match_ip{10.1.1.2}{$tap_work/hosts}{in}{out}}" 'in out in'
printf '! 10.1.1.1\n10.0.0.0/8 \t # ten\n' >"$tap_work/blanks"
check blanks_in_files_of_lists expands "\${if match_ip{10.1.1.1}{$tap_work/blanks}{in}{out}} \${if match_ip{10.1.1.2}{$tap_work/blanks}{in}{out}}" 'out in'
printf 'a#b@example.org\n#c@example.org\nx@example.org # is bad\n' >"$tap_work/addresses"
hashes() { # an address may have one
	printf 'primary_hostname = mail.example.net\nacl_smtp_mail = a\nbegin acl\na:\n deny senders = %s\n accept\n' "$tap_work/addresses" >"$conf"
	printf 'EHLO x.example\r\nMAIL FROM:<%s>\r\nQUIT\r\n' "$1" | $program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	says "$say" "^$2 "
}
check an_address_with_a_hash hashes a#b@example.org 550
check what_is_before_the_hash_is_another hashes a@example.org 250
check a_hash_at_the_beginning_is_a_comment hashes '#c@example.org' 250
check a_hash_after_a_blank_is_a_comment hashes x@example.org 550
# One domain that is written in several ways is one. bücher and its others, in UTF-8 by their octets.
large=$(printf 'B\303\234CHER') small=$(printf 'b\303\274cher') apart=$(printf 'bu\314\210cher') ascii=xn--bcher-kva
wide=$(printf '\357\275\202\303\274cher') stop=$(printf '\343\200\202') # a wide b, an ideographic full stop
denied() { # CONDITION SENDER... of which each is denied
	condition=$1
	shift
	case $condition in
	domains* | recipients*) when=rcpt path='MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<%s>\r\n' ;;
	*) when=mail path='MAIL FROM:<%s> SMTPUTF8\r\n' ;;
	esac
	printf 'primary_hostname = mail.example.net\nacl_smtp_%s = a\nbegin acl\na:\n deny %s\n accept\n' $when "$condition" >"$conf"
	for one; do
		printf "EHLO x.example\r\n${path}QUIT\r\n" "$one" | $program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
		says "$say" '^550 ' || {
			echo "$condition: $one"
			cat "$tap_work/err"
			return 1
		}
	done
}
each_form() { # PATTERN, where % stands for the domain
	for form in "$small" "$large" "$apart" "$ascii" XN--BCHER-KVA "$wide"; do
		item=$(echo "$1" | sed "s/%/$form/")
		for condition in domains senders recipients "condition = \${if match_domain{\$sender_address_domain}{LIST}}"; do
			case $condition in *LIST*) line=$(echo "$condition" | sed "s/LIST/$item/") ;; *) line="$condition = $item" ;; esac
			denied "$line" "a@$small.example" "a@$large.example" "a@$apart.example" "a@$ascii.example" "a@XN--BCHER-KVA.example" "a@$wide.example" "a@$small${stop}example" || return 1
		done
	done
}
check a_domain_is_one_in_each_form each_form '%.example'
check and_in_a_pattern each_form '*%.example'
subdomains() {
	denied "domains = *.$small.example" "a@b.$large.example" "a@b.$ascii.example" && denied "domains = *CHER.example" "a@$small.example" "a@$ascii.example" &&
		denied "senders = *@$large.example" "a@$ascii.example" && denied "senders = A@$ascii.example" "a@$large.example" &&
		# a label that only looks like xn-- hides none of the others
		denied "domains = *.$small.example" "a@xn--99999999.$ascii.example" &&
		denied "senders = ^.*[.]${small}[.]example\\\$" "a@xn--99999999.$ascii.example"
}
check and_as_the_end_of_one subdomains
patterns() { # a regular expression sees it as it is written, in ASCII, and in small letters
	for form in "$small" "$ascii"; do
		denied "domains = ^${form}[.]example\\\$" "a@$small.example" "a@$large.example" "a@$ascii.example" "a@$wide.example" &&
			denied "senders = ^a@${form}[.]example\\\$" "a@$small.example" "a@$large.example" "a@$ascii.example" || return 1
	done
}
check a_regular_expression_sees_each_form patterns
in_a_file() {
	printf '%s.example\n' "$large" >"$tap_work/idn"
	denied "domains = $tap_work/idn" "a@$small.example" "a@$ascii.example" && denied "!senders = ! $tap_work/idn" "a@$ascii.example"
}
check a_file_of_a_list_has_them_as_well in_a_file
others_pass() {
	denied "domains = bucher.example : $small.example.org : $small" "a@$small.example"
	says "$say" '^250 Accepted'
}
check another_domain_is_another others_pass
no_domain() { # two that cannot be one of the DNS
	printf 'primary_hostname = mail.example.net\n' >"$conf"
	printf "EHLO x.example\r\nMAIL FROM:<a@$(printf '\342\200\256')b.example> SMTPUTF8\r\nMAIL FROM:<a@$(printf '\314\210')b.example> SMTPUTF8\r\nQUIT\r\n" |
		$program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	[ "$(grep -c '^553 This address has' "$say")" -eq 2 ]
}
check what_is_no_domain_is_refused no_domain
check an_item_that_is_no_domain_is_refused refuses "$conf:4: domains: .* is not a domain" <<CONF
acl_smtp_rcpt = a
begin acl
a:
  deny domains = example.org : $(printf '\342\200\256')b.example
CONF
items() { # STATUS ITEM... of a list of domains
	wanted=$1
	shift
	for item; do
		printf 'delivery = lmtp:127.0.0.1\nacl_smtp_rcpt = a\nbegin acl\na:\n deny domains = %s\n accept\n' "$item" >"$conf"
		$program -C "$conf" -bV >"$say" 2>&1
		[ $? -eq "$wanted" ] || {
			echo "status is not $wanted: $item"
			return 1
		}
		[ "$wanted" -eq 0 ] || says "$say" ':5: domains: .* is not a domain' || return 1
	done
}
bom=$(printf '\357\273\277')
# a list that has it would let by whom it is to stop
check an_item_that_matches_nothing_is_refused items 1 .example.org example.org. example.org::example.com '<example.org>' lists/denied 'a|b' \
	example..org '*.' '*..org' '*.-a.org' -a.org '[300.1.2.3]' "$bom+bad" "$bom^bad" "$bom!a.org" "$bom/bad"
check the_end_of_one_begins_anywhere items 0 '*.org' '*example.org' '*-a.org' '*_a.org' "*$small" '[192.0.2.1]' '[IPv6::2001::db8::::1]' "${bom}a.org"
check a_local_part_that_cannot_be_compared_is_refused refuses "$conf:4: senders: '$small': what is not ASCII before an @ is compared by \^REGEX only" <<CONF
acl_smtp_mail = a
begin acl
a:
  deny senders = $small@example.org
CONF
check as_are_those_of_local_parts refuses "$conf:4: local_parts: .*by \^REGEX only" <<CONF
acl_smtp_rcpt = a
begin acl
a:
  deny local_parts = $small
CONF
printf 'primary_hostname = mail.example.net\n' >"$conf"
printf '192.0.2.1 192.0.2.2\n' >"$tap_work/two"
fails() { # STRING PATTERN
	$program -C "$conf" -be "$1" >"$say" 2>&1
	says "$say" "^Failed: .*$2"
}
check two_items_in_a_line_of_a_file fails "\${if match_ip{192.0.2.2}{$tap_work/two}{in}{out}}" 'colons separate them'
check a_list_that_cannot_be_read_is_not_empty fails "\${if match_ip{192.0.2.2}{$tap_work}{in}{out}}" 'not a file'
mkfifo "$tap_work/fifo"
check a_list_in_a_fifo_is_an_error fails "\${if match_ip{192.0.2.2}{$tap_work/fifo}{in}{out}}" 'fifo: not a file'
no_configuration() {
	! $program -C "$tap_work" -bV >"$say" 2>&1 && says "$say" 'not a file'
}
check a_configuration_that_cannot_be_read_is_not_empty no_configuration
# A NUL ends no line: what comes after it would count for nothing.
with_nul() { # LINE: the configuration, with a NUL in this line
	sed "$1s/x/\\x00/" "$conf" >"$tap_work/nul" && ! $program -C "$tap_work/nul" -bV >"$say" 2>&1 && says "$say" "^ppmta: $tap_work/nul:$1: a NUL"
}
nul_anywhere() {
	printf 'primary_hostname = mx.example.net\nacl_smtp_rcpt = xa\nbegin acl\nxa:\n deny domains = a.example : x.example\n accept hosts = *\\\n # x\n' >"$conf"
	with_nul 1 && with_nul 2 && with_nul 4 && with_nul 5 && with_nul 7
}
check a_nul_anywhere_in_it_is_refused nul_anywhere
printf 'a.example\nb.example\000\nblocked.example\n' >"$tap_work/nuls"
check a_nul_in_a_list_is_refused refuses "$conf:4: domains: $tap_work/nuls:2: a NUL" <<CONF
acl_smtp_rcpt = a
begin acl
a:
  deny domains = $tap_work/nuls
CONF
nul_later() { # in a file whose name is known at run time only, before the item that matches
	printf 'primary_hostname = mail.example.net\nacl_smtp_rcpt = a\nbegin acl\na:\n deny domains = %s/$sender_address_local_part\n accept\n' "$tap_work" >"$conf"
	printf 'EHLO x.example\r\nMAIL FROM:<nuls@b.example>\r\nRCPT TO:<a@blocked.example>\r\nQUIT\r\n' | $program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	says "$say" '^451 ' && says "$tap_work/err" 'nuls:2: a NUL'
}
check a_nul_in_a_list_that_is_looked_up_later_is_a_451 nul_later
no_regular_file() {
	mkfifo "$tap_work/conf.fifo"
	truncate -s 100M "$tap_work/large"
	for one in "$tap_work/conf.fifo:not a file" '/dev/zero:not a file' "$tap_work/large:more than 67108864 bytes"; do
		timeout 60 $program -C "${one%:*}" -bV >"$say" 2>&1
		[ $? -eq 1 ] && says "$say" "^ppmta: ${one%:*}: ${one#*:}" || return 1
	done
}
check a_configuration_is_a_regular_file_of_some_size no_regular_file
# Whatever is in one another has a bound, and is none of the stack's.
repeat() { # TEXT COUNT
	awk -v text="$1" -v count="$2" 'BEGIN { while (count--) printf "%s", text }'
}
too_deep() { # BEFORE, MIDDLE, AFTER
	printf 'primary_hostname = mail.example.net\n' >"$conf"
	for count in 60 3000; do
		$program -C "$conf" -be "$(repeat "$1" $count)$2$(repeat "$3" $count)" >"$say" 2>&1
		[ $? -eq 1 ] && says "$say" 'nested too deeply' >/dev/null || {
			echo "$count: $1"
			return 1
		}
	done
	$program -C "$conf" -be "$(repeat "$1" 12)$2$(repeat "$3" 12)" >"$say" 2>&1 && says "$say" '^[^F]'
}
deep() {
	too_deep '${lc:' a '}' && too_deep '${if eq{' a '}{a}{x}{a}}' && too_deep '${if bool{1}{' a '}{}}' && too_deep '${if match_domain{a}{' a '}{a}{a}}' || return 1
	for operator in and or '!and'; do
		printf '${if %s{yes}{no}}' "$(repeat "$operator{{" 20000)eq{a}{a}$(repeat '}}' 20000)" >"$tap_work/deep"
		{
			printf 'primary_hostname = mail.example.net\nsmtp_banner = ' && cat "$tap_work/deep" && echo
		} >"$conf"
		! $program -C "$conf" -bV >"$say" 2>&1 && says "$say" 'nested too deeply' || return 1
	done
	printf 'primary_hostname = mail.example.net\n' >"$conf"
	expands "\${if $(repeat 'and{{' 12)eq{a}{a}$(repeat '}}' 12){yes}{no}}" yes
}
check what_is_nested_has_a_bound deep
names_itself() { # LIST...
	printf 'primary_hostname = mail.example.net\n%s\n' "$1" >"$conf"
	! $program -C "$conf" -be "$2" >"$say" 2>&1 && says "$say" 'nested too deeply'
}
circles() {
	printf '%s/circle\n' "$tap_work" >"$tap_work/circle"
	names_itself 'domainlist a = +a' '' && names_itself 'domainlist a = +b
domainlist b = +a' '' && names_itself "domainlist a = $tap_work/circle" '' &&
		names_itself 'domainlist a = ${if match_domain{x}{+a}{x}{y}}' '' &&
		names_itself 'domainlist a = ${if and{{match_domain{$primary_hostname}{+a}}}{x}{y}}' '${if match_domain{x}{+a}}'
}
check a_list_that_names_itself_has_a_bound circles
printf 'primary_hostname = mail.example.net\n' >"$conf"
check a_limit_that_is_no_number_is_refused refuses "$conf:3: ratelimit: '1e400' is not a limit" <<CONF
begin acl
a:
  deny ratelimit = 1e400 / 1h
CONF
no_limit() {
	for limit in nan inf -1 -inf 0x 1e999 infinity; do
		refuses "$conf:3: ratelimit: '$limit' is not a limit" <<-CONF || return 1
			begin acl
			a:
			  deny ratelimit = $limit / 1h
		CONF
	done
}
check nor_is_what_has_no_end no_limit
name_servers() {
	for servers in 127.0.0.1:65536 127.0.0.1:99999999999 '192.0.2.53, 127.0.0.1:x' '[::1]:65536' ns.example.net 127.0.0.1:-1; do
		refuses "$conf:1: dns_servers: .* is not an address" <<-CONF || return 1
			dns_servers = $servers
		CONF
	done
	printf 'primary_hostname = mail.example.net\ndns_servers = 192.0.2.53, 127.0.0.1:65535,[::1]:53, 2001:db8::1\n' >"$conf"
	expands a a
}
check a_port_of_a_name_server_that_is_none_is_refused name_servers
never_listed() {
	for list in bl.example=1.2.3.4 bl.example=127.0.0.2,128.0.0.1 'bl.example&128.0.0.2' 'bl.example&255.255.255.255'; do
		refuses "$conf:3: dnslists: '[0-9.]+' matches nothing" <<-CONF || return 1
			begin acl
			a:
			  deny dnslists = $list
		CONF
	done
}
check a_value_that_no_list_has_is_refused never_listed
printf 'primary_hostname = mail.example.net\n' >"$conf"
check escapes expands '\$x \x41\t\N$y\N' '$x A	$y'
session_here() {
	printf 'acl_smtp_rcpt = a\nprimary_hostname = mail.example.net\nbegin acl\na:\n deny hosts = 192.0.2.66\n message = go away $sender_host_address\n accept\n' >"$conf"
	printf 'EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n' |
		$program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	says "$say" '^550 go away 192\.0\.2\.66' && says "$say" '^221 ' && says "$tap_work/err" 'SMTP testing session'
}
check a_session_on_the_terminal session_here
line_ends() { # of a terminal; what is said has them as well, and the log has the first line of a text
	printf 'acl_smtp_rcpt = a\nprimary_hostname = mail.example.net\nbegin acl\na:\n deny message = one\\r\\ntwo\n' >"$conf"
	printf 'EHLO x.example\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\nQUIT\n' | $program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	says "$say" '^550-one$' && says "$say" '^550 two$' && says "$say" 'closing connection$' && says "$tap_work/err" 'rejected RCPT <c@d.example>: one$'
}
check and_its_line_ends line_ends
tap_end
