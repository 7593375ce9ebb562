#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/examples: each server tells its client's origin, and finds the header in its stream neither whole nor in part.
# check: native long
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
tools=build/selftests/tools
said=$tap_work/said
examples=build/selftests/examples

# v1, and v2 with a TLV, of one origin
header='PROXY TCP4 192.0.2.7 198.51.100.1 4711 25'
v2=0d0a0d0a000d0a515549540a21110010c0000207c633640112670019e10001aa

# session ADDRESS GREETING OPTION...: from there, the server greets, and says again what it is told
session() {
	from=$1 greeting=$2
	shift 2
	timeout 60 $tools/talk --from "$from" "$@" 127.0.0.1 2525 'PING one two' >"$said" 2>&1
	says "$said" "^220 hello, $greeting" && says "$said" '^PING one two'
}

# refused PATTERN OPTION...: a proxy, whose server does not greet and says why
refused() {
	pattern=$1
	shift
	timeout 60 $tools/talk --from 127.0.0.2 "$@" 127.0.0.1 2525 >"$said" 2>&1
	says "$said" "$pattern" && ! grep '^220' "$said"
}

# through_relay PATTERN COMMAND...: the header comes byte by byte, from a proxy between the command and the server
through_relay() {
	pattern=$1
	shift
	$tools/relay --pieces --from 127.0.0.2 127.0.0.1 2600 127.0.0.1 2525 &
	relay=$!
	wait_port 2600 && timeout 60 "$@" >"$said" 2>&1
	kill $relay
	wait $relay
	says "$said" "$pattern" && says "$said" '^PING one two'
}

start() { # POLICY COMMAND...
	policy=$1
	shift
	$ppctl up --cgroup "$LAB_CGROUP" --port 2525 --proxy 127.0.0.2 $policy || return 1
	"$@" &
	server=$!
	wait_port 2525
}

stop() { # RESULT
	kill $server
	wait $server
	$ppctl down --now
	[ "$1" -eq 0 ] || {
		echo "with $policy"
		return 1
	}
}

# greets V1 V2 RELAYED BAD COMMAND...: what it says of each, with the header in its stream, and with a split
greets() {
	v1_says=$1 v2_says=$2 relayed=$3 bad=$4
	shift 4
	for policy in '--gate 0' '--gate 3s' '--split yes'; do
		start "$policy" "$@" && session 127.0.0.2 "$v1_says" --header "$header" && session 127.0.0.2 "$v2_says" --hex $v2 &&
			session 127.0.0.3 'ordinary client' &&
			through_relay "^220 hello, $relayed" $tools/talk --from 127.0.0.9 127.0.0.1 2600 'PING one two' || {
			stop 1
			return 1
		}
		[ "$policy" = '--split yes' ] || refused "^554 $bad" --header 'PROXY TCP4 1.2.3.256 198.51.100.1 4711 25' || {
			stop 1
			return 1
		}
		stop 0
	done
}

by_libpp() { # COMMAND...
	greets 'PROXY v1 TCP 192\.0\.2\.7:4711 -> 198\.51\.100\.1:25' 'PROXY v2 TCP 192\.0\.2\.7:4711 -> 198\.51\.100\.1:25' \
		'PROXY v1 TCP 127\.0\.0\.9:' 'not a valid' "$@"
}
by_getsockopt() {
	greets '192\.0\.2\.7 port 4711' '192\.0\.2\.7 port 4711' '127\.0\.0\.9 port ' 'no origin: state 5, reason 5' "$@"
}

check threads_tell_the_origin by_libpp $examples/threads

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.example.net \
		-keyout "$tap_work/key.pem" -out "$tap_work/cert.pem"
}
# it goes when it has been answered, or after a while
cat >"$tap_work/tls-client" <<CLIENT
{
	echo PING one two
	for _ in \$(seq 500); do
		grep -q '^PING' "$said" && break
		sleep 0.1
	done
} | openssl s_client -quiet -no_ign_eof -connect "\$1"
CLIENT
tells_by_tls() {
	certificate || return 1
	for policy in '--gate 0' '--gate 3s' '--split yes'; do
		start "$policy" $examples/tls "$tap_work/cert.pem" "$tap_work/key.pem" &&
			through_relay '^220 hello, PROXY v1 TCP 127.0.0.1:' sh "$tap_work/tls-client" 127.0.0.1:2600
		stop $? || return 1
	done
	start '--gate 0' $examples/tls "$tap_work/cert.pem" "$tap_work/key.pem" || return 1
	timeout 60 sh "$tap_work/tls-client" 127.0.0.1:2525 >"$said" 2>&1
	says "$said" '^220 hello, ordinary client' && says "$said" '^PING one two'
	stop $?
}
check openssl_tells_the_origin tells_by_tls

check python_tells_the_origin by_getsockopt /usr/bin/python3 docs/examples/server.py

programs=$PWD/build/programs/usr
compiles_go() {
	if command -v go >/dev/null; then
		GOCACHE=$tap_work GO111MODULE=off go build -o "$tap_work/server-go" docs/examples/server.go
		return
	fi
	gcc=$(dirname "$(gcc -print-libgcc-file-name)")
	gccgo=$(echo "$programs"/bin/gccgo-[0-9]*)
	"$gccgo" -Wall -B "$programs/lib/gcc/${gcc#*/gcc/}/" -B "$gcc/" -static-libgo -O1 \
		-I "$(dirname "$programs"/lib/*/go/*/*/net.gox)" -L "$programs/lib/gcc/${gcc#*/gcc/}" \
		docs/examples/server.go -o "$tap_work/server-go"
}
if command -v go >/dev/null || [ -e build/programs/.complete ]; then
	check go_compiles compiles_go
	check go_tells_the_origin by_getsockopt "$tap_work/server-go"
else
	echo "ok - go_tells_the_origin # SKIP neither go nor build/programs is there (selftests/programs/fetch)"
fi

# Node has no getsockopt()
node_tells() {
	start '--transparent' node docs/examples/server.js && session 127.0.0.2 '192\.0\.2\.7 port 4711' --header "$header" &&
		session 127.0.0.2 '192\.0\.2\.7 port 4711' --hex $v2 && session 127.0.0.3 '127\.0\.0\.3 port '
	stop $?
}
if command -v node >/dev/null; then
	check node_tells_the_origin_in_transparent_mode node_tells
else
	echo "ok - node_tells_the_origin_in_transparent_mode # SKIP there is no node (Debian: nodejs)"
fi
tap_end
