#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The demo's second scene, as a test: an unmodified Exim logs clients.
. selftests/lib/tap.sh
out=$tap_work/demo

check the_scene_runs_to_its_end sh -c "selftests/demo/scene-exim >'$out' 2>&1 || { cat '$out'; false; }"
log="Exim's main log .* <= me@example\.net H=\(client\.example\) "
check exim_logs_the_ipv4_client says "$out" "$log\[192\.0\.2\.10\] P=esmtp"
check exim_logs_the_ipv6_client says "$out" "$log\[2001:db8::10\] P=esmtp"
check the_headers_were_taken_out_by_the_split says "$out" '^  split +2 '
tap_end
