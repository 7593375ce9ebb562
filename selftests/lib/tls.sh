# SPDX-License-Identifier: BSD-2-Clause
# For tests that are shell scripts: mail under TLS. Sourced after tap.sh.

# letter FROM EHLO: what a mail client says, for s_client. It waits for each reply, in $say, since what talks
# before it is asked is no mail client.
letter() {
	heard=1 # the banner; or behind STARTTLS the last line of what EHLO said before
	for line in "EHLO $2" "MAIL FROM:<$1>" 'RCPT TO:<you@example.org>' DATA "$(printf 'Subject: x\r\n\r\nx\r\n.')" QUIT; do
		for _ in $(seq 600); do
			[ "$(grep -cs '^[0-9][0-9][0-9] ' "$say")" -ge $heard ] && break
			sleep 0.1
		done
		printf '%s\r\n' "$line"
		heard=$((heard + 1))
	done
}

# letter_by_tls FROM EHLO ARGUMENTS...: of openssl s_client; what was said goes to $say
letter_by_tls() {
	: >"$say"
	from=$1 helo=$2
	shift 2
	letter "$from" "$helo" | timeout 120 openssl s_client -quiet "$@" >"$say" 2>&1
}

# make_certificate DIR: key.pem and cert.pem there
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=mail.example.net \
		-keyout "$1/key.pem" -out "$1/cert.pem" >"$tap_work/openssl" 2>&1
	chmod 644 "$1/key.pem"
}
