#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ppctl up --cgroup self|parent, as an init container calls it: in a cgroup and PID namespace, with its own view of the
# cgroups, the host's, or both; and sets whose cgroups have gone.
# check: native
# In guests unshare is busybox's, which knows no cgroup namespaces.
. selftests/lib/tap.sh
ppctl=$PWD/build/bin/ppctl
said=$tap_work/said
pod=$LAB_CGROUP/pod
mkdir -p "$pod/init" "$pod/server"

# within CGROUP COMMAND...: in that cgroup
within() {
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$@"
}

# contained COMMAND...: as in a container of the pod, with the host's cgroups at $tap_work/host
mkdir "$tap_work/host"
cgroup_mount=${LAB_CGROUP%/ppsplit-lab-*}
cat >"$tap_work/contained" <<'EOS'
set -e
mount --bind "$cgroup_mount" "$tap_work/host"
umount -l "$cgroup_mount"
mount -t cgroup2 none "$cgroup_mount"
mount -t proc proc /proc
[ ! -e "$cgroup_mount/server" ]
"$@"
EOS
contained() {
	within "$pod/init" env tap_work="$tap_work" cgroup_mount="$cgroup_mount" unshare --cgroup --mount --pid --fork \
		sh "$tap_work/contained" "$@"
}

# on PATTERN: the set is on that cgroup
on() {
	$ppctl status >"$said"
	says "$said" "^cgroup +$1\$" && $ppctl down
}

own() {
	within "$pod/init" $ppctl up --cgroup self && on "$pod/init"
}
check self_is_ppctls_own_cgroup own
above() {
	within "$pod/init" $ppctl up --cgroup parent && on "$pod"
}
check parent_is_the_one_above_it above
contained_self() {
	contained $ppctl up --cgroup self && on "$pod/init"
}
check self_in_a_container contained_self
contained_parent() {
	contained $ppctl up --cgroup parent && on "$pod"
}
check parent_in_a_container_that_has_the_hosts_view contained_parent
# the host knows the cgroup by the name that the container gave
same_name() {
	contained $ppctl up --cgroup parent && $ppctl status >"$said"
	! grep 'does not exist' "$said" && $ppctl down
}
check the_name_is_right_on_the_host same_name
host_view_alone() {
	contained sh -c 'umount "$cgroup_mount" && mount --bind "$tap_work/host" "$cgroup_mount" && exec "$@"' sh \
		$ppctl up --cgroup parent && on "$pod"
}
check parent_where_the_hosts_view_is_the_only_one host_view_alone
unseen() {
	! contained sh -c 'umount "$tap_work/host" && exec "$@"' sh $ppctl up --cgroup parent 2>"$said" &&
		says "$said" "^ppctl: --cgroup parent: no cgroup2 mount here shows that cgroup: mount the host's /sys/fs/cgroup"
}
check parent_that_no_mount_shows_is_refused unseen
configured() {
	printf '[serve mail]\ncgroup = parent\nport = 25\nproxy = 192.0.2.7\n' >"$tap_work/conf"
	contained $ppctl apply "$tap_work/conf" && $ppctl status >"$said" && says "$said" "^cgroup +$pod\$"
	contained $ppctl apply -n "$tap_work/conf" >"$said"
	[ ! -s "$said" ] && $ppctl apply /dev/null
}
check parent_in_a_configuration configured
configured_unseen() {
	! contained sh -c 'umount "$tap_work/host" && exec "$@"' sh $ppctl check "$tap_work/conf" 2>"$said" &&
		says "$said" "conf:2: cgroup parent: no cgroup2 mount here shows"
}
check a_configuration_with_a_parent_that_is_not_shown configured_unseen

# a pod is played again: another cgroup, the same pin
again() {
	contained $ppctl up --cgroup parent --port 25 || return 1
	remove_pod || return 1
	pod=$LAB_CGROUP/another
	mkdir -p "$pod/init"
	contained $ppctl up --cgroup parent --port 25 && on "$pod"
}
remove_pod() {
	soon rmdir "$pod/init" && rmdir "$pod/server" 2>/dev/null
	soon rmdir "$pod"
}
check a_set_whose_cgroup_is_gone_comes_up_on_another again

pins=$LAB_BPFFS/containers
# set_on NAME: a set of that name, on a cgroup of that name
set_on() {
	mkdir "$LAB_CGROUP/$1" && $ppctl up --pin "$pins" --set "$1" --cgroup "$LAB_CGROUP/$1" --port 25 --transparent \
		--proxy 192.0.2.7
}
gone_go() {
	set_on one && set_on two && rmdir "$LAB_CGROUP/two" || return 1
	$ppctl sweep --pin "$pins" >"$said" && says "$said" '^removed: two, whose cgroup is gone$' &&
		[ "$(wc -l <"$said")" -eq 1 ] && [ ! -e "$pins/two" ] && [ -e "$pins/one" ]
}
check sweep_removes_a_set_whose_cgroup_is_gone gone_go

# a handle that the kernel calls stale for a moment: the cgroup is there
stale() {
	mkdir -p "$pod/stale" && $ppctl up --cgroup "$pod/stale" --port 25 --pin "$LAB_BPFFS/all" --set stale || return 1
	for error in 116 1; do # ESTALE, EPERM
		LD_PRELOAD=$PWD/build/selftests/tools/fault.so FAULT_HANDLE=$error $ppctl sweep --pin "$LAB_BPFFS/all" >"$said" || return 1
		[ ! -s "$said" ] && $ppctl port list --pin "$LAB_BPFFS/all" --set stale || return 1
	done
	$ppctl down --pin "$LAB_BPFFS/all" --set stale
}
check a_handle_that_is_stale_for_a_moment_removes_nothing stale
# as of two pods that one manifest has made under two names
taken() {
	mkdir "$LAB_CGROUP/taken"
	! $ppctl up --pin "$pins" --set one --cgroup "$LAB_CGROUP/taken" --port 25 2>"$said" &&
		says "$said" "^ppctl: already up on $LAB_CGROUP/one: 'ppctl down' first, or another name with --set" &&
		rmdir "$LAB_CGROUP/taken"
}
check a_name_that_another_cgroups_set_has taken
nothing() {
	$ppctl sweep --pin "$pins" >"$said" && [ ! -s "$said" ] && [ -e "$pins/one" ]
}
check and_no_other nothing
empty_go() {
	set_on three || return 1
	within "$LAB_CGROUP/three" sleep 1000 &
	soon grep -q . "$LAB_CGROUP/three/cgroup.procs" || return 1
	$ppctl sweep --empty --pin "$pins" --json >"$said" && says "$said" '^ *"/.*containers/one"' &&
		[ ! -e "$pins/one" ] && [ -e "$pins/three" ] || return 1
	kill "$(cat "$LAB_CGROUP/three/cgroup.procs")"
	wait
	$ppctl sweep --empty --pin "$pins" && [ ! -e "$pins" ]
}
check with_empty_also_those_without_a_process empty_go
none() {
	$ppctl sweep --pin "$LAB_BPFFS/none" >"$said" && [ ! -s "$said" ]
}
check where_there_are_none_it_does_nothing none
tap_end
