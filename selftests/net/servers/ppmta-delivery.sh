#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta hands on what comes, while its client waits: by LMTP to Debian's Dovecot, by SMTP to Debian's Exim;
# and Debian's smtp-source (of Postfix) holds sessions with it.
. selftests/lib/tap.sh
. selftests/lib/servers.sh
. selftests/lib/ppmta.sh

user dovecot 9001
user dovenull 9002
user Debian-exim 9003
user you 9000
user her 9004
user mail 8
mkdir -p /var/mail /var/lib/dovecot /run/dovecot /var/log/exim4 /var/spool/exim4 "$tap_work/dovecot"
chown mail:mail /var/mail
chmod 2775 /var/mail
chown you:you "$tap_work/dovecot"
chown Debian-exim:Debian-exim /var/log/exim4 /var/spool/exim4
mkdir -p /etc/dovecot /etc/exim4
case $(dovecot_variant) in
2.4)
	address=listen
	cat <<CONF
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_driver = maildir
mail_path = $tap_work/dovecot/%{user}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
auth_username_format = %{user | username}
CONF
	;;
*)
	address=address
	cat <<CONF
mail_location = maildir:$tap_work/dovecot/%u
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
  override_fields = uid=9000 gid=9000
}
auth_username_format = %n
CONF
	;;
esac >/etc/dovecot/dovecot.conf
cat >>/etc/dovecot/dovecot.conf <<CONF
protocols = lmtp
log_path = $tap_work/dovecot.log
ssl = no
mail_uid = 9000
mail_gid = 9000
first_valid_uid = 9000
service lmtp {
  inet_listener lmtp {
    $address = 127.0.0.1
    port = 24
  }
}
CONF
printf 'you:{PLAIN}x:9000:9000::%s/dovecot/you\nher:{PLAIN}x:9000:9000::%s/dovecot/her\n' "$tap_work" "$tap_work" >/etc/dovecot/users
dovecot -F >"$tap_work/dovecot.out" 2>&1 &
dovecot=$!
cat >/etc/exim4/exim4.conf <<'CONF'
primary_hostname = next.example.net
domainlist local_domains = example.org
exim_user = Debian-exim
exim_group = Debian-exim
log_file_path = /var/log/exim4/%slog
spool_directory = /var/spool/exim4
tls_advertise_hosts =
keep_environment =
daemon_smtp_ports = 2601
smtp_accept_max = 100
local_interfaces = 127.0.0.1
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  defer  local_parts = later
         message = come again
  deny   local_parts = nobody
         message = nobody is not here
  accept domains = +local_domains
  deny   message = relay not permitted
begin routers
local:
  driver = accept
  check_local_user
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  file = /var/mail/$local_part_data
  group = mail
CONF
/usr/sbin/exim4 -bdf -q30m >"$tap_work/exim" 2>&1 &

configure() { # delivery
	cat >"$conf" <<-CONF
		primary_hostname = mail.example.net
		local_interfaces = 198.51.100.25.2525
		delivery = $1
		user = nobody
		proxy_required_hosts = 198.51.100.1
		log_selector = +proxy
		smtp_accept_max = 1000
		acl_smtp_rcpt = rcpt
		begin acl
		rcpt:
		 accept
	CONF
}
configure lmtp:127.0.0.1:24
check ppmta_starts start_ppmta
check dovecot_starts wait_port 24
check exim_starts wait_port 2601
start_haproxy 2525 10001 10002

