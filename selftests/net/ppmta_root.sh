#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppmta started as root: it gives its privileges up before it opens or makes anything by name, so that a link
# that the service user puts in a folder of its own leads nowhere. And after that: SIGHUP, with files that
# only root can read or make.
# check: all sanitized
. selftests/lib/tap.sh
. selftests/lib/ppmta.sh

mkdir "$tap_work/theirs" && chown nobody "$tap_work/theirs"
echo 'of root alone' >"$tap_work/victim"
chmod 600 "$tap_work/victim"
ln -s "$tap_work/victim" "$tap_work/theirs/log"
mkdir "$tap_work/root"
ln -s "$tap_work/root" "$tap_work/theirs/Maildir"

refused() { # PATTERN
	$program -C "$conf" >"$say" 2>&1 && return 1
	says "$say" "$1" && [ "$(cat "$tap_work/victim")" = 'of root alone' ] &&
		[ "$(stat -c %u%a "$tap_work/victim")" = 0600 ] && [ -z "$(ls "$tap_work/root")" ]
}
a_log() {
	configure </dev/null && echo "log_file_path = $tap_work/theirs/log" >>"$conf"
	refused "log_file_path $tap_work/theirs/log: Permission denied \\(as uid 65534"
}
check a_link_in_place_of_the_log_leads_nowhere a_log
a_maildir() {
	configure </dev/null && sed -i "s|^delivery.*|delivery = maildir:$tap_work/theirs/Maildir|" "$conf"
	refused "delivery $tap_work/theirs/Maildir: Permission denied \\(as uid 65534"
}
check a_link_in_place_of_the_maildir_leads_nowhere a_maildir

# A log is a file: a FIFO without a reader would hold up whoever writes a line, and so may a device.
mkfifo -m 666 "$tap_work/fifo"
no_log() {
	configure </dev/null && echo "log_file_path = $1" >>"$conf"
	timeout 20 $program -C "$conf" >"$say" 2>&1
	[ $? -eq 1 ] && says "$say" "log_file_path $1: not a file"
}
check a_fifo_is_no_log no_log "$tap_work/fifo"
check a_device_is_no_log no_log /dev/zero

make_certificate "$tap_work"
chmod 600 "$tap_work/key.pem"
mv "$tap_work/key.pem" "$tap_work/root.pem"
with_tls() { # the key is root's, the log is in a folder of the user's
	configure <<-CONF
		tls_certificate = $tap_work/cert.pem
		tls_privatekey = $tap_work/root.pem
		log_file_path = $tap_work/theirs/ppmta.log
		smtp_banner = first
		smtp_accept_max = 200
	CONF
}
start_here() {
	log=$tap_work/theirs/ppmta.log
	(ulimit -Sn 1024 && exec $program -C "$conf") >"$tap_work/ppmta.out" 2>&1 &
	ppmta=$!
	wait_log 'daemon started'
}
subject() {
	echo QUIT | timeout 60 openssl s_client -starttls smtp -connect 127.0.0.1:2525 2>/dev/null | openssl x509 -noout -subject -nameopt RFC2253
}
with_tls
check it_starts_with_a_key_of_roots start_here

