# SPDX-License-Identifier: BSD-2-Clause
# The tables of selftests/ppmta: expansions and sessions, whose heads say how they are written. Sourced by the tests of
# them, and by selftests/ppmta/exim. Needs $tap_work.
. selftests/lib/dnsmasq.sh
tables=selftests/ppmta

# What both programs get before a case of sessions.
preamble='primary_hostname = mail.example.net
domainlist local_domains = example.org : example.com'

# Before each expansion.
expansion_preamble="$preamble"'
hostlist relays = 192.0.2.0/24
domainlist ours = example.org : ! bad.example.com : *.example.com'

# exim_user: which Exim asks for, whatever it is called for
exim_user() {
	grep -q '^Debian-exim:' /etc/passwd || echo 'Debian-exim:x:9870:9870::/:/usr/sbin/nologin' >>/etc/passwd
	grep -q '^Debian-exim:' /etc/group || echo 'Debian-exim:x:9870:' >>/etc/group
}

# copy_lookups: their files to $tap_work/lookups, which DIR stands for; Exim reads them as another user
copy_lookups() {
	cp -r $tables/lookups "$tap_work/lookups"
	chmod -R a+rX "$tap_work" "$tap_work/lookups"
}

# in_dir: standard input with DIR replaced
in_dir() {
	sed "s|DIR|$tap_work/lookups|g"
}

# one_line: standard input as one line of the table
one_line() {
	cat -v | sed -e ':more' -e '$!N' -e '$!b more' -e 's/\n/\\n/g' -e "s|$tap_work/lookups|DIR|g"
}

# split_sessions: each case to $tap_work/cases/N/: head (as it stands), conf, from, says, expected, refused, instead
split_sessions() {
	rm -rf "$tap_work/cases"
	mkdir "$tap_work/cases"
	awk -v to="$tap_work/cases" '
		function put(name, text) { print text >>(folder "/" name) }
		function close_all(    i) { for (i in names) close(folder "/" names[i]) }
		BEGIN { split("head conf from says expected refused instead", names) }
		/^#/ || /^$/ { before = before $0 "\n"; next }
		/^== / {
			if (n) close_all()
			folder = sprintf("%s/%03d", to, ++n)
			system("mkdir " folder)
			printf "%s", before >(folder "/head")
			before = ""
			put("head", $0)
			print substr($0, 4) >(folder "/name")
			close(folder "/name")
			next
		}
		/^[<*] / { put("expected", $0); next }
		/^! / { put("refused", substr($0, 3)); next }
		/^~ / { put("instead", "< " substr($0, 3)); next }
		{ put("head", $0) }
		/^@ / { put("from", substr($0, 3)); next }
		/^>/ { put("says", substr($0, 3)); next }
		{ put("conf", $0) }
	' "$tables/sessions"
}

# case_configuration CASE: the text that both programs read
case_configuration() {
	echo "$preamble"
	grep -q '^acl_smtp' "$1/conf" || printf 'acl_smtp_rcpt = r\nbegin acl\n'
	in_dir <"$1/conf"
}

case_address() {
	if [ -e "$1/from" ]; then cat "$1/from"; else echo 192.0.2.7; fi
}

# case_says CASE: what the client says
case_says() {
	{
		if [ -e "$1/says" ]; then
			cat "$1/says"
		else
			printf '%s\n' 'EHLO client.example' 'MAIL FROM:<a@sender.example>' 'RCPT TO:<u@example.org>' \
				'RCPT TO:<v@other.example>' 'RCPT TO:<u@example.org>'
		fi
		echo QUIT
	} | sed 's/$/\r/'
}

# case_session CASE COMMAND...: the session by `COMMAND -bh ADDRESS`, its replies to $tap_work/replies, its log to $tap_work/errors
case_session() {
	of=$1
	shift
	case_says "$of" | timeout 60 "$@" -bh "$(case_address "$of")" 2>"$tap_work/errors" | tr -d '\r' >"$tap_work/replies"
}

# as_expected: of $tap_work/replies, those that the table has
as_expected() {
	sed -e '/^\*\*\*\*/d' -e '/^220[ -]/d' -e '/^250-/d' -e '/^250 HELP$/d' -e '/^250 .* Hello /d' -e '/^221 /d' -e '/^354 /d' \
		-e '/^$/d' -e 's/ id=[0-9A-Za-z-]*/ id=ID/' -e 's/^/< /' "$tap_work/replies"
}

# start_name_server: with what the sessions ask for; it is in resolv.conf, too
start_name_server() {
	start_dnsmasq <<-'CONF'
		local=/example/
		local=/in-addr.arpa/
		local=/ip6.arpa/
		local=/example.net/
		host-record=good.example,192.0.2.7
		host-record=other.example,192.0.2.8
		host-record=mail.example.net,192.0.2.25
		address=/7.2.0.192.bl.example/127.0.0.2
		address=/7.2.0.192.bl.example/127.0.0.4
		txt-record=7.2.0.192.bl.example,"is listed"
		address=/7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example/127.0.0.3
		txt-record=7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example,"is listed, too"
		address=/7.2.0.192.odd.example/10.0.0.1
		server=/broken.example/127.0.0.9
	CONF
	echo 'nameserver 127.0.0.1' >"$tap_work/resolv.conf"
	mount --bind "$tap_work/resolv.conf" "$(realpath /etc/resolv.conf)"
}
