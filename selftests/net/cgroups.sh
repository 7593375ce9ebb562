#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppctl where not all can be seen: without a capability, or in a container, whose own view of the cgroups is mounted
# beside the host's, or alone. A cgroup that cannot be seen is not taken for one that is gone.
# check: native
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
side=${LAB_CGROUP%/*}
mount=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
up="$ppctl up --cgroup $LAB_CGROUP --port 2525 --proxy 127.0.0.2"

# without CAPABILITY[,CAPABILITY] COMMAND...
without() {
	drop=$1
	shift
	setpriv --bounding-set "-$(echo "$drop" | sed 's/,/,-/g')" --inh-caps -all -- "$@"
}
# as a container gets it: these capabilities, and no other
with() {
	keep=$1
	shift
	setpriv --bounding-set "-all,+$(echo "$keep" | sed 's/,/,+/g')" --inh-caps -all -- "$@"
}

missing_capabilities_are_named() {
	for name in bpf perfmon net_admin; do
		without "$name,sys_admin" $up >"$tap_work/said" 2>&1 && return 1
		says "$tap_work/said" "lacks CAP_$(echo $name | tr a-z A-Z) " || return 1
	done
	without bpf,perfmon,net_admin,sys_admin $up >"$tap_work/said" 2>&1 && return 1
	says "$tap_work/said" 'lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN \(' || return 1
	without bpf,perfmon $up && $ppctl down # CAP_SYS_ADMIN has them in it
}
check missing_capabilities_are_named missing_capabilities_are_named

three_are_enough() {
	with bpf,perfmon,net_admin $up --transparent || return 1
	with bpf,perfmon,net_admin $ppctl proxy-cgroup add "$side/outside" || return 1
	with bpf,perfmon,net_admin $ppctl status >"$tap_work/said"
	[ $? = 1 ] || return 1
	says "$tap_work/said" '^pp: degraded: nothing listens on port 2525' || return 1
	with bpf,perfmon,net_admin $ppctl proxy-cgroup list | grep -qx "$side/outside" || return 1
	with bpf,perfmon,net_admin $ppctl down
}
check three_are_enough three_are_enough

# live SENDERS...: these cgroups of proxies are attached, and no other
live() {
	for name in "$@"; do echo "$side/$name"; done | sort >"$tap_work/wanted"
	$ppctl proxy-cgroup list | sort >"$tap_work/there"
	diff "$tap_work/wanted" "$tap_work/there"
}

live_proxy_cgroups_stay() {
	mkdir -p "$side/a/deep" "$side/b" "$side/c"
	$up || return 1
	$ppctl proxy-cgroup add "$side/a/deep" "$side/b" || return 1
	without dac_read_search $ppctl proxy-cgroup add "$side/c" || return 1
	live a/deep b c || return 1
	without dac_read_search $up --proxy-cgroup "$side/c" || return 1
	live a/deep b c || return 1
	rmdir "$side/b"
	without dac_read_search $ppctl proxy-cgroup del "$side/c" || return 1
	live a/deep || return 1
	$ppctl down && rmdir "$side/a/deep" "$side/a" "$side/c"
}
# whole NAME COMMAND...: where all cgroups are seen; in a container a cgroup that is gone is just one that is not seen
whole() {
	case $(readlink /proc/self/ns/cgroup) in
	'cgroup:[4026531835]') check "$@" ;; # PROC_CGROUP_INIT_INO, the first one
	*) echo "ok - $1 # SKIP this is a cgroup namespace below the machine's" ;;
	esac
}
whole live_proxy_cgroups_stay_without_the_capability_to_open_them_by_number live_proxy_cgroups_stay

# inside SCRIPT: run as in a container in the cgroup $side/box: its own view is what /sys/fs/cgroup has, and is mounted
# first; where $HOST is not empty, the host's is there, too.
inside() {
	cat >"$tap_work/script" <<SCRIPT
set -e
echo 0 >"$side/box/cgroup.procs"
exec unshare -C -m sh -ec '
	mkdir -p /tmp/host
	mount --bind $mount /tmp/host
	umount -l $mount
	mount -t cgroup2 none $mount
	[ -n "\$HOST" ] || umount -l /tmp/host
	$1
'
SCRIPT
	HOST=${HOST:-} sh "$tap_work/script"
}

in_a_container() {
	mkdir -p "$side/box" "$side/a"
	$up || return 1
	$ppctl proxy-cgroup add "$side/a" "$side/box" || return 1
	for HOST in '' yes; do
		inside "
			$ppctl proxy-cgroup list >$tap_work/list
			$ppctl status >$tap_work/status || [ \$? = 1 ]
			$ppctl proxy-cgroup add $mount || [ \$? = 1 ]
			$ppctl proxy-cgroup del /nowhere || [ \$? = 1 ]
		" || return 1
		live a box || return 1
		! says "$tap_work/list" gone || return 1
		! says "$tap_work/status" 'is gone' || return 1
	done
	says "$tap_work/list" "^/tmp/host.*/a$" || return 1
	says "$tap_work/status" "^cgroup +/tmp/host.*/inside$" || return 1
	# a name below where cgroup2 is mounted is found in whichever of the two has it
	HOST=yes inside "$ppctl proxy-cgroup del ${side#"$mount"/}/a" || return 1
	live box || return 1
	rmdir "$side/a"
	$ppctl down && rmdir "$side/box"
}
whole in_a_container_what_is_not_seen_is_not_gone in_a_container

mount_points_may_have_blanks() {
	mkdir -p "/tmp/a b"
	unshare -m sh -ec "
		mount --bind $mount '/tmp/a b'
		umount -l $mount
		$ppctl up --cgroup ${LAB_CGROUP#"$mount"/} --port 2525 --proxy 127.0.0.2
		$ppctl status >$tap_work/said || [ \$? = 1 ]
	" || return 1
	says "$tap_work/said" '^cgroup    /tmp/a b/.*/inside$' || return 1
	$ppctl down
}
check mount_points_may_have_blanks mount_points_may_have_blanks
tap_end