hup() { # until it has said its last word on that, by the number of such lines
	before=$(hups_said)
	kill -HUP $ppmta
	soon more_hups
}
hups_said() {
	grep -Ec 'SIGHUP received: configuration (read again|not changed)' "$log"
}
more_hups() {
	[ "$(hups_said)" -gt "$before" ]
}
reload() {
	sed -i 's/^smtp_banner = first/smtp_banner = second/' "$conf"
	hup && says "$log" 'SIGHUP received: configuration read again' || return 1
	talk 127.0.0.1 2525 'EHLO x.example' QUIT
	says "$say" '^220 second' && says "$say" '^250-STARTTLS' && [ "$(subject)" = 'subject=CN=mail.example.net' ]
}
check a_key_of_roots_is_kept_at_sighup reload
renewed() { # a certificate of another key, which cannot be read any more
	cp "$tap_work/cert.pem" "$tap_work/before.pem"
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=new.example.net \
		-keyout "$tap_work/new.pem" -out "$tap_work/cert.pem" >"$tap_work/openssl" 2>&1
	sed -i 's/^smtp_banner = second/smtp_banner = third/' "$conf"
	hup && wait_log "root\\.pem: the certificate and key that were read before stay until a restart" || return 1
	talk 127.0.0.1 2525 QUIT
	says "$say" '^220 third' && [ "$(subject)" = 'subject=CN=mail.example.net' ]
}
check a_certificate_that_does_not_fit_changes_nothing renewed
same_key() { # a new certificate of the same key
	openssl req -x509 -key "$tap_work/root.pem" -days 30 -subj /CN=renewed.example.net -out "$tap_work/cert.pem" >"$tap_work/openssl" 2>&1
	hup && [ "$(subject)" = 'subject=CN=renewed.example.net' ]
}
check a_new_certificate_of_the_same_key_is_used same_key
hidden() { # now root's as well
	chmod 600 "$tap_work/cert.pem"
	hup && wait_log "cert\\.pem: the certificate and key that were read before stay until a restart" &&
		[ "$(subject)" = 'subject=CN=renewed.example.net' ]
}
check a_certificate_that_only_root_can_read_stays hidden

no_delivery() { # what stops it at the start must not be taken later: mail would go nowhere
	cp "$conf" "$conf.good"
	sed -i '/^delivery/d' "$conf"
	hup && says "$log" 'SIGHUP received: configuration not changed: .*needs the option delivery' || return 1
	cp "$conf.good" "$conf"
	before=$(ls "$tap_work/Maildir/new" | wc -l)
	talk 127.0.0.1 2525 'EHLO x.example' 'MAIL FROM:<a@b.example>' 'RCPT TO:<c@d.example>' DATA . QUIT
	says "$say" '^250 OK id=' && [ "$(ls "$tap_work/Maildir/new" | wc -l)" -eq $((before + 1)) ]
}
check a_configuration_without_delivery_is_not_taken_at_sighup no_delivery

fds() {
	awk '/^Max open files/ { print $4 }' "/proc/$ppmta/limits"
}
more_sessions() { # and so more descriptors
	[ "$(fds)" -lt 3000 ] && sed -i 's/^smtp_accept_max.*/smtp_accept_max = 1000/' "$conf" && hup && [ "$(fds)" -ge 4000 ]
}
check sighup_raises_the_limit_of_descriptors more_sessions
too_many_sessions() { # what root could have raised cannot be any more: as many as before
	sed -i 's/^smtp_accept_max.*/smtp_accept_max = 90000/' "$conf"
	hup && wait_log 'SIGHUP received: smtp_accept_max = 90000 needs [0-9]+ descriptors' && wait_log 'configuration read again'
}
check a_limit_that_cannot_be_raised_is_said too_many_sessions

memory() { # kB
	awk '/^VmRSS/ { print $2 }' "/proc/$ppmta/status"
}
hups() {
	for _ in $(seq "$1"); do
		hup || return 1
	done
}
no_growth() { # what is read again takes the place of what was read before
	{
		printf 'hostlist many = 192.0.2.1'
		for _ in $(seq 20000); do
			printf ' : 198.51.100.1'
		done
		echo
	} >>"$conf"
	hups 5 || return 1
	before_kb=$(memory)
	hups 30 || return 1
	[ "$(memory)" -lt $((before_kb + 6000)) ] || {
		echo "$before_kb kB, then $(memory) kB"
		return 1
	}
}
case $program in
*-?san) ;; # which keep what was freed
*) check sighup_keeps_no_memory no_growth ;;
esac

rotated() {
	mv "$log" "$log.1"
	kill -HUP $ppmta
	wait_log 'SIGHUP received: configuration read again'
}
check the_log_is_opened_again rotated
not_rotated() { # where it may not make a new one
	chown root "$tap_work/theirs"
	mv "$log" "$log.2"
	kill -HUP $ppmta
	wait_says "$log.2" "SIGHUP received: log_file_path $log: Permission denied" &&
		wait_says "$log.2" 'SIGHUP received: configuration read again' && [ ! -e "$log" ]
}
check a_log_that_cannot_be_opened_is_said not_rotated
stops() {
	kill $ppmta && wait $ppmta && wait_says "$log.2" 'ppmta stopped'
}
check it_stops stops
tap_end
