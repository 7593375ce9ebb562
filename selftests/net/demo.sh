#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The demo, as a test: real HAProxy in front of ppmta, v1 and v2, IPv4 and IPv6, and a liar.
. selftests/lib/tap.sh
out=$tap_work/demo

check the_demo_runs_to_its_end sh -c "selftests/demo/scene >'$out' 2>&1 || { cat '$out'; false; }"
log=' <= me@example\.net H=\(client\.example\) '
check v1_over_ipv4_is_logged_with_its_origin \
	says "$out" "$log\[192\.0\.2\.10\] P=esmtp PRX=198\.51\.100\.1 S="
check v2_over_ipv4_is_logged_with_its_origin \
	says "$out" "$log\[192\.0\.2\.11\] P=esmtp PRX=198\.51\.100\.1 S="
check ipv6_is_logged_with_its_origin \
	sh -c "test \$(grep -Ec '$log\[2001:db8::10\] P=esmtp PRX=198\.51\.100\.1 S=' '$out') -eq 2"
check a_liar_is_known_by_its_own_address says "$out" 'the log said .*\[203\.0\.113\.66\]'
check the_v2_header_has_its_tlvs says "$out" 'PROXY v2 TCP 192\.0\.2\.11:.*header 72 bytes, TLVs 44'
check the_header_on_the_wire_is_shown says "$out" 'on the wire +PROXY TCP4 192\.0\.2\.10 '
check a_proxy_in_its_cgroup_is_read_at_its_send says "$out" 'sent by process [0-9]+, uid '
check a_process_outside_of_it_is_refused says "$out" 'it was told +(503|554) '
check all_is_cleaned_up test ! -e "$LAB_BPFFS/pp"
tap_end