check a_message_by_lmtp send 192.0.2.10 198.51.100.1 10002
check it_was_taken wait_log '=> you@example\.org R=1 H=127\.0\.0\.1:24: 250 .*Saved'
in_mailbox() { # what the client sent, under a Received line with its address
	says "$(find "$tap_work/dovecot/you/new" -type f | head -n 1)" 'from client\.example \(\[192\.0\.2\.10\]\)'
}
check it_is_in_the_mailbox_with_its_origin in_mailbox
several() { # LMTP answers for each recipient: so each gets a message of its own
	"$tools/talk" --from 192.0.2.11 198.51.100.1 10001 'EHLO x.example' 'MAIL FROM:<a@b.example>' 'RCPT TO:<nobody@example.org>' \
		'RCPT TO:<her@example.org>' 'RCPT TO:<you@example.org>' DATA "$(printf 'Subject: x\r\n\r\n.. dots\r\n.')" QUIT >"$say"
	says "$say" '^550 5\.1\.1 <nobody@example\.org> User doesn.t exist' && says "$say" '^452 4\.5\.3 ' && says "$say" '^250 2\.0\.0 <her@example\.org> .*Saved' &&
		grep -rqx '. dots' "$tap_work/dovecot/her/new"
}
check lmtp_answers_for_the_recipient several
make_body
check a_message_of_20_mib_by_lmtp send 192.0.2.11 --body "$tap_work/body" 198.51.100.1 10002
large() {
	soon large_file "$tap_work/dovecot/you/new"
	tr -d '\r' <"$file" >"$tap_work/file"
	body_is_intact "$tap_work/file"
}
check it_is_intact_by_lmtp large
down() { # Dovecot is away for a while
	kill $dovecot
	wait $dovecot
	: >"$log"
	send 192.0.2.11 198.51.100.1 10001 >"$say" && return 1
	says "$say" '^421 mail\.example\.net: The next hop is not there' && wait_log 'next hop 127\.0\.0\.1:24: Connection refused' || return 1
	dovecot -F >"$tap_work/dovecot.out" 2>&1 &
	wait_port 24
	send 192.0.2.11 198.51.100.1 10001 && wait_log '=> you@example\.org R=1 '
}
check a_next_hop_that_is_down_is_a_421 down

stop_ppmta
configure smtp:127.0.0.1:2601
check it_starts_with_smtp start_ppmta
check a_message_by_smtp send 192.0.2.10 198.51.100.1 10001
check exim_took_it wait_log '=> you@example\.org R=1 H=127\.0\.0\.1:2601: 250 OK id='
exim_has_it() {
	wait_says /var/log/exim4/mainlog '=> you .*T=mailbox' && says /var/mail/you 'from client\.example \(\[192\.0\.2\.10\]\)'
}
check it_is_in_exims_mailbox exim_has_it
mixed() {
	"$tools/talk" --from 192.0.2.11 198.51.100.1 10001 'EHLO x.example' 'MAIL FROM:<a@b.example>' 'RCPT TO:<you@example.org>' \
		'RCPT TO:<later@example.org>' 'RCPT TO:<nobody@example.org>' DATA "$(printf 'Subject: mixed\r\n\r\nx\r\n.')" QUIT >"$say"
	says "$say" '^451 come again' && says "$say" '^550 nobody is not here' &&
		wait_says /var/mail/you '^Subject: mixed' && [ "$(grep -c '^Subject: mixed' /var/mail/you)" -eq 1 ]
}
check each_recipient_once_whatever_the_others mixed
source() {
	smtp-source -s 20 -m 200 -l 4000 -f me@example.net -t you@example.org 198.51.100.25:2525 >"$say" 2>&1 || {
		cat "$say"
		return 1
	}
	delivered 200 'H=.*\[198.51.100.25\] P=smtp' "$log"
	[ "$(grep -c 'H=.*\[198.51.100.25\] P=smtp' "$log")" -eq 200 ]
}
check smtp_source_holds_sessions source
long_sessions() { # five, of 80 messages each
	smtp-source -d -s 5 -m 400 -l 2000 -f me@example.net -t her@example.org 198.51.100.25:2525 >"$say" 2>&1 || {
		cat "$say"
		return 1
	}
	delivered 400 'P=smtp S=2' "$log"
}
check smtp_source_holds_long_sessions long_sessions
tap_end
