# SPDX-License-Identifier: BSD-2-Clause
# For tests that are shell scripts: TAP on standard output. Sourced; ends the test with its status.
case $0 in
selftests/unit/* | selftests/toolchains/*) ;;
*)
	if [ -z "${LAB_CGROUP:-}" ]; then
		echo "$0: runs under build/selftests/tools/lab only" >&2
		exit 1
	fi
	;;
esac
tap_failed=0 tap_count=0
tap_work=$(mktemp -d)
trap tap_clear EXIT
trap 'exit 130' INT TERM

# What is mounted in the test's folder is not the test's, and stays.
tap_clear() {
	awk -v work="$tap_work/" 'index($5, work) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r place; do
			umount -l "$(printf %b "$place")"
		done
	! grep -q " $tap_work/" /proc/self/mountinfo && rm -rf "$tap_work"
}

# check NAME COMMAND...: one result, with the command's output when it failed. With CHECK_CASE there is
# one case to test: those before it are done, as it may need what they do, and those behind it are not.
check() {
	tap_name=$1
	shift
	if [ -n "${CHECK_CASE:-}" ] && [ "$tap_name" != "$CHECK_CASE" ]; then
		"$@" >"$tap_work/out" 2>&1 || sed "s/^/# $tap_name, before it: /" "$tap_work/out"
		return 0
	fi
	tap_count=$((tap_count + 1))
	if "$@" >"$tap_work/out" 2>&1; then
		echo "ok $tap_count - $tap_name"
	else
		echo "not ok $tap_count - $tap_name"
		sed 's/^/# /' "$tap_work/out"
		tap_failed=1
	fi
	[ -z "${CHECK_CASE:-}" ] || tap_end
}

# says FILE PATTERN: a line of FILE matches
says() {
	grep -Eq -- "$2" "$1" || {
		echo "no line of $1 matches $2; it has:"
		cat "$1"
		return 1
	}
}

# soon COMMAND...: again and again until it succeeds, for a minute; the last time is shown
soon() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	"$@"
}

# wait_says FILE PATTERN: until a line of FILE matches
wait_says() {
	soon says "$@"
}

# wait_port PORT: until somebody listens there
wait_port() {
	hex=$(printf ':%04X ' "$1")
	soon grep -q "$hex.* 0A " /proc/net/tcp /proc/net/tcp6 && return 0
	echo "nobody listens on port $1"
	for file in "$tap_work"/*; do
		[ "$file" = "$tap_work/out" ] || tail -n 5 "$file"
	done
	return 1
}

# The plan comes last, as TAP allows.
tap_end() {
	echo "1..$tap_count"
	exit $tap_failed
}
