#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each header of bpf/ compiles alone: it includes what it uses, so it can be read alone.
# check: native
flags=$(make -s --no-print-directory bpf-flags) || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

for header in bpf/*.h; do
	name=$(basename "$header" .h)_compiles_alone
	[ -z "${CHECK_CASE:-}" ] || [ "$name" = "$CHECK_CASE" ] || continue
	# shellcheck disable=SC2086 # they are words
	if ${CLANG:-clang} $flags -fsyntax-only -x c "$header" >"$out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		sed 's/^/# /' "$out"
		failed=1
	fi
done
exit $failed
