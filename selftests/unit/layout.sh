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
# Linux 7 has at most 8 KiB for what is kept with a socket, with what the kernel adds to it (kmalloc_nolock()).
if awk '/: sk_storage,/ { found++; if ($NF > 8000) bad = 1 } END { exit !found || bad }' "$out"; then
	echo "ok - what_is_kept_with_a_socket_has_at_most_8_kib"
else
	echo "not ok - what_is_kept_with_a_socket_has_at_most_8_kib"
	failed=1
fi
rm -f "$out.diff"
exit ${failed:-0}
