#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta's configuration: its syntax, its errors, -bV, -bP, -be, -bh; expansions, conditions, lists.
# check: all sanitized
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

cat >"$conf" <<'CONF'
# a comment
PROXIES = 192.0.2.7 : \
          # a comment between the lines of one
          192.0.2.8
primary_hostname = mail.example.net
hosts_proxy = PROXIES
smtp_accept_max = 17
proxy_protocol_timeout = 1m30s
message_size_limit = 2M
no_smtp_enforce_sync
smtp_banner = "quoted \"banner\"\ttab"
domainlist ours = example.org : *.example.net : ! bad.example.com : *.example.com
hostlist friends = 10.0.0.0/8
acl_smtp_rcpt = check_rcpt

begin acl

check_rcpt:
  accept domains = +ours
  deny
CONF
option() {
	$program -C "$conf" -bP "$1" >"$say" 2>&1 && says "$say" "^$2\$"
}
check a_macro_a_continuation_and_the_other_name option proxy_required_hosts \
	'proxy_required_hosts = 192.0.2.7 : 192.0.2.8'
check times_are_read option proxy_protocol_timeout 'proxy_protocol_timeout = 90s'
check sizes_are_read option message_size_limit 'message_size_limit = 2097152'
check booleans_can_be_negated option smtp_enforce_sync no_smtp_enforce_sync
check quoted_strings_have_escapes option smtp_banner 'smtp_banner = quoted "banner"	tab'
check defaults_are_shown option proxy_lookup 'proxy_lookup = auto'
all_options() {
	[ "$($program -C "$conf" -bP | wc -l)" -ge 30 ]
}
check all_options_are_printed all_options
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
check an_unknown_spf_result refuses "'sofftail' is not an SPF result \(did you mean softfail\?\)" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  deny spf = sofftail
CONF
check an_unknown_section refuses "there is no section 'routers'" <<'CONF'
begin routers
CONF
check an_open_brace_is_an_error refuses "is missing" <<'CONF'
smtp_banner = ${if eq{a}{b}{c}
CONF
check run_is_not_supported refuses 'run is not supported' <<'CONF'
smtp_banner = ${run{/bin/date}}
CONF
check a_bad_time refuses "'soon' is not a time" <<'CONF'
proxy_protocol_timeout = soon
CONF
check a_bad_delay refuses "$conf:4: delay: '1h30' is not a time" <<'CONF'
acl_smtp_rcpt = a
begin acl
a:
  accept delay = 1h30
CONF
takes() {
	cat >"$conf"
	$program -C "$conf" -bV >"$say" 2>&1
}
check a_time_is_written_the_same_way_everywhere takes <<'CONF'
acl_smtp_rcpt = a
dns_timeout = 1m30.5s
begin acl
a:
  deny   ratelimit = 10 / 1h30m
  accept delay = 1h30m
  accept delay = 0.5
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
check bool_of_nonsense expands '${if bool{maybe}{1}{0}}' "Failed: bool: 'maybe' is neither true nor false in \"\${if bool{maybe}{1}{0}}\""
check if_def expands '${if def:primary_hostname{yes}{no}}${if def:sender_host_address{yes}{no}}' yesno
check if_match_captures expands '${if match{me@example.net}{^(.+)@(.+)\$}{$2 $1}}' 'example.net me'
check if_match_ip expands '${if match_ip{192.0.2.9}{192.0.2.0/24}{in}{out}}' in
check if_match_ip6 expands '${if match_ip{2001:db8::9}{<; 192.0.2.0/24 ; 2001:db8::/32}{in}{out}}' in
check doubled_colons expands '${if match_ip{2001:db8::9}{192.0.2.1 : 2001::db8::::/32}{in}{out}}' in
check negation_in_a_list expands '${if match_ip{10.1.1.1}{! 10.1.0.0/16 : 10.0.0.0/8}{in}{out}} ${if match_ip{10.2.1.1}{! 10.1.0.0/16 : 10.0.0.0/8}{in}{out}}' 'out in'
check a_list_that_ends_with_a_negation expands '${if match_ip{10.2.1.1}{! 10.1.0.0/16}{in}{out}}' in
check named_lists expands '${if match_domain{x.example.com}{+ours}{in}{out}} ${if match_domain{bad.example.com}{+ours}{in}{out}}' 'in out'
check if_exists expands '${if exists{/etc/passwd}{yes}{no}}${if exists{/nowhere}{yes}{no}}' yesno
check numbers expands '${if < {3}{4K}{1}{0}}${if >= {4}{4}{1}{0}}${if = {1}{2}{1}{0}}${if > {2M}{3}{1}{0}}' 1101
check number_of_nonsense expands '${if < {x}{1}}' "Failed: 'x' is not a number in \"\${if < {x}{1}}\""
printf 'one: first\n"two words": second\n# three: no\nFour  4th\n' >"$tap_work/table"
check lookups expands "\${lookup{one}lsearch{$tap_work/table}} \${lookup{two words}lsearch{$tap_work/table}{<\$value>}} \${lookup{three}lsearch{$tap_work/table}{y}{n}} \${lookup{four}lsearch{$tap_work/table}}" 'first <second> n 4th'
printf '# hosts\n192.0.2.0/24\n!10.1.1.1\n10.0.0.0/8\n' >"$tap_work/hosts"
check files_in_lists expands "\${if match_ip{192.0.2.77}{$tap_work/hosts}{in}{out}} \${if match_ip{10.1.1.1}{$tap_work/hosts}{in}{out}} \${if match_ip{10.1.1.2}{$tap_work/hosts}{in}{out}}" 'in out in'
printf '! 10.1.1.1\n10.0.0.0/8 \t # ten\n' >"$tap_work/blanks"
check blanks_in_files_of_lists expands "\${if match_ip{10.1.1.1}{$tap_work/blanks}{in}{out}} \${if match_ip{10.1.1.2}{$tap_work/blanks}{in}{out}}" 'out in'
printf '192.0.2.1 192.0.2.2\n' >"$tap_work/two"
fails() { # STRING PATTERN
	$program -C "$conf" -be "$1" >"$say" 2>&1
	says "$say" "^Failed: .*$2"
}
check two_items_in_a_line_of_a_file fails "\${if match_ip{192.0.2.2}{$tap_work/two}{in}{out}}" 'colons separate them'
check a_list_that_cannot_be_read_is_not_empty fails "\${if match_ip{192.0.2.2}{$tap_work}{in}{out}}" 'cannot be read'
check a_table_that_cannot_be_read_is_not_empty fails "\${lookup{x}lsearch{$tap_work}{in}{out}}" 'cannot be read'
no_configuration() {
	! $program -C "$tap_work" -bV >"$say" 2>&1 && says "$say" 'the rest cannot be read'
}
check a_configuration_that_cannot_be_read_is_not_empty no_configuration
check escapes expands '\$x \x41\t\N$y\N' '$x A	$y'
check operators expands '${domain:me@example.net} ${local_part:me@example.net} ${strlen:four}' 'example.net me 4'
check what_is_not_chosen_is_not_done expands "\${if eq{a}{b}{\${lookup{x}lsearch{/nowhere}}}{fine}}" fine

session_here() {
	printf 'acl_smtp_rcpt = a\nprimary_hostname = mail.example.net\nbegin acl\na:\n deny hosts = 192.0.2.66\n message = go away $sender_host_address\n accept\n' >"$conf"
	printf 'EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n' |
		$program -C "$conf" -bh 192.0.2.66 >"$say" 2>"$tap_work/err"
	says "$say" '^550 go away 192\.0\.2\.66' && says "$say" '^221 ' && says "$tap_work/err" 'SMTP testing session'
}
check a_session_on_the_terminal session_here
debugged() {
	$program -C "$conf" -d -be '$primary_hostname' >"$say" 2>&1 && says "$say" '^expanding "\$primary_hostname": mail.example.net'
}
check debugging_says_what_is_expanded debugged
tap_end
