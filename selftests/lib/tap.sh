# SPDX-License-Identifier: BSD-2-Clause
# For tests that are shell scripts: TAP on standard output. Sourced; ends the test with its status.
case $0 in
selftests/unit/*) ;;
*)
	if [ -z "${LAB_CGROUP:-}" ]; then
		echo "$0: runs under build/selftests/tools/lab only" >&2
		exit 1
	fi
	;;
esac
tap_failed=0
tap_work=$(mktemp -d)
trap 'rm -rf "$tap_work"' EXIT
trap 'exit 130' INT TERM

# check NAME COMMAND...: one result, with the command's output when it failed. With CHECK_CASE there is
# one case to test: those before it are done, as it may need what they do, and those behind it are not.
check() {
	name=$1
	shift
	if [ -n "${CHECK_CASE:-}" ] && [ "$name" != "$CHECK_CASE" ]; then
		"$@" >"$tap_work/out" 2>&1 || sed "s/^/# $name, before it: /" "$tap_work/out"
		return 0
	fi
	if "$@" >"$tap_work/out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
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

# wait_says FILE PATTERN: until a line of FILE matches
wait_says() {
	for _ in $(seq 600); do
		grep -Eqs -- "$2" "$1" && return 0
		sleep 0.1
	done
	says "$1" "$2"
}

tap_end() {
	exit $tap_failed
}
