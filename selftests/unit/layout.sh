#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the maps hold is what selftests/unit/layout.txt says; its first line is PP_MAPS_ABI. Where it differs, programs of
# today would misread what a set of that version holds: PP_MAPS_ABI grows, and the file is made again:
#   { sed -n 's/^#define PP_MAPS_ABI //p' include/pp/maps.h; build/selftests/tools/layout; } >selftests/unit/layout.txt
# check: native
out=$(mktemp)
trap 'rm -f "$out"' EXIT
{ sed -n 's/^#define PP_MAPS_ABI //p' include/pp/maps.h && build/selftests/tools/layout; } >"$out" 2>&1
if [ "$(wc -l <"$out")" -gt 100 ] && diff -u selftests/unit/layout.txt "$out" >"$out.diff"; then
	echo "ok - maps_hold_what_their_version_says"
else
	echo "not ok - maps_hold_what_their_version_says"
	sed 's/^/# /' "$out.diff"
	failed=1
fi
rm -f "$out.diff"
exit ${failed:-0}
